//! `hale runs stats`: runs, success and duration by pack.

use super::sampled::{Sampled, said};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::stats as shown;

/// Show runs, success share, durations and tokens by pack
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs stats --last 1h
  hale runs stats --pack research --last 1d -o json")]
pub struct Args {
    #[command(flatten)]
    of: Sampled,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let report = args.of.report(ctx, ("/api/v1/stats", "")).await?;
    ctx.screen.one(&report, "", |look| shown::packs(&report.packs).render(look));
    said(ctx, &report);
    Ok(Exit::Done)
}
