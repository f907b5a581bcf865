//! The dialects that clients and providers speak, and the way from each to each.
//!
//! Guarantees: pure functions over bytes and values, without IO, clock or randomness; what a target cannot say is
//! dropped by name or refused, never guessed; text, tool calls, stop reasons and usage survive every way that can
//! say them.
//! Leaves to others: HTTP and time; and it keeps only what dialects have in common, so that a body for a provider of
//! the client's own dialect had better go through [`Dialect::pass`].
//! Read next: [`ask`], what is asked; [`event`], what is answered.

pub mod ask;
pub mod event;
pub mod reader;
pub mod writer;
pub mod trouble;
mod answer;
mod pass;
mod fields;
mod frame;
mod openai_chat;
mod openai_responses;
mod anthropic;
mod ollama;

use ask::{Ask, BadAsk};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `/v1/chat/completions`
    OpenAiChat,
    /// `/v1/responses`
    OpenAiResponses,
    /// `/v1/messages`
    Anthropic,
    /// `/api/chat`
    OllamaChat,
    /// `/api/generate`
    OllamaGenerate,
}

/// The versions of the Anthropic dialect; the others have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    #[default]
    V2023_06_01,
    /// Refuses sampling fields, documents of the assistant, and citations of the user.
    V2026_10_21,
}

impl Version {
    /// What the header `anthropic-version` names.
    pub fn of(header: &str) -> Option<Self> {
        match header.trim() {
            "2023-06-01" => Some(Self::V2023_06_01),
            "2026-10-21" => Some(Self::V2026_10_21),
            _ => None,
        }
    }

    pub fn header(self) -> &'static str {
        match self {
            Self::V2023_06_01 => "2023-06-01",
            Self::V2026_10_21 => "2026-10-21",
        }
    }
}

/// A body for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub body: Vec<u8>,
    /// What the target cannot say, by the names of the fields of [`Ask`].
    pub dropped: Vec<&'static str>,
}

/// What an answer needs besides its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub id: String,
    pub model: String,
    /// Seconds since 1970.
    pub created_s: i64,
    /// Whether an OpenAI chat stream ends with a chunk of usage.
    pub include_usage: bool,
}

impl Dialect {
    /// Understands a client's body.
    ///
    /// # Errors
    /// [`BadAsk`] with the field, what is wrong and how to mend it.
    pub fn read(self, body: &[u8], version: Version) -> Result<Ask, BadAsk> {
        let value = fields::parse(body)?;
        match self {
            Self::OpenAiChat => openai_chat::asked::read(&value),
            Self::OpenAiResponses => openai_responses::asked::read(&value),
            Self::Anthropic => anthropic::asked::read(&value, version),
            Self::OllamaChat => ollama::asked::read_chat(&value),
            Self::OllamaGenerate => ollama::asked::read_generate(&value),
        }
    }

    /// The body for a provider of this dialect, with the name that it has for the model.
    ///
    /// # Errors
    /// [`BadAsk`] if this dialect cannot say it and leaving it out would change the meaning.
    pub fn write(self, ask: &Ask, model: &str, version: Version) -> Result<Written, BadAsk> {
        if ask.turns.is_empty() && ask.system.is_empty() {
            return Err(BadAsk::at("messages", "hold nothing to answer: send at least one"));
        }
        let mut dropped = Vec::new();
        let value = match self {
            Self::OpenAiChat => openai_chat::asking::write(ask, model, &mut dropped)?,
            Self::Anthropic => anthropic::asking::write(ask, (model, version), &mut dropped)?,
            Self::OllamaChat => ollama::asking::write(ask, model, &mut dropped)?,
            Self::OpenAiResponses | Self::OllamaGenerate => {
                let message =
                    "no provider is called in this dialect; use openai chat, anthropic or ollama chat";
                return Err(BadAsk { field: None, message: message.to_owned() });
            }
        };
        Ok(Written { body: value.to_string().into_bytes(), dropped })
    }

    /// The content type of a stream.
    pub fn stream_type(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::Anthropic => "text/event-stream",
            Self::OllamaChat | Self::OllamaGenerate => "application/x-ndjson",
        }
    }
}
