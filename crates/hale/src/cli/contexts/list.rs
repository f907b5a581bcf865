//! `hale contexts list`.

use crate::cli::ctx::Ctx;
use crate::client::contexts::{Context, Contexts};
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use crate::wire::Page;
use serde::Serialize;

/// List the servers that have a name; keys are never shown
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale contexts list
  hale contexts list --json")]
pub struct Args {}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    current: bool,
    #[serde(flatten)]
    context: Context,
}

pub fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let Contexts { current, contexts, .. } = Contexts::load(&ctx.env)?;
    let line =
        |(name, context): (String, Context)| Line { current: current.as_ref() == Some(&name), name, context };
    let items: Vec<Line> = contexts.into_iter().map(line).collect();
    let page = Page { schema: "hale.contexts/1".to_owned(), items, next: None };
    ctx.screen.list(
        &page,
        |line| line.name.clone(),
        |_| {
            let mut table = Table::new(&[
                ("", Column::Left),
                ("context", Column::Left),
                ("address", Column::Left),
                ("key from", Column::Text),
            ]);
            for line in &page.items {
                let file = line.context.key_file.as_ref().map(|file| file.display().to_string());
                let key = file.or_else(|| line.context.key_env.as_ref().map(|name| format!("${name}")));
                table.row(vec![
                    if line.current { "*" } else { "" }.to_owned().into(),
                    line.name.clone().into(),
                    line.context.url.clone().into(),
                    key.unwrap_or_else(|| "none".to_owned()).into(),
                ]);
            }
            table
        },
    );
    if page.items.is_empty() {
        ctx.screen.note("no contexts; name a server with: hale contexts add NAME --url URL");
    }
    Ok(Exit::Done)
}
