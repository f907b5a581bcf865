//! What a client asks of a model, whatever dialect it speaks.
//!
//! Guarantees: an [`Ask`] holds all that more than one dialect can say; what only one can say is kept verbatim as
//! [`Native`] and goes back to that dialect alone.
//! Leaves to others: reading and writing bodies (one module for each dialect), what comes back ([`super::event`]).
//! Read next: [`super::event`].

use super::Dialect;
use serde_json::{Map, Value};

/// A client's request understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    pub model: String,
    pub system: Vec<String>,
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    /// Tools that the provider itself carries out, in the words of its dialect.
    pub native_tools: Vec<Native>,
    pub tool_choice: ToolChoice,
    pub parallel_tools: Option<bool>,
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
    pub format: Format,
    pub user: Option<String>,
    /// `low`, `medium`, `high`, and what else a provider knows.
    pub reasoning_effort: Option<String>,
    pub thinking: Thinking,
    pub stream: bool,
    /// Whether the client wants usage at the end of a stream.
    pub include_usage: bool,
}

/// One side speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    User,
    Assistant,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Image(Image),
    /// `arguments` is an object. A text stands for what a model once wrote there that is none, as it was.
    ToolUse {
        id: String,
        name: String,
        arguments: Value,
    },
    /// `parts` are texts and images.
    ToolResult {
        id: String,
        parts: Vec<Part>,
        is_error: bool,
    },
    Reasoning {
        text: String,
        signature: Option<String>,
    },
    /// Reasoning that only its provider can read.
    Redacted(String),
    Native(Native),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    Url(String),
    Data { media_type: String, base64: String },
}

/// What only one dialect can say.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    pub dialect: Dialect,
    pub value: Value,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// A JSON schema.
    pub parameters: Value,
    pub strict: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// The shape that the answer must have.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    #[default]
    Text,
    JsonObject,
    JsonSchema {
        name: String,
        schema: Value,
        strict: Option<bool>,
    },
}

/// Whether the model shall think first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    #[default]
    Unsaid,
    Off,
    /// As much as the model finds right.
    On,
    /// At most so many tokens.
    Budget(u64),
}

/// The name of a schema where the client's dialect gives it none.
pub(super) const SCHEMA_NAME: &str = "answer";

/// Why a body cannot be taken: which field, what, how to fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadAsk {
    /// As a path, `messages[2].content`.
    pub field: Option<String>,
    pub message: String,
}

impl BadAsk {
    pub(super) fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), message: message.into() }
    }
}

impl Turn {
    pub(super) fn user(parts: Vec<Part>) -> Self {
        Self { role: Role::User, parts }
    }

    pub(super) fn assistant(parts: Vec<Part>) -> Self {
        Self { role: Role::Assistant, parts }
    }
}

impl Part {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

impl Image {
    /// A web address, or a `data:` URL with base64 in it.
    pub(super) fn of_url(url: &str) -> Result<Self, &'static str> {
        let Some(data) = url.strip_prefix("data:") else { return Ok(Self::Url(url.to_owned())) };
        let (head, base64) = data.split_once(',').ok_or("a data: URL needs a comma before its data")?;
        let media_type = head.strip_suffix(";base64").ok_or("a data: URL must be base64")?;
        Ok(Self::Data { media_type: media_type.to_owned(), base64: base64.to_owned() })
    }

    /// Base64 whose type nobody said; its first bytes tell.
    pub(super) fn of_base64(base64: &str) -> Self {
        let signs = [
            ("iVBORw0KGgo", "image/png"),
            ("/9j/", "image/jpeg"),
            ("R0lGOD", "image/gif"),
            ("UklGR", "image/webp"),
        ];
        let known = signs.iter().find(|(sign, _)| base64.starts_with(sign));
        let media_type = known.map_or("application/octet-stream", |(_, media_type)| media_type);
        Self::Data { media_type: media_type.to_owned(), base64: base64.to_owned() }
    }

    pub(super) fn to_url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Data { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
        }
    }
}

impl Ask {
    /// Tokens at four bytes each: what the providers' own rule of thumb says for English.
    pub fn estimated_tokens(&self) -> u64 {
        fn bytes(part: &Part) -> usize {
            match part {
                Part::Text(text) | Part::Reasoning { text, .. } | Part::Redacted(text) => text.len(),
                Part::ToolUse { name, arguments, .. } => name.len() + arguments.to_string().len(),
                Part::ToolResult { parts, .. } => parts.iter().map(bytes).sum(),
                // About what a page of a picture costs where it is billed by size.
                Part::Image(_) => 4 * 1600,
                Part::Native(native) => native.value.to_string().len(),
            }
        }
        let said: usize = self.turns.iter().flat_map(|turn| &turn.parts).map(bytes).sum();
        let system: usize = self.system.iter().map(String::len).sum();
        let tools = self.tools.iter().map(|tool| {
            tool.name.len()
                + tool.description.as_ref().map_or(0, String::len)
                + tool.parameters.to_string().len()
        });
        ((said + system + tools.sum::<usize>()) as u64).div_ceil(4).max(1)
    }

    /// Adds to the last turn if that role spoke last, else begins a turn.
    pub(super) fn push(&mut self, role: Role, parts: Vec<Part>) {
        push_turn(&mut self.turns, role, parts);
    }

    /// The turns with neighbours of one role made one, as some dialects want them.
    pub fn merged_turns(&self) -> Vec<Turn> {
        let mut merged = Vec::new();
        for turn in &self.turns {
            push_turn(&mut merged, turn.role, turn.parts.clone());
        }
        merged
    }

    /// The name of the tool that a result is of.
    pub(super) fn tool_name(&self, call_id: &str) -> Option<&str> {
        self.turns.iter().flat_map(|turn| &turn.parts).find_map(|part| match part {
            Part::ToolUse { id, name, .. } if id == call_id => Some(name.as_str()),
            _ => None,
        })
    }
}

fn push_turn(turns: &mut Vec<Turn>, role: Role, parts: Vec<Part>) {
    match turns.last_mut() {
        Some(last) if last.role == role => last.parts.extend(parts),
        _ => turns.push(Turn { role, parts }),
    }
}

/// Arguments out of the text that carries them: an object, or the text itself if it holds none. No text at all is how
/// models call without arguments.
pub(super) fn arguments_of(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(map) => Value::Object(map),
        Err(_) => Value::String(text.to_owned()),
    }
}

/// The text for arguments: the way back of [`arguments_of`].
pub(super) fn arguments_text(arguments: &Value) -> String {
    match arguments {
        Value::String(text) => text.clone(),
        arguments => arguments.to_string(),
    }
}

/// A schema that takes no arguments, for tools that name none.
pub(super) fn no_parameters() -> Value {
    serde_json::json!({"type": "object", "properties": {}})
}
