//! `hale packs quarantine …`: packs that are held back because their runs ended their workers.

mod list;
mod release;

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Look at packs in quarantine, and let one go
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Release(release::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Release(args) => release::run(args, ctx).await,
        }
    }
}
