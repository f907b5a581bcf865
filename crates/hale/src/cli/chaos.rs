//! `hale chaos …`: breaking things on purpose.

mod clear;
mod inject;
mod list;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Inject faults, and remove them
#[derive(Debug, Subcommand)]
pub enum Verb {
    Inject(inject::Args),
    List(list::Args),
    Clear(clear::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Inject(args) => inject::run(args, ctx).await,
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Clear(args) => clear::run(args, ctx).await,
        }
    }
}
