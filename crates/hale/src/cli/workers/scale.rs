//! `hale workers scale N`: how many worker processes the server keeps.

use crate::cli::ctx::Ctx;
use crate::client::Client;
use crate::exit::{Error, Exit};
use crate::wire::queues::Moved;
use crate::wire::workers::{ScaleWorkers, Workers};
use hale_core::time::Millis;
use serde_json::json;
use std::time::Duration;

/// Set how many worker processes the server keeps
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers scale 10
  hale workers scale +1                          # one more than now; -1 for one fewer
  hale workers scale 0                           # they end in order and give back what they have
  hale workers scale --reset                     # back to worker.processes of the configuration

0 to 64. The number is a setting: it survives a restart of the server and stands above --workers and hale.toml.")]
pub struct Args {
    /// How many, or how many more (+N) or fewer (-N) than now
    #[arg(value_name = "N|+N|-N", required_unless_present = "reset", allow_negative_numbers = true)]
    processes: Option<Number>,
    /// Back to what is configured
    #[arg(long, conflicts_with = "processes")]
    reset: bool,
    /// How long to wait until as many are live
    #[arg(long, value_name = "SPAN", default_value_t = Millis::seconds(30))]
    wait: Millis,
    /// Return when the number is set
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

/// A number, or a difference to the present one.
#[derive(Clone, Copy, Debug)]
enum Number {
    Of(u32),
    By(i32),
}

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |_| format!("{text:?} is no whole number such as 4, +1 or -1");
        match text.starts_with(['+', '-']) {
            true => text.parse().map(Self::By).map_err(bad),
            false => text.parse().map(Self::Of).map_err(bad),
        }
    }
}

const LOOK: Duration = Duration::from_millis(250);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let order = match args.processes {
        Some(Number::Of(n)) => ScaleWorkers { processes: Some(n), by: None },
        Some(Number::By(n)) => ScaleWorkers { processes: None, by: Some(n) },
        None => ScaleWorkers::default(),
    };
    let moved: Moved = client.post("/api/v1/workers/scale", &order).await?;
    let within = if args.no_wait { Duration::ZERO } else { args.wait.duration() };
    let (live, wanted) = settled(&client, within).await?;
    let told = json!({
        "schema": "hale.scaled/1", "wanted": wanted, "live": live,
        "operation": moved.operation, "undo": moved.undo,
    });
    ctx.screen.one(&told, &moved.operation, |look| {
        format!("{}\n", look.good(&format!("{wanted} worker processes are kept, {live} are live")))
    });
    ctx.screen.next(&moved.undo);
    let there = args.no_wait || live == wanted;
    Ok(if there { Exit::Done } else { Exit::PartlyDone })
}

/// How many are live, and how many are wanted, once they agree and the rest is gone, or when the wait is over.
async fn settled(client: &Client, within: Duration) -> Result<(usize, usize), Error> {
    let give_up = tokio::time::Instant::now() + within;
    loop {
        let workers: Workers = client.get("/api/v1/workers").await?;
        let live = workers.items.iter().filter(|worker| worker.seat.is_some()).count();
        let wanted = workers.wanted as usize;
        if (live == wanted && workers.seats.len() == wanted) || tokio::time::Instant::now() >= give_up {
            return Ok((live, wanted));
        }
        tokio::time::sleep(LOOK).await;
    }
}
