//! `hale config …`: what is set, where it comes from, and whether it is right.

mod check;
mod explain;
mod history;
mod show;

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::{ConfigEntry, Page};
use clap::Subcommand;

/// Show, explain and check the configuration
#[derive(Debug, Subcommand)]
pub enum Verb {
    Show(show::Args),
    Explain(explain::Args),
    Check(check::Args),
    History(history::Args),
}

impl Verb {
    pub async fn run(self, ctx: &mut Ctx) -> Result<Exit, Error> {
        match self {
            Verb::Show(args) => show::run(args, ctx).await,
            Verb::Explain(args) => explain::run(args, ctx).await,
            Verb::Check(args) => check::run(&args, ctx),
            Verb::History(args) => history::run(args, ctx).await,
        }
    }
}

/// The configuration of the server if one answers, else what `hale up` would use here; and which of the two it is.
async fn in_force(ctx: &mut Ctx) -> Result<Page<ConfigEntry>, Error> {
    let asked = match ctx.client().await {
        Ok(client) => client
            .get::<Page<ConfigEntry>>("/api/v1/config")
            .await
            .map(|page| (page, client.address().to_owned())),
        Err(error) => Err(error),
    };
    match asked {
        Ok((page, address)) => {
            ctx.screen.note(&format!("in force at {address}"));
            Ok(page)
        }
        Err(error) if error.exit == Exit::Unreachable && ctx.target.place.url.is_none() => {
            let config = ctx.config(Vec::new(), None)?;
            ctx.screen.note("no server answers; a server started here would use this");
            Ok(Page { schema: "hale.config/1".to_owned(), items: config.entries, next: None })
        }
        Err(error) => Err(error),
    }
}

fn table(entries: &[ConfigEntry]) -> Table {
    let mut table = Table::new(&[("key", Column::Left), ("value", Column::Left), ("from", Column::Left)]);
    for entry in entries {
        table.row(vec![entry.key.clone().into(), entry.value.clone().into(), entry.source.clone().into()]);
    }
    table
}
