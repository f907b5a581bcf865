//! `hale schedules trigger NAME`.

use super::path;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::RunView;
use serde_json::json;

/// Start a schedule's run now, beside its times
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale schedules trigger nightly
  hale runs watch $(hale schedules trigger nightly)")]
pub struct Args {
    /// Name of the schedule
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let run: RunView = ctx.client().await?.post(path(&args.name, "/trigger"), &json!({})).await?;
    ctx.screen.one(&run, &run.id, |_| format!("{}\n", run.id));
    ctx.screen.next(&format!("hale runs watch {}", run.id));
    Ok(Exit::Done)
}
