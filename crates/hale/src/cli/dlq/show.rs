//! `hale dlq show RUN`: the cause, why it is so, and the whole history.

use crate::cli::ctx::Ctx;
use crate::cli::runs::history::whole;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::{Tone, diagnosis, dlq as shown, run};
use crate::wire::dlq::LetterShow;
use crate::wire::{Diagnosis, History};
use serde::Serialize;

/// Show a dead letter: cause, evidence and history
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale dlq show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale dlq show run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json")]
pub struct Args {
    /// The run's id
    id: String,
}

/// All that there is to know before a decision.
#[derive(Serialize)]
struct Whole {
    schema: &'static str,
    #[serde(flatten)]
    letter: LetterShow,
    why: Diagnosis,
    history: History,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let id = escape(&args.id);
    let mut letter: LetterShow = client.get(format!("/api/v1/dlq/{id}")).await?;
    let why: Diagnosis = client.get(format!("/api/v1/runs/{id}/why")).await?;
    let history = whole(&client, &args.id).await?;
    letter.schema = "hale.dead_letter/1".to_owned();
    let waits = letter.letter.resolution.is_none();
    let whole = Whole { schema: "hale.dead_letter_whole/1", letter, why, history };
    ctx.screen.one(&whole, &args.id, |look| {
        let mut text = shown::page(&whole.letter.letter, look);
        text.push_str(&format!("\n{}\n", Tone::Strong.paint("why")));
        text.push_str(&diagnosis::text(&whole.why, look));
        text.push_str(&format!("\n{}\n", Tone::Strong.paint("history")));
        text.push_str(&run::history(&whole.history, look).render(look));
        text
    });
    if waits {
        ctx.screen.next(&format!("hale dlq redrive {}", args.id));
    }
    Ok(Exit::Done)
}
