//! `hale secrets list`.

use super::{folder, refused};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::Page;
use hale_gateway::secret::store::stored_names;
use hale_gateway::secret::{Secrets, Source};
use serde::Serialize;
use std::sync::Arc;

/// List stored keys by name and fingerprint
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale secrets list")]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Stored {
    name: String,
    fingerprint: String,
    /// What is used, if not this file: a variable of the environment.
    hidden_by: String,
}

pub fn run(_: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let folder = folder(ctx)?;
    let files = Secrets::new(Arc::new(|_| None), &folder);
    let env = ctx.env.clone();
    let all = Secrets::new(Arc::new(move |name| env.get(name).map(str::to_owned)), &folder);
    let mut items = Vec::new();
    for name in stored_names(&folder).map_err(|error| refused(&error))? {
        let fingerprint = match files.resolve(&name) {
            Ok(Some((secret, _))) => secret.fingerprint(),
            Ok(None) => continue,
            Err(error) => format!("unusable: {error}"),
        };
        let hidden_by = match all.resolve(&name) {
            Ok(Some((_, source @ (Source::Env(_) | Source::EnvFile { .. })))) => source.to_string(),
            _ => String::new(),
        };
        items.push(Stored { name, fingerprint, hidden_by });
    }
    let page = Page { schema: "hale.secrets.list/1".to_owned(), items, next: None };
    ctx.screen.list(&page, |stored| stored.name.clone(), |_| table(&page.items));
    if page.items.is_empty() {
        ctx.screen.note("no stored secrets");
        ctx.screen.next("hale secrets set openai");
    }
    Ok(Exit::Done)
}

fn table(stored: &[Stored]) -> Table {
    let mut table =
        Table::new(&[("name", Column::Left), ("fingerprint", Column::Left), ("hidden by", Column::Text)]);
    for one in stored {
        table.row(vec![
            one.name.clone().into(),
            one.fingerprint.clone().into(),
            one.hidden_by.clone().into(),
        ]);
    }
    table
}
