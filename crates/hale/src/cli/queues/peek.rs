//! `hale queues peek NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::{Format, run as shown};
use crate::wire::{Page, RunView};

/// Show the runs that stand first in a queue, without taking them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues peek default
  hale queues peek default --limit 50 -o name")]
pub struct Args {
    /// Name of the queue
    name: String,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/queues/{}/peek?limit={}", escape(&args.name), args.limit);
    let page: Page<RunView> = ctx.client().await?.get(path).await?;
    let wide = ctx.screen.format() == Format::Wide;
    ctx.screen.list(&page, |run| run.id.clone(), |look| shown::table(&page.items, look, wide));
    if page.items.is_empty() {
        ctx.screen.note("no run waits there");
    }
    Ok(Exit::Done)
}
