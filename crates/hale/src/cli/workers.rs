//! `hale workers …`: who executes runs.

mod drain;
mod list;
mod resume;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List, drain and resume workers
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Drain(drain::Args),
    Resume(resume::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Drain(args) => drain::run(args, ctx).await,
            Verb::Resume(args) => resume::run(args, ctx).await,
        }
    }
}
