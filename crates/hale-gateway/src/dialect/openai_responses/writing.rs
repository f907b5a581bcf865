//! Answers for clients of the responses dialect.
//!
//! Guarantees: events are numbered without gaps; every item and part is added, told and done; the last event carries
//! the whole response, the same that a call without streaming gets.
//! Read next: [`crate::dialect::writer`].

use super::items::{Item, is_cut, items, response, stem};
use crate::dialect::About;
use crate::dialect::answer::{Answer, Block};
use crate::dialect::event::Event;
use crate::dialect::frame;
use crate::dialect::trouble::{Trouble, responses_error, responses_event};
use crate::dialect::writer::Told;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(in crate::dialect) struct Stream {
    has_begun: bool,
    sequence: u64,
    items: usize,
    open: Vec<Open>,
}

/// An item that is not done, by its place in the output.
#[derive(Clone, Copy, Debug)]
struct Open {
    at: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Message {
        part: usize,
        kind: Kind,
    },
    Reasoning,
    /// The call of this number.
    Call(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
}

impl Stream {
    pub(in crate::dialect) fn event(&mut self, told: &Told, event: &Event, out: &mut Vec<u8>) {
        self.begin(told, out);
        match event {
            Event::Text(text) if !text.is_empty() => {
                let (at, part) = self.words(told, Kind::Text, out);
                let event = json!({"type": "response.output_text.delta", "item_id": id(told, at), "output_index": at,
                    "content_index": part, "delta": text, "logprobs": []});
                self.emit(event, out);
            }
            Event::Refusal(text) if !text.is_empty() => {
                let (at, part) = self.words(told, Kind::Refusal, out);
                let event = json!({"type": "response.refusal.delta", "item_id": id(told, at), "output_index": at,
                    "content_index": part, "delta": text});
                self.emit(event, out);
            }
            Event::Reasoning(text) if !text.is_empty() => {
                let at = self.reasoning(told, out);
                let event = json!({"type": "response.reasoning_summary_text.delta", "item_id": id(told, at),
                    "output_index": at, "summary_index": 0, "delta": text});
                self.emit(event, out);
            }
            // These have no words here, but they end what stands before them.
            Event::ReasoningSignature(_) | Event::Redacted(_) => self.close_whole(told, out),
            Event::ToolStart { index, .. } => {
                self.close_whole(told, out);
                self.add(told, What::Call(*index), out);
            }
            Event::ToolArguments { index, json } => {
                let call = self.open.iter().find(|open| open.what == What::Call(*index)).copied();
                if let Some(Open { at, .. }) = call {
                    let event = json!({"type": "response.function_call_arguments.delta",
                        "item_id": id(told, at), "output_index": at, "delta": json});
                    self.emit(event, out);
                }
            }
            Event::Stop(_) => self.close(told, |_| true, out),
            _ => {}
        }
    }

    pub(in crate::dialect) fn finish(&mut self, told: &Told, out: &mut Vec<u8>) {
        let response = whole(&told.about, &told.answer);
        let kind =
            if response["status"] == "completed" { "response.completed" } else { "response.incomplete" };
        self.emit(json!({"type": kind, "response": response}), out);
    }

    /// The error as an event of its own, and the response as failed if the client saw it begin.
    pub(in crate::dialect) fn fail(&mut self, told: &Told, trouble: &Trouble<'_>, out: &mut Vec<u8>) {
        self.emit(responses_event(trouble, self.sequence), out);
        if self.has_begun {
            let mut response = response(&told.about, "failed", &told.answer);
            response["error"] = responses_error(trouble);
            self.emit(json!({"type": "response.failed", "response": response}), out);
        }
    }

    fn begin(&mut self, told: &Told, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            for kind in ["response.created", "response.in_progress"] {
                let response = response(&told.about, "in_progress", &Answer::default());
                self.emit(json!({"type": kind, "response": response}), out);
            }
        }
    }

    /// The open message and its open part of that kind, which are begun if there are none.
    fn words(&mut self, told: &Told, kind: Kind, out: &mut Vec<u8>) -> (usize, usize) {
        let message = |open: &Open| match open.what {
            What::Message { part, kind } => Some((open.at, part, kind)),
            _ => None,
        };
        let (at, part) = match self.open.iter().find_map(message) {
            Some((at, part, known)) if known == kind => return (at, part),
            Some((at, part, known)) => {
                self.end_part(told, (at, part, known), out);
                (at, part + 1)
            }
            None => {
                self.close_whole(told, out);
                (self.add(told, What::Message { part: 0, kind }, out), 0)
            }
        };
        for open in self.open.iter_mut().filter(|open| open.at == at) {
            open.what = What::Message { part, kind };
        }
        let event = json!({"type": "response.content_part.added", "item_id": id(told, at), "output_index": at,
            "content_index": part, "part": kind.part("")});
        self.emit(event, out);
        (at, part)
    }

