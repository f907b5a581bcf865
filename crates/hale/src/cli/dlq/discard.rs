//! `hale dlq discard`: takes dead letters out without another try. Can be undone.

use super::{Which, act};
use crate::cli::ctx::Ctx;
use crate::cli::many::Consent;
use crate::exit::{Error, Exit};

/// Take dead letters out without another try
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale dlq discard run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --reason \"test data\"
  hale dlq discard --cause run.invalid_output --dry-run
  hale dlq discard pack:research since:1d --yes")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Every dead letter
    #[arg(long)]
    all: bool,
    /// Why, for the record
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    act(ctx, ("/api/v1/dlq/discard", "discard"), (&args.which, args.all, args.reason), args.consent).await
}
