//! `hale packs quarantine list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::dlq as shown;
use crate::wire::Page;
use crate::wire::dlq::QuarantineView;

/// List packs in quarantine, with the runs that ended their workers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs quarantine list
  hale packs quarantine list -o json")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<QuarantineView> = ctx.client().await?.get("/api/v1/quarantine").await?;
    ctx.screen.list(&page, |held| held.pack.clone(), |look| shown::quarantine(&page.items, look));
    match page.items.first() {
        Some(held) => ctx.screen.next(&held.release),
        None => ctx.screen.note("no pack is in quarantine"),
    }
    Ok(Exit::Done)
}
