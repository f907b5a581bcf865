//! `hale operations …`: what was done, by whom, and taking it back; steering those over many runs.

mod abort;
pub mod list;
mod pause;
mod resume;
mod show;
mod undo;
mod watch;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List what was done, watch, pause and undo it
#[derive(Debug, Subcommand)]
#[command(visible_alias = "operation", alias = "ops")]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Watch(watch::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Abort(abort::Args),
    Undo(undo::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Watch(args) => watch::run(args, ctx).await,
            Verb::Pause(args) => pause::run(args, ctx).await,
            Verb::Resume(args) => resume::run(args, ctx).await,
            Verb::Abort(args) => abort::run(args, ctx).await,
            Verb::Undo(args) => undo::run(args, ctx).await,
        }
    }
}
