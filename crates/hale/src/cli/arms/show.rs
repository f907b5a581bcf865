//! `hale arms show NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::arm as shown;
use crate::wire::arms::ArmView;

/// Show one arm: its words, its health, when it was seen last
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms show planner
  hale arms show planner-arm -o json | jq .last_seen")]
pub struct Args {
    /// Name of the arm
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let arm: ArmView = ctx.client().await?.get(format!("/api/v1/arms/{}", escape(&args.name))).await?;
    ctx.screen.one(&arm, &arm.name, |look| shown::page(&arm, look));
    Ok(Exit::Done)
}
