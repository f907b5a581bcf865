//! `hale killswitch off TARGET --reason TEXT`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::killswitch as shown;
use crate::wire::killswitch::{TakeOff, Thrown};

/// Let a target go again; what it held comes back, two targets a minute
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale killswitch off pack:research --reason \"mended in 1.3.0\"
  hale killswitch off all --reason \"incident 7 is over\"

It is refused while the server is not healthy. After `all` the packs come back two a minute.")]
pub struct Args {
    /// all, pack:NAME, tool:NAME or tenant:NAME
    target: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = TakeOff { target: args.target, reason: args.reason };
    let thrown: Thrown = ctx.client().await?.post("/api/v1/killswitch/off", &order).await?;
    ctx.screen.one(&thrown, &thrown.operation, |look| shown::thrown(&thrown, look));
    ctx.screen.next("hale status");
    Ok(Exit::Done)
}
