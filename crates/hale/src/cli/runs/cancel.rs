//! `hale runs cancel ID…`, or all runs that a filter chooses.
//!
//! Guarantees: an empty filter is refused; what a filter chooses is previewed, agreed to and then cancelled by an
//! operation of the server; exit 8 says that some were left alone.

use crate::cli::ctx::Ctx;
use crate::cli::many::{Consent, Many};
use crate::cli::runs::list::filter;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::{Look, Tone};
use crate::wire::bulk::BulkRequest;
use crate::wire::{CancelRun, RunView};
use hale_core::id::RunId;
use serde::Serialize;
use std::collections::BTreeMap;

/// Cancel runs, by id or by filter
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs cancel run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs cancel status:pending pack:research --dry-run
  hale runs cancel status:pending pack:research --reason \"wrong input\" --yes
  hale runs cancel --all --yes                  # every run that has not ended")]
pub struct Args {
    /// Ids of runs, or a filter as in `hale runs list`
    #[arg(required_unless_present_any = ["filter", "all"], conflicts_with = "filter", value_name = "ID|FILTER")]
    what: Vec<String>,
    /// The filter, where it could be taken for ids
    #[arg(long, num_args = 0.., value_name = "FILTER")]
    filter: Option<Vec<String>>,
    /// Cancel every run that has not ended
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    consent: Consent,
    /// Why, for the history
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    // Ids begin with their kind; everything else is a filter.
    let ids = args.what.iter().all(|word| word.starts_with("run_"));
    match args.what.as_slice() {
        words if words.is_empty() || !ids => many(args, ctx, &client).await,
        [only] if !args.consent.dry_run => {
            let run = one(&client, only, args.reason).await?;
            ctx.screen.one(&run, &run.id, |look| told(&run, look));
            Ok(Exit::Done)
        }
        _ => each(args, ctx, &client).await,
    }
}

async fn one(client: &Client, id: &str, reason: Option<String>) -> Result<RunView, Error> {
    client.post(format!("/api/v1/runs/{}/cancel", escape(id)), &CancelRun { reason }).await
}

fn told(run: &RunView, look: &Look) -> String {
    match run.state.as_str() {
        "CANCELLED" => format!("{}  {}\n", run.id, look.state(&run.state)),
        // The worker stops within a second; until then the run is what it was.
        other => format!("{}  {other}, cancellation is on its way\n", run.id),
    }
}

/// Several ids: what could not be cancelled does not keep the others from it.
async fn each(args: Args, ctx: &mut Ctx, client: &Client) -> Result<Exit, Error> {
    let mut report = empty(args.consent.dry_run);
    for id in &args.what {
        let known = id.parse::<RunId>().is_ok();
        report.matched += u64::from(known);
        let done = if args.consent.dry_run {
            client.get(format!("/api/v1/runs/{}", escape(id))).await
        } else {
            one(client, id, args.reason.clone()).await
        };
        match done {
            Ok(run) if args.consent.dry_run && crate::cli::following::is_over(&run) => {
                report.left.insert(id.clone(), format!("it is {}", run.state));
            }
            Ok(_) => report.changed += u64::from(!args.consent.dry_run),
            Err(error) if error.exit == Exit::Unreachable || error.exit == Exit::NotAuthorised => {
                return Err(error);
            }
            Err(error) => {
                report.left.insert(id.clone(), error.message.clone());
            }
        }
    }
    Ok(finish(ctx, &report))
}

/// What became of the ids that were named.
#[derive(Debug, Serialize)]
struct BulkReport {
    schema: String,
    dry_run: bool,
    matched: u64,
    changed: u64,
    left: BTreeMap<String, String>,
}

fn empty(dry_run: bool) -> BulkReport {
    BulkReport { schema: "hale.bulk/1".to_owned(), dry_run, matched: 0, changed: 0, left: Default::default() }
}

const NOT_ENDED: &str = "status:pending,initializing,running,completing";

async fn many(args: Args, ctx: &mut Ctx, client: &Client) -> Result<Exit, Error> {
    let mut chosen = filter(args.filter.as_ref().unwrap_or(&args.what));
    if args.all && chosen.is_empty() {
        // Ended runs cannot be cancelled; to report each of them as left alone would say nothing.
        chosen = NOT_ENDED.to_owned();
    }
    let again = if args.all && args.what.is_empty() { "--all".to_owned() } else { chosen.clone() };
    let request =
        BulkRequest { filter: chosen, all: args.all, reason: args.reason, ..BulkRequest::default() };
    let (path, verb, again) = ("/api/v1/runs/cancel", "cancel", format!("hale runs cancel {again}"));
    crate::cli::many::run(ctx, client, (Many { path, verb, request, again }, args.consent)).await
}

fn finish(ctx: &mut Ctx, report: &BulkReport) -> Exit {
    ctx.screen.one(report, "", |look| text(report, look));
    if report.left.is_empty() { Exit::Done } else { Exit::PartlyDone }
}

fn text(report: &BulkReport, look: &Look) -> String {
    let mut text = if report.dry_run {
        format!("would cancel {} runs\n", report.matched - (report.left.len() as u64).min(report.matched))
    } else {
        format!("{}\n", look.good(&format!("cancelled {} of {} runs", report.changed, report.matched)))
    };
    for (id, why) in &report.left {
        text.push_str(&format!("  {}  {id}  {why}\n", Tone::Dim.paint("left alone")));
    }
    text
}
