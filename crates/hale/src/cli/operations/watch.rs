//! `hale operations watch ID`.

use crate::cli::ctx::Ctx;
use crate::cli::many::follow;
use crate::exit::{Error, Exit};

/// Watch an operation over many runs to its end
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale operations watch op_01JD4M8Q2R7WX5B9N3K6T0VYHZ")]
pub struct Args {
    /// The operation's id
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    follow(ctx, &client, &args.id).await
}
