//! `hale packs quarantine release PACK`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::dlq::QuarantineView;
use serde_json::json;

/// Let a quarantined pack take runs again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs quarantine release crasher")]
pub struct Args {
    /// Name of the pack
    name: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/packs/{}/release", escape(&args.name));
    let held: QuarantineView = ctx.client().await?.post(path, &json!({})).await?;
    ctx.screen.one(&held, &held.pack, |look| {
        format!("{}\n", look.good(&format!("released {}: {}", held.pack, held.reason)))
    });
    ctx.screen.next(&format!("hale runs list pack:{}", held.pack));
    Ok(Exit::Done)
}
