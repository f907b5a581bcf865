//! `hale config history`.

use crate::cli::ctx::Ctx;
use crate::cli::operations::list::table;
use crate::exit::{Error, Exit};
use crate::wire::{OperationView, Page};

/// List the changes of settings while the server ran, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale config history
  hale operations undo $(hale config history -o name | head -1)")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<OperationView> = ctx.client().await?.get("/api/v1/config/history").await?;
    ctx.screen.list(&page, |operation| operation.id.clone(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no setting was changed while the server ran");
    }
    Ok(Exit::Done)
}
