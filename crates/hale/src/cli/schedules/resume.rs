//! `hale schedules resume NAME`.

use super::lever;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};

/// Start runs by a schedule again, from now on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules resume nightly
  hale schedules resume nightly --json")]
pub struct Args {
    /// Name of the schedule
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    lever(ctx, &args.name, ("/resume", "fires again")).await
}
