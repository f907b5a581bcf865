//! `hale packs deploy FILE`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::pack as shown;
use crate::wire::PackView;
use std::path::PathBuf;

/// Deploy a pack: from then on it can be run; the version before stays for roll-back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs deploy log-triage.md
  hale packs deploy log-triage.md --dry-run")]
pub struct Args {
    /// The pack's file
    file: PathBuf,
    /// Only say what would be deployed
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut order = super::source(&args.file, &ctx.cwd)?;
    order.dry_run = args.dry_run;
    let pack: PackView = ctx.client().await?.post("/api/v1/packs", &order).await?;
    ctx.screen.one(&pack, &pack.name, |look| shown::deployed(&pack, look));
    if args.dry_run {
        ctx.screen.next(&format!("hale packs deploy {}", args.file.display()));
    } else {
        ctx.screen.next(&format!("hale run {}", pack.name));
    }
    Ok(Exit::Done)
}
