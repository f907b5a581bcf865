//! `hale packs rollback NAME`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::PackView;
use crate::wire::packs::RollbackPack;

/// Make an earlier version the current one; runs under way keep theirs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs rollback log-triage
  hale packs rollback log-triage --to 0.1.0")]
pub struct Args {
    /// Name of the pack
    name: String,
    /// Which version [default: the one before the current]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/packs/{}/rollback", escape(&args.name));
    let pack: PackView = ctx.client().await?.post(path, &RollbackPack { to: args.to }).await?;
    ctx.screen.one(&pack, &pack.name, |look| {
        format!("{}\n", look.good(&format!("current is {}@{}", pack.name, pack.version)))
    });
    Ok(Exit::Done)
}
