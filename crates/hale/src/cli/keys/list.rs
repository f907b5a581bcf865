//! `hale keys list`.

use super::{Keeper, keeper};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::http::view;
use crate::keys::offline;
use crate::render::paint::{Look, Tone};
use crate::render::table::{Cell, Column};
use crate::render::{Table, when};
use crate::wire::{KeyView, Page};

/// List API keys, without their secrets
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale keys list")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<KeyView> = match keeper(ctx).await? {
        Keeper::Server(client) => client.get("/api/v1/keys").await?,
        Keeper::Folder(data) => {
            let items = offline::list(&data)?.iter().map(view::key).collect();
            Page { schema: "hale.keys/1".to_owned(), items, next: None }
        }
    };
    ctx.screen.list(&page, |key| key.id.clone(), |look| table(&page.items, look));
    if page.items.is_empty() {
        ctx.screen.note("no keys");
        ctx.screen.next("hale keys create NAME");
    }
    Ok(Exit::Done)
}

fn table(keys: &[KeyView], look: &Look) -> Table {
    let mut table = Table::new(&[
        ("id", Column::Left),
        ("name", Column::Left),
        ("state", Column::Left),
        ("created", Column::Left),
        ("last used", Column::Left),
        ("expires", Column::Left),
    ]);
    for key in keys {
        let expired = key.expires_at.as_deref().and_then(when::parse).is_some_and(|at| at <= look.now);
        let (tone, state) = match (&key.revoked_at, expired) {
            (Some(_), _) => (Tone::Dim, "revoked"),
            (None, true) => (Tone::Warn, "expired"),
            (None, false) => (Tone::Good, "valid"),
        };
        let at = |moment: &Option<String>, none: &str| match moment {
            Some(moment) => when::moment(look, moment),
            None => none.to_owned(),
        };
        table.row(vec![
            Cell::from(key.id.clone()),
            Cell::from(key.name.clone()),
            Cell::new(state, tone),
            Cell::from(when::moment(look, &key.created_at)),
            Cell::from(at(&key.last_used_at, "never")),
            Cell::from(at(&key.expires_at, "never")),
        ]);
    }
    table
}
