//! `hale approvals …`: what runs ask people, and the answers.

mod approve;
mod deny;
mod list;
mod show;

use super::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::wire::waits::{ApprovalView, Decide};
use crate::wire::{Page, RunView};
use clap::Subcommand;

/// List, show, approve and deny what runs ask for
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Show(show::Args),
    Approve(approve::Args),
    Deny(deny::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Approve(args) => approve::run(args, ctx).await,
            Verb::Deny(args) => deny::run(args, ctx).await,
        }
    }
}

async fn all(client: &Client) -> Result<Page<ApprovalView>, Error> {
    client.get("/api/v1/approvals").await
}

/// The question of one run.
async fn of_run(client: &Client, id: &str) -> Result<ApprovalView, Error> {
    let found = all(client).await?.items.into_iter().find(|asks| asks.run == id);
    if let Some(found) = found {
        return Ok(found);
    }
    // A run that is not there is another mistake than a run that asks nothing.
    let run: RunView = client.get(format!("/api/v1/runs/{}", escape(id))).await?;
    let message = format!("find the question of run {id}: it is {} and waits for nobody", run.state);
    Err(Error::coded(hale_core::code::Code::E011, message).hint("see who waits with: hale approvals list"))
}

/// Sends the word on the question that was seen.
async fn decide(
    client: &Client,
    asks: &ApprovalView,
    (word, reason): (&str, Option<String>),
) -> Result<RunView, Error> {
    if asks.kind == "parked" {
        let message =
            format!("{word} run {}: its step was in flight at a crash, which is another question", asks.run);
        let hint = format!("say what became of it with: hale runs resolve {} --as retry", asks.run);
        return Err(Error::coded(hale_core::code::Code::E011, message).hint(hint));
    }
    let order = Decide { reason, index: Some(asks.index) };
    client.post(format!("/api/v1/runs/{}/{word}", escape(&asks.run)), &order).await
}
