//! `hale workers limits ID --slots N`: how many runs a worker executes at a time.

use crate::cli::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::wire::queues::Moved;
use crate::wire::workers::{LimitWorker, WorkerView};

/// Set how many runs a worker executes at a time
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers limits 1                          # what it has now
  hale workers limits 1 --slots 10               # the seat, whoever is in it
  hale workers limits embedded --slots 2
  hale workers limits wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ --reset

1 to 1024, at once and without a restart; runs in hand go on. Without a limit a worker has what it asked for:
--slots of `hale worker`, else worker.concurrency (WORKER_CONCURRENCY), which is 5 unless you set it.")]
pub struct Args {
    /// The worker's id, its seat, or `embedded`
    id: String,
    /// Runs at a time
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
    /// Back to what the worker asked for
    #[arg(long, conflicts_with = "slots")]
    reset: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    if args.slots.is_none() && !args.reset {
        let worker = of(&client, &args.id).await?;
        ctx.screen.one(&worker, &worker.id, |_| {
            format!("{} has {} slots, {} busy\n", worker.id, worker.slots, worker.busy)
        });
        return Ok(Exit::Done);
    }
    let path = format!("/api/v1/workers/{}/limits", escape(&args.id));
    let moved: Moved = client.post(path, &LimitWorker { slots: args.slots }).await?;
    ctx.screen.one(&moved, &moved.operation, |look| {
        let slots = args.slots.map_or("what it asked for".to_owned(), |slots| format!("{slots} slots"));
        format!("{}\n", look.good(&format!("worker {} has {slots}", moved.target)))
    });
    ctx.screen.next(&moved.undo);
    Ok(Exit::Done)
}

async fn of(client: &Client, id: &str) -> Result<WorkerView, Error> {
    client.get(format!("/api/v1/workers/{}", escape(id))).await
}
