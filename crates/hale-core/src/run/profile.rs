//! Where the time of a run went, read from its journal.
//!
//! Pure: records in, spans out. What waits for something else (a retry, a timer, a child, a person) is apart from what
//! was executed, so that no span is counted twice; what no span explains is `other`.
//! Read next: [`super::event`].

use super::{Event, Record, Step, StepKind};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Spans of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// From acceptance to the end, or to the last record.
    pub total: Millis,
    /// Waiting for a worker, each time.
    pub queued: Millis,
    /// From a lease to the first step: loading the pack.
    pub starting: Millis,
    /// Tries that failed.
    pub failed: Millis,
    /// Waiting for a retry, a moment, a child or a person.
    pub waiting: Millis,
    /// Keeping outputs.
    pub completing: Millis,
    /// Executed and stored, by kind of step.
    pub kinds: BTreeMap<String, Spent>,
    /// The same by name: a model, a tool.
    pub names: BTreeMap<String, Spent>,
    pub other: Millis,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// Steps of one kind or name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub count: u32,
    pub took: Millis,
    pub longest: Millis,
}

impl Spent {
    fn add(&mut self, took: Millis) {
        self.count += 1;
        self.took = self.took + took;
        self.longest = self.longest.max(took);
    }
}

/// What the run is in between two records.
#[derive(Clone, Copy)]
enum In {
    Queue,
    Start,
    Work,
    Wait,
    Completion,
    End,
}

impl Profile {
    /// Reads a journal from its first record on.
    pub fn of(records: &[Record]) -> Self {
        let mut profile = Self::default();
        let Some(first) = records.first() else { return profile };
        let (mut now_in, mut since) = (In::Queue, first.at);
        for record in records {
            profile.event(&record.event);
            let Some(next) = after(&record.event) else { continue };
            profile.spend(now_in, record.at.since(since));
            (now_in, since) = (next, record.at);
        }
        let last = records.last().map_or(first.at, |record| record.at);
        profile.spend(now_in, last.since(since));
        profile.finish(first.at, last);
        profile
    }

    /// The parts by name, without empty ones, the longest first.
    pub fn parts(&self) -> Vec<(String, Millis)> {
        let fixed = [
            ("queue", self.queued),
            ("start", self.starting),
            ("failed tries", self.failed),
            ("waits", self.waiting),
            ("completion", self.completing),
            ("other", self.other),
        ];
        let fixed = fixed.into_iter().map(|(name, took)| (name.to_owned(), took));
        let kinds = self.kinds.iter().map(|(kind, spent)| (kind.clone(), spent.took));
        let mut parts: Vec<(String, Millis)> = fixed.chain(kinds).filter(|(_, took)| took.0 > 0).collect();
        parts.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        parts
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::StepEnded { step } => self.step(step),
            Event::StepFailed { took, .. } => self.failed = self.failed + *took,
            _ => {}
        }
    }

    fn step(&mut self, step: &Step) {
        if let Some(usage) = step.usage {
            self.input_tokens += usage.input_tokens;
            self.output_tokens += usage.output_tokens;
        }
        // Their time is that of the wait.
        if matches!(step.kind, StepKind::Child | StepKind::Timer | StepKind::Approval) {
            return;
        }
        self.kinds.entry(step.kind.name().to_owned()).or_default().add(step.took);
        self.names.entry(step.name.clone()).or_default().add(step.took);
    }

    fn spend(&mut self, now_in: In, took: Millis) {
        let place = match now_in {
            In::Queue => &mut self.queued,
            In::Start => &mut self.starting,
            In::Wait => &mut self.waiting,
            In::Completion => &mut self.completing,
            // Told by the steps themselves.
            In::Work | In::End => return,
        };
        *place = *place + took;
    }

    fn finish(&mut self, first: Timestamp, last: Timestamp) {
        self.total = last.since(first);
        let steps: u64 = self.kinds.values().map(|spent| spent.took.0).sum();
        let known = steps
            + [self.queued, self.starting, self.failed, self.waiting, self.completing]
                .iter()
                .map(|span| span.0)
                .sum::<u64>();
        self.other = Millis(self.total.0.saturating_sub(known));
    }
}

/// What begins with an event; none for those that change nothing.
fn after(event: &Event) -> Option<In> {
    Some(match event {
        Event::Accepted { .. }
        | Event::Woken
        | Event::Awaited { .. }
        | Event::Resolved { .. }
        | Event::LeaseLost { .. }
        | Event::Released { .. } => In::Queue,
        Event::Leased { .. } => In::Start,
        Event::Initialized => In::Work,
        Event::StepFailed { .. } | Event::Awaiting { .. } | Event::Parked { .. } => In::Wait,
        Event::Completing { .. } => In::Completion,
        Event::Completed { .. }
        | Event::Failed { .. }
        | Event::TimedOut { .. }
        | Event::GivenUp { .. }
        | Event::Stopped => In::End,
        Event::Forked { .. }
        | Event::Routed { .. }
        | Event::StepDispatched { .. }
        | Event::StepEnded { .. }
        | Event::StageCompleted { .. }
        | Event::CancelAsked { .. }
        | Event::Fenced { .. } => return None,
    })
}
