//! `hale artifacts …`: what runs made and what they are given, and the stores that hold it.
//!
//! Guarantees: bytes are checked against their hash on the way, and no half-written file is left behind.
//! Leaves to others: the artifacts of one run ([`crate::cli::runs`]).

mod failover;
mod get;
mod list;
mod put;
mod retry;
mod stores;
mod verify;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use clap::Subcommand;

/// List, fetch, put and verify artifacts; fail over between their stores
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Get(get::Args),
    Put(put::Args),
    Verify(verify::Args),
    Stores(stores::Args),
    Failover(failover::Args),
    Retry(retry::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Get(args) => get::run(args, ctx).await,
            Verb::Put(args) => put::run(args, ctx).await,
            Verb::Verify(args) => verify::run(args, ctx).await,
            Verb::Stores(args) => stores::run(args, ctx).await,
            Verb::Failover(args) => failover::run(args, ctx).await,
            Verb::Retry(args) => retry::run(args, ctx).await,
        }
    }
}
