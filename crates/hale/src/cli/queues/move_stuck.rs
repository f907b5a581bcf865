//! `hale queues move-stuck NAME --older-than SPAN`: what has waited too long becomes dead letters.
//!
//! Guarantees: nothing is moved without `--yes`; delayed runs whose time has not come are not stuck.

use super::{finish, said_twice};
use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::wire::queues::{Cleared, MoveStuck};
use hale_core::time::Millis;
use std::time::Duration;

/// Move runs that have waited too long to the dead letters, with the reason
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues move-stuck default --older-than 1h --dry-run
  hale queues move-stuck default --older-than 1h --yes
  hale queues move-stuck - pack:research --older-than 2h --yes

They end FAILED with the cause queue.stuck; hale runs retry RUN starts one again.")]
pub struct Args {
    /// Name of the queue; - is every queue
    name: String,
    /// Which of them, as in `hale runs list`
    filter: Vec<String>,
    /// Those that have waited longer
    #[arg(long, value_name = "SPAN")]
    older_than: Millis,
    /// Only say how many would be moved
    #[arg(long)]
    dry_run: bool,
    /// Do it
    #[arg(short, long, visible_alias = "confirm")]
    yes: bool,
}

const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let older_than = format!("{}ms", args.older_than.0);
    if !args.dry_run {
        let shown =
            format!("hale queues move-stuck {} --older-than {}ms --dry-run", args.name, args.older_than.0);
        said_twice(args.yes, &format!("move what is stuck in queue {}", args.name), &shown)?;
    }
    let order = MoveStuck { older_than, filter: filter(&args.filter), dry_run: args.dry_run };
    let path = format!("/api/v1/queues/{}/move-stuck", escape(&args.name));
    let report: Cleared = ctx.client().await?.ask(Ask::post(path, &order).patient(PATIENCE)).await?;
    Ok(finish(ctx, &report, ("move to the dead letters", "moved to the dead letters")))
}
