//! `hale runs latency`: durations by pack and stage.

use super::sampled::{Sampled, said};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::stats as shown;

/// Show p50, p95 and p99 by pack and stage: queue, model, tools, waits
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs latency --last 1h
  hale runs latency --pack research status:completed -o json")]
pub struct Args {
    #[command(flatten)]
    of: Sampled,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let report = args.of.report(ctx, ("/api/v1/stats/latency", "")).await?;
    ctx.screen.one(&report, "", |look| shown::stages(&report.stages).render(look));
    said(ctx, &report);
    Ok(Exit::Done)
}
