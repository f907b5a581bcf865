//! What a provider says in the Ollama dialect: lines, of which the last is done; a whole answer is one such line.
//!
//! Read next: [`super::writing`].

use crate::dialect::event::{Event, Stop, Usage};
use crate::dialect::reader::{Piece, Seen, Unreadable, shape};
use serde_json::Value;

pub(in crate::dialect) fn line(
    value: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    if !value.is_object() {
        return Err(shape(value, "it is no object"));
    }
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        seen.fail(error, events);
        return Ok(());
    }
    seen.start(None, value.get("model").and_then(Value::as_str), events);
    // A chat speaks in messages; what generates does so without.
    let (said, key) = match value.get("message") {
        Some(message) => (message, "content"),
        None => (value, "response"),
    };
    let text = |key: &str| said.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    events.extend(text("thinking").map(|text| Event::Reasoning(text.to_owned())));
    events.extend(text(key).map(|text| Event::Text(text.to_owned())));
    for call in said.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let function = call.get("function").unwrap_or(&Value::Null);
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => "{}".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let (id, name) =
            (call.get("id").and_then(Value::as_str), function.get("name").and_then(Value::as_str));
        // Every call comes whole.
        let key = Some(seen.calls.next_key());
        seen.calls.take(Piece { key, id, name, arguments: &arguments, ..Piece::default() }, events)?;
    }
    if value.get("done").and_then(Value::as_bool) == Some(true) {
        let count = |key: &str| value.get(key).and_then(Value::as_u64);
        let (input, output) = (count("prompt_eval_count"), count("eval_count"));
        if input.or(output).is_some() {
            let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
            events.push(Event::Usage(Usage { input_tokens, output_tokens, cached_input_tokens: None }));
        }
        seen.stop(stop(value.get("done_reason").and_then(Value::as_str)), events)?;
        seen.done = true;
    }
    Ok(())
}

fn stop(reason: Option<&str>) -> Stop {
    match reason {
        None | Some("stop" | "") => Stop::End,
        Some("length") => Stop::Length,
        Some(other) => Stop::Other(other.to_owned()),
    }
}
