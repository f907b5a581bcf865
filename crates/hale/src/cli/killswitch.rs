//! `hale killswitch …`: end a pack, a tool, a tenant or everything at once, and let it go again.

mod list;
mod off;
mod on;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Stop a pack, a tool, a tenant or everything at once, and let it go again
#[derive(Debug, Subcommand)]
pub enum Verb {
    #[command(visible_alias = "status")]
    List(list::Args),
    #[command(visible_alias = "disable")]
    On(on::Args),
    #[command(visible_alias = "enable")]
    Off(off::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::On(args) => on::run(args, ctx).await,
            Verb::Off(args) => off::run(args, ctx).await,
        }
    }
}
