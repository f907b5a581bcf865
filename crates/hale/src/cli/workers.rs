//! `hale workers …`: who executes runs, how many of them there are, and how one is taken out and started anew.
//!
//! A worker is named by its id, by its seat, or as `embedded`. Read next: [`waiting`], the wait for work in progress.

mod drain;
mod limits;
mod list;
mod restart;
mod resume;
mod scale;
mod show;
mod waiting;

use super::ctx::Ctx;
use crate::client::Client;
use crate::exit::{Error, Exit};
use crate::wire::workers::Workers;
use clap::Subcommand;

/// List, drain, restart and scale workers
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Drain(drain::Args),
    Resume(resume::Args),
    Restart(restart::Args),
    Scale(scale::Args),
    Limits(limits::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Drain(args) => drain::run(args, ctx).await,
            Verb::Resume(args) => resume::run(args, ctx).await,
            Verb::Restart(args) => restart::run(args, ctx).await,
            Verb::Scale(args) => scale::run(args, ctx).await,
            Verb::Limits(args) => limits::run(args, ctx).await,
        }
    }
}

/// Which workers are meant.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Ids, seats, or `embedded`, from `hale workers list`
    ids: Vec<String>,
    /// Every live worker
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The ids.
    ///
    /// # Errors
    /// When the server cannot be asked for all of them.
    async fn ids(&self, client: &Client) -> Result<Vec<String>, Error> {
        if !self.all {
            return Ok(self.ids.clone());
        }
        let workers: Workers = client.get("/api/v1/workers").await?;
        Ok(workers.items.into_iter().map(|worker| worker.id).collect())
    }
}
