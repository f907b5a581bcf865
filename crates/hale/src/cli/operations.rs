//! `hale operations …`: what was done, by whom, and taking it back.

pub mod list;
mod undo;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List what was done, and undo it
#[derive(Debug, Subcommand)]
#[command(visible_alias = "operation", alias = "ops")]
pub enum Verb {
    List(list::Args),
    Undo(undo::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Undo(args) => undo::run(args, ctx).await,
        }
    }
}
