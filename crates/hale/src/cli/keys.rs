//! `hale keys …`: who may call the server over a network.
//!
//! Guarantees: works without a server too, since the first key must exist before a network listener may start.

mod create;
mod list;
mod revoke;

use super::ctx::Ctx;
use crate::client::Client;
use crate::exit::{Error, Exit};
use clap::Subcommand;
use std::path::PathBuf;

/// Create, list and revoke API keys
#[derive(Debug, Subcommand)]
#[command(visible_alias = "key")]
pub enum Verb {
    Create(create::Args),
    List(list::Args),
    Revoke(revoke::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Create(args) => create::run(args, ctx).await,
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Revoke(args) => revoke::run(args, ctx).await,
        }
    }
}

/// Who keeps the keys now.
enum Keeper {
    Server(Box<Client>),
    /// No server has the folder.
    Folder(PathBuf),
}

/// The server if one answers, else the folder that `hale up` would use.
async fn keeper(ctx: &Ctx) -> Result<Keeper, Error> {
    let found = match ctx.client().await {
        Ok(client) => client.get::<serde_json::Value>("/livez").await.map(|_| client),
        Err(error) => Err(error),
    };
    match found {
        Ok(client) => Ok(Keeper::Server(Box::new(client))),
        Err(error) if error.exit == Exit::Unreachable && ctx.target.place.url.is_none() => {
            Ok(Keeper::Folder(ctx.config(Vec::new(), None)?.data))
        }
        Err(error) => Err(error),
    }
}
