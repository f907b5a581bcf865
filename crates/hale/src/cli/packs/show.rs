//! `hale packs show NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::pack as shown;
use crate::wire::PackView;

/// Show one pack: model, tools, grants, limits, versions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs show hello
  hale packs show hello --version 1.0.0 --source")]
pub struct Args {
    /// Name of the pack
    name: String,
    /// Another version than the current one
    #[arg(long)]
    version: Option<String>,
    /// Print the pack's file
    #[arg(long)]
    source: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let query = args.version.map(|version| format!("?version={}", escape(&version))).unwrap_or_default();
    let pack: PackView =
        ctx.client().await?.get(format!("/api/v1/packs/{}{query}", escape(&args.name))).await?;
    if args.source && ctx.screen.format().is_human() {
        ctx.screen.print(pack.source.as_deref().unwrap_or_default());
        return Ok(Exit::Done);
    }
    ctx.screen.one(&pack, &pack.name, |look| shown::page(&pack, look));
    Ok(Exit::Done)
}
