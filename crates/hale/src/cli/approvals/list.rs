//! `hale approvals list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::approval as shown;

/// List the runs that wait for a person, the longest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale approvals list
  hale approvals list -o name                   # the ids of the runs
  hale approvals list -o json | jq '.items[] | select(.stalled)'

A run waits for a person's word on a deed that its pack lists under `approve`, or on a step that was acting at a
crash and must not be called twice (kind parked).")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page = super::all(&ctx.client().await?).await?;
    ctx.screen.list(&page, |asks| asks.run.clone(), |look| shown::table(&page.items, look));
    let stalled = page.items.iter().filter(|asks| asks.stalled).count();
    if stalled > 0 {
        let line = format!("{stalled} of {} have waited for more than an hour", page.items.len());
        let line = ctx.screen.look().warn(&line);
        ctx.screen.note(&line);
    }
    match page.items.first() {
        None => ctx.screen.note("no run waits for a person"),
        Some(first) => ctx.screen.next(&format!("hale approvals show {}", first.run)),
    }
    Ok(Exit::Done)
}
