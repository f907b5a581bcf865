//! `hale runs retry ID`: shows what failed and whether another try can mend it, then starts a new run.
//!
//! Guarantees: the class of the failure and its last lines come before the new run; the new run has a new id that is
//! linked to the old one.

use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, follow};
use crate::cli::many::{Consent, Many};
use crate::cli::run::input;
use crate::cli::runs::list::filter;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::live::Words;
use crate::render::{Tone, step};
use crate::wire::bulk::BulkRequest;
use crate::wire::{History, RetryRun, RunView};
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;

/// Run a pack again with the input of an earlier run, or of all that a filter chooses
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --input name=Grace
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --dry-run       # only say what failed
  hale runs retry status:failed code:E006 since:1h --dry-run
  hale runs retry status:timeout pack:research --yes")]
pub struct Args {
    /// The earlier run's id, several of them, or a filter as in `hale runs list`
    #[arg(required = true, value_name = "ID|FILTER")]
    what: Vec<String>,
    /// Another input, as in `hale run`
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    #[command(flatten)]
    consent: Consent,
}

/// As many lines of the journal as an operator wants to see before deciding (AO-134).
const LINES: usize = 50;

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let ids = args.what.iter().all(|word| word.starts_with("run_"));
    let id = match args.what.as_slice() {
        [only] if ids => only.clone(),
        _ => return many(args, ctx, (&client, ids)).await,
    };
    let old: RunView = client.get(format!("/api/v1/runs/{}", escape(&id))).await?;
    before(ctx, &client, &old).await?;
    if args.consent.dry_run {
        ctx.screen.one(&old, &old.id, |_| String::new());
        ctx.screen.next(&format!("hale runs retry {}", old.id));
        return Ok(Exit::Done);
    }
    let changed = if args.input.is_empty() { None } else { Some(input(&args.input, &ctx.cwd)?) };
    let new: RunView =
        client.post(format!("/api/v1/runs/{}/retry", escape(&id)), &RetryRun { input: changed }).await?;
    ctx.screen.note(&format!("{} is a retry of {}", new.id, old.id));
    if args.consent.detach {
        ctx.screen.one(&new, &new.id, |_| format!("{}\n", new.id));
        ctx.screen.next(&format!("hale runs watch {}", new.id));
        return Ok(Exit::Done);
    }
    follow(ctx, &client, &new, Manner { words: Words::Hidden, wait: None }).await
}

/// All that are named or chosen, as one operation of the server.
async fn many(args: Args, ctx: &mut Ctx, (client, ids): (&Client, bool)) -> Result<Exit, Error> {
    if !args.input.is_empty() {
        let error =
            Error::new(Exit::Usage, "retry many runs with another input: an input is given for one run");
        return Err(error.hint("hale runs retry RUN --input name=Grace"));
    }
    let again = format!("hale runs retry {}", args.what.join(" "));
    let request = match ids {
        true => BulkRequest { runs: args.what, ..BulkRequest::default() },
        false => BulkRequest { filter: filter(&args.what), ..BulkRequest::default() },
    };
    let (path, verb) = ("/api/v1/runs/retry", "retry");
    crate::cli::many::run(ctx, client, (Many { path, verb, request, again }, args.consent)).await
}

/// What failed: the class first, then the last lines.
async fn before(ctx: &mut Ctx, client: &Client, old: &RunView) -> Result<(), Error> {
    let look = ctx.screen.look();
    ctx.screen.note(&format!("{}  {}  {}@{}", old.id, look.state(&old.state), old.pack, old.version));
    if let Some(failure) = &old.error {
        ctx.screen.note(&format!("  {} {}", Tone::Strong.paint("class:"), class(failure)));
        ctx.screen.note(&format!("  {} {}", Tone::Strong.paint("error:"), step::short(failure)));
    }
    let history: History = client.get(format!("/api/v1/runs/{}/history", escape(&old.id))).await?;
    let lines: Vec<String> =
        history.records.iter().filter_map(|record| step::shown(&look, &record.event)).collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LINES)) {
        ctx.screen.note(line);
    }
    Ok(())
}

/// Whether another try can mend it.
pub fn class(failure: &Failure) -> String {
    let word = match failure.retry {
        RetryClass::Never => "permanent: the same input will most likely fail again",
        RetryClass::Tool => "transient (tool or connector): another try can succeed",
        RetryClass::Model => "transient (model provider): another try can succeed",
    };
    format!("{word}  ({} at {})", failure.cause, failure.origin)
}
