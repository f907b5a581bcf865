//! What can happen to a run: the journal's vocabulary.
//!
//! Events are stored for ever, so every change of shape gets a new version; a sample of each version is checked in
//! and must decode (`tests/it/journal_samples.rs`).
//! Read next: [`super::apply`].

use super::{Order, PackRef, Parent, Priority, StateName, Step, StepKind, Trigger, Wait};
use crate::failure::Failure;
use crate::id::{RunId, WorkerId};
use crate::retry::Policy;
use crate::routing::Decision;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Version of the shapes below, stored with every record. 2 added queues, due times, parents and waits; version 1
/// reads as it is.
pub const VERSION: u32 = 2;

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the shape, see [`VERSION`].
    pub v: u32,
    /// 1 for the first event of the run; dense.
    pub seq: u64,
    pub at: Timestamp,
    pub event: Event,
}

/// An artifact that a commit names: its blob is synced before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub name: String,
    /// BLAKE3 of the content, 64 hexadecimal letters.
    pub hash: String,
    pub bytes: u64,
    pub media_type: String,
}

/// What came of a wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The moment has come.
    Fired,
    /// The child run has ended.
    Child {
        run: RunId,
        outcome: StateName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Box<Failure>>,
        /// Tokens of the child and of its own children: they count against the parent's bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<super::Usage>,
    },
    Approved {
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Denied {
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody decided in time.
    Expired,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The first event of every run.
    Accepted {
        pack: PackRef,
        key: Arc<str>,
        priority: Priority,
        limit: Millis,
        trigger: Trigger,
        correlation: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        traceparent: Option<Arc<str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_of: Option<RunId>,
        #[serde(default = "super::default_queue", skip_serializing_if = "super::is_default_queue")]
        queue: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<Arc<str>>,
        /// Not to be leased before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// The first steps are those of another run: they are not executed again.
    Forked {
        from: RunId,
        steps: Vec<Step>,
    },
    /// The pack was chosen among others: who else there was, and why this one.
    Routed {
        decision: Box<Decision>,
    },
    /// A worker took the lease.
    Leased {
        worker: WorkerId,
        epoch: u64,
    },
    /// The pack is loaded.
    Initialized,
    /// A step that is not idempotent is about to act.
    StepDispatched {
        index: u32,
        attempt: u32,
        kind: StepKind,
        name: String,
        policy: super::Dispatch,
    },
    /// A step's result: from here on the step is never executed again.
    StepEnded {
        step: Box<Step>,
    },
    /// A try failed; the policy decides whether it is tried again.
    StepFailed {
        index: u32,
        attempt: u32,
        kind: StepKind,
        name: String,
        took: Millis,
        failure: Box<Failure>,
        policy: Policy,
        chance: u64,
    },
    /// A named step of the pack is done: `Step 1/3 completed: data_collection`.
    StageCompleted {
        n: u32,
        of: u32,
        name: String,
    },
    /// A step was in flight at a crash and its tool says `park`.
    Parked {
        index: u32,
        name: String,
    },
    /// A step waits for something that needs no worker, at most until `until`.
    Awaiting {
        index: u32,
        kind: StepKind,
        name: String,
        wait: Wait,
        until: Timestamp,
    },
    /// What the step waited for has come; the worker that takes the run next ends the step with it.
    Awaited {
        index: u32,
        answer: Answer,
    },
    /// A person said what became of the parked step.
    Resolved {
        by: String,
    },
    /// The wait is over.
    Woken,
    /// An operator gave the run up while it waited for its turn.
    GivenUp {
        by: String,
        reason: String,
    },
    /// Somebody asked to cancel.
    CancelAsked {
        by: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The worker has stopped, as it was told.
    Stopped,
    /// The lease ended without the worker's word.
    LeaseLost {
        worker: WorkerId,
        epoch: u64,
        why: String,
    },
    /// The worker gives the run back, because it drains.
    Released {
        worker: WorkerId,
        epoch: u64,
    },
    /// A write under a stale lease was refused.
    Fenced {
        worker: WorkerId,
        epoch: u64,
        what: String,
    },
    /// Outputs are being kept.
    Completing {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<Artifact>,
    },
    Completed {
        output: Value,
    },
    Failed {
        failure: Box<Failure>,
    },
    /// The time limit struck.
    TimedOut {
        doing: String,
    },
}

impl Event {
    /// What was asked for, when this is an acceptance: the first event of every journal.
    pub fn order(&self, id: RunId) -> Option<Order> {
        let Event::Accepted {
            pack,
            key,
            priority,
            limit,
            trigger,
            correlation,
            traceparent,
            retry_of,
            queue,
            tenant,
            due,
            parent,
        } = self.clone()
        else {
            return None;
        };
        Some(Order {
            id,
            pack,
            key,
            priority,
            limit,
            trigger,
            correlation,
            traceparent,
            retry_of,
            queue,
            tenant,
            due,
            parent,
        })
    }

    /// The event's name as it stands in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Accepted { .. } => "accepted",
            Event::Forked { .. } => "forked",
            Event::Routed { .. } => "routed",
            Event::Leased { .. } => "leased",
            Event::Initialized => "initialized",
            Event::StepDispatched { .. } => "step_dispatched",
            Event::StepEnded { .. } => "step_ended",
            Event::StepFailed { .. } => "step_failed",
            Event::StageCompleted { .. } => "stage_completed",
            Event::Parked { .. } => "parked",
            Event::Awaiting { .. } => "awaiting",
            Event::Awaited { .. } => "awaited",
            Event::Resolved { .. } => "resolved",
            Event::Woken => "woken",
            Event::GivenUp { .. } => "given_up",
            Event::CancelAsked { .. } => "cancel_asked",
            Event::Stopped => "stopped",
            Event::LeaseLost { .. } => "lease_lost",
            Event::Released { .. } => "released",
            Event::Fenced { .. } => "fenced",
            Event::Completing { .. } => "completing",
            Event::Completed { .. } => "completed",
            Event::Failed { .. } => "failed",
            Event::TimedOut { .. } => "timed_out",
        }
    }
}
