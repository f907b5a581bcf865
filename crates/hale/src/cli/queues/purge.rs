//! `hale queues purge NAME [FILTER…]`: cancel what waits.
//!
//! Guarantees: nothing is cancelled without `--yes`; what executes is left alone; the cancelled runs stay.

use super::{finish, said_twice};
use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::wire::queues::{Cleared, PurgeQueue};
use std::time::Duration;

/// Cancel the runs that wait in a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues purge default --dry-run
  hale queues purge default pack:research since:1h --yes
  hale queues purge --pack research --yes        # in whatever queue they wait

At most 10,000 runs at a time. They are cancelled, not deleted: hale runs retry RUN starts one again.")]
pub struct Args {
    /// Name of the queue
    #[arg(required_unless_present = "pack")]
    name: Option<String>,
    /// Which of them, as in `hale runs list`
    filter: Vec<String>,
    /// Runs of this pack only
    #[arg(long, value_name = "NAME")]
    pack: Option<String>,
    /// Only say how many would be cancelled
    #[arg(long)]
    dry_run: bool,
    /// Do it
    #[arg(short, long, visible_alias = "confirm")]
    yes: bool,
}

const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let name = args.name.unwrap_or_else(|| "-".to_owned());
    let mut words = args.filter;
    words.extend(args.pack.map(|pack| format!("pack:{pack}")));
    let filter = filter(&words);
    if !args.dry_run {
        let shown = format!("hale queues purge {name} {filter} --dry-run").replace("  ", " ");
        said_twice(args.yes, &format!("cancel what waits in queue {name}"), &shown)?;
    }
    let order = PurgeQueue { filter, dry_run: args.dry_run };
    let path = format!("/api/v1/queues/{}/purge", escape(&name));
    let report: Cleared = ctx.client().await?.ask(Ask::post(path, &order).patient(PATIENCE)).await?;
    Ok(finish(ctx, &report, ("cancel", "cancelled")))
}
