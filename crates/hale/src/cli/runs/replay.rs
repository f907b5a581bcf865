//! `hale runs replay ID --from-step S`: a new run that keeps the first results of an old one.

use crate::cli::ctx::Ctx;
use crate::cli::following::{Manner, follow};
use crate::cli::run::input;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::live::Words;
use crate::wire::dlq::{ReplayRun, ReplayView};

/// Run a pack again from a step on, keeping the results before it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale runs replay run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --from-step 3
  hale runs replay run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --from-step 0 --input name=Grace
  hale runs replay run_01JD4M8Q2R7WX5B9N3K6T0VYHZ --from-step 2 --version 1.1.0 --detach")]
pub struct Args {
    /// The earlier run's id; it must have ended
    id: String,
    /// Keep this many steps; the one after them is the first to be executed
    #[arg(long, value_name = "S", default_value_t = 0)]
    from_step: u32,
    /// Another input, as in `hale run`; kept steps saw the old one
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    /// Another version of the pack
    #[arg(long)]
    version: Option<String>,
    /// Do not wait: print the new run and return
    #[arg(short, long)]
    detach: bool,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let changed = if args.input.is_empty() { None } else { Some(input(&args.input, &ctx.cwd)?) };
    let order = ReplayRun { from_step: args.from_step, input: changed, version: args.version };
    let new: ReplayView = client.post(format!("/api/v1/runs/{}/replay", escape(&args.id)), &order).await?;
    ctx.screen.note(&format!(
        "{} replays {} and keeps {} of its {} steps",
        new.run.id, args.id, new.kept_steps, new.of_steps
    ));
    for note in &new.notes {
        ctx.screen.say(&format!("note: {note}"));
    }
    if args.detach {
        ctx.screen.one(&new, &new.run.id, |_| format!("{}\n", new.run.id));
        ctx.screen.next(&format!("hale runs compare {} {}", args.id, new.run.id));
        return Ok(Exit::Done);
    }
    let exit = follow(ctx, &client, &new.run, Manner { words: Words::Hidden, wait: None }).await?;
    ctx.screen.next(&format!("hale runs compare {} {}", args.id, new.run.id));
    Ok(exit)
}
