//! `hale runs compare A B`: inputs, versions, steps, outputs and times side by side.
//!
//! Guarantees: exit 0 when nothing but ids and times differs, 1 otherwise. Each side comes through a client of its own.

use super::history::whole;
use crate::cli::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::render::compare::{self, Side};
use crate::wire::RunView;

/// Compare two runs: inputs, steps, outputs, times
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs compare run_01JD4M8Q2R7WX5B9N3K6T0VYHZ run_01JD4M9A7C2E4G6J8M0P2R4T6V
  hale runs compare run_01JD4M8Q2R7WX5B9N3K6T0VYHZ run_01JD4M9A7C2E4G6J8M0P2R4T6V -o json")]
pub struct Args {
    /// One run
    a: String,
    /// The other
    b: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let (a, b) = (fetched(&client, &args.a).await?, fetched(&client, &args.b).await?);
    let compared = compare::of(&a, &b);
    ctx.screen.one(&compared, "", |look| compare::text(&compared, look));
    Ok(if compared.same { Exit::Done } else { Exit::Failed })
}

/// One side, from the server that has it.
///
/// # Errors
/// When the run is not known there, or the server stays away.
pub async fn fetched(client: &Client, id: &str) -> Result<Side, Error> {
    let run: RunView = client.get(format!("/api/v1/runs/{}", escape(id))).await?;
    Ok(Side { run, history: whole(client, id).await? })
}
