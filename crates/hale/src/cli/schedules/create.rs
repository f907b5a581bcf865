//! `hale schedules create NAME`.

use super::told;
use crate::cli::ctx::Ctx;
use crate::cli::run::input;
use crate::exit::{Error, Exit};
use crate::wire::schedules::{CreateSchedule, ScheduleView};

/// Start runs of a pack at certain times; an existing schedule of the name is changed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules create nightly --pack report --cron \"0 3 * * *\" --tz Europe/Berlin --input days=7
  hale schedules create poll --pack hello --cron \"*/15 * * * *\" --input name=Ada --overlap queue
  hale schedules create weekly --pack report --cron @weekly --catch-up 4

The line has five fields: minute, hour, day of month, month, day of week. A time that does not exist on the day on
which clocks are set forward fires as much later; one that comes twice fires once.")]
pub struct Args {
    /// What to call it
    name: String,
    /// Name of the pack
    #[arg(long)]
    pack: String,
    /// When: five cron fields, or @hourly, @daily, @weekly, @monthly, @yearly
    #[arg(long, value_name = "LINE")]
    cron: String,
    /// Time zone of the line, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Input: KEY=VALUE (may be repeated), @FILE with JSON, or JSON
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    /// Version of the pack, instead of the current one
    #[arg(long)]
    version: Option<String>,
    /// Whose turn comes first: high, normal or low
    #[arg(long)]
    priority: Option<String>,
    /// Missed firings to make up after a downtime, at most 100 [default: 1]
    #[arg(long, value_name = "N")]
    catch_up: Option<u32>,
    /// When the run before is active still: skip or queue [default: skip]
    #[arg(long, value_name = "WHAT")]
    overlap: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = CreateSchedule {
        name: args.name,
        pack: args.pack,
        version: args.version,
        input: input(&args.input, &ctx.cwd)?,
        priority: args.priority,
        cron: args.cron,
        tz: args.tz,
        catch_up: args.catch_up,
        overlap: args.overlap,
    };
    let schedule: ScheduleView = ctx.client().await?.post("/api/v1/schedules", &order).await?;
    let next = schedule.next.first().cloned().unwrap_or_default();
    told(ctx, &schedule, &format!("fires next at {next}"));
    Ok(Exit::Done)
}
