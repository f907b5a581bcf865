//! `hale queues drain NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::queues::Moved;
use serde_json::json;

/// Give no run of a queue to workers; it goes on taking runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues drain default
  hale queues drain gpu --json")]
pub struct Args {
    /// Name of the queue
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/queues/{}/drain", escape(&args.name));
    let moved: Moved = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&moved, &moved.operation, |look| {
        format!(
            "{}\n",
            look.good(&format!("queue {} gives no runs to workers; it goes on taking them", moved.target))
        )
    });
    ctx.screen.next(&format!("hale queues resume {}", moved.target));
    Ok(Exit::Done)
}
