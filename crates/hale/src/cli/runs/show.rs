//! `hale runs show ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::run as shown;
use crate::wire::RunView;

/// Show one run: state, times, input, error and answer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json | jq .output")]
pub struct Args {
    /// The run's id
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let run: RunView = ctx.client().await?.get(format!("/api/v1/runs/{}", escape(&args.id))).await?;
    ctx.screen.one(&run, &run.id, |look| shown::page(&run, look));
    if run.error.is_some() {
        ctx.screen.next(&format!("hale why {}", run.id));
    }
    Ok(Exit::Done)
}
