//! What a provider says in the chat dialect.
//!
//! Guarantees: reasoning is found under both names that servers give it; a server that sends more than one choice is
//! heard on its first.
//! Read next: [`super::writing`].

use crate::dialect::event::{Event, Stop, Usage};
use crate::dialect::reader::{Piece, Seen, Unreadable, shape};
use serde_json::Value;

pub(in crate::dialect) fn chunk(
    value: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    take(value, "delta", seen, events)
}

pub(in crate::dialect) fn whole(
    body: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    take(body, "message", seen, events)?;
    if seen.started && !seen.stopped && body.pointer("/choices/0/message").is_some() {
        seen.stop(Stop::End, events)?;
    }
    Ok(())
}

/// A chunk and a whole answer differ in `delta` against `message`.
fn take(value: &Value, key: &str, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    if !value.is_object() {
        return Err(shape(value, "it is no object"));
    }
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        seen.fail(error, events);
        return Ok(());
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    seen.start(text("id"), text("model"), events);
    let choice = value.pointer("/choices/0");
    if let Some(said) = choice.and_then(|choice| choice.get(key)) {
        speak(said, seen, events)?;
    }
    if let Some(usage) = value.get("usage").filter(|usage| usage.is_object()) {
        events.push(Event::Usage(tokens(usage)));
    }
    let reason = choice.and_then(|choice| choice.get("finish_reason")).and_then(Value::as_str);
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        seen.stop(stop(reason), events)?;
    }
    Ok(())
}

fn speak(said: &Value, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    let text = |key: &str| said.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let reasoning = text("reasoning_content").or(text("reasoning"));
    events.extend(reasoning.map(|text| Event::Reasoning(text.to_owned())));
    events.extend(text("content").map(|text| Event::Text(text.to_owned())));
    events.extend(text("refusal").map(|text| Event::Refusal(text.to_owned())));
    let calls = said.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    for (place, call) in calls.enumerate() {
        let function = call.get("function");
        let text = |key: &str| function.and_then(|function| function.get(key)).and_then(Value::as_str);
        let piece = Piece {
            key: call.get("index").and_then(Value::as_u64),
            place,
            id: call.get("id").and_then(Value::as_str),
            name: text("name"),
            arguments: text("arguments").unwrap_or_default(),
        };
        seen.calls.take(piece, events)?;
    }
    Ok(())
}

fn tokens(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Usage {
        input_tokens: count("/prompt_tokens").unwrap_or(0),
        output_tokens: count("/completion_tokens").unwrap_or(0),
        cached_input_tokens: count("/prompt_tokens_details/cached_tokens"),
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "stop" => Stop::End,
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::ToolUse,
        "content_filter" => Stop::ContentFilter,
        other => Stop::Other(other.to_owned()),
    }
}
