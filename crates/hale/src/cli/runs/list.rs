//! `hale runs list [FILTER…]`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::{Format, run as shown};
use crate::wire::{Page, RunView};
use hale_core::limits;

/// List runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs list
  hale runs list status:failed since:1h
  hale runs list pack:research code:E006 \"connection refused\"
  hale runs list status:pending -o name | head -5

Filters: status:STATE[,STATE] pack:NAME since:SPAN until:SPAN code:E003 correlation:ID priority:CLASS, and words of the error.")]
pub struct Args {
    /// What to list; without it every run
    filter: Vec<String>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let filter = filter(&args.filter);
    let mut page: Page<RunView> = Page { schema: String::new(), items: Vec::new(), next: None };
    loop {
        let left = args.limit - page.items.len() as u32;
        let mut path =
            format!("/api/v1/runs?limit={}&filter={}", left.min(limits::PAGE_MAX), escape(&filter));
        if let Some(after) = &page.next {
            path.push_str(&format!("&after={}", escape(after)));
        }
        let next: Page<RunView> = client.get(path).await?;
        let came = next.items.len();
        page.schema = next.schema;
        page.items.extend(next.items);
        page.next = next.next;
        if came == 0 || page.next.is_none() || page.items.len() >= args.limit as usize {
            break;
        }
    }
    let wide = ctx.screen.format() == Format::Wide;
    ctx.screen.list(&page, |run| run.id.clone(), |look| shown::table(&page.items, look, wide));
    if page.items.is_empty() && ctx.screen.format().is_human() {
        ctx.screen.note("no runs");
        ctx.screen.next("hale run hello --input name=Ada");
    } else if page.next.is_some() {
        ctx.screen.next(
            &format!("hale runs list {filter} --limit {}", args.limit.saturating_mul(5)).replace("  ", " "),
        );
    }
    Ok(Exit::Done)
}

/// Words of the command line as one filter; a word with blanks in it was quoted, so it is quoted again.
pub fn filter(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.contains(char::is_whitespace) && !word.contains('"') && !word.contains(':') {
            format!("\"{word}\"")
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
