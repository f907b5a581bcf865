//! Writes a stream for a client in its dialect.
//!
//! Guarantees: bytes come out exactly as they go on the wire; a stream ends well only if the model said why it
//! stopped and the dialect can say what it said, else its end is the dialect's error event and nothing follows it.
//! Leaves to others: sending the bytes, and keep-alives.
//! Read next: [`super::openai_chat`], the simplest dialect.

use super::answer::Answer;
use super::event::Event;
use super::trouble::Trouble;
use super::{About, Dialect, anthropic, ollama, openai_chat, openai_responses};

#[derive(Debug)]
pub struct Writer {
    dialect: Dialect,
    way: Way,
    told: Told,
    ended: bool,
}

/// How each dialect streams.
#[derive(Debug)]
enum Way {
    Chat(openai_chat::writing::Stream),
    Responses(openai_responses::writing::Stream),
    Anthropic(anthropic::writing::Stream),
    Ollama,
}

/// What there is to tell: about the answer, and its pieces so far.
#[derive(Debug)]
pub(super) struct Told {
    pub about: About,
    pub answer: Answer,
}

impl Writer {
    pub fn new(dialect: Dialect, about: About) -> Self {
        let way = match dialect {
            Dialect::OpenAiChat => Way::Chat(openai_chat::writing::Stream::default()),
            Dialect::OpenAiResponses => Way::Responses(openai_responses::writing::Stream::default()),
            Dialect::Anthropic => Way::Anthropic(anthropic::writing::Stream::default()),
            Dialect::OllamaChat | Dialect::OllamaGenerate => Way::Ollama,
        };
        Self { dialect, way, told: Told { about, answer: Answer::default() }, ended: false }
    }

    /// Writes what this event adds to the stream; an error ends it.
    pub fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        if let Some(trouble) = Trouble::of(event) {
            return self.fail(&trouble, out);
        }
        self.told.answer.take(event);
        match &mut self.way {
            Way::Chat(stream) => stream.event(&self.told, event, out),
            Way::Responses(stream) => stream.event(&self.told, event, out),
            Way::Anthropic(stream) => stream.event(&self.told, event, out),
            Way::Ollama => ollama::writing::event(self.dialect, &self.told, event, out),
        }
    }

    /// Ends the stream: well, or with the reason why this is no whole answer.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        let flaw = self.told.answer.flaw(self.dialect);
        if let Some(trouble) = flaw.as_ref().and_then(Trouble::of) {
            return self.fail(&trouble, out);
        }
        self.ended = true;
        match &mut self.way {
            Way::Chat(stream) => stream.finish(&self.told, out),
            Way::Responses(stream) => stream.finish(&self.told, out),
            Way::Anthropic(stream) => stream.finish(&self.told, out),
            Way::Ollama => ollama::writing::finish(self.dialect, &self.told, out),
        }
    }

    /// Ends the stream with an error event.
    pub fn fail(&mut self, trouble: &Trouble<'_>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match &mut self.way {
            Way::Responses(stream) => stream.fail(&self.told, trouble, out),
            _ => out.extend(self.dialect.error_event(trouble)),
        }
    }

    /// Whether the stream has its end.
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}

/// Why these events are no whole answer in that dialect, as an [`Event::Error`]; None if [`write_whole`] has one.
pub fn flaw(dialect: Dialect, events: &[Event]) -> Option<Event> {
    Answer::of(events).flaw(dialect)
}

/// The whole answer; the dialect's error body if [`flaw`] finds one.
pub fn write_whole(dialect: Dialect, about: &About, events: &[Event]) -> Vec<u8> {
    let answer = Answer::of(events);
    let flaw = answer.flaw(dialect);
    if let Some(trouble) = flaw.as_ref().and_then(Trouble::of) {
        return dialect.error_body(&trouble);
    }
    let value = match dialect {
        Dialect::OpenAiChat => openai_chat::writing::whole(about, &answer),
        Dialect::OpenAiResponses => openai_responses::writing::whole(about, &answer),
        Dialect::Anthropic => anthropic::writing::whole(about, &answer),
        Dialect::OllamaChat | Dialect::OllamaGenerate => ollama::writing::whole(dialect, about, &answer),
    };
    value.to_string().into_bytes()
}
