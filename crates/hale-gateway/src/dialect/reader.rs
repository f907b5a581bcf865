//! Reads what a provider says, in its dialect, into events.
//!
//! Guarantees: fields that we do not know are skipped; tool calls are numbered in the order of their starts, each with
//! an id; an error that the provider reports is an event, and what cannot be read at all is an [`Unreadable`].
//! Leaves to others: bytes and time, and splitting a stream into events ([`crate::sse`]) or lines.
//! Read next: [`super::writer`].

use super::event::{Event, Stop};
use super::trouble::status_of;
use super::{Dialect, anthropic, ollama, openai_chat, openai_responses};
use serde_json::Value;

/// OpenAI's own limit on tools is 128: no honest answer calls more at once.
const TOOL_CALLS_MAX: usize = 128;

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("parse {part} as an answer")]
    Json { part: String, source: serde_json::Error },
    #[error("take the tool calls of the answer: they are more than {max}")]
    TooManyCalls { max: usize },
    #[error("take a tool call without a name")]
    Nameless,
    #[error("take {part} as an answer: {why}")]
    Shape { part: String, why: &'static str },
}

/// Reads a stream.
#[derive(Debug)]
pub struct Reader {
    way: Way,
    seen: Seen,
}

/// How each dialect streams.
#[derive(Debug)]
enum Way {
    Chat,
    Responses,
    Anthropic(anthropic::reading::Stream),
    Ollama,
}

/// What was seen of an answer so far.
#[derive(Debug)]
pub(super) struct Seen {
    pub started: bool,
    /// The reason to stop was said.
    pub stopped: bool,
    /// Nothing more will come.
    pub done: bool,
    pub calls: Calls,
}

impl Reader {
    pub fn of(dialect: Dialect) -> Self {
        let way = match dialect {
            Dialect::OpenAiChat => Way::Chat,
            Dialect::OpenAiResponses => Way::Responses,
            Dialect::Anthropic => Way::Anthropic(anthropic::reading::Stream::default()),
            Dialect::OllamaChat | Dialect::OllamaGenerate => Way::Ollama,
        };
        Self { way, seen: Seen::new() }
    }

    /// Calls that come without an id get `{stem}_0`, `{stem}_1`. A stem that differs from answer to answer keeps them
    /// apart in a long conversation.
    pub fn with_call_ids(mut self, stem: &str) -> Self {
        stem.clone_into(&mut self.seen.calls.stem);
        self
    }

    /// Takes the name and data of one server-sent event, or one line of JSON.
    ///
    /// # Errors
    /// [`Unreadable`]; the reader must not be used afterwards.
    pub fn event(&mut self, name: Option<&str>, data: &str) -> Result<Vec<Event>, Unreadable> {
        let data = data.trim();
        if data.is_empty() || self.seen.done || name == Some("ping") {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        if data == "[DONE]" {
            if !self.seen.started {
                return Err(shape(&Value::from(data), "nothing came before it"));
            }
            self.seen.end(&mut events);
            return Ok(events);
        }
        let value = parse(data.as_bytes())?;
        match &mut self.way {
            Way::Chat => openai_chat::reading::chunk(&value, &mut self.seen, &mut events)?,
            Way::Responses => openai_responses::reading::event(&value, &mut self.seen, &mut events)?,
            Way::Anthropic(stream) => stream.event(&value, &mut self.seen, &mut events)?,
            Way::Ollama => ollama::reading::line(&value, &mut self.seen, &mut events)?,
        }
        Ok(events)
    }

    /// Whether the provider said that nothing more will come.
    pub fn is_done(&self) -> bool {
        self.seen.done
    }

    /// Whether the answer is whole, though usage may still be on its way. A stream that ends before was cut.
    pub fn is_whole(&self) -> bool {
        self.seen.done || self.seen.stopped
    }
}

/// Reads a whole answer.
///
/// # Errors
/// [`Unreadable`] for what is no answer of that dialect.
pub fn read_whole(dialect: Dialect, body: &[u8]) -> Result<Vec<Event>, Unreadable> {
    let value = parse(body)?;
    let (mut seen, mut events) = (Seen::new(), Vec::new());
    match dialect {
        Dialect::OpenAiChat => openai_chat::reading::whole(&value, &mut seen, &mut events)?,
        Dialect::OpenAiResponses => openai_responses::reading::whole(&value, &mut seen, &mut events)?,
        Dialect::Anthropic => anthropic::reading::whole(&value, &mut seen, &mut events)?,
        Dialect::OllamaChat | Dialect::OllamaGenerate => {
            ollama::reading::line(&value, &mut seen, &mut events)?;
        }
    }
    if !seen.stopped && !seen.done {
        return Err(shape(&value, "it holds no answer"));
    }
    // A stream tells usage last, a whole answer has no order: the stop ends it.
    events.sort_by_key(|event| matches!(event, Event::Stop(_)));
    Ok(events)
}

fn parse(data: &[u8]) -> Result<Value, Unreadable> {
    serde_json::from_slice(data).map_err(|source| Unreadable::Json { part: excerpt(data), source })
}

fn excerpt(data: &[u8]) -> String {
    crate::openai::refusal::excerpt(data)
}

pub(super) fn shape(value: &Value, why: &'static str) -> Unreadable {
    Unreadable::Shape { part: excerpt(value.to_string().as_bytes()), why }
}

impl Seen {
    fn new() -> Self {
        let calls = Calls { stem: "call".to_owned(), known: Vec::new() };
        Self { started: false, stopped: false, done: false, calls }
    }

