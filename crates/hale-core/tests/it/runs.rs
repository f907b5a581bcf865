//! Runs to test with: one order, and short hands for the events of a worker.
//!
//! Read next: `log_lines.rs`.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::retry::{Policy, RetryClass};
use hale_core::run::{
    DEFAULT_QUEUE, Dispatch, Effect, Event, Level, Order, PackRef, Priority, Run, Step, StepKind, Trigger,
    accept, apply,
};
use hale_core::time::{Millis, Timestamp};
use serde_json::Value;

pub const START: Timestamp = Timestamp(1_800_000_000_000);
pub const WORKER: WorkerId = WorkerId(7);
pub const OTHER: WorkerId = WorkerId(8);

pub fn at(ms: u64) -> Timestamp {
    START + Millis(ms)
}

pub fn order(limit: Millis) -> Order {
    Order {
        id: RunId::mint(START, 42),
        pack: PackRef { name: "research-pack".into(), version: "1.2.3".into() },
        key: "research-pack".into(),
        priority: Priority::Normal,
        limit,
        trigger: Trigger::Api,
        correlation: "corr-1".into(),
        traceparent: None,
        retry_of: None,
        queue: DEFAULT_QUEUE.into(),
        tenant: None,
        due: None,
        parent: None,
    }
}

pub fn step(index: u32) -> Step {
    Step {
        index,
        attempt: 1,
        kind: StepKind::Model,
        name: "sim/small".to_owned(),
        request: Value::Null,
        result: Value::from("done"),
        took: Millis(20),
        waiting_on: "provider:sim".to_owned(),
        usage: None,
        is_error: false,
    }
}

pub fn unreachable() -> Failure {
    Failure {
        chain: vec!["connection refused".to_owned()],
        ..Failure::new(Code::E006, "llm.unreachable", "provider:sim", "call model sim/small")
    }
    .retried_as(RetryClass::Tool)
}

pub fn failed(attempt: u32, failure: Failure, policy: Policy) -> Event {
    Event::StepFailed {
        index: 0,
        attempt,
        kind: StepKind::Model,
        name: "sim/small".to_owned(),
        took: Millis(10),
        failure: Box::new(failure),
        policy,
        chance: 0,
    }
}

pub fn leased(epoch: u64) -> Event {
    Event::Leased { worker: WORKER, epoch }
}

pub fn lost(epoch: u64) -> Event {
    Event::LeaseLost { worker: WORKER, epoch, why: "no heartbeat for 15s".to_owned() }
}

pub fn cancel() -> Event {
    Event::CancelAsked { by: "ada".to_owned(), reason: None }
}

pub fn dispatched() -> Event {
    Event::StepDispatched {
        index: 0,
        attempt: 1,
        kind: StepKind::Tool,
        name: "mail.send".to_owned(),
        policy: Dispatch::Park,
    }
}

/// A history played on one run; every event must be taken.
pub struct Play {
    pub run: Run,
    pub effects: Vec<Effect>,
}

impl Play {
    pub fn new(limit: Millis) -> Self {
        Self { run: accept(order(limit), START).0, effects: Vec::new() }
    }

    /// Leased and running at `ms`.
    pub fn running(limit: Millis, ms: u64) -> Self {
        Self::new(limit).event(ms, leased(1)).event(ms, Event::Initialized)
    }

    pub fn event(mut self, ms: u64, event: Event) -> Self {
        let (run, effects) = apply(&self.run, &event, at(ms)).expect("the state takes the event");
        self.run = run;
        self.effects.extend(effects);
        self
    }

    /// The log lines so far, level and text.
    pub fn lines(&self) -> Vec<(Level, String)> {
        let lines = self.effects.iter().filter_map(|effect| match effect {
            Effect::Log(line) => Some((line.level, line.text.clone())),
            _ => None,
        });
        lines.collect()
    }
}
