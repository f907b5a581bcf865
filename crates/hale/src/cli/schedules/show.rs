//! `hale schedules show NAME`.

use super::path;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::schedules as shown;
use crate::wire::schedules::ScheduleView;

/// Show one schedule and what it has done
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules show nightly
  hale schedules show nightly --json")]
pub struct Args {
    /// Name of the schedule
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let schedule: ScheduleView = ctx.client().await?.get(path(&args.name, "")).await?;
    ctx.screen.one(&schedule, &schedule.name, |look| shown::page(&schedule, look));
    Ok(Exit::Done)
}
