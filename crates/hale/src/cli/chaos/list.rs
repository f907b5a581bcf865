//! `hale chaos list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::status as shown;
use crate::wire::{FaultView, Page};

/// List the faults that are injected now, and how often each took effect
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale chaos list")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<FaultView> = ctx.client().await?.get("/api/v1/chaos").await?;
    ctx.screen.list(&page, |fault| fault.id.clone(), |look| shown::faults(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no faults");
    }
    Ok(Exit::Done)
}
