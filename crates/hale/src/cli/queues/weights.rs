//! `hale queues weights NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::queues::{Moved, SetWeights};

/// Set how many turns the classes of a queue have
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale queues weights default --high 6 --normal 3 --low 1
  hale queues weights default --low 2
  hale queues weights default --reset

A class that is not named keeps its weight. None may be 0: it would starve.")]
pub struct Args {
    /// Name of the queue
    name: String,
    #[arg(long, required_unless_present_any = ["normal", "low", "reset"])]
    high: Option<u32>,
    #[arg(long)]
    normal: Option<u32>,
    #[arg(long)]
    low: Option<u32>,
    /// Back to 6, 3 and 1
    #[arg(long, conflicts_with_all = ["high", "normal", "low"])]
    reset: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = SetWeights { high: args.high, normal: args.normal, low: args.low, reset: args.reset };
    let path = format!("/api/v1/queues/{}/weights", escape(&args.name));
    let moved: Moved = ctx.client().await?.post(path, &order).await?;
    ctx.screen.one(&moved, &moved.operation, |look| {
        format!("{}\n", look.good(&format!("the weights of queue {} are set", moved.target)))
    });
    ctx.screen.next(&moved.undo);
    Ok(Exit::Done)
}
