//! `hale workers resume ID`: runs for it again.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::WorkerView;
use serde_json::json;

/// Give a drained worker runs again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers resume wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ")]
pub struct Args {
    /// The worker's id, from `hale workers list`
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/workers/{}/resume", escape(&args.id));
    let worker: WorkerView = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&worker, &worker.id, |look| {
        format!("{}\n", look.good(&format!("{} takes runs again", worker.id)))
    });
    Ok(Exit::Done)
}
