//! Answers for clients of the Anthropic dialect.
//!
//! Guarantees: blocks are numbered without gaps, each is begun and ended, none is empty; one block is open at a time
//! unless the provider itself mixes the pieces of parallel calls.
//! Read next: [`crate::dialect::writer`].

use super::reason_of;
use crate::dialect::About;
use crate::dialect::answer::{Answer, Block};
use crate::dialect::event::{Event, Stop, Usage};
use crate::dialect::frame;
use crate::dialect::writer::Told;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(in crate::dialect) struct Stream {
    has_begun: bool,
    blocks: usize,
    open: Vec<Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    index: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Text,
    Thinking,
    /// The call of this number.
    Call(usize),
}

impl Stream {
    pub(in crate::dialect) fn event(&mut self, told: &Told, event: &Event, out: &mut Vec<u8>) {
        // The message begins with the count of its input, which some providers tell right after their start.
        if !matches!(event, Event::Start { .. }) {
            self.begin(told, out);
        }
        match event {
            Event::Text(text) | Event::Refusal(text) if !text.is_empty() => {
                let at = self.opened(told, What::Text, out);
                delta(at, json!({"type": "text_delta", "text": text}), out);
            }
            Event::Reasoning(text) if !text.is_empty() => {
                let at = self.opened(told, What::Thinking, out);
                delta(at, json!({"type": "thinking_delta", "thinking": text}), out);
            }
            Event::ReasoningSignature(signature) => {
                let at = self.opened(told, What::Thinking, out);
                delta(at, json!({"type": "signature_delta", "signature": signature}), out);
                self.close(|open| open.what == What::Thinking, out);
            }
            Event::Redacted(data) => {
                self.close_whole(told, out);
                let at = self.start(json!({"type": "redacted_thinking", "data": data}), out);
                stop(at, out);
            }
            Event::ToolStart { index, id, name } => {
                self.close_whole(told, out);
                let at = self.start(json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
                self.open.push(Open { index: at, what: What::Call(*index) });
            }
            Event::ToolArguments { index, json } => {
                if let Some(open) = self.open.iter().find(|open| open.what == What::Call(*index)) {
                    delta(open.index, json!({"type": "input_json_delta", "partial_json": json}), out);
                }
            }
            Event::Stop(_) => self.close(|_| true, out),
            // The counts are told at the end; the rest says nothing.
            _ => {}
        }
    }

    pub(in crate::dialect) fn finish(&mut self, told: &Told, out: &mut Vec<u8>) {
        self.begin(told, out);
        let (reason, sequence) = reason(&told.answer);
        let delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        let usage = usage(&told.answer.usage);
        frame::named("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage}), out);
        frame::named("message_stop", &json!({"type": "message_stop"}), out);
    }

    fn begin(&mut self, told: &Told, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let message = message(&told.about, json!([]), (Value::Null, Value::Null), &told.answer.usage);
            frame::named("message_start", &json!({"type": "message_start", "message": message}), out);
        }
    }

    /// The number of the open block of that kind, which is begun if there is none.
    fn opened(&mut self, told: &Told, what: What, out: &mut Vec<u8>) -> usize {
        if let Some(open) = self.open.iter().find(|open| open.what == what) {
            return open.index;
        }
        self.close_whole(told, out);
        let block = match what {
            What::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
            _ => json!({"type": "text", "text": ""}),
        };
        let index = self.start(block, out);
        self.open.push(Open { index, what });
        index
    }

    fn start(&mut self, block: Value, out: &mut Vec<u8>) -> usize {
        let index = self.blocks;
        self.blocks += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": block});
        frame::named("content_block_start", &start, out);
        index
    }

    /// Ends all blocks but calls whose arguments still come.
    fn close_whole(&mut self, told: &Told, out: &mut Vec<u8>) {
        let is_whole = |open: &Open| match open.what {
            What::Call(index) => told.answer.call(index).is_some_and(|call| call.is_whole()),
            _ => true,
        };
        self.close(is_whole, out);
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, out: &mut Vec<u8>) {
        self.open.retain(|open| {
            let ends = which(open);
            if ends {
                stop(open.index, out);
            }
            !ends
        });
    }
}

fn delta(index: usize, delta: Value, out: &mut Vec<u8>) {
    let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
    frame::named("content_block_delta", &event, out);
}

fn stop(index: usize, out: &mut Vec<u8>) {
    frame::named("content_block_stop", &json!({"type": "content_block_stop", "index": index}), out);
}

pub(in crate::dialect) fn whole(about: &About, answer: &Answer) -> Value {
    let mut content: Vec<Value> = Vec::new();
    for block in &answer.blocks {
        content.extend(match block {
            Block::Text(text) | Block::Refusal(text) => Some(json!({"type": "text", "text": text})),
            Block::Reasoning { text, signature } => {
                let signature = signature.as_deref().unwrap_or_default();
                Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
            }
            Block::Redacted(data) => Some(json!({"type": "redacted_thinking", "data": data})),
            // A call that was cut off at the limit of tokens is dropped; the reason to stop says so.
            Block::Call(call) => call
                .arguments()
                .map(|input| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})),
        });
    }
    let (reason, sequence) = reason(answer);
    message(about, Value::Array(content), (json!(reason), json!(sequence)), &answer.usage)
}

/// A model that refuses in words stops in its usual way elsewhere; here that has a reason of its own.
fn reason(answer: &Answer) -> (&'static str, Option<&str>) {
    match &answer.stop {
        None | Some(Stop::End) if !answer.refusal().is_empty() => reason_of(&Stop::Refusal),
        None => reason_of(&Stop::End),
        Some(stop) => reason_of(stop),
    }
}

fn message(about: &About, content: Value, (reason, sequence): (Value, Value), tokens: &Usage) -> Value {
    json!({
        "id": about.id, "type": "message", "role": "assistant", "model": about.model, "content": content,
        "stop_reason": reason, "stop_sequence": sequence, "usage": usage(tokens),
    })
}

fn usage(usage: &Usage) -> Value {
    let cached = usage.cached_input_tokens.unwrap_or(0);
    let mut tokens = json!({
        "input_tokens": usage.input_tokens.saturating_sub(cached), "output_tokens": usage.output_tokens,
    });
    if usage.cached_input_tokens.is_some() {
        tokens["cache_read_input_tokens"] = json!(cached);
    }
    tokens
}
