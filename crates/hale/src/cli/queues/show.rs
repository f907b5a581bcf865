//! `hale queues show NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::queues as shown;
use crate::wire::queues::QueueView;

/// Show one queue: its classes, its keys, who serves it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues show default
  hale queues show gpu --json")]
pub struct Args {
    /// Name of the queue
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let queue: QueueView = ctx.client().await?.get(format!("/api/v1/queues/{}", escape(&args.name))).await?;
    ctx.screen.one(&queue, &queue.name, |look| shown::page(&queue, look));
    if queue.unserved {
        ctx.screen.next(&format!("hale worker --queues {}", queue.name));
    }
    Ok(Exit::Done)
}
