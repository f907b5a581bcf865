//! The journal read for a replay: which steps are done, which failed how often, which was in flight, what came of
//! waits.
//!
//! Read next: [`super::host`].

use hale_core::run::{Answer, Dispatch, Event, Record, Step};
use hale_core::time::{Millis, Timestamp};
use std::collections::BTreeMap;

/// What a former lease left behind.
#[derive(Debug, Default)]
pub struct Replay {
    done: BTreeMap<u32, Step>,
    failed: BTreeMap<u32, u32>,
    in_flight: BTreeMap<u32, Dispatch>,
    /// Since when a step waits.
    waits: BTreeMap<u32, Timestamp>,
    /// What came of the wait, and how long it was.
    answers: BTreeMap<u32, (Answer, Millis)>,
    stages: u32,
}

impl Replay {
    pub fn of(records: Vec<Record>) -> Self {
        let mut replay = Self::default();
        for record in records {
            match record.event {
                Event::StepEnded { step } => {
                    replay.in_flight.remove(&step.index);
                    replay.done.insert(step.index, *step);
                }
                Event::StepFailed { index, attempt, .. } => {
                    replay.in_flight.remove(&index);
                    replay.failed.insert(index, attempt);
                }
                Event::StepDispatched { index, policy, .. } => {
                    replay.in_flight.insert(index, policy);
                }
                // The first steps are another run's: done, and not to be done again.
                Event::Forked { steps, .. } => {
                    replay.done.extend(steps.into_iter().map(|step| (step.index, step)));
                }
                Event::Awaiting { index, .. } => {
                    replay.waits.insert(index, record.at);
                }
                Event::Awaited { index, answer } => {
                    let waited = replay.waits.get(&index).map_or(Millis(0), |since| record.at.since(*since));
                    replay.answers.insert(index, (answer, waited));
                }
                // A person said that the parked step may be repeated.
                Event::Resolved { .. } => replay.in_flight.clear(),
                Event::StageCompleted { n, .. } => replay.stages = replay.stages.max(n),
                _ => {}
            }
        }
        replay
    }

    /// The step with this index, if its result is in the journal.
    pub fn done(&self, index: u32) -> Option<&Step> {
        self.done.get(&index)
    }

    /// What the step waited for has come, and how long it waited.
    pub fn answered(&self, index: u32) -> Option<(&Answer, Millis)> {
        self.answers.get(&index).map(|(answer, waited)| (answer, *waited))
    }

    /// Tries of the step so far that failed.
    pub fn failed(&self, index: u32) -> u32 {
        self.failed.get(&index).copied().unwrap_or(0)
    }

    /// The policy of a step that was dispatched and never heard of.
    pub fn in_flight(&self, index: u32) -> Option<Dispatch> {
        self.in_flight.get(&index).copied()
    }

    /// Named stages that were announced.
    pub fn stages(&self) -> u32 {
        self.stages
    }
}
