//! `hale approvals show RUN`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::approval as shown;

/// Show what a run asks for: the exact call that a yes allows
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale approvals show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale approvals show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json | jq .effect

Exit code 5 when the run waits for nobody.")]
pub struct Args {
    /// The run's id
    run: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let asks = super::of_run(&ctx.client().await?, &args.run).await?;
    ctx.screen.one(&asks, &asks.run, |look| shown::page(&asks, look));
    ctx.screen.next(&shown::answer_with(&asks));
    Ok(Exit::Done)
}
