//! `hale workers list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::status as shown;
use crate::wire::{Page, WorkerView};

/// List the workers and what they do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers list
  hale workers list -o json | jq '.items[].runs'")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<WorkerView> = ctx.client().await?.get("/api/v1/workers").await?;
    ctx.screen.list(&page, |worker| worker.id.clone(), |look| shown::workers(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no workers");
        ctx.screen.next("hale worker");
    }
    Ok(Exit::Done)
}
