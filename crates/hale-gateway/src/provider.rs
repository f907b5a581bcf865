//! What is said to a model and what comes back, whatever dialect carries it.
//!
//! Guarantees: [`Message`] and [`ChatReply`] are plain data that read back from JSON as they were written, since the
//! engine journals them; a deadline is part of every request, so no call is unbounded.
//! Leaves to others: the wire ([`crate::openai`]), the choice of provider and fallback ([`crate::call`]).
//! Read next: [`crate::call`].

use crate::error::Error;
use crate::site::Site;
use hale_core::port::Boxed;
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    System {
        content: String,
    },
    User {
        content: String,
    },
    Assistant {
        content: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// The result of the tool call with this id.
    Tool {
        call_id: String,
        content: String,
    },
}

impl Message {
    pub fn system(content: impl Into<String>) -> Self {
        Self::System { content: content.into() }
    }

    pub fn user(content: impl Into<String>) -> Self {
        Self::User { content: content.into() }
    }

    pub fn tool(call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool { call_id: call_id.into(), content: content.into() }
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// On the wire only `[a-zA-Z0-9_-]`, at most 64 characters: `files_read`, not `files.read`.
    pub name: String,
    pub description: String,
    /// The JSON Schema of the arguments.
    pub parameters: Value,
}

/// A tool call that the model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// Always valid JSON; a reply whose arguments are not is [`Error::Garbled`].
    pub arguments: Value,
}

/// One question to a model.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// For a [`Provider`] the model's name at the provider; [`crate::Gateway::chat`] sets it from the route.
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f32>,
    pub seed: Option<u64>,
    /// The whole call, fallbacks included, ends by then.
    pub deadline: Instant,
    pub correlation_id: String,
    /// W3C trace context, passed on as it is.
    pub traceparent: Option<String>,
    /// The same for every try of one step, so that a provider that knows the header bills once.
    pub idempotency_key: String,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    #[default]
    Stop,
    ToolCalls,
    /// The limit of tokens was reached: the text is not whole.
    Length,
    /// The provider held back the rest.
    ContentFilter,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    #[serde(default)]
    pub counted: Counted,
}

/// Who counted the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    #[default]
    Provider,
    /// The provider sent no usage; a token is taken as four bytes.
    Estimate,
}

/// One whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    pub finish: Finish,
    pub usage: Usage,
    /// As the provider names it in its answer, without the provider's prefix.
    pub model: String,
    pub provider: String,
    pub latency: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_chunk: Option<Millis>,
}

impl ChatReply {
    /// The turn as it stands in the conversation that follows.
    pub fn message(&self) -> Message {
        Message::Assistant { content: self.text.clone(), tool_calls: self.tool_calls.clone() }
    }
}

/// What a listener hears while an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// The next piece of the answer's text.
    Text(&'a str),
    /// What was heard so far is void: this model begins anew. Sent only if text had been passed on.
    Restart { model: &'a str },
}

/// Hears chunks as they arrive; must return at once.
pub type OnChunk<'a> = &'a (dyn Fn(Chunk<'_>) + Send + Sync);

/// A listener that needs no chunks.
pub fn unheard(_: Chunk<'_>) {}

/// One place that answers for models.
pub trait Provider: Send + Sync {
    /// The prefix of its models: `openai` in `openai/gpt-5`.
    fn name(&self) -> &str;

    /// Where its key comes from now: `env`, `file`, `store`, or `none`.
    fn key_source(&self) -> &'static str {
        "none"
    }

    /// Where it is, if it is spoken to over HTTP: what calls of outside clients are passed on to.
    fn site(&self) -> Option<&Site> {
        None
    }

    /// One attempt, no retries.
    ///
    /// # Errors
    /// Every class of [`Error`]; whatever was heard before an error is void.
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        on_chunk: OnChunk<'a>,
    ) -> Boxed<'a, Result<ChatReply, Error>>;

    /// The names of its models: the cheap probe, which proves address and key and costs nothing.
    ///
    /// # Errors
    /// As [`Provider::chat`].
    fn models(&self, deadline: Instant) -> Boxed<'_, Result<Vec<String>, Error>>;
}
