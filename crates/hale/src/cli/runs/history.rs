//! `hale runs history ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::{Format, run as shown};
use crate::wire::History;

/// Show every line of a run's journal
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs history run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs history run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o jsonl | jq .event")]
pub struct Args {
    /// The run's id
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let history: History =
        ctx.client().await?.get(format!("/api/v1/runs/{}/history", escape(&args.id))).await?;
    if ctx.screen.format() == Format::Jsonl {
        history.records.iter().for_each(|record| ctx.screen.print_line(record));
    } else {
        ctx.screen.one(&history, &history.run, |look| shown::history(&history, look).render(look));
    }
    Ok(Exit::Done)
}
