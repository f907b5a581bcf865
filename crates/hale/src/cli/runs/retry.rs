//! `hale runs retry ID`: shows what failed and whether another try can mend it, then starts a new run.
//!
//! Guarantees: the class of the failure and its last lines come before the new run; the new run has a new id that is
//! linked to the old one.

use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, follow};
use crate::cli::run::input;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::live::Words;
use crate::render::{Tone, step};
use crate::wire::{History, RetryRun, RunView};
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;

/// Run a pack again with the input of an earlier run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --input name=Grace
  hale runs retry run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --dry-run       # only say what failed")]
pub struct Args {
    /// The earlier run's id
    id: String,
    /// Another input, as in `hale run`
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    /// Only show the failure and its class
    #[arg(long)]
    dry_run: bool,
    /// Do not wait: print the new run and return
    #[arg(short, long)]
    detach: bool,
}

/// As many lines of the journal as an operator wants to see before deciding (AO-134).
const LINES: usize = 50;

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let old: RunView = client.get(format!("/api/v1/runs/{}", escape(&args.id))).await?;
    before(ctx, &client, &old).await?;
    if args.dry_run {
        ctx.screen.one(&old, &old.id, |_| String::new());
        ctx.screen.next(&format!("hale runs retry {}", old.id));
        return Ok(Exit::Done);
    }
    let changed = if args.input.is_empty() { None } else { Some(input(&args.input, &ctx.cwd)?) };
    let new: RunView =
        client.post(format!("/api/v1/runs/{}/retry", escape(&args.id)), &RetryRun { input: changed }).await?;
    ctx.screen.note(&format!("{} is a retry of {}", new.id, old.id));
    if args.detach {
        ctx.screen.one(&new, &new.id, |_| format!("{}\n", new.id));
        ctx.screen.next(&format!("hale runs watch {}", new.id));
        return Ok(Exit::Done);
    }
    follow(ctx, &client, &new, Manner { words: Words::Hidden, wait: None }).await
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
