//! `hale approvals approve RUN`.

use crate::cli::asking::{self, Asked};
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::approval as shown;

/// Allow the deed that a run asks for; the run goes on and does it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale approvals approve run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale approvals approve run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --reason \"checked with finance\" --yes

The exact call is shown first, and on a terminal you are asked. The word is for this call alone: if the run asks for
another one by then, it is refused with exit code 5.")]
pub struct Args {
    /// The run's id
    run: String,
    /// Why, for the journal and the audit
    #[arg(long)]
    reason: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let asks = super::of_run(&client, &args.run).await?;
    let text = shown::page(&asks, &ctx.screen.look());
    ctx.screen.note(text.trim_end());
    if !args.yes && asking::confirm(ctx, "approve this call?") == Asked::No {
        return Err(Error::new(Exit::Failed, format!("approve run {}: you said no", args.run)));
    }
    let run = super::decide(&client, &asks, ("approve", args.reason)).await?;
    ctx.screen.one(&run, &run.id, |look| format!("{}  {}\n", run.id, look.good("approved")));
    ctx.screen.next(&format!("hale runs watch {}", run.id));
    Ok(Exit::Done)
}
