//! `hale tasks …`: a goal, and whoever fits takes it.

pub mod goal;
mod show;
mod start;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Give a goal to whichever arm fits it best
#[derive(Debug, Subcommand)]
#[command(visible_alias = "task")]
pub enum Verb {
    Start(start::Args),
    Show(show::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Start(args) => start::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
        }
    }
}