    fn reasoning(&mut self, told: &Told, out: &mut Vec<u8>) -> usize {
        if let Some(open) = self.open.iter().find(|open| open.what == What::Reasoning) {
            return open.at;
        }
        self.close_whole(told, out);
        let at = self.add(told, What::Reasoning, out);
        let event = json!({"type": "response.reasoning_summary_part.added", "item_id": id(told, at),
            "output_index": at, "summary_index": 0, "part": {"type": "summary_text", "text": ""}});
        self.emit(event, out);
        at
    }

    /// Begins the item that the answer has last.
    fn add(&mut self, told: &Told, what: What, out: &mut Vec<u8>) -> usize {
        let at = self.items;
        self.items += 1;
        self.open.push(Open { at, what });
        let item = items(&told.answer).get(at).map(|item| item.begun(&stem(&told.about), at));
        self.emit(json!({"type": "response.output_item.added", "output_index": at, "item": item}), out);
        at
    }

    /// Ends all items but calls whose arguments still come.
    fn close_whole(&mut self, told: &Told, out: &mut Vec<u8>) {
        let is_whole = |open: &Open| match open.what {
            What::Call(index) => told.answer.call(index).is_some_and(|call| call.is_whole()),
            _ => true,
        };
        self.close(told, is_whole, out);
    }

    fn close(&mut self, told: &Told, which: impl Fn(&Open) -> bool, out: &mut Vec<u8>) {
        let (ending, open) = std::mem::take(&mut self.open).into_iter().partition(which);
        self.open = open;
        for ended in ending {
            self.end(told, ended, out);
        }
    }

    fn end(&mut self, told: &Told, Open { at, what }: Open, out: &mut Vec<u8>) {
        let items = items(&told.answer);
        let Some(item) = items.get(at) else { return };
        match (what, item) {
            (What::Message { part, kind }, _) => self.end_part(told, (at, part, kind), out),
            (What::Reasoning, Item::Reasoning(text)) => {
                let part = json!({"type": "summary_text", "text": text});
                let place = json!({"item_id": id(told, at), "output_index": at, "summary_index": 0});
                let done = json!({"type": "response.reasoning_summary_text.done", "text": text});
                self.emit(joined(done, &place), out);
                let done = json!({"type": "response.reasoning_summary_part.done", "part": part});
                self.emit(joined(done, &place), out);
            }
            (What::Call(_), Item::Call(call)) => {
                let event = json!({"type": "response.function_call_arguments.done", "item_id": id(told, at),
                    "output_index": at, "name": call.name, "arguments": call.json_or_none()});
                self.emit(event, out);
            }
            _ => {}
        }
        let cut = is_cut(&told.answer) && at + 1 == items.len();
        let item = item.done(&stem(&told.about), at, cut);
        self.emit(json!({"type": "response.output_item.done", "output_index": at, "item": item}), out);
    }

    fn end_part(&mut self, told: &Told, (at, part, kind): (usize, usize, Kind), out: &mut Vec<u8>) {
        let items = items(&told.answer);
        let text = match items.get(at) {
            Some(Item::Message(blocks)) => match blocks.get(part) {
                Some(Block::Text(text) | Block::Refusal(text)) => text.as_str(),
                _ => "",
            },
            _ => "",
        };
        let place = json!({"item_id": id(told, at), "output_index": at, "content_index": part});
        let done = match kind {
            Kind::Text => json!({"type": "response.output_text.done", "text": text, "logprobs": []}),
            Kind::Refusal => json!({"type": "response.refusal.done", "refusal": text}),
        };
        self.emit(joined(done, &place), out);
        let done = json!({"type": "response.content_part.done", "part": kind.part(text)});
        self.emit(joined(done, &place), out);
    }

    fn emit(&mut self, mut event: Value, out: &mut Vec<u8>) {
        event["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        frame::named(&name, &event, out);
    }
}

impl Kind {
    fn part(self, text: &str) -> Value {
        match self {
            Self::Text => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
            Self::Refusal => json!({"type": "refusal", "refusal": text}),
        }
    }
}

/// The id of the item at that place.
fn id(told: &Told, at: usize) -> Option<String> {
    items(&told.answer).get(at).map(|item| item.id(&stem(&told.about), at))
}

fn joined(mut event: Value, place: &Value) -> Value {
    if let (Some(event), Some(place)) = (event.as_object_mut(), place.as_object()) {
        event.extend(place.clone());
    }
    event
}

pub(in crate::dialect) fn whole(about: &About, answer: &Answer) -> Value {
    response(about, if is_cut(answer) { "incomplete" } else { "completed" }, answer)
}
