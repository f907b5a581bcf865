//! `hale chaos clear [ID]`.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use serde_json::{Value, json};

/// Remove one fault, or all of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale chaos clear                              every fault
  hale chaos clear flt_01JD4M8Q2R7WX5B9N3K6T0VYHZ")]
pub struct Args {
    /// The fault's id; without it every fault
    #[arg(conflicts_with = "all")]
    id: Option<String>,
    /// Every fault, said aloud
    #[arg(long)]
    all: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = match &args.id {
        Some(id) => format!("/api/v1/chaos/{}", escape(id)),
        None => "/api/v1/chaos".to_owned(),
    };
    let _: Value = ctx.client().await?.ask(Ask::delete(path)).await?;
    let what = args.id.unwrap_or("every fault".to_owned());
    let done = json!({ "schema": "hale.chaos.clear/1", "cleared": what });
    ctx.screen.one(&done, &what, |look| format!("{}\n", look.good(&format!("cleared {what}"))));
    Ok(Exit::Done)
}
