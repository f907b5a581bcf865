//! `hale config show`.

use super::{in_force, table};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};

/// Show every key with its value and where it comes from
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale config show
  hale config show --changed")]
pub struct Args {
    /// Only keys that are not at their default
    #[arg(long)]
    changed: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut page = in_force(ctx).await?;
    if args.changed {
        page.items.retain(|entry| entry.source != "default");
    }
    ctx.screen.list(&page, |entry| entry.key.clone(), |_| table(&page.items));
    Ok(Exit::Done)
}
