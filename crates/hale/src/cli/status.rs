//! `hale status`: the server in one screen.

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::status as shown;
use crate::wire::Status;

/// Show the server: health, runs, workers, packs, model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale status
  hale status -o json | jq .components

Exit code 0 when healthy, 10 when degraded, 11 when unhealthy.")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let status: Status = ctx.client().await?.get("/api/v1/status").await?;
    ctx.screen.one(&status, &status.health, |look| shown::page(&status, look));
    Ok(match status.health.as_str() {
        "healthy" => Exit::Done,
        "degraded" => Exit::Warnings,
        _ => Exit::Critical,
    })
}
