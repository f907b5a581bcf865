//! `hale schedules list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::schedules as shown;
use crate::wire::Page;
use crate::wire::schedules::ScheduleView;

/// List the schedules with their next firings
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules list
  hale schedules list -o json | jq '.items[] | {name, next}'")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<ScheduleView> = ctx.client().await?.get("/api/v1/schedules").await?;
    ctx.screen.list(&page, |schedule| schedule.name.clone(), |look| shown::table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no schedules");
        ctx.screen.next("hale schedules create nightly --pack hello --cron \"0 3 * * *\" --input name=Ada");
    }
    Ok(Exit::Done)
}
