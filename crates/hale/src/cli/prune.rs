//! `hale prune`: what is past its retention is forgotten; without `--yes` it is only told.

use super::ctx::Ctx;
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::render::artifact as shown;
use crate::wire::artifacts::{PruneRequest, PruneView};
use std::time::Duration;

/// Forget ended runs, artifacts and log files that are past their retention
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale prune                    tells what would go, with counts and bytes
  hale prune --dry-run -o json
  hale prune --yes

How long and how much is kept stands in hale.toml: retention.runs, retention.artifacts, retention.logs, retention.max.
Runs that have not ended and dead letters that wait for a decision stay, whatever their age.")]
pub struct Args {
    /// Only tell what would go; so it is without --yes
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do it
    #[arg(short, long)]
    yes: bool,
}

/// A million runs.
const PATIENCE: Duration = Duration::from_secs(3600);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = PruneRequest { dry_run: !args.yes };
    let done: PruneView =
        ctx.client().await?.ask(Ask::post("/api/v1/prune", &order).patient(PATIENCE)).await?;
    ctx.screen.one(&done, done.operation.as_deref().unwrap_or("nothing"), |look| shown::pruned(&done, look));
    let anything = done.over_bytes > 0 || done.kinds.iter().any(|kind| kind.count > 0);
    if done.dry_run && anything {
        ctx.screen.note("nothing was changed");
        ctx.screen.next("hale prune --yes");
    }
    Ok(Exit::Done)
}
