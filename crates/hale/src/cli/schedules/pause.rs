//! `hale schedules pause NAME`.

use super::lever;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};

/// Start nothing by a schedule until it is resumed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules pause nightly
  hale schedules pause nightly --json")]
pub struct Args {
    /// Name of the schedule
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    lever(ctx, &args.name, ("/pause", "is paused")).await
}
