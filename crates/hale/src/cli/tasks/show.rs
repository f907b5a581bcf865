//! `hale tasks show ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::{arm, run};
use crate::wire::tasks::TaskView;

/// Show one task: its run, and why this arm
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale tasks show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale tasks show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json | jq .decision.scores")]
pub struct Args {
    /// The task's id, which is its run's
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let task: TaskView = ctx.client().await?.get(format!("/api/v1/tasks/{}", escape(&args.id))).await?;
    ctx.screen.one(&task, &task.id, |look| {
        format!("{}\n{}{}", task.goal, arm::decision(&task.decision), run::page(&task.run, look))
    });
    if task.error.is_some() {
        ctx.screen.next(&format!("hale why {}", task.id));
    }
    Ok(Exit::Done)
}
