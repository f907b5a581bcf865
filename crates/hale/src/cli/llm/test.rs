//! `hale llm test [MODEL]`: one real call, the way of a client.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use serde_json::{Value, json};

/// Ask a model for one word; a provider that costs money costs some here too
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale llm test
  hale llm test openai/gpt-5-mini
  hale llm test sim/small --json")]
pub struct Args {
    /// As `provider/model`, or an alias
    #[arg(default_value = "default")]
    model: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let body = json!({
        "model": args.model,
        "messages": [{"role": "user", "content": "Answer with one word."}],
        "max_tokens": 16,
    });
    let answer: Value = ctx.client().await?.post("/v1/chat/completions", &body).await?;
    let said = answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
    let model = answer["model"].as_str().unwrap_or(&args.model).to_owned();
    ctx.screen.one(&answer, &args.model, |_| format!("{model} answers: {said}\n"));
    Ok(Exit::Done)
}
