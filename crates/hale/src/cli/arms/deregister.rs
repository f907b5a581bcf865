//! `hale arms deregister NAME`.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::wire::arms::ArmView;

/// Send an arm that registered no more tasks; runs under way go on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms deregister planner-arm")]
pub struct Args {
    /// Name of the arm
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let ask = Ask::delete(format!("/api/v1/arms/{}", escape(&args.name)));
    let arm: ArmView = ctx.client().await?.ask(ask).await?;
    ctx.screen.one(&arm, &arm.name, |look| format!("{}\n", look.good(&format!("deregistered {}", arm.name))));
    ctx.screen.next(&format!("hale arms register {}", arm.name));
    Ok(Exit::Done)
}
