//! `hale llm show CALL`: what `hale why CALL` tells too.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::wire::models::CallView;

/// Show one call, and what was tried for it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale llm show call_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale llm show $(hale llm calls -n 1 -o name) --json")]
pub struct Args {
    /// The call's id, from `hale llm calls` or the header X-Hale-Call-Id
    call: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    explained(&args.call, ctx).await
}

/// One call in words.
///
/// # Errors
/// There is no such call, or no server.
pub async fn explained(id: &str, ctx: &mut Ctx) -> Result<Exit, Error> {
    let call: CallView = ctx.client().await?.get(format!("/api/v1/calls/{}", escape(id))).await?;
    ctx.screen.one(&call, &call.id, |_| text(&call));
    Ok(Exit::Done)
}

fn text(call: &CallView) -> String {
    let mut lines = vec![format!("{}  {} at {}", call.id, call.endpoint, call.at)];
    let served = call.served_by.as_deref();
    lines.push(match (call.outcome.as_str(), served) {
        ("answered", Some(model)) => format!("answered by {model} after {} ms", call.took_ms),
        ("left", Some(model)) => format!("the client left after {} ms, while {model} answered", call.took_ms),
        ("left", None) => format!("the client left after {} ms, before any answer", call.took_ms),
        (_, Some(model)) => format!("failed after {} ms, while {model} answered", call.took_ms),
        (_, None) => format!("not answered, after {} ms", call.took_ms),
    });
    lines.push(format!("asked for: {}{}", call.asked, if call.streamed { ", streamed" } else { "" }));
    if let Some(first) = call.first_byte_ms {
        lines.push(format!("first byte after {first} ms"));
    }
    if let (Some(read), Some(written)) = (call.input_tokens, call.output_tokens) {
        lines.push(format!("tokens: {read} read, {written} written"));
    }
    for (n, attempt) in call.tried.iter().enumerate() {
        let failure = &attempt.failure;
        lines.push(format!(
            "attempt {}: {}, {} ms: {} ({})",
            n + 1,
            attempt.model,
            attempt.took_ms,
            failure.message,
            failure.cause
        ));
        lines.extend(failure.chain.iter().map(|below| format!("  {below}")));
    }
    if let Some(failure) = call.failure.as_ref() {
        lines.push(format!("why: {} {}", failure.code, failure.cause));
        lines.push(format!("next: hale explain {}", failure.cause));
    }
    lines.push(format!("correlation id: {}", call.correlation_id));
    lines.join("\n") + "\n"
}
