//! The pieces of an agent's answer, out of a stream in any dialect.
//!
//! Read next: [`crate::dialect::reader`].

use crate::dialect::Dialect;
use crate::dialect::event::{Event, Stop};
use crate::dialect::reader::Reader;
use crate::openai::assembly::Flaw;
use crate::provider::{Chunk, Counted, Finish, OnChunk, ToolCall, Usage};
use crate::sse::Splitter;
use serde_json::{Value, json};

/// One event or line; whole tool calls may come in one.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// As that of [`crate::openai`]: several times the longest context in use.
const STREAM_BYTES_MAX: usize = 16 << 20;

/// One answer.
#[derive(Default)]
pub(super) struct Heard {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub finish: Finish,
    pub usage: Option<Usage>,
    pub model: Option<String>,
}

/// An answer that is being heard.
pub(super) struct Hearing<'a> {
    cut: Cut,
    reader: Reader,
    on_chunk: OnChunk<'a>,
    bytes: usize,
    heard: Heard,
    /// The arguments of each tool call, as text.
    arguments: Vec<String>,
}

/// How the bytes are cut.
enum Cut {
    Events(Splitter),
    Lines(Vec<u8>),
}

impl<'a> Hearing<'a> {
    pub(super) fn new(dialect: Dialect, on_chunk: OnChunk<'a>) -> Self {
        let cut = match dialect {
            Dialect::OllamaChat | Dialect::OllamaGenerate => Cut::Lines(Vec::new()),
            _ => Cut::Events(Splitter::new(EVENT_BYTES_MAX)),
        };
        Self {
            cut,
            reader: Reader::of(dialect),
            on_chunk,
            bytes: 0,
            heard: Heard::default(),
            arguments: Vec::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }

    /// # Errors
    /// What is no answer, or too long for one.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        self.bytes += bytes.len();
        let mut pieces = Vec::new();
        let fits = match &mut self.cut {
            Cut::Events(splitter) => {
                splitter.push(bytes, |event| pieces.push((event.name, event.data))).is_ok()
            }
            Cut::Lines(held) => {
                held.extend_from_slice(bytes);
                while let Some(end) = memchr::memchr(b'\n', held) {
                    pieces.push((Vec::new(), held.drain(..=end).collect()));
                }
                held.len() <= EVENT_BYTES_MAX
            }
        };
        if !fits || self.bytes > STREAM_BYTES_MAX {
            return Err(Flaw::Unreadable("it is longer than any answer".to_owned()));
        }
        pieces.iter().try_for_each(|(name, data)| self.take(name, data))
    }

    /// The stream is over; its last event may lack its end.
    pub(super) fn end(&mut self) {
        let last = match std::mem::replace(&mut self.cut, Cut::Lines(Vec::new())) {
            Cut::Events(splitter) => splitter.finish().map(|event| (event.name, event.data)),
            Cut::Lines(held) => (!held.is_empty()).then_some((Vec::new(), held)),
        };
        if let Some((name, data)) = last {
            // If it is no whole event either, the stream was cut there.
            let _ = self.take(&name, &data);
        }
    }

    fn take(&mut self, name: &[u8], data: &[u8]) -> Result<(), Flaw> {
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let data = String::from_utf8_lossy(data);
        let events = self.reader.event(name, &data).map_err(|source| Flaw::Unreadable(source.to_string()))?;
        events.into_iter().try_for_each(|event| self.event(event))
    }

    fn event(&mut self, event: Event) -> Result<(), Flaw> {
        match event {
            Event::Start { model, .. } => self.heard.model = model,
            Event::Text(text) | Event::Refusal(text) => {
                (self.on_chunk)(Chunk::Text(&text));
                self.heard.text.push_str(&text);
            }
            Event::ToolStart { id, name, .. } => {
                self.heard.tool_calls.push(ToolCall { id, name, arguments: Value::Null });
                self.arguments.push(String::new());
            }
            Event::ToolArguments { index, json } => {
                if let Some(arguments) = self.arguments.get_mut(index) {
                    arguments.push_str(&json);
                }
            }
            Event::Usage(usage) => {
                self.heard.usage = Some(Usage {
                    input_tokens: usage.input_tokens,
                    output_tokens: usage.output_tokens,
                    counted: Counted::Provider,
                });
            }
            Event::Stop(stop) => self.heard.finish = finish(&stop),
            Event::Error { status, kind, message } => {
                let code = status.map_or(json!(kind), |status| json!(status));
                return Err(Flaw::Reported(json!({ "code": code, "message": message })));
            }
            Event::Reasoning(_) | Event::ReasoningSignature(_) | Event::Redacted(_) => {}
        }
        Ok(())
    }

    /// # Errors
    /// The answer did not come to its end, or arguments that are no JSON.
    pub(super) fn answer(self) -> Result<Heard, Flaw> {
        if !self.reader.is_whole() {
            return Err(Flaw::Unfinished);
        }
        let mut heard = self.heard;
        for (call, text) in heard.tool_calls.iter_mut().zip(self.arguments) {
            let text = if text.trim().is_empty() { "{}" } else { text.as_str() };
            call.arguments = serde_json::from_str(text)
                .map_err(|source| Flaw::Arguments { name: call.name.clone(), source })?;
        }
        if !heard.tool_calls.is_empty() && heard.finish == Finish::Stop {
            heard.finish = Finish::ToolCalls;
        }
        Ok(heard)
    }
}

fn finish(stop: &Stop) -> Finish {
    match stop {
        Stop::Length => Finish::Length,
        Stop::ToolUse => Finish::ToolCalls,
        Stop::ContentFilter | Stop::Refusal => Finish::ContentFilter,
        Stop::End | Stop::StopSequence(_) | Stop::Other(_) => Finish::Stop,
    }
}
