//! `hale artifacts stores`: the stores, probed now, and what waits for them.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::status as shown;
use crate::wire::Health;

/// Probe the artifact stores: write, read, remove
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts stores
  hale artifacts stores -o json

Exit code 0 when healthy, 10 when degraded, 11 when the active store does not work.")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let (status, health) = ctx.client().await?.whatever::<Health>("/health/artifacts").await?;
    ctx.screen.one(&health, &health.status, |look| shown::health_page(&health, status, look));
    Ok(match health.status.as_str() {
        "healthy" => Exit::Done,
        "degraded" => Exit::Warnings,
        _ => Exit::Critical,
    })
}
