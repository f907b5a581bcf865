//! `hale runs …`: looking at runs, and steering them.

mod artifacts;
mod audit;
mod cancel;
pub mod compare;
mod errors;
pub mod history;
mod latency;
pub mod list;
mod logs;
mod profile;
mod replay;
mod resolve;
pub mod retry;
mod sampled;
mod show;
mod slow;
mod stats;
mod watch;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List, show, watch, compare, cancel and retry runs; where their time goes
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    History(history::Args),
    Watch(watch::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Replay(replay::Args),
    Resolve(resolve::Args),
    Artifacts(artifacts::Args),
    Logs(logs::Args),
    Audit(audit::Args),
    Compare(compare::Args),
    Profile(profile::Args),
    Stats(stats::Args),
    Latency(latency::Args),
    Errors(errors::Args),
    Slow(slow::Args),
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
            Verb::Replay(args) => replay::run(args, ctx).await,
            Verb::Resolve(args) => resolve::run(args, ctx).await,
            Verb::Artifacts(args) => artifacts::run(args, ctx).await,
            Verb::Logs(args) => logs::run(args, ctx).await,
            Verb::Audit(args) => audit::run(args, ctx).await,
            Verb::Compare(args) => compare::run(args, ctx).await,
            Verb::Profile(args) => profile::run(args, ctx).await,
            Verb::Stats(args) => stats::run(args, ctx).await,
            Verb::Latency(args) => latency::run(args, ctx).await,
            Verb::Errors(args) => errors::run(args, ctx).await,
            Verb::Slow(args) => slow::run(args, ctx).await,
        }
    }
}
