//! `hale audit …`: who did what, and whether the trail is whole. With the server down, from its folder.

mod export;
mod list;
mod prune;
mod verify;

use super::ctx::Ctx;
use crate::client::{Client, escape};
use crate::exit::{Error, Exit};
use crate::http::audit::filter;
use crate::wire::Page;
use crate::wire::audit::{AuditCheck, AuditLine};
use clap::Subcommand;
use hale_core::code::Code;
use hale_store::{Sqlite, Store};

/// Read the audit trail, check its chain, export it
#[derive(Debug, Subcommand)]
pub enum Verb {
    List(list::Args),
    Verify(verify::Args),
    Export(export::Args),
    Prune(prune::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::List(args) => list::run(args, ctx).await,
            Verb::Verify(args) => verify::run(args, ctx).await,
            Verb::Export(args) => export::run(args, ctx).await,
            Verb::Prune(args) => prune::run(args, ctx).await,
        }
    }
}

/// Where the trail is read: from the server, or from the folder of one that is down.
enum Trail {
    Server(Box<Client>),
    Folder(Box<Sqlite>),
}

impl Trail {
    /// The server if it answers; its folder if it does not and no other address was named.
    async fn find(ctx: &mut Ctx) -> Result<Self, Error> {
        let error = match ctx.client().await {
            Ok(client) => match client.get::<serde_json::Value>("/livez").await {
                Ok(_) => return Ok(Trail::Server(Box::new(client))),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let named = ctx.target.place.names_a_server(&ctx.env);
        if error.exit != Exit::Unreachable || named {
            return Err(error);
        }
        let data = ctx.config(Vec::new(), None)?.data;
        if !data.is_dir() {
            return Err(error);
        }
        ctx.screen.note(&format!("no server answers; this is read from its folder {}", data.display()));
        Ok(Trail::Folder(Box::new(Sqlite::open_readonly_copy(&data)?)))
    }

    async fn newest(&self, words: &str, limit: u32) -> Result<Page<AuditLine>, Error> {
        match self {
            Trail::Server(client) => {
                client.get(format!("/api/v1/audit?limit={limit}&filter={}", escape(words))).await
            }
            Trail::Folder(store) => {
                let filter =
                    filter(words, crate::logs::line::now()).map_err(|why| Error::coded(Code::E002, why))?;
                let rows = store.audit_newest(&filter, None, limit)?;
                let items = rows.iter().map(AuditLine::from).collect();
                Ok(Page { schema: "hale.audit/1".to_owned(), items, next: None })
            }
        }
    }

    /// A page from the beginning on, behind a place.
    async fn oldest(&self, after: u64) -> Result<Vec<AuditLine>, Error> {
        match self {
            Trail::Server(client) => {
                let path = format!("/api/v1/audit?order=oldest&limit={PAGE}&after={after}");
                Ok(client.get::<Page<AuditLine>>(path).await?.items)
            }
            Trail::Folder(store) => {
                Ok(store.audit_oldest(after, PAGE)?.iter().map(AuditLine::from).collect())
            }
        }
    }

    async fn check(&self) -> Result<AuditCheck, Error> {
        match self {
            Trail::Server(client) => client.get("/api/v1/audit/verify").await,
            Trail::Folder(store) => Ok(hale_store::audit::check(store.as_ref())?.into()),
        }
    }
}

/// Rows asked for at one time.
const PAGE: u32 = 1000;
