//! `hale runs errors`: error rates by pack, code and origin.

use super::sampled::{Sampled, said};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::stats as shown;

/// Show error rates by pack, code, cause and provider
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs errors --last 1h
  hale runs errors code:E006 --last 1d -o json")]
pub struct Args {
    #[command(flatten)]
    of: Sampled,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let report = args.of.report(ctx, ("/api/v1/stats/errors", "")).await?;
    ctx.screen.one(&report, "", |look| match report.errors.is_empty() {
        true => "no errors\n".to_owned(),
        false => shown::errors(&report.errors, look).render(look),
    });
    said(ctx, &report);
    if let Some(first) = report.errors.first() {
        ctx.screen.next(&format!("hale why {}", first.example));
    }
    Ok(Exit::Done)
}
