//! `hale packs reload NAME`: reads the file again.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::PackView;
use serde_json::json;

/// Read a pack's file again; if it is broken, the version that runs stays
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs reload log-triage")]
pub struct Args {
    /// Name of the pack
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/packs/{}/reload", escape(&args.name));
    let pack: PackView = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&pack, &pack.name, |look| {
        format!("{}\n", look.good(&format!("reloaded {}@{}", pack.name, pack.version)))
    });
    Ok(Exit::Done)
}
