//! `hale explain CODE|CAUSE|FAULT`: what it means and what to do, offline.

use super::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::explain::{self, Page};

/// Explain an error code, a cause or a fault; needs no server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale explain E003
  hale explain llm.rate_limited
  hale explain --list")]
pub struct Args {
    /// E003, llm.rate_limited, worker.kill_all …
    topic: Option<String>,
    /// List everything that can be explained; the same as without a topic
    #[arg(long)]
    list: bool,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let Some(topic) = args.topic.as_deref().filter(|_| !args.list) else {
        let page = explain::list();
        ctx.screen.list(&page, |topic| topic.id.clone(), |_| explain::table(&page.items));
        return Ok(Exit::Done);
    };
    let page: Page = explain::find(topic).ok_or_else(|| explain::unknown(topic))?;
    ctx.screen.one(&page, &page.id, |_| page.text.clone());
    Ok(Exit::Done)
}
