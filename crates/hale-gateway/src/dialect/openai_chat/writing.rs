//! Answers for clients of the chat dialect.
//!
//! Guarantees: the first chunk has the role, the one with the reason to stop comes after all pieces, usage comes in a
//! chunk without choices and only to clients that asked for it, `[DONE]` is last.
//! Read next: [`crate::dialect::writer`].

use crate::dialect::About;
use crate::dialect::answer::{Answer, Call};
use crate::dialect::event::{Event, Stop, Usage};
use crate::dialect::frame;
use crate::dialect::writer::Told;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(in crate::dialect) struct Stream {
    has_role: bool,
}

impl Stream {
    pub(in crate::dialect) fn event(&mut self, told: &Told, event: &Event, out: &mut Vec<u8>) {
        if !self.has_role {
            self.has_role = true;
            self.chunk(told, json!({"role": "assistant", "content": ""}), out);
        }
        match event {
            Event::Text(text) => self.chunk(told, json!({"content": text}), out),
            Event::Reasoning(text) => self.chunk(told, json!({"reasoning_content": text}), out),
            Event::Refusal(text) => self.chunk(told, json!({"refusal": text}), out),
            Event::ToolStart { index, id, name } => {
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"index": index, "id": id, "type": "function", "function": function});
                self.chunk(told, json!({"tool_calls": [call]}), out);
            }
            Event::ToolArguments { index, json } => self.arguments(told, *index, json, out),
            // Clients parse the arguments of every call; none at all would not parse.
            Event::Stop(stop) if *stop != Stop::Length => {
                for call in told.answer.calls().filter(|call| call.json.is_empty()) {
                    self.arguments(told, call.index, call.json_or_none(), out);
                }
            }
            // The rest has no words here, or is told at the end.
            Event::Start { .. }
            | Event::Stop(_)
            | Event::Usage(_)
            | Event::ReasoningSignature(_)
            | Event::Redacted(_)
            | Event::Error { .. } => {}
        }
        if let Event::Stop(stop) = event {
            let choice =
                json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish_reason(stop)});
            frame::data(&envelope(&told.about, json!([choice])), out);
        }
    }

    pub(in crate::dialect) fn finish(&mut self, told: &Told, out: &mut Vec<u8>) {
        if told.about.include_usage {
            let mut chunk = envelope(&told.about, json!([]));
            chunk["usage"] = usage(&told.answer.usage);
            frame::data(&chunk, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn arguments(&self, told: &Told, index: usize, json: &str, out: &mut Vec<u8>) {
        self.chunk(told, json!({"tool_calls": [{"index": index, "function": {"arguments": json}}]}), out);
    }

    fn chunk(&self, told: &Told, delta: Value, out: &mut Vec<u8>) {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
        frame::data(&envelope(&told.about, json!([choice])), out);
    }
}

fn envelope(about: &About, choices: Value) -> Value {
    let mut chunk = json!({
        "id": about.id, "object": "chat.completion.chunk", "created": about.created_s, "model": about.model,
        "choices": choices,
    });
    // Clients that asked for usage find the key in every chunk, null until the last.
    if about.include_usage {
        chunk["usage"] = Value::Null;
    }
    chunk
}

pub(in crate::dialect) fn whole(about: &About, answer: &Answer) -> Value {
    let text = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
    let calls: Vec<Value> = answer.calls().map(call).collect();
    let refusal = text(answer.refusal());
    let mut content = text(answer.text());
    if content.is_null() && refusal.is_null() && calls.is_empty() {
        content = json!("");
    }
    let mut message = json!({"role": "assistant", "content": content, "refusal": refusal});
    let reasoning = answer.reasoning();
    if !reasoning.is_empty() {
        message["reasoning_content"] = Value::String(reasoning);
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let reason = answer.stop.as_ref().map_or("stop", finish_reason);
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason});
    json!({
        "id": about.id, "object": "chat.completion", "created": about.created_s, "model": about.model,
        "choices": [choice], "usage": usage(&answer.usage),
    })
}

fn call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.json_or_none()});
    json!({"id": call.id, "type": "function", "function": function})
}

fn usage(usage: &Usage) -> Value {
    let Usage { input_tokens, output_tokens, cached_input_tokens } = *usage;
    let total = input_tokens.saturating_add(output_tokens);
    let mut tokens =
        json!({"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": total});
    if let Some(cached) = cached_input_tokens {
        tokens["prompt_tokens_details"] = json!({"cached_tokens": cached});
    }
    tokens
}

/// The clients' list of reasons is closed.
fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::StopSequence(_) | Stop::Other(_) => "stop",
        Stop::Length => "length",
        Stop::ToolUse => "tool_calls",
        Stop::ContentFilter | Stop::Refusal => "content_filter",
    }
}
