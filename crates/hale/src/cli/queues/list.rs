//! `hale queues list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::queues as shown;
use crate::wire::queues::Queues;

/// List the queues: depth, age of the oldest, rates, workers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues list
  hale queues list -o json | jq '.items[] | {name, depth, oldest_ms}'")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let queues: Queues = ctx.client().await?.get("/api/v1/queues").await?;
    ctx.screen.one(&queues, "", |look| shown::list(&queues, look));
    Ok(Exit::Done)
}
