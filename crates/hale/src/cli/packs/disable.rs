//! `hale packs disable NAME`: refuses new runs.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::PackView;
use serde_json::json;

/// Refuse new runs of a pack; runs under way go on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs disable log-triage")]
pub struct Args {
    /// Name of the pack
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/packs/{}/disable", escape(&args.name));
    let pack: PackView = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&pack, &pack.name, |look| {
        format!("{}\n", look.good(&format!("disabled {}@{}", pack.name, pack.version)))
    });
    Ok(Exit::Done)
}
