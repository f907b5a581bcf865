//! `hale workers restart ID|SEAT`: drain, end, start again; closes the breaker of a seat.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, Client, escape};
use crate::exit::{Error, Exit};
use crate::render::Look;
use crate::wire::workers::{RestartWorker, SeatView, Workers};
use hale_core::time::Millis;
use serde_json::json;
use std::time::Duration;

/// End a worker process when it has nothing in hand, and start it again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale workers restart 1                         # the worker process in seat 1
  hale workers restart --all                     # every seat, one after the other
  hale workers restart wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ --wait 5m
  hale workers restart 2 --no-wait

The process drains, is told to end, and another one starts in its seat. What has not ended after --wait is given back
to the queue with all its finished steps. After a restart loop this closes the breaker of the seat. Only processes
that the server keeps can be restarted; to have some: hale workers scale 2")]
pub struct Args {
    /// The seat, or the id of the worker in it
    #[arg(value_name = "ID|SEAT", required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every seat, one after the other
    #[arg(long)]
    all: bool,
    /// How long runs in hand may go on
    #[arg(long, value_name = "SPAN", default_value_t = Millis::seconds(60))]
    wait: Millis,
    /// Return when it is ordered
    #[arg(long)]
    no_wait: bool,
}

/// Grace, giving back, and the start of the next one.
const BEYOND: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let mut targets: Vec<String> = args.id.iter().cloned().collect();
    if args.all {
        let workers: Workers = client.get("/api/v1/workers").await?;
        targets = workers.seats.iter().map(|seat| seat.seat.to_string()).collect();
        if targets.is_empty() {
            let error = Error::new(Exit::Conflict, "restart all worker processes: the server keeps none");
            return Err(error.hint("hale workers scale 2"));
        }
    }
    let mut seats = Vec::new();
    for target in targets {
        let order = RestartWorker { wait: Some(args.wait.to_string()) };
        let path = format!("/api/v1/workers/{}/restart", escape(&target));
        let before: SeatView = client.ask(Ask::post(path, &order)).await?;
        let seat = if args.no_wait { before } else { again(ctx, &client, (&before, args.wait)).await? };
        seats.push(seat);
    }
    let told = json!({ "schema": "hale.restarted/1", "seats": seats });
    let names: Vec<String> = seats.iter().map(|seat| seat.seat.to_string()).collect();
    ctx.screen.one(&told, &names.join("\n"), |look| seats.iter().map(|seat| line(seat, look)).collect());
    let stands = |seat: &&SeatView| !args.no_wait && seat.state != "taken";
    if let Some(seat) = seats.iter().find(stands) {
        ctx.screen.next(&format!("hale workers show {}", seat.seat));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn line(seat: &SeatView, look: &Look) -> String {
    match &seat.worker {
        Some(worker) if seat.state == "taken" => {
            format!("{}\n", look.good(&format!("seat {}: {worker} executes runs", seat.seat)))
        }
        _ => format!("seat {}: {}\n", seat.seat, seat.state),
    }
}

/// The seat once another worker in it has joined, or as it stands when that takes too long.
async fn again(
    ctx: &mut Ctx,
    client: &Client,
    (before, wait): (&SeatView, Millis),
) -> Result<SeatView, Error> {
    let give_up = tokio::time::Instant::now() + wait.duration() + BEYOND;
    let mut told = None;
    loop {
        let workers: Workers = client.get("/api/v1/workers").await?;
        let found = workers.seats.into_iter().find(|seat| seat.seat == before.seat);
        let seat = found.unwrap_or_else(|| before.clone());
        let of = |id: &Option<String>| workers.items.iter().find(|worker| Some(&worker.id) == id.as_ref());
        let joined = of(&seat.worker).is_some();
        if seat.state == "taken" && seat.worker != before.worker && joined {
            return Ok(seat);
        }
        let left = of(&before.worker).map(|worker| worker.runs.len()).filter(|left| *left > 0);
        if left.is_some() && told != left {
            ctx.screen.note(&format!("seat {}: {} runs in hand", seat.seat, left.unwrap_or(0)));
            told = left;
        }
        if seat.state == "open" || tokio::time::Instant::now() >= give_up {
            return Ok(seat);
        }
        tokio::time::sleep(LOOK).await;
    }
}
