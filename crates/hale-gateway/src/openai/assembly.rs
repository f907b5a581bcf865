//! One answer, put together from the pieces of a stream.
//!
//! Guarantees: text is passed on as it arrives; tool calls are whole and their arguments valid JSON, or the answer is
//! an error; an answer counts as whole only if the server said why it stopped or that it was done; bounds on the
//! number of tool calls and on the size of their arguments hold while they grow.
//! Leaves to others: bytes and time ([`super`]), the words of refusals ([`super::refusal`]).
//! Read next: [`super::wire`].

use super::wire::{CallDelta, Choice, Part, Tokens};
use crate::error::Source;
use crate::provider::{Chunk, Counted, Finish, OnChunk, ToolCall, Usage};
use serde_json::Value;

/// OpenAI's own limit on tools is 128: no honest answer calls more at once.
const TOOL_CALLS_MAX: usize = 128;
/// A file of a megabyte as an argument is more than any model writes in one answer.
const ARGUMENTS_BYTES_MAX: usize = 1024 * 1024;

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("parse {part} as an answer")]
    Json { part: String, source: serde_json::Error },
    #[error("parse the arguments of tool call {name} as JSON")]
    Arguments { name: String, source: serde_json::Error },
    #[error("take the tool calls of the answer: {what} is more than {max}")]
    TooMuch { what: &'static str, max: usize },
    #[error("take a tool call without a name")]
    Nameless,
    /// The server reports an error in the middle of its answer.
    #[error("the server reports an error in its answer")]
    Reported(Value),
    #[error("the answer ends without a reason to stop")]
    Unfinished,
    /// What a translation made of it.
    #[error("{0}")]
    Unreadable(String),
}

impl Flaw {
    pub(crate) fn source(self) -> Source {
        Box::new(self)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Assembly {
    text: String,
    calls: Vec<Growing>,
    finish: Option<Finish>,
    usage: Option<Tokens>,
    model: Option<String>,
    done: bool,
}

#[derive(Debug, Default)]
struct Growing {
    index: Option<usize>,
    id: String,
    name: String,
    arguments: String,
}

/// The answer, whole.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub finish: Finish,
    pub usage: Option<Usage>,
    pub model: Option<String>,
}

impl Assembly {
    /// Takes the data of one event.
    pub(crate) fn take(&mut self, data: &[u8], on_chunk: OnChunk<'_>) -> Result<(), Flaw> {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let part: Part = serde_json::from_slice(data)
            .map_err(|source| Flaw::Json { part: super::refusal::excerpt(data), source })?;
        if let Some(error) = part.error.filter(|error| !error.is_null()) {
            return Err(Flaw::Reported(error));
        }
        self.usage = part.usage.or(self.usage);
        self.model = self.model.take().or(part.model.filter(|model| !model.is_empty()));
        // We ask for one choice; a server that sends more is heard on its first.
        match part.choices.unwrap_or_default().into_iter().next() {
            Some(choice) => self.choose(choice, on_chunk),
            None => Ok(()),
        }
    }

    /// Whether the server said that nothing more will come.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the answer is whole, though usage may still be on its way.
    pub(crate) fn is_whole(&self) -> bool {
        self.done || self.finish.is_some()
    }

    fn choose(&mut self, choice: Choice, on_chunk: OnChunk<'_>) -> Result<(), Flaw> {
        if let Some(delta) = choice.delta {
            for piece in
                [delta.content, delta.refusal].into_iter().flatten().filter(|piece| !piece.is_empty())
            {
                on_chunk(Chunk::Text(&piece));
                self.text.push_str(&piece);
            }
            for (place, call) in delta.tool_calls.unwrap_or_default().into_iter().enumerate() {
                self.grow(call, place)?;
            }
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.finish = Some(match reason.as_str() {
                "tool_calls" | "function_call" => Finish::ToolCalls,
                "length" => Finish::Length,
                "content_filter" => Finish::ContentFilter,
                _ => Finish::Stop,
            });
        }
        Ok(())
    }

    /// Deltas are matched by index; a server that sends none sends whole calls, each with an id of its own.
    fn grow(&mut self, delta: CallDelta, place: usize) -> Result<(), Flaw> {
        let known = match (delta.index, &delta.id) {
            (Some(index), _) => self.calls.iter().position(|call| call.index == Some(index)),
            (None, Some(id)) => self.calls.iter().position(|call| call.id == *id),
            (None, None) => (place < self.calls.len()).then_some(place),
        };
        if known.is_none() {
            if self.calls.len() == TOOL_CALLS_MAX {
                return Err(Flaw::TooMuch { what: "their number", max: TOOL_CALLS_MAX });
            }
            self.calls.push(Growing { index: delta.index, ..Growing::default() });
        }
        let at = known.unwrap_or(self.calls.len() - 1);
        let call = &mut self.calls[at];
        if let Some(id) = delta.id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        let Some(function) = delta.function else { return Ok(()) };
        if let Some(name) = function.name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        let piece = function.arguments.unwrap_or_default();
        if call.arguments.len() + piece.len() > ARGUMENTS_BYTES_MAX {
            return Err(Flaw::TooMuch { what: "the length of the arguments", max: ARGUMENTS_BYTES_MAX });
        }
        call.arguments.push_str(&piece);
        Ok(())
    }

    /// The stream is over.
    pub(crate) fn finish(self) -> Result<Assembled, Flaw> {
        let whole = self.is_whole();
        if !whole {
            return Err(Flaw::Unfinished);
        }
        // Without a reason, what came tells it; and some servers say `stop` though they call tools.
        let finish = match self.finish {
            None | Some(Finish::Stop | Finish::ToolCalls) if !self.calls.is_empty() => Finish::ToolCalls,
            None | Some(Finish::ToolCalls) => Finish::Stop,
            Some(finish) => finish,
        };
        // An answer that was cut off at its limit may end in the middle of a call: what is not whole is dropped,
        // and `length` says that the answer is not.
        let mut calls = self.calls;
        if finish == Finish::Length {
            calls.retain(|call| serde_json::from_str::<Value>(&call.arguments).is_ok());
        }
        let tool_calls = calls.into_iter().enumerate().map(|(at, call)| call.whole(at));
        Ok(Assembled {
            text: self.text,
            tool_calls: tool_calls.collect::<Result<_, _>>()?,
            finish,
            usage: self.usage.map(|tokens| Usage {
                input_tokens: tokens.prompt_tokens.unwrap_or(0),
                output_tokens: tokens.completion_tokens.unwrap_or(0),
                counted: Counted::Provider,
            }),
            model: self.model,
        })
    }
}

impl Growing {
    fn whole(self, at: usize) -> Result<ToolCall, Flaw> {
        if self.name.is_empty() {
            return Err(Flaw::Nameless);
        }
        let text = if self.arguments.trim().is_empty() { "{}" } else { &self.arguments };
        let arguments = serde_json::from_str(text)
            .map_err(|source| Flaw::Arguments { name: self.name.clone(), source })?;
        let id = if self.id.is_empty() { format!("call_{at}") } else { self.id };
        Ok(ToolCall { id, name: self.name, arguments })
    }
}
