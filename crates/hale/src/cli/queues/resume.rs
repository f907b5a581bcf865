//! `hale queues resume NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::queues::Moved;
use serde_json::json;

/// Give the runs of a drained queue to workers again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues resume default
  hale queues resume gpu --json")]
pub struct Args {
    /// Name of the queue
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/queues/{}/resume", escape(&args.name));
    let moved: Moved = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&moved, &moved.operation, |look| {
        format!("{}\n", look.good(&format!("queue {} gives runs to workers again", moved.target)))
    });
    Ok(Exit::Done)
}
