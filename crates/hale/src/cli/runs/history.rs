//! `hale runs history ID`: the journal, or the states alone in the guides' line form.

use crate::cli::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::{Format, run as shown, states};
use crate::wire::History;
use hale_core::limits;

/// Show every line of a run's journal
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs history run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs history run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --states
  hale runs history run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o jsonl | jq .event")]
pub struct Args {
    /// The run's id
    id: String,
    /// The states alone: `2024-12-28T10:00:05Z INITIALIZING -> worker-pod-abc123`
    #[arg(long)]
    states: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let history = whole(&ctx.client().await?, &args.id).await?;
    if args.states {
        let states = states::of(&history);
        ctx.screen.one(&states, &history.run, |_| states::lines(&states));
    } else if ctx.screen.format() == Format::Jsonl {
        history.records.iter().for_each(|record| ctx.screen.print_line(record));
    } else {
        ctx.screen.one(&history, &history.run, |look| shown::history(&history, look).render(look));
    }
    Ok(Exit::Done)
}

/// The whole journal, page by page.
///
/// # Errors
/// When the run is not known, or the server stays away.
pub async fn whole(client: &Client, run: &str) -> Result<History, Error> {
    let path = format!("/api/v1/runs/{}/history?limit={}", escape(run), limits::PAGE_MAX);
    let mut history: History = client.get(path.clone()).await?;
    let mut came = history.records.len();
    while came == limits::PAGE_MAX as usize {
        let from = history.records.last().map_or(1, |record| record.seq + 1);
        let next: History = client.get(format!("{path}&from={from}")).await?;
        came = next.records.len();
        history.records.extend(next.records);
    }
    Ok(history)
}
