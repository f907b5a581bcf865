//! `hale runs audit ID`: what people and programs did to a run.

use crate::cli::ctx::Ctx;
use crate::cli::operations::list::table;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::{OperationView, Page};

/// Show what was done to a run, alone or as one of many
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs audit run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs audit run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json")]
pub struct Args {
    /// The run's id
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/runs/{}/audit", escape(&args.id));
    let page: Page<OperationView> = ctx.client().await?.get(path).await?;
    ctx.screen.list(&page, |operation| operation.id.clone(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("nobody did anything to it");
    }
    Ok(Exit::Done)
}
