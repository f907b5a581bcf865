//! `hale dlq redrive`: runs dead letters again, each once.

use super::{Which, act};
use crate::cli::ctx::Ctx;
use crate::cli::many::Consent;
use crate::exit::{Error, Exit};

/// Run dead letters again, with the same pack version and input
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale dlq redrive run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale dlq redrive --cause llm.rate_limited --dry-run
  hale dlq redrive pack:research since:1h --yes
  hale dlq redrive --all --yes")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Every dead letter
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    consent: Consent,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    act(ctx, ("/api/v1/dlq/redrive", "redrive"), (&args.which, args.all, None), args.consent).await
}
