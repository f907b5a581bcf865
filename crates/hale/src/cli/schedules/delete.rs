//! `hale schedules delete NAME`.

use super::{path, told};
use crate::cli::ctx::Ctx;
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::wire::schedules::ScheduleView;

/// Forget a schedule; runs that it started go on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules delete nightly
  hale schedules delete nightly --json")]
pub struct Args {
    /// Name of the schedule
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let schedule: ScheduleView = ctx.client().await?.ask(Ask::delete(path(&args.name, ""))).await?;
    told(ctx, &schedule, "is deleted");
    Ok(Exit::Done)
}
