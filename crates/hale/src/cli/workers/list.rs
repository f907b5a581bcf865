//! `hale workers list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Format;
use crate::render::workers as shown;
use crate::wire::workers::Workers;

/// List the workers and what they do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers list
  hale workers list --all                        # also those that ended, with exit code and what it means
  hale workers list -o json | jq '.seats[] | select(.state == \"open\")'

`seen` is the age of the last heartbeat; `progress` the time since that of its runs that has stood still for longest
made progress. A worker can be well while its run is stuck.")]
pub struct Args {
    /// Also workers that have ended, the last first
    #[arg(short, long)]
    all: bool,
    /// Ended ones to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/workers?all={}&limit={}", args.all, args.limit);
    let workers: Workers = ctx.client().await?.get(path).await?;
    if ctx.screen.format() == Format::Name {
        for worker in &workers.items {
            ctx.screen.print(&format!("{}\n", worker.id));
        }
        return Ok(Exit::Done);
    }
    ctx.screen.one(&workers, "", |look| shown::list(&workers, look));
    if workers.items.is_empty() {
        ctx.screen.note("no workers");
        ctx.screen.next("hale worker, or to have the server keep some: hale workers scale 2");
    }
    if let Some(open) = workers.seats.iter().find(|seat| seat.state == "open") {
        ctx.screen.next(&format!("when the cause is mended: hale workers restart {}", open.seat));
    }
    Ok(Exit::Done)
}
