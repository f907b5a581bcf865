//! `hale workers show ID`: one worker, also one that has ended.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::workers as shown;
use crate::wire::workers::WorkerView;

/// Show one worker: what it does, or how it ended and what that means
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers show wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale workers show 1                            # the worker in seat 1
  hale workers show embedded")]
pub struct Args {
    /// The worker's id, its seat, or `embedded`
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let worker: WorkerView = ctx.client().await?.get(format!("/api/v1/workers/{}", escape(&args.id))).await?;
    ctx.screen.one(&worker, &worker.id, |look| shown::one(&worker, look));
    Ok(Exit::Done)
}
