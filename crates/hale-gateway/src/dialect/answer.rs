//! One answer, put together from its events.
//!
//! Guarantees: blocks stand in the order of their first pieces; tool calls keep their ids, names and the very text of
//! their arguments; an answer that a dialect cannot say is an error, never a guess.
//! Leaves to others: the JSON of each dialect.
//! Read next: [`super::writer`].

use super::Dialect;
use super::event::{Event, Stop, Usage};
use serde_json::{Map, Value};

#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub blocks: Vec<Block>,
    pub usage: Usage,
    pub stop: Option<Stop>,
    pub error: Option<Event>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Block {
    Text(String),
    Refusal(String),
    Reasoning { text: String, signature: Option<String> },
    Redacted(String),
    Call(Call),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub index: usize,
    pub id: String,
    pub name: String,
    pub json: String,
}

impl Call {
    /// The arguments, if they are whole; no text at all is an empty object.
    pub(super) fn arguments(&self) -> Option<Map<String, Value>> {
        if self.json.trim().is_empty() {
            return Some(Map::new());
        }
        serde_json::from_str(&self.json).ok()
    }

    /// Whether nothing can follow any more.
    pub(super) fn is_whole(&self) -> bool {
        !self.json.trim().is_empty() && self.arguments().is_some()
    }

    /// The arguments as text, which is never empty.
    pub(super) fn json_or_none(&self) -> &str {
        if self.json.trim().is_empty() { "{}" } else { &self.json }
    }
}

impl Answer {
    pub(super) fn of(events: &[Event]) -> Self {
        let mut answer = Self::default();
        events.iter().for_each(|event| answer.take(event));
        answer
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Start { .. } => {}
            Event::Text(piece) => match self.blocks.last_mut() {
                Some(Block::Text(text)) => text.push_str(piece),
                _ if piece.is_empty() => {}
                _ => self.blocks.push(Block::Text(piece.clone())),
            },
            Event::Refusal(piece) => match self.blocks.last_mut() {
                Some(Block::Refusal(text)) => text.push_str(piece),
                _ if piece.is_empty() => {}
                _ => self.blocks.push(Block::Refusal(piece.clone())),
            },
            Event::Reasoning(piece) => match self.blocks.last_mut() {
                // A signature ends its block.
                Some(Block::Reasoning { text, signature: None }) => text.push_str(piece),
                _ if piece.is_empty() => {}
                _ => self.blocks.push(Block::Reasoning { text: piece.clone(), signature: None }),
            },
            Event::ReasoningSignature(sign) => match self.blocks.last_mut() {
                Some(Block::Reasoning { signature: signature @ None, .. }) => *signature = Some(sign.clone()),
                _ => {
                    let (text, signature) = (String::new(), Some(sign.clone()));
                    self.blocks.push(Block::Reasoning { text, signature });
                }
            },
            Event::Redacted(data) => self.blocks.push(Block::Redacted(data.clone())),
            Event::ToolStart { index, id, name } => {
                let (id, name) = (id.clone(), name.clone());
                self.blocks.push(Block::Call(Call { index: *index, id, name, json: String::new() }));
            }
            Event::ToolArguments { index, json } => {
                if let Some(call) = self.call_mut(*index) {
                    call.json.push_str(json);
                }
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Stop(stop) => self.stop = Some(stop.clone()),
            Event::Error { .. } => self.error = Some(event.clone()),
        }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }

    pub(super) fn call(&self, index: usize) -> Option<&Call> {
        self.calls().find(|call| call.index == index)
    }

    fn call_mut(&mut self, index: usize) -> Option<&mut Call> {
        self.blocks.iter_mut().find_map(|block| match block {
            Block::Call(call) if call.index == index => Some(call),
            _ => None,
        })
    }

    /// All texts, one after the other.
    pub(super) fn text(&self) -> String {
        self.joined(|block| matches!(block, Block::Text(_)))
    }

    pub(super) fn refusal(&self) -> String {
        self.joined(|block| matches!(block, Block::Refusal(_)))
    }

    pub(super) fn reasoning(&self) -> String {
        self.joined(|block| matches!(block, Block::Reasoning { .. }))
    }

    /// Texts and refusals as they came, for dialects that know no difference.
    pub(super) fn words(&self) -> String {
        self.joined(|block| matches!(block, Block::Text(_) | Block::Refusal(_)))
    }

    fn joined(&self, which: impl Fn(&Block) -> bool) -> String {
        let texts = self.blocks.iter().filter(|block| which(block)).map(|block| match block {
            Block::Text(text) | Block::Refusal(text) | Block::Reasoning { text, .. } => text.as_str(),
            Block::Redacted(_) | Block::Call(_) => "",
        });
        texts.collect()
    }

    /// Why this cannot be told as an answer in that dialect, as an [`Event::Error`].
    pub(super) fn flaw(&self, dialect: Dialect) -> Option<Event> {
        if self.error.is_some() {
            return self.error.clone();
        }
        let Some(stop) = &self.stop else {
            return Some(error("stream_cut", "the answer of the model ended in the middle".to_owned()));
        };
        if dialect == Dialect::OllamaGenerate && self.calls().next().is_some() {
            let message = "the model calls a tool, which /api/generate cannot say; use /api/chat";
            return Some(error("malformed", message.to_owned()));
        }
        let needs_objects =
            matches!(dialect, Dialect::Anthropic | Dialect::OllamaChat | Dialect::OllamaGenerate);
        // At the limit of tokens a call may end anywhere; `length` says that the answer is not whole.
        if !needs_objects || *stop == Stop::Length {
            return None;
        }
        let broken = self.calls().find(|call| call.arguments().is_none())?;
        let message =
            format!("the arguments that the model wrote for tool {} are no JSON object", broken.name);
        Some(error("malformed", message))
    }
}

fn error(kind: &str, message: String) -> Event {
    Event::Error { status: Some(502), kind: kind.to_owned(), message }
}
