//! A provider's stream in another dialect than the client's: its bytes in, the client's events out.
//!
//! Guarantees: the client sees a stream of its own dialect only, with its own kind of end; what the provider reports as
//! an error is ours to judge, not passed on as text.
//! Leaves to others: time and connection ([`super::stream`]), what the events mean ([`crate::dialect`]).
//! Read next: [`crate::dialect::reader`].

use crate::dialect::event::Event;
use crate::dialect::reader::Reader;
use crate::dialect::trouble::Trouble;
use crate::dialect::writer::{self, Writer};
use crate::dialect::{About, Dialect};
use crate::openai::assembly::Flaw;
use crate::provider::{Counted, Usage};
use crate::sse::Splitter;
use bytes::Bytes;
use serde_json::json;

/// One event or line; whole tool calls and images may come in one.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// See the module.
pub(crate) struct Translated {
    source: Source,
    reader: Reader,
    writer: Writer,
    dialect: Dialect,
    about: About,
    /// What came, for an answer that is told whole.
    events: Option<Vec<Event>>,
    pub usage: Option<Usage>,
    /// Something that a client would notice came.
    pub began: bool,
}

/// How the provider's bytes are cut.
enum Source {
    Events(Splitter),
    Lines(Vec<u8>),
}

/// Whether the client wants the answer piece by piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    Pieces,
    Whole,
}

impl Translated {
    pub(crate) fn new((from, to): (Dialect, Dialect), about: About, telling: Telling) -> Self {
        let source = match from {
            Dialect::OllamaChat | Dialect::OllamaGenerate => Source::Lines(Vec::new()),
            _ => Source::Events(Splitter::new(EVENT_BYTES_MAX)),
        };
        Self {
            source,
            reader: Reader::of(from).with_call_ids(&format!("call_{}", about.id)),
            writer: Writer::new(to, about.clone()),
            dialect: to,
            about,
            events: (telling == Telling::Whole).then(Vec::new),
            usage: None,
            began: false,
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.reader.is_done()
    }

    /// Takes bytes; answers what they add to the client's stream, and what is wrong with what came after that.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> (Bytes, Option<Flaw>) {
        let (mut pieces, mut flaw) = (Vec::new(), None);
        match &mut self.source {
            Source::Events(splitter) => {
                if splitter.push(bytes, |event| pieces.push((event.name, event.data))).is_err() {
                    flaw = Some(Flaw::Unfinished);
                }
            }
            Source::Lines(held) => {
                held.extend_from_slice(bytes);
                while let Some(end) = memchr::memchr(b'\n', held) {
                    let line: Vec<u8> = held.drain(..=end).collect();
                    pieces.push((Vec::new(), line));
                }
                if held.len() > EVENT_BYTES_MAX {
                    flaw = Some(Flaw::Unfinished);
                }
            }
        }
        let mut out = Vec::new();
        for (name, data) in pieces {
            if let Err(found) = self.take(&name, &data, &mut out) {
                return (out.into(), Some(found));
            }
        }
        (out.into(), flaw)
    }

    fn take(&mut self, name: &[u8], data: &[u8], out: &mut Vec<u8>) -> Result<(), Flaw> {
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let data = String::from_utf8_lossy(data);
        let events = self.reader.event(name, &data).map_err(|source| Flaw::Unreadable(source.to_string()))?;
        for event in events {
            self.note(&event)?;
            match &mut self.events {
                Some(events) => events.push(event),
                None => self.writer.event(&event, out),
            }
        }
        Ok(())
    }

    /// Takes a whole answer in place of a stream.
    pub(crate) fn whole(&mut self, events: Vec<Event>) -> Result<Bytes, Flaw> {
        let mut out = Vec::new();
        for event in events {
            self.note(&event)?;
            match &mut self.events {
                Some(events) => events.push(event),
                None => self.writer.event(&event, &mut out),
            }
        }
        self.writer.finish(&mut out);
        Ok(out.into())
    }

    fn note(&mut self, event: &Event) -> Result<(), Flaw> {
        match event {
            Event::Error { status, kind, message } => {
                let code = status.map_or(json!(kind), |status| json!(status));
                return Err(Flaw::Reported(json!({ "code": code, "message": message })));
            }
            Event::Usage(usage) => {
                self.usage = Some(Usage {
                    input_tokens: usage.input_tokens,
                    output_tokens: usage.output_tokens,
                    counted: Counted::Provider,
                });
            }
            Event::Start { .. } => {}
            _ => self.began = true,
        }
        Ok(())
    }

    /// The provider's stream is over.
    ///
    /// # Errors
    /// It did not come to its end.
    pub(crate) fn finish(&mut self) -> Result<Bytes, Flaw> {
        let last = match std::mem::replace(&mut self.source, Source::Lines(Vec::new())) {
            Source::Events(splitter) => splitter.finish().map(|event| (event.name, event.data)),
            Source::Lines(held) => (!held.is_empty()).then_some((Vec::new(), held)),
        };
        let mut out = Vec::new();
        if let Some((name, data)) = last {
            // One that was cut in the middle says nothing.
            let _ = self.take(&name, &data, &mut out);
        }
        if !self.reader.is_whole() {
            return Err(Flaw::Unfinished);
        }
        if self.events.is_none() {
            self.writer.finish(&mut out);
        }
        Ok(out.into())
    }

    /// The answer that was told whole.
    ///
    /// # Errors
    /// What came cannot be said in the client's dialect.
    pub(crate) fn told(&self) -> Result<Bytes, Flaw> {
        let events = self.events.as_deref().unwrap_or_default();
        if let Some(Event::Error { message, .. }) = writer::flaw(self.dialect, events) {
            return Err(Flaw::Unreadable(message));
        }
        Ok(writer::write_whole(self.dialect, &self.about, events).into())
    }

    /// The client's stream ends with what went wrong.
    pub(crate) fn fail(&mut self, trouble: &Trouble<'_>) -> Bytes {
        let mut out = Vec::new();
        self.writer.fail(trouble, &mut out);
        out.into()
    }
}
