//! The OpenAI chat dialect as JSON: what is sent, and the shape of what comes.
//!
//! Guarantees: fields that we do not know are skipped and fields that servers leave away or send as null are absent,
//! since no two servers of this dialect send the same set.
//! Leaves to others: putting the pieces together ([`super::assembly`]).
//! Read next: [`super::assembly`].

use crate::provider::{ChatRequest, Message, ToolCall, ToolSpec};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What the limit of tokens is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenLimit {
    /// The old name, which every compatible server knows.
    MaxTokens,
    /// The name that OpenAI's own newer models insist on.
    MaxCompletionTokens,
}

impl TokenLimit {
    pub(super) fn of(host: &str) -> Self {
        let own = host == "api.openai.com" || host.ends_with(".openai.azure.com");
        if own { Self::MaxCompletionTokens } else { Self::MaxTokens }
    }

    fn key(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

pub(super) fn body(request: &ChatRequest, token_limit: TokenLimit) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), json!(request.model));
    body.insert("messages".into(), request.messages.iter().map(message).collect());
    body.insert("stream".into(), json!(true));
    body.insert("stream_options".into(), json!({"include_usage": true}));
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
    }
    let mut optional = |key: &str, value: Option<Value>| value.map(|value| body.insert(key.into(), value));
    optional(token_limit.key(), request.max_tokens.map(|tokens| json!(tokens)));
    optional("temperature", request.temperature.map(|temperature| json!(temperature)));
    optional("seed", request.seed.map(|seed| json!(seed)));
    Value::Object(body)
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { content } => json!({"role": "system", "content": content}),
        Message::User { content } => json!({"role": "user", "content": content}),
        Message::Tool { call_id, content } => {
            json!({"role": "tool", "tool_call_id": call_id, "content": content})
        }
        Message::Assistant { content, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": content})
        }
        Message::Assistant { content, tool_calls } => {
            let content = if content.is_empty() { Value::Null } else { json!(content) };
            let calls: Value = tool_calls.iter().map(tool_call).collect();
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
    json!({"id": call.id, "type": "function", "function": function})
}

fn tool(tool: &ToolSpec) -> Value {
    let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
    json!({"type": "function", "function": function})
}

/// One event of a stream, or one whole answer: they differ in `delta` against `message`.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub model: Option<String>,
    pub choices: Option<Vec<Choice>>,
    pub usage: Option<Tokens>,
    pub error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(alias = "message")]
    pub delta: Option<Delta>,
    pub finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Delta {
    pub content: Option<String>,
    pub refusal: Option<String>,
    pub tool_calls: Option<Vec<CallDelta>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CallDelta {
    pub index: Option<usize>,
    pub id: Option<String>,
    pub function: Option<FunctionDelta>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FunctionDelta {
    pub name: Option<String>,
    pub arguments: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Tokens {
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
}

/// The answer to `GET /models`.
#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub data: Vec<ModelEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelEntry {
    pub id: String,
}
