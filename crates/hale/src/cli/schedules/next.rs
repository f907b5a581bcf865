//! `hale schedules next NAME`.

use super::path;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::schedules::ScheduleView;

/// Tell when a schedule fires next
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules next nightly
  hale schedules next nightly -n 20")]
pub struct Args {
    /// Name of the schedule
    name: String,
    /// How many firings
    #[arg(short = 'n', long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    count: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = path(&args.name, &format!("?next={}", args.count));
    let schedule: ScheduleView = ctx.client().await?.get(path).await?;
    ctx.screen.one(&schedule, &schedule.name, |_| schedule.next.iter().map(|at| format!("{at}\n")).collect());
    if schedule.paused {
        ctx.screen.note("it is paused");
        ctx.screen.next(&format!("hale schedules resume {}", schedule.name));
    }
    Ok(Exit::Done)
}
