//! `hale backtests …`: trading rules tried on past prices, as jobs.
//!
//! Leaves to others: what a back-test is (`http/backtests.rs`), the program itself (`examples/backtester`).

mod cancel;
mod equity;
mod list;
mod results;
mod show;
mod start;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// Start back-tests, and look at their stages, results and equity
#[derive(Debug, Subcommand)]
pub enum Verb {
    Start(Box<start::Args>),
    List(list::Args),
    Show(show::Args),
    Cancel(cancel::Args),
    Results(results::Args),
    Equity(equity::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Start(args) => start::run(*args, ctx).await,
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Cancel(args) => cancel::run(args, ctx).await,
            Verb::Results(args) => results::run(args, ctx).await,
            Verb::Equity(args) => equity::run(args, ctx).await,
        }
    }
}
