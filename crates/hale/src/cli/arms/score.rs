//! `hale arms score`: who would take a task, without starting it.

use crate::cli::ctx::Ctx;
use crate::cli::tasks::goal::Goal;
use crate::exit::{Error, Exit};
use crate::render::arm as shown;
use crate::wire::tasks::RouteView;

/// Score all arms on a goal, part by part; starts nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms score --goal \"Write a Python function\"
  hale arms score --goal \"Check the report\" --require network=none --prefer speed=fast
  hale arms score --goal \"Plan the move\" --json | jq '.decision.scores[] | {arm, total}'")]
pub struct Args {
    #[command(flatten)]
    goal: Goal,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let task = args.goal.task();
    let route: RouteView = ctx.client().await?.post("/api/v1/tasks/route", &task).await?;
    ctx.screen.one(&route, &route.arm, |_| shown::decision(&route.decision));
    Ok(Exit::Done)
}
