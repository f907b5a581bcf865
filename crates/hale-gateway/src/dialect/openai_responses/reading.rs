//! What a server says in the responses dialect.
//!
//! Guarantees: pieces are taken from the deltas; what the last event repeats is not told twice.
//! Read next: [`super::writing`].

use crate::dialect::event::{Event, Stop, Usage};
use crate::dialect::reader::{Piece, Seen, Unreadable, shape};
use serde_json::Value;

pub(in crate::dialect) fn event(
    value: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let delta = || text("delta").filter(|text| !text.is_empty()).map(str::to_owned);
    let key = value.get("output_index").and_then(Value::as_u64);
    let Some(kind) = text("type") else { return Err(shape(value, "it has no type")) };
    match kind {
        "response.created" => begin(value.get("response").unwrap_or(&Value::Null), seen, events),
        "response.output_text.delta" => events.extend(delta().map(Event::Text)),
        "response.refusal.delta" => events.extend(delta().map(Event::Refusal)),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
            events.extend(delta().map(Event::Reasoning));
        }
        "response.output_item.added" => {
            let item = value.get("item").unwrap_or(&Value::Null);
            if item.get("type").and_then(Value::as_str) == Some("function_call") {
                call(item, key, seen, events)?;
            }
        }
        "response.function_call_arguments.delta" => {
            let arguments = text("delta").unwrap_or_default();
            seen.calls.take(Piece { key, arguments, ..Piece::default() }, events)?;
        }
        "response.completed" | "response.incomplete" | "response.failed" => {
            end(value.get("response").unwrap_or(&Value::Null), seen, events)?;
        }
        "error" => seen.fail(value.get("error").unwrap_or(value), events),
        _ => {}
    }
    Ok(())
}

pub(in crate::dialect) fn whole(
    body: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        seen.fail(error, events);
        return Ok(());
    }
    begin(body, seen, events);
    for (at, item) in body.get("output").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let list = |key: &str| item.get(key).and_then(Value::as_array).into_iter().flatten();
        let text = |part: &Value, key: &str| part.get(key).and_then(Value::as_str).map(str::to_owned);
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                for part in list("content") {
                    events.extend(text(part, "text").map(Event::Text));
                    events.extend(text(part, "refusal").map(Event::Refusal));
                }
            }
            Some("reasoning") => {
                let parts = list("summary").chain(list("content"));
                events.extend(parts.filter_map(|part| text(part, "text")).map(Event::Reasoning));
            }
            Some("function_call") => call(item, Some(at as u64), seen, events)?,
            _ => {}
        }
    }
    end(body, seen, events)
}

fn begin(response: &Value, seen: &mut Seen, events: &mut Vec<Event>) {
    let text = |key: &str| response.get(key).and_then(Value::as_str);
    seen.start(text("id"), text("model"), events);
}

fn call(item: &Value, key: Option<u64>, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let arguments = text("arguments").unwrap_or_default();
    seen.calls
        .take(Piece { key, id: text("call_id"), name: text("name"), arguments, ..Piece::default() }, events)
}

fn end(response: &Value, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
        seen.fail(error, events);
        return Ok(());
    }
    let count = |path: &str| response.pointer(path).and_then(Value::as_u64);
    if let (Some(input_tokens), Some(output_tokens)) =
        (count("/usage/input_tokens"), count("/usage/output_tokens"))
    {
        let cached_input_tokens = count("/usage/input_tokens_details/cached_tokens");
        events.push(Event::Usage(Usage { input_tokens, output_tokens, cached_input_tokens }));
    }
    let text = |path: &str| response.pointer(path).and_then(Value::as_str);
    let stop = match (text("/status"), text("/incomplete_details/reason")) {
        (Some("completed"), _) => Stop::End,
        (Some("incomplete"), Some("max_output_tokens")) => Stop::Length,
        (Some("incomplete"), Some("content_filter")) => Stop::ContentFilter,
        (Some("incomplete"), reason) => Stop::Other(reason.unwrap_or("incomplete").to_owned()),
        _ => return Ok(()),
    };
    seen.stop(stop, events)?;
    seen.done = true;
    Ok(())
}
