//! `hale packs list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::{Format, pack as shown};
use crate::wire::{PackView, Page};

/// List the packs that can be run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs list
  hale packs list -o wide")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<PackView> = ctx.client().await?.get("/api/v1/packs").await?;
    let wide = ctx.screen.format() == Format::Wide;
    ctx.screen.list(&page, |pack| pack.name.clone(), |look| shown::table(&page.items, look, wide));
    if page.items.is_empty() {
        ctx.screen.note("no packs");
        ctx.screen.next("hale packs init log-triage.md && hale packs deploy log-triage.md");
    }
    Ok(Exit::Done)
}
