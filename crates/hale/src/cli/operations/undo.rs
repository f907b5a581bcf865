//! `hale operations undo ID`.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::render::diagnosis as shown;
use crate::wire::FixReport;
use serde_json::json;
use std::time::Duration;

/// Take an operation back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale operations undo op_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale operations undo $(hale operations list -n 1 -o name)")]
pub struct Args {
    /// The operation's id, from `hale operations list`
    id: String,
}

const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/operations/{}/undo", escape(&args.id));
    let report: FixReport = ctx.client().await?.ask(Ask::post(path, &json!({})).patient(PATIENCE)).await?;
    ctx.screen.one(&report, &args.id, |look| shown::report(&report, look));
    Ok(if report.verified == "not verified" { Exit::NotVerified } else { Exit::Done })
}
