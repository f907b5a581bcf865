//! `hale approvals deny RUN`.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::approval as shown;

/// Refuse the deed that a run asks for; the agent reads why and goes on without it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale approvals deny run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale approvals deny run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --reason \"wrong recipient\"

To end the run as well: hale runs cancel RUN.")]
pub struct Args {
    /// The run's id
    run: String,
    /// Why: for the journal, the audit, and the agent
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let asks = super::of_run(&client, &args.run).await?;
    let text = shown::page(&asks, &ctx.screen.look());
    ctx.screen.note(text.trim_end());
    let run = super::decide(&client, &asks, ("deny", args.reason)).await?;
    ctx.screen.one(&run, &run.id, |look| format!("{}  {}\n", run.id, look.warn("denied")));
    ctx.screen.next(&format!("hale runs watch {}", run.id));
    Ok(Exit::Done)
}
