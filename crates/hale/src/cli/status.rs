//! `hale status`: the server in one screen.

use super::ctx::Ctx;
use crate::client::Client;
use crate::exit::{Error, Exit};
use crate::render::status as shown;
use crate::wire::{Health, Status};

/// Show the server: health, runs, workers, packs, model
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale status
  hale status --components                       five lines, as a runbook wants them
  hale status -o json | jq .components

Exit code 0 when healthy, 10 when degraded, 11 when unhealthy.")]
pub struct Args {
    /// One line for each: orchestrator, worker, queue, artifacts, registry
    #[arg(long)]
    components: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let status: Status = match client.get("/api/v1/status").await {
        Ok(status) => status,
        Err(error) => return health_alone(ctx, &client, error).await,
    };
    ctx.screen.one(&status, &status.health, |look| match args.components {
        true => shown::five_lines(&status),
        false => shown::page(&status, look),
    });
    Ok(of_health(&status.health))
}

/// A server that is too ill for its status still tells its health, with a bad status line and all its evidence. Both
/// are shown: what is thrown away because the answer is bad is missed just then.
async fn health_alone(ctx: &mut Ctx, client: &Client, error: Error) -> Result<Exit, Error> {
    let Ok((status, health)) = client.whatever::<Health>("/health").await else { return Err(error) };
    ctx.screen.note(&format!("the status is not to be had: {}", error.message));
    ctx.screen.one(&health, &health.status, |look| shown::health_page(&health, status, look));
    Ok(of_health(&health.status))
}

fn of_health(health: &str) -> Exit {
    match health {
        "healthy" => Exit::Done,
        "degraded" => Exit::Warnings,
        _ => Exit::Critical,
    }
}
