//! `hale runs compare A B`: inputs, versions, steps, outputs and times side by side.
//!
//! Guarantees: exit 0 when nothing but ids and times differs, 1 otherwise. Each side comes through a client of its own.

use super::history::whole;
use crate::cli::ctx::Ctx;
use crate::client::find::Place;
use crate::client::{Client, Target, escape};
use crate::exit::{Error, Exit};
use crate::render::compare::{self, Side};
use crate::wire::RunView;

/// Compare two runs: inputs, steps, outputs, times
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs compare run_01JD4M8Q2R7WX5B9N3K6T0VYHZ run_01JD4M9A7C2E4G6J8M0P2R4T6V
  hale runs compare run_01JD4M8Q2R7WX5B9N3K6T0VYHZ run_01JD4M9A7C2E4G6J8M0P2R4T6V -o json
  hale runs compare prod/run_01JD4M8Q2R7WX5B9N3K6T0VYHZ staging/run_01JD4M9A7C2E4G6J8M0P2R4T6V

A run of another server has its context before it; see hale contexts list.")]
pub struct Args {
    /// One run, or CONTEXT/RUN
    #[arg(value_name = "RUN")]
    a: String,
    /// The other, or CONTEXT/RUN
    #[arg(value_name = "RUN")]
    b: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let (a, b) = (side(ctx, &args.a).await?, side(ctx, &args.b).await?);
    let compared = compare::of(&a, &b);
    ctx.screen.one(&compared, "", |look| compare::text(&compared, look));
    Ok(if compared.same { Exit::Done } else { Exit::Failed })
}

/// `RUN` of the server that is spoken with, or `CONTEXT/RUN`.
async fn side(ctx: &Ctx, text: &str) -> Result<Side, Error> {
    let Some((name, run)) = text.split_once('/') else {
        return fetched(&ctx.client().await?, text).await;
    };
    let place = Place { context: Some(name.to_owned()), ..Place::default() };
    let target = Target { place, key_file: None };
    let client = Client::find(&target, &ctx.env, &ctx.cwd).await?;
    let missing = |error: Error| match error.exit {
        Exit::NotFound => error.during(format!("asking the context {name}")),
        _ => error,
    };
    fetched(&client, run).await.map_err(missing)
}

/// One side, from the server that has it.
///
/// # Errors
/// When the run is not known there, or the server stays away.
pub async fn fetched(client: &Client, id: &str) -> Result<Side, Error> {
    let run: RunView = client.get(format!("/api/v1/runs/{}", escape(id))).await?;
    Ok(Side { run, history: whole(client, id).await? })
}
