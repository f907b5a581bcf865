//! `hale runs resolve ID`: a person's word on a step that was in flight at a crash.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::{ResolveRun, RunView};

/// Decide about a parked step: repeat it, or end the run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs resolve run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --as retry      # the step did not happen: repeat it
  hale runs resolve run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --as fail       # end the run as FAILED

A step is parked when it was acting at a crash and its tool must not be called twice.")]
pub struct Args {
    /// The run's id
    id: String,
    /// What to do
    #[arg(long = "as", value_enum)]
    how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// Repeat the step
    Retry,
    /// End the run as FAILED
    Fail,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let how = match args.how {
        How::Retry => "retry",
        How::Fail => "fail",
    };
    let order = ResolveRun { r#as: how.to_owned() };
    let run: RunView =
        ctx.client().await?.post(format!("/api/v1/runs/{}/resolve", escape(&args.id)), &order).await?;
    ctx.screen.one(&run, &run.id, |look| format!("{}  {}\n", run.id, look.state(&run.state)));
    ctx.screen.next(&format!("hale runs watch {}", run.id));
    Ok(Exit::Done)
}
