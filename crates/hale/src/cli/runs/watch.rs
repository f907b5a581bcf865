//! `hale runs watch ID`.

use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, follow};
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::live::Words;
use crate::wire::RunView;
use hale_core::time::Millis;

/// Watch a run until it ends; its past is shown first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs watch run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs watch run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --wait 30s; echo $?
  hale runs watch run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o jsonl

Ctrl-C ends the watching, not the run.")]
pub struct Args {
    /// The run's id
    id: String,
    /// Watch at most this long
    #[arg(long, value_name = "SPAN")]
    wait: Option<Millis>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let run: RunView = client.get(format!("/api/v1/runs/{}", escape(&args.id))).await?;
    follow(ctx, &client, &run, Manner { words: Words::Shown, wait: args.wait.map(Millis::duration) }).await
}
