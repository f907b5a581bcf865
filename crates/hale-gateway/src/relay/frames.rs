//! A provider's stream in the client's own dialect: bytes in, whole events out, untouched.
//!
//! Guarantees: only whole events are let out, so that an event of ours never falls into one of theirs; what is let out
//! is byte for byte what came; an event beyond its bound is an error. An event that only tells the usage, which the
//! client did not ask for, is kept back.
//! Leaves to others: time and connection ([`super::stream`]).
//! Read next: [`super::stream`].

use crate::openai::assembly::Flaw;
use crate::openai::refusal;
use crate::provider::{Counted, Usage};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;

/// One event; whole tool calls may come in one.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Events that come and go as they are.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    rules: Rules,
    held: BytesMut,
    /// Bytes of `held` in which no event ends.
    scanned: usize,
    /// The client asked for the event with the usage.
    pub tells_usage: bool,
    pub usage: Option<Usage>,
    /// The model said why it stopped.
    pub is_whole: bool,
    /// The last event came.
    pub is_done: bool,
    /// Something that is not a comment was let out.
    pub began: bool,
}

/// Whose events they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rules {
    #[default]
    OpenAi,
    Anthropic,
}

/// What the rules need of an event of the Anthropic dialect.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    message: Option<Box<Named>>,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// What the rules need of an event.
#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Option<String>,
}

/// The usage of a chat answer or of an embedding.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Tokens {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: Option<u64>,
}

impl Tokens {
    /// Told in two places: what this one does not say stays as it was.
    fn after(self, before: Option<Usage>) -> Usage {
        let before = before.unwrap_or_default();
        Usage {
            input_tokens: self.prompt_tokens.unwrap_or(before.input_tokens),
            output_tokens: self.completion_tokens.unwrap_or(before.output_tokens),
            counted: Counted::Provider,
        }
    }

    pub(crate) fn usage(self) -> Usage {
        Usage {
            input_tokens: self.prompt_tokens.unwrap_or(0),
            output_tokens: self.completion_tokens.unwrap_or(0),
            counted: Counted::Provider,
        }
    }
}

impl Frames {
    pub(crate) fn new(rules: Rules, tells_usage: bool) -> Self {
        Self { rules, tells_usage, ..Self::default() }
    }

    /// Takes the next bytes and answers what may be let out, and what is wrong with the event after it: one that is
    /// none, reports an error, or is too long. After that no more is taken.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> (Bytes, Option<Flaw>) {
        self.held.extend_from_slice(bytes);
        let mut out = BytesMut::new();
        // A boundary may begin in what was looked at before.
        let mut from = self.scanned.saturating_sub(3);
        while let Some(end) = boundary(&self.held, from) {
            let event = self.held.split_to(end);
            from = 0;
            match self.keeps(&event) {
                Ok(true) if out.is_empty() => out = event,
                Ok(true) => out.unsplit(event),
                Ok(false) => {}
                Err(flaw) => return (out.freeze(), Some(flaw)),
            }
        }
        self.scanned = self.held.len();
        let flaw = (self.held.len() > EVENT_BYTES_MAX).then_some(Flaw::Unfinished);
        (out.freeze(), flaw)
    }

    /// The stream is over: the last event may lack its blank line, which it is given.
    ///
    /// # Errors
    /// The stream did not come to its end.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Flaw> {
        let mut last = std::mem::take(&mut self.held);
        let mut out = Bytes::new();
        if !last.is_empty() {
            let newline = if last.ends_with(b"\n") { &b"\n"[..] } else { &b"\n\n"[..] };
            last.extend_from_slice(newline);
            // One that was cut in the middle says nothing.
            if self.keeps(&last).unwrap_or(false) {
                out = last.freeze();
            }
        }
        if self.is_done {
            return Ok(out);
        }
        if !self.is_whole {
            return Err(Flaw::Unfinished);
        }
        // An end that the server left away is said for it.
        let end = match self.rules {
            Rules::OpenAi => &b"data: [DONE]\n\n"[..],
            Rules::Anthropic => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        };
        Ok([out.as_ref(), end].concat().into())
    }

    /// Whether this event is let out.
    fn keeps(&mut self, event: &[u8]) -> Result<bool, Flaw> {
        let Some(data) = data(event) else { return Ok(true) };
        match self.rules {
            Rules::OpenAi => self.keeps_of_openai(data),
            Rules::Anthropic => self.keeps_of_anthropic(data).map(|()| true),
        }
    }

    fn keeps_of_anthropic(&mut self, data: &[u8]) -> Result<(), Flaw> {
        let says = |word: &[u8]| memchr::memmem::find(data, word).is_some();
        if says(b"\"type\":\"content_block_delta\"") && is_braced(data) {
            self.began = true;
            return Ok(());
        }
        let event: Named = serde_json::from_slice(data)
            .map_err(|source| Flaw::Json { part: refusal::excerpt(data), source })?;
        match event.r#type.as_str() {
            "error" => return Err(Flaw::Reported(event.error.unwrap_or_default())),
            "message_stop" => self.is_done = true,
            "message_start" | "ping" => {}
            _ => self.began = true,
        }
        self.is_whole |= event.delta.is_some_and(|delta| delta.stop_reason.is_some());
        if let Some(tokens) = event.usage.or(event.message.and_then(|message| message.usage)) {
            self.usage = Some(tokens.after(self.usage));
        }
        Ok(())
    }

    fn keeps_of_openai(&mut self, data: &[u8]) -> Result<bool, Flaw> {
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(true);
        }
        self.began = true;
        let says = |word: &[u8]| memchr::memmem::find(data, word).is_some();
        let stops = says(b"\"finish_reason\"") && !says(b"\"finish_reason\":null");
        if !stops && !says(b"\"usage\"") && !says(b"\"error\"") && is_braced(data) {
            return Ok(true);
        }
        let part: Part = serde_json::from_slice(data)
            .map_err(|source| Flaw::Json { part: refusal::excerpt(data), source })?;
        if let Some(error) = part.error.filter(|error| !error.is_null()) {
            return Err(Flaw::Reported(error));
        }
        let choices = part.choices.unwrap_or_default();
        self.is_whole |= choices.iter().any(|choice| choice.finish_reason.is_some());
        if let Some(tokens) = part.usage {
            self.usage = Some(tokens.usage());
            return Ok(self.tells_usage || !choices.is_empty());
        }
        Ok(true)
    }
}

/// Whether it looks like a whole object: what is passed on without being read may not be a part of one.
fn is_braced(data: &[u8]) -> bool {
    data.first() == Some(&b'{') && data.last() == Some(&b'}')
}

/// Where the first event from here on ends, its blank line included.
fn boundary(held: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = memchr::memchr(b'\n', held.get(at..)?) {
        let next = at + found + 1;
        match held.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

/// The data of an event that has any; several lines of it are none of these dialects' and are taken as they stand.
fn data(event: &[u8]) -> Option<&[u8]> {
    event.split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.strip_prefix(b"data:")?;
        Some(value.trim_ascii())
    })
}
