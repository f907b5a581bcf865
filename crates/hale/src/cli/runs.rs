//! `hale runs …`: looking at runs, and steering them.

mod artifacts;
mod cancel;
mod history;
pub mod list;
mod resolve;
pub mod retry;
mod show;
mod watch;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List, show, watch, cancel and retry runs
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    History(history::Args),
    Watch(watch::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Resolve(resolve::Args),
    Artifacts(artifacts::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::History(args) => history::run(args, ctx).await,
            Verb::Watch(args) => watch::run(args, ctx).await,
            Verb::Cancel(args) => cancel::run(args, ctx).await,
            Verb::Retry(args) => retry::run(args, ctx).await,
            Verb::Resolve(args) => resolve::run(args, ctx).await,
            Verb::Artifacts(args) => artifacts::run(args, ctx).await,
        }
    }
}
