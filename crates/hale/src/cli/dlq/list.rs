//! `hale dlq list`: by cause, or one by one.

use super::Which;
use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::dlq as shown;
use crate::wire::Page;
use crate::wire::dlq::{LetterGroups, LetterView};

/// List dead letters, grouped by cause
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale dlq list
  hale dlq list --since 1h
  hale dlq list --flat pack:research
  hale dlq list --flat --resolved -o json")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// One line for each letter
    #[arg(long)]
    flat: bool,
    /// Also those that were redriven or discarded
    #[arg(long, requires = "flat")]
    resolved: bool,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let filter = escape(&args.which.filter());
    if args.flat {
        let path = format!("/api/v1/dlq?filter={filter}&limit={}&resolved={}", args.limit, args.resolved);
        let page: Page<LetterView> = client.get(path).await?;
        ctx.screen.list(&page, |letter| letter.run.clone(), |look| shown::table(&page.items, look));
        match page.items.first() {
            Some(letter) => ctx.screen.next(&format!("hale dlq show {}", letter.run)),
            None => ctx.screen.note("no dead letters"),
        }
        return Ok(Exit::Done);
    }
    let groups: LetterGroups = client.get(format!("/api/v1/dlq/groups?filter={filter}")).await?;
    ctx.screen.one(&groups, "", |look| shown::groups(&groups, look));
    if groups.items.is_empty() {
        ctx.screen.note("no dead letters");
    }
    Ok(Exit::Done)
}
