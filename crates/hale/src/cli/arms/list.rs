//! `hale arms list`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::{Format, arm as shown};
use crate::wire::Page;
use crate::wire::arms::ArmView;

/// List everything that can be routed to, with its health
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms list
  hale arms list -o wide
  hale arms list --json | jq -r '.items[] | select(.status != \"healthy\").name'")]
pub struct Args {}

pub async fn run(_: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let page: Page<ArmView> = ctx.client().await?.get("/api/v1/arms").await?;
    let wide = ctx.screen.format() == Format::Wide;
    ctx.screen.list(&page, |arm| arm.name.clone(), |_| shown::table(&page.items, wide));
    if page.items.is_empty() {
        ctx.screen.note("no arms");
        ctx.screen.next("hale arms install");
    }
    Ok(Exit::Done)
}
