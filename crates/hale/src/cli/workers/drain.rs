//! `hale workers drain ID`: no more runs for it, and the wait for what it has.

use super::{Which, waiting};
use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::workers::WorkerView;
use hale_core::time::Millis;
use serde_json::json;

/// Give a worker no more runs, and wait until those it has are done
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers drain wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale workers drain 1 2 --wait 5m               # the workers in seats 1 and 2
  hale workers drain --all --no-wait

While it waits it says how many runs are left. Exit code 23: the wait is over and runs go on; the worker still drains.
Back to work: hale workers resume ID")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// How long to wait for runs in hand
    #[arg(long, value_name = "SPAN", default_value_t = Millis::seconds(60))]
    wait: Millis,
    /// Return at once
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let mut drained: Vec<WorkerView> = Vec::new();
    for id in args.which.ids(&client).await? {
        drained.push(client.post(format!("/api/v1/workers/{}/drain", escape(&id)), &json!({})).await?);
    }
    let ids: Vec<String> = drained.iter().map(|worker| worker.id.clone()).collect();
    let left = if args.no_wait {
        drained.iter().map(|worker| worker.runs.len()).sum()
    } else {
        waiting::idle(ctx, &client, (&ids, args.wait.duration())).await?
    };
    let told = json!({ "schema": "hale.drained/1", "workers": ids, "runs_left": left });
    ctx.screen.one(&told, &ids.join("\n"), |look| {
        let lines = ids.iter().map(|id| format!("{}\n", look.good(&format!("{id} drains"))));
        lines.collect::<String>() + &format!("{left} runs in hand\n")
    });
    if left > 0 && !args.no_wait {
        ctx.screen.note(&format!("the wait of {} is over, and {left} runs go on", args.wait));
        return Ok(Exit::StillRunning);
    }
    Ok(Exit::Done)
}
