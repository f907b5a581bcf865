//! `hale runs slow`: the slowest runs, with where their time went.

use super::sampled::{Sampled, said};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::stats as shown;

/// Show the slowest runs and where their time went
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs slow --last 1h
  hale runs slow --pack research -n 3")]
pub struct Args {
    #[command(flatten)]
    of: Sampled,
    /// So many
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let report = args.of.report(ctx, ("/api/v1/stats/slow", &format!("&limit={}", args.limit))).await?;
    ctx.screen.one(&report, "", |look| shown::slow(&report.slow).render(look));
    said(ctx, &report);
    if let Some(first) = report.slow.first() {
        ctx.screen.next(&format!("hale runs profile {}", first.run));
    }
    Ok(Exit::Done)
}
