//! `hale lab seed-runs`: a data folder with many runs, for benchmarks of start, list and claim.
//!
//! The runs go through the store's own door, so the database is what a server would have written.

use crate::cli::ctx::{self, Ctx};
use crate::exit::{Error, Exit};
use hale_core::id::{RunId, WorkerId};
use hale_core::run::{
    DEFAULT_QUEUE, Event, Order, PackRef, Priority, Record, Run, Trigger, accept, apply, event,
};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Folder, Insert, Op, Options, Sqlite, Store};
use std::path::PathBuf;
use std::sync::Arc;

/// Ops of one commit.
const BATCH: u64 = 2000;

/// Fill a data folder with runs that nobody submitted
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale lab seed-runs --data ./data --count 1000000 --state pending")]
pub struct Args {
    #[arg(long, default_value_t = 1000)]
    pub count: u64,
    /// pending or completed
    #[arg(long, default_value = "completed")]
    pub state: String,
    /// Pack that the runs name
    #[arg(long, default_value = "echo")]
    pub pack: String,
    #[arg(long, default_value = "1.0.0")]
    pub version: String,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let Some(data) = ctx.target.place.data.clone() else {
        return Err(Error::new(Exit::Usage, "fill a data folder: name it with --data"));
    };
    let seeded = ctx::block_on(seed(args, data))??;
    ctx.screen.print(&format!("{seeded} runs\n"));
    Ok(Exit::Done)
}

async fn seed(args: &Args, data: PathBuf) -> Result<u64, Error> {
    std::fs::create_dir_all(&data).map_err(|error| Error::file("make", &data, &error))?;
    let failed = |error: hale_store::Error| Error::failed(&error.failure());
    let store = Sqlite::open(Folder::lock(&data).map_err(failed)?, Options::default()).map_err(failed)?;
    let from = hale_engine::Clock::start().now() - Millis(args.count + 60_000);
    let mut n = 0;
    while n < args.count {
        let batch =
            (n..args.count.min(n + BATCH)).map(|i| op(args, Timestamp(from.0 + i as i64), i)).collect();
        store.apply(batch).await.map_err(failed)?;
        n += BATCH;
    }
    Ok(args.count)
}

fn op(args: &Args, at: Timestamp, i: u64) -> Op {
    let order = Order {
        id: RunId::mint(at, u128::from(i).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
        pack: PackRef { name: args.pack.as_str().into(), version: args.version.as_str().into() },
        key: args.pack.as_str().into(),
        priority: Priority::Normal,
        limit: Millis::seconds(60),
        trigger: Trigger::Api,
        correlation: Arc::from(format!("seed-{i}")),
        traceparent: None,
        retry_of: None,
        queue: DEFAULT_QUEUE.into(),
        tenant: None,
        due: None,
        parent: None,
    };
    let (run, accepted, _) = accept(order, at);
    let mut records = vec![Record { v: event::VERSION, seq: 1, at, event: accepted }];
    let run = if args.state == "pending" { run } else { completed(run, at, &mut records) };
    let output = run.is_terminal().then(|| Arc::from("{}"));
    Op::Insert(Box::new(Insert { run, input: Arc::from("{}"), records, output, idempotency: None }))
}

fn completed(mut run: Run, at: Timestamp, records: &mut Vec<Record>) -> Run {
    let events = [
        Event::Leased { worker: WorkerId(1), epoch: 1 },
        Event::Initialized,
        Event::Completing { artifacts: Vec::new() },
        Event::Completed { output: serde_json::json!({}) },
    ];
    for event in events {
        // The run's own table takes this path; anything else is a defect that the tests of core show.
        let Ok((next, _)) = apply(&run, &event, at) else { break };
        records.push(Record { v: event::VERSION, seq: next.seq, at, event });
        run = next;
    }
    run
}
