//! `hale killswitch list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::killswitch as shown;
use crate::wire::killswitch::Switches;

/// List the switches that are on, and what comes back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale killswitch list
  hale killswitch status --json")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let switches: Switches = ctx.client().await?.get("/api/v1/killswitch").await?;
    ctx.screen.one(&switches, "", |look| shown::page(&switches, look));
    if switches.is_quiet() {
        ctx.screen.note("no kill switch is on");
    }
    Ok(Exit::Done)
}
