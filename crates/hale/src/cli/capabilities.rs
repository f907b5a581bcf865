//! `hale capabilities …`: what packs say they can do.

mod check_conflicts;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Look at what packs can do
#[derive(Debug, Subcommand)]
#[command(visible_alias = "capability")]
pub enum Verb {
    CheckConflicts(check_conflicts::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::CheckConflicts(args) => check_conflicts::run(args, ctx).await,
        }
    }
}
