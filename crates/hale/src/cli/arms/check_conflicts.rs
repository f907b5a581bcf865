//! `hale arms check-conflicts [NAME]`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::arm as shown;
use crate::wire::Page;
use hale_core::routing::Conflict;

/// Find arms with a capability and keywords in common that score alike, so that only their names decide
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale arms check-conflicts
  hale arms check-conflicts coder --json

Exit code 0 without conflicts, 10 with. Capabilities that several packs offer: hale capabilities check-conflicts")]
pub struct Args {
    /// Only conflicts of this arm
    name: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let query = args.name.map(|name| format!("?name={}", escape(&name))).unwrap_or_default();
    let page: Page<Conflict> = ctx.client().await?.get(format!("/api/v1/arms/conflicts{query}")).await?;
    ctx.screen.list(&page, |conflict| conflict.arms.join(","), |_| shown::conflicts(&page.items));
    let Some(first) = page.items.first() else {
        ctx.screen.note("no two arms tie");
        return Ok(Exit::Done);
    };
    ctx.screen.note("give each arm keywords or domains of its own");
    ctx.screen.next(&format!("hale arms score --goal \"{}\"", first.goal));
    Ok(Exit::Warnings)
}
