//! `hale config explain [KEY]`.

use super::in_force;
use crate::cli::ctx::Ctx;
use crate::config::env::SETTING;
use crate::config::keys;
use crate::exit::{Error, Exit};
use crate::render::Tone;
use crate::render::table::pairs;
use crate::wire::ConfigEntry;
use hale_core::nearest::nearest;

/// Explain every key, or one: what it does, its value, where it comes from, how to set it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale config explain
  hale config explain run.timeout")]
pub struct Args {
    /// A key, or the first part of several
    key: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let mut page = in_force(ctx).await?;
    if let Some(key) = &args.key {
        let names: Vec<String> = page.items.iter().map(|entry| entry.key.clone()).collect();
        page.items.retain(|entry| {
            entry.key == *key
                || entry.key.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('.'))
        });
        if page.items.is_empty() {
            let error =
                Error::new(Exit::NotFound, format!("explain the key {key:?}: there is none of this name"));
            return Err(error.hint(match nearest(key, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean: hale config explain {near}"),
                None => "see them all with: hale config show".to_owned(),
            }));
        }
    }
    if ctx.screen.format().is_human() {
        let text: Vec<String> = page.items.iter().map(text).collect();
        ctx.screen.print(&text.join("\n"));
    } else {
        ctx.screen.list(&page, |entry| entry.key.clone(), |_| super::table(&[]));
    }
    Ok(Exit::Done)
}

fn text(entry: &ConfigEntry) -> String {
    let known = keys::find(&entry.key);
    let variables = SETTING.iter().filter(|variable| variable.key == entry.key);
    let variables: Vec<String> = variables
        .map(|variable| match variable.guide {
            Some(_) => format!("{} (alias)", variable.name),
            None => variable.name.to_owned(),
        })
        .collect();
    let takes = if entry.hot { "at once" } else { "at the next start" };
    let mut text = format!("{}\n", Tone::Strong.paint(&entry.key));
    text.push_str(&pairs(&[
        ("value", entry.value.clone()),
        ("from", entry.source.clone()),
        ("about", entry.doc.clone()),
        ("write", known.map(|key| key.expects.to_owned()).unwrap_or_default()),
        ("environment", variables.join(", ")),
        ("takes effect", takes.to_owned()),
    ]));
    text
}
