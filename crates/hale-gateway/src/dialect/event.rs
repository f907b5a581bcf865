//! What a model says, piece by piece, whatever dialect carried it.
//!
//! Guarantees: pieces stand in the order in which they came; tool calls are numbered from zero in the order of their
//! starts; a [`Usage`] replaces the one before it and may follow the [`Stop`].
//! Leaves to others: reading streams ([`super::reader`]) and writing them ([`super::writer`]).
//! Read next: [`super::answer`].

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Start {
        id: Option<String>,
        model: Option<String>,
    },
    Text(String),
    Reasoning(String),
    /// Ends the reasoning before it: with this, its provider takes it back in a later turn.
    ReasoningSignature(String),
    /// Reasoning that only its provider can read.
    Redacted(String),
    Refusal(String),
    ToolStart {
        index: usize,
        id: String,
        name: String,
    },
    /// The next piece of the arguments. A call without any piece has no arguments.
    ToolArguments {
        index: usize,
        json: String,
    },
    Usage(Usage),
    Stop(Stop),
    Error {
        status: Option<u16>,
        kind: String,
        message: String,
    },
}

/// Tokens, all input counted: what was read from a cache is a part of `input_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_input_tokens: Option<u64>,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    End,
    Length,
    ToolUse,
    /// One of the client's stop sequences, if the provider says which.
    StopSequence(Option<String>),
    ContentFilter,
    Refusal,
    Other(String),
}

impl Stop {
    /// Some servers say `stop` though they call tools, and some the other way round: what came tells it.
    pub(super) fn after_calls(self, calls: usize) -> Self {
        match self {
            Self::End if calls > 0 => Self::ToolUse,
            Self::ToolUse if calls == 0 => Self::End,
            stop => stop,
        }
    }
}
