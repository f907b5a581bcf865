//! `hale operations resume ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::bulk as shown;
use crate::wire::bulk::BulkView;
use serde_json::json;

/// Let a paused operation go on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale operations resume op_01JD4M8Q2R7WX5B9N3K6T0VYHZ")]
pub struct Args {
    /// The operation's id, from `hale operations list --many`
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/operations/{}/resume", escape(&args.id));
    let bulk: BulkView = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&bulk, &args.id, |look| shown::page(&bulk, look));
    Ok(Exit::Done)
}
