//! What a provider says in the Anthropic dialect.
//!
//! Guarantees: input tokens are told as soon as the provider does, so that a cut stream can still be paid for; blocks
//! that only this dialect knows are passed over with all their pieces.
//! Read next: [`super::writing`].

use super::stop_of;
use crate::dialect::event::{Event, Usage};
use crate::dialect::reader::{Piece, Seen, Unreadable, shape};
use serde_json::Value;

#[derive(Debug, Default)]
pub(in crate::dialect) struct Stream {
    tokens: Tokens,
}

/// Counts as this dialect has them: what was read from or put into a cache is not in `input`.
#[derive(Clone, Copy, Debug, Default)]
struct Tokens {
    input: u64,
    output: u64,
    cache_read: Option<u64>,
    cache_written: u64,
}

impl Tokens {
    /// Later counts replace earlier ones, and what is not told again stays.
    fn take(&mut self, usage: &Value) {
        let count = |key: &str| usage.get(key).and_then(Value::as_u64);
        self.input = count("input_tokens").unwrap_or(self.input);
        self.output = count("output_tokens").unwrap_or(self.output);
        self.cache_read = count("cache_read_input_tokens").or(self.cache_read);
        self.cache_written = count("cache_creation_input_tokens").unwrap_or(self.cache_written);
    }

    fn usage(self) -> Usage {
        let cached = self.cache_read.unwrap_or(0);
        Usage {
            input_tokens: self.input.saturating_add(cached).saturating_add(self.cache_written),
            output_tokens: self.output,
            cached_input_tokens: self.cache_read,
        }
    }
}

impl Stream {
    pub(in crate::dialect) fn event(
        &mut self,
        value: &Value,
        seen: &mut Seen,
        events: &mut Vec<Event>,
    ) -> Result<(), Unreadable> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let index = value.get("index").and_then(Value::as_u64);
        match kind {
            "message_start" => {
                let message = value.get("message").unwrap_or(&Value::Null);
                begin(message, seen, events);
                if let Some(usage) = message.get("usage") {
                    self.tokens.take(usage);
                    events.push(Event::Usage(self.tokens.usage()));
                }
            }
            "content_block_start" => {
                let block = value.get("content_block").unwrap_or(&Value::Null);
                open(block, index, seen, events)?;
            }
            "content_block_delta" => {
                let delta = value.get("delta").unwrap_or(&Value::Null);
                piece(delta, index, seen, events)?;
            }
            // A call that ends without a piece has the empty object that its block began with.
            "content_block_stop" => {
                if let Some(index) = index.filter(|index| seen.calls.is_bare(*index)) {
                    seen.calls
                        .take(Piece { key: Some(index), arguments: "{}", ..Piece::default() }, events)?;
                }
            }
            "message_delta" => {
                if let Some(usage) = value.get("usage") {
                    self.tokens.take(usage);
                    events.push(Event::Usage(self.tokens.usage()));
                }
                end(value.get("delta").unwrap_or(&Value::Null), seen, events)?;
            }
            "message_stop" => seen.end(events),
            "error" => seen.fail(value.get("error").unwrap_or(&Value::Null), events),
            "" => return Err(shape(value, "it has no type")),
            // `ping`, and what later days bring.
            _ => {}
        }
        Ok(())
    }
}

pub(in crate::dialect) fn whole(
    body: &Value,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    if body.get("type").and_then(Value::as_str) == Some("error") {
        seen.fail(body.get("error").unwrap_or(&Value::Null), events);
        return Ok(());
    }
    begin(body, seen, events);
    for (index, block) in body.get("content").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let index = Some(index as u64);
        open(block, index, seen, events)?;
        if let Some(index) = index.filter(|index| seen.calls.is_bare(*index)) {
            seen.calls.take(Piece { key: Some(index), arguments: "{}", ..Piece::default() }, events)?;
        }
    }
    if let Some(usage) = body.get("usage") {
        let mut tokens = Tokens::default();
        tokens.take(usage);
        events.push(Event::Usage(tokens.usage()));
    }
    end(body, seen, events)
}

fn begin(message: &Value, seen: &mut Seen, events: &mut Vec<Event>) {
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    seen.start(text("id"), text("model"), events);
}

/// `stop_reason` and `stop_sequence` stand in an answer and in the last delta.
fn end(value: &Value, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    match text("stop_reason") {
        Some(reason) => seen.stop(stop_of(reason, text("stop_sequence")), events),
        None => Ok(()),
    }
}

/// A block begins, or stands there whole.
fn open(block: &Value, key: Option<u64>, seen: &mut Seen, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    let text = |key: &str| block.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match block.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => events.extend(text("text").map(|text| Event::Text(text.to_owned()))),
        "thinking" => {
            events.extend(text("thinking").map(|text| Event::Reasoning(text.to_owned())));
            events.extend(text("signature").map(|sign| Event::ReasoningSignature(sign.to_owned())));
        }
        "redacted_thinking" => events.extend(text("data").map(|data| Event::Redacted(data.to_owned()))),
        "tool_use" => {
            // In a stream the input is empty here and comes in pieces; elsewhere it is whole.
            let input =
                block.get("input").filter(|input| input.as_object().is_some_and(|map| !map.is_empty()));
            let arguments = input.map(Value::to_string).unwrap_or_default();
            let piece =
                Piece { key, id: text("id"), name: text("name"), arguments: &arguments, ..Piece::default() };
            seen.calls.take(piece, events)?;
        }
        _ => {}
    }
    Ok(())
}

fn piece(
    delta: &Value,
    key: Option<u64>,
    seen: &mut Seen,
    events: &mut Vec<Event>,
) -> Result<(), Unreadable> {
    let text = |key: &str| delta.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match delta.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text_delta" => events.extend(text("text").map(|text| Event::Text(text.to_owned()))),
        "thinking_delta" => events.extend(text("thinking").map(|text| Event::Reasoning(text.to_owned()))),
        "signature_delta" => {
            events.extend(text("signature").map(|sign| Event::ReasoningSignature(sign.to_owned())));
        }
        // Input of a block that was passed over has no call to go to.
        "input_json_delta" if key.is_some_and(|key| seen.calls.knows(key)) => {
            let arguments = text("partial_json").unwrap_or_default();
            seen.calls.take(Piece { key, arguments, ..Piece::default() }, events)?;
        }
        _ => {}
    }
    Ok(())
}
