//! `hale arms …`: who takes tasks.

mod check_conflicts;
mod deregister;
mod install;
mod list;
mod register;
mod score;
mod show;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// See who takes tasks, and why one arm and not another
#[derive(Debug, Subcommand)]
#[command(visible_alias = "arm")]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Score(score::Args),
    Register(register::Args),
    Deregister(deregister::Args),
    CheckConflicts(check_conflicts::Args),
    Install(install::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Score(args) => score::run(args, ctx).await,
            Verb::Register(args) => register::run(args, ctx).await,
            Verb::Deregister(args) => deregister::run(args, ctx).await,
            Verb::CheckConflicts(args) => check_conflicts::run(args, ctx).await,
            Verb::Install(args) => install::run(args, ctx).await,
        }
    }
}