    /// Once: the answer begins.
    pub(super) fn start(&mut self, id: Option<&str>, model: Option<&str>, events: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
            events.push(Event::Start { id: text(id), model: text(model) });
        }
    }

    /// Once: the model stopped.
    pub(super) fn stop(&mut self, stop: Stop, events: &mut Vec<Event>) -> Result<(), Unreadable> {
        if self.calls.known.iter().any(|call| !call.started) {
            return Err(Unreadable::Nameless);
        }
        if !self.stopped {
            self.stopped = true;
            events.push(Event::Stop(stop.after_calls(self.calls.known.len())));
        }
        Ok(())
    }

    /// Nothing more will come. Without a reason to stop, what came tells it.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        self.done = true;
        if !self.stopped {
            self.stopped = true;
            events.push(Event::Stop(Stop::End.after_calls(self.calls.known.len())));
        }
    }

    /// The provider reports an error: text, or an object with a type or code and a message.
    pub(super) fn fail(&mut self, error: &Value, events: &mut Vec<Event>) {
        self.done = true;
        let text = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        // A code says more than a type.
        let (code, class) = (text("code"), text("type").filter(|kind| *kind != "error"));
        let kind = code.or(class).unwrap_or("server_error");
        let message = error.as_str().or(text("message")).unwrap_or("the provider gave no reason");
        let numbers = [error.get("code"), error.get("status")].into_iter().flatten();
        let status = numbers.filter_map(Value::as_u64).find(|status| (400..600).contains(status));
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.or_else(|| status_of(kind)).or_else(|| class.and_then(status_of));
        events.push(Event::Error { status, kind: kind.to_owned(), message: message.to_owned() });
    }
}

/// The tool calls of an answer, in the order of their starts.
#[derive(Debug)]
pub(super) struct Calls {
    stem: String,
    known: Vec<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// How the provider numbers it.
    key: Option<u64>,
    id: String,
    started: bool,
    /// Arguments that came before the name.
    held: String,
    has_arguments: bool,
}

/// A piece of a tool call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece<'a> {
    pub key: Option<u64>,
    /// Where it stands among the pieces that came with it.
    pub place: usize,
    pub id: Option<&'a str>,
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}

impl Calls {
    /// Pieces belong together by key. A server that sends none sends whole calls, each with an id of its own; and some
    /// give all calls one key, and a new id and name to each.
    pub(super) fn take(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) -> Result<(), Unreadable> {
        let id = piece.id.filter(|id| !id.is_empty());
        let name = piece.name.filter(|name| !name.is_empty());
        let other = |call: &Known| id.is_some_and(|id| id != call.id) && name.is_some() && call.started;
        let known = match (piece.key, id) {
            (Some(key), _) => self.known.iter().rposition(|call| call.key == Some(key) && !other(call)),
            (None, Some(id)) => self.known.iter().position(|call| call.id == id),
            (None, None) => (piece.place < self.known.len()).then_some(piece.place),
        };
        if known.is_none() && self.known.len() == TOOL_CALLS_MAX {
            return Err(Unreadable::TooManyCalls { max: TOOL_CALLS_MAX });
        }
        let index = known.unwrap_or(self.known.len());
        if known.is_none() {
            let id = id.map_or_else(|| format!("{}_{index}", self.stem), str::to_owned);
            self.known.push(Known { key: piece.key, id, ..Known::default() });
        }
        let call = &mut self.known[index];
        call.held.push_str(piece.arguments);
        if let Some(name) = name.filter(|_| !call.started) {
            call.started = true;
            events.push(Event::ToolStart { index, id: call.id.clone(), name: name.to_owned() });
        }
        if call.started && !call.held.is_empty() {
            call.has_arguments = true;
            events.push(Event::ToolArguments { index, json: std::mem::take(&mut call.held) });
        }
        Ok(())
    }

    pub(super) fn knows(&self, key: u64) -> bool {
        self.known.iter().any(|call| call.key == Some(key))
    }

    /// Whether a call with that key came without any arguments.
    pub(super) fn is_bare(&self, key: u64) -> bool {
        self.known.iter().any(|call| call.key == Some(key) && call.started && !call.has_arguments)
    }

    /// For providers that send whole calls.
    pub(super) fn next_key(&self) -> u64 {
        self.known.len() as u64
    }
}
