//! The content guard at the three places of an agent: its input, what its model says, what its tools give.
//!
//! Guarantees: what is journaled and what goes to the model is what was let through; a piece of the model's text goes
//! to readers only when no match can claim it any more. Logs kinds and counts, one line for each place, and never a
//! value.
//! Leaves to others: what is found ([`hale_core::guard`]), and jobs, arms and echoes, whose output is not looked at.
//! Read next: [`super::agent`].

use super::host::Host;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::guard::{Action, Filter, Found, Kind, Place, Policy, clean};
use hale_gateway::{ChatReply, Chunk};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often each kind was met at each place, and what was done with it.
type Counts = BTreeMap<Place, BTreeMap<(Kind, &'static str), u64>>;

pub struct Guarded<'a> {
    host: &'a Host<'a>,
    counts: Mutex<Counts>,
}

impl<'a> Guarded<'a> {
    pub fn new(host: &'a Host<'a>) -> Self {
        Self { host, counts: Mutex::default() }
    }

    fn policy(&self, place: &Place) -> Policy {
        self.host.manifest.guard.policy(place, self.host.worker.guard_default)
    }

    /// What of a value may pass at this place.
    ///
    /// # Errors
    /// What the policy blocks.
    pub fn value(&self, place: &Place, mut value: Value) -> Result<Value, Failure> {
        let (found, blocked) = clean(&mut value, &self.policy(place));
        self.count(place, &found);
        if blocked { Err(refused(place, &found)) } else { Ok(value) }
    }

    /// What of a model's turn may pass: its text, and what it gives to tools.
    ///
    /// # Errors
    /// What the policy blocks.
    pub fn reply(&self, reply: &mut ChatReply) -> Result<(), Failure> {
        let place = Place::Output;
        let released = Filter::new(self.policy(&place)).whole(&reply.text);
        self.count(&place, &released.found);
        if released.blocked {
            return Err(refused(&place, &released.found));
        }
        reply.text = released.text;
        for call in &mut reply.tool_calls {
            call.arguments = self.value(&place, std::mem::take(&mut call.arguments))?;
        }
        Ok(())
    }

    /// The way of the model's text to those who read along.
    pub fn stream(&self, index: u32, attempt: u32) -> Stream<'_> {
        let policy = self.policy(&Place::Output);
        let state = Mutex::new((Filter::new(policy.clone()), 0));
        Stream { host: self.host, policy, index, attempt, state }
    }

    fn count(&self, place: &Place, found: &[Found]) {
        if found.is_empty() {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_place = counts.entry(place.clone()).or_default();
        for Found { kind, action } in found {
            *of_place.entry((*kind, action.name())).or_default() += 1;
        }
    }

    /// Says what was found, once for each place.
    pub fn tell(&self) {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        let run = &self.host.run;
        for (place, kinds) in counts {
            let count: u64 = kinds.values().sum();
            let kinds = kinds.iter().map(|((kind, action), count)| format!("{kind} {count} ({action})"));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            tracing::warn!(
                run_id = %run.id, correlation_id = %run.correlation, event = "guard_found", place = %place, kinds, count,
                "PII detected"
            );
        }
    }
}

fn refused(place: &Place, found: &[Found]) -> Failure {
    let blocked = found.iter().find(|found| found.action == Action::Block);
    let kind = blocked.map_or("content", |found| found.kind.name());
    let what = match place {
        Place::Tool(name) => format!("result of tool {name}"),
        Place::Input | Place::Output => place.to_string(),
    };
    let message = format!("pass the {what}: it holds {kind}, which the guard blocks");
    Failure::new(Code::E017, "guard.blocked", "guard", message)
}

/// A turn's text on its way; offsets are those of what was let through.
pub struct Stream<'a> {
    host: &'a Host<'a>,
    policy: Policy,
    index: u32,
    attempt: u32,
    state: Mutex<(Filter, u64)>,
}

impl Stream<'_> {
    pub fn hear(&self, chunk: Chunk<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match chunk {
            Chunk::Text(text) => {
                let released = state.0.push(text);
                self.pass(&mut state.1, &released.text);
            }
            Chunk::Restart { .. } => *state = (Filter::new(self.policy.clone()), 0),
        }
    }

    /// The text is whole: what was held back for more of it is decided.
    pub fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let filter = std::mem::replace(&mut state.0, Filter::new(self.policy.clone()));
        let released = filter.finish();
        self.pass(&mut state.1, &released.text);
    }

    fn pass(&self, offset: &mut u64, text: &str) {
        if !text.is_empty() {
            self.host.chunk(self.index, self.attempt, *offset, text);
            *offset += text.len() as u64;
        }
    }
}
