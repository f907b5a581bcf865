//! The OpenAI chat dialect as a server reads and writes it.
//!
//! Guarantees: refuses what OpenAI itself refuses (no messages, a tool result without its call), so that a client
//! that passes here is not wrong elsewhere.
//! Leaves to others: what to answer ([`super::mind`]), how it goes out ([`super::stream`]).
//! Read next: [`super::mind`].

use serde::Deserialize;
use serde_json::{Value, json};

/// A request for a chat answer.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub model: String,
    pub messages: Vec<Turn>,
    #[serde(default)]
    pub tools: Vec<Tool>,
    #[serde(default)]
    pub stream: bool,
    pub stream_options: Option<StreamOptions>,
    #[serde(alias = "max_completion_tokens")]
    pub max_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub include_usage: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Turn {
    pub role: String,
    content: Option<Value>,
    #[serde(default)]
    pub tool_calls: Vec<Call>,
    pub tool_call_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub function: Named,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub name: String,
    /// A JSON schema.
    #[serde(default)]
    pub parameters: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Call {
    pub id: String,
    pub function: Function,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Function {
    pub name: String,
    /// JSON in a string, as the dialect has it.
    pub arguments: String,
}

impl Turn {
    /// The text, which may come as one string or as parts.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }
}

impl Asked {
    pub(super) fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|offered| offered.function.name == tool)
    }

    /// What is wrong with the request, if anything.
    pub(super) fn flaw(&self) -> Option<String> {
        if self.messages.is_empty() {
            return Some("messages must not be empty".to_owned());
        }
        let mut open: Vec<&str> = Vec::new();
        for (at, turn) in self.messages.iter().enumerate() {
            match turn.role.as_str() {
                "tool" => {
                    let id = turn.tool_call_id.as_deref().unwrap_or_default();
                    let Some(place) = open.iter().position(|call| *call == id) else {
                        return Some(format!("messages[{at}]: no tool call {id:?} comes before this result"));
                    };
                    open.remove(place);
                }
                role @ ("system" | "developer" | "user" | "assistant") => {
                    if let Some(id) = open.first() {
                        return Some(format!("messages[{at}]: the result of tool call {id:?} is missing"));
                    }
                    if role == "assistant" {
                        open.extend(turn.tool_calls.iter().map(|call| call.id.as_str()));
                    }
                }
                role => return Some(format!("messages[{at}]: unknown role {role:?}")),
            }
        }
        open.first().map(|id| format!("the result of tool call {id:?} is missing"))
    }
}

/// An answer before it is put on the wire.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub id: String,
    pub model: String,
    pub text: String,
    pub calls: Vec<Call>,
    pub finish: &'static str,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Answer {
    fn usage(&self) -> Value {
        let (input, output) = (self.input_tokens, self.output_tokens);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    /// As one object.
    pub(super) fn whole(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.calls.is_empty() {
            message["content"] = Value::Null;
            message["tool_calls"] = self.calls.iter().map(call_shape).collect();
        }
        json!({
            // The time is left at zero: the same question gives the same bytes.
            "id": self.id, "object": "chat.completion", "created": 0, "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
            "usage": self.usage(),
        })
    }

    /// As the events of a stream, in order, without `[DONE]`.
    pub(super) fn events(&self, with_usage: bool) -> Vec<Value> {
        let event = |choices: Value| {
            json!({
                "id": self.id, "object": "chat.completion.chunk", "created": 0, "model": self.model,
                "choices": choices,
            })
        };
        let delta = |delta: Value| event(json!([{"index": 0, "delta": delta, "finish_reason": null}]));
        let mut events = vec![delta(json!({"role": "assistant", "content": ""}))];
        events.extend(pieces(&self.text).map(|piece| delta(json!({ "content": piece }))));
        for (index, call) in self.calls.iter().enumerate() {
            let mut opened = call_shape(call);
            opened["index"] = json!(index);
            opened["function"]["arguments"] = json!("");
            events.push(delta(json!({"tool_calls": [opened]})));
            events.extend(pieces(&call.function.arguments).map(|piece| {
                delta(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
            }));
        }
        events.push(event(json!([{"index": 0, "delta": {}, "finish_reason": self.finish}])));
        if with_usage {
            let mut last = event(json!([]));
            last["usage"] = self.usage();
            events.push(last);
        }
        events
    }
}

fn call_shape(call: &Call) -> Value {
    let function = json!({"name": call.function.name, "arguments": call.function.arguments});
    json!({"id": call.id, "type": "function", "function": function})
}

/// Pieces of some 16 characters, as a model's tokens come in handfuls.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let cut = rest.char_indices().nth(16).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(cut);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The dialect's shape of an error.
pub(super) fn error(kind: &str, code: Option<&str>, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
