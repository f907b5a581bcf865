//! A run: one execution of a pack, and its whole life.
//!
//! [`Run`] is the record that the store keeps and the engine decides on; it changes only in [`apply`].
//! Read next: [`state`], then [`event`], then [`apply`].

mod apply;
pub mod effect;
pub mod event;
pub mod state;
pub mod step;
mod table;

pub use apply::{Refused, accept, apply};
pub use effect::{Effect, Level, Line};
pub use event::{Answer, Event, Record};
pub use state::{Awaits, Cancel, Lease, Outcome, State, StateName, Wait, WaitOn};
pub use step::{Dispatch, Step, StepKind, StepResult, StepSpec, Usage};
pub use table::transition_table;

use crate::failure::Failure;
use crate::id::RunId;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which class a run waits in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    #[default]
    #[serde(alias = "medium")]
    Normal,
    Low,
}

impl Priority {
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

    pub const fn name(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }
}

impl std::str::FromStr for Priority {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|class| class.name() == text).ok_or(())
    }
}

/// What made the run start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    #[default]
    Api,
    Cli,
    Retry,
    Probe,
    /// A schedule's moment came.
    Schedule,
    /// A step of another run.
    Child,
    /// Taken out of the dead letters.
    Redrive,
    /// Again from one of another run's steps on.
    Replay,
}

impl Trigger {
    pub const fn name(self) -> &'static str {
        match self {
            Trigger::Api => "api",
            Trigger::Cli => "cli",
            Trigger::Retry => "retry",
            Trigger::Probe => "probe",
            Trigger::Schedule => "schedule",
            Trigger::Child => "child",
            Trigger::Redrive => "redrive",
            Trigger::Replay => "replay",
        }
    }
}

/// The queue of packs that name none.
pub const DEFAULT_QUEUE: &str = "default";

pub(crate) fn default_queue() -> Arc<str> {
    Arc::from(DEFAULT_QUEUE)
}

pub(crate) fn is_default_queue(queue: &Arc<str>) -> bool {
    queue.as_ref() == DEFAULT_QUEUE
}

/// The step of another run that a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub run: RunId,
    /// The parent's step.
    pub index: u32,
    /// 1 for a child of a run that has no parent.
    pub depth: u32,
}

/// Name and version of the pack that a run executes; fixed when the run is accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PackRef {
    pub name: Arc<str>,
    pub version: Arc<str>,
}

/// Everything that a caller asked for; [`accept`] makes a run of it.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: RunId,
    pub pack: PackRef,
    /// Whose turn it is: the queue is fair between keys.
    pub key: Arc<str>,
    pub priority: Priority,
    pub limit: Millis,
    pub trigger: Trigger,
    pub correlation: Arc<str>,
    pub traceparent: Option<Arc<str>>,
    pub retry_of: Option<RunId>,
    /// Where it waits.
    pub queue: Arc<str>,
    /// For whom; none for the local user.
    pub tenant: Option<Arc<str>>,
    /// Not to be leased before this moment.
    pub due: Option<Timestamp>,
    pub parent: Option<Parent>,
}

/// One run as it stands. Changed by [`apply`] only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub pack: PackRef,
    pub key: Arc<str>,
    pub priority: Priority,
    pub trigger: Trigger,
    pub correlation: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RunId>,
    #[serde(default = "default_queue", skip_serializing_if = "is_default_queue")]
    pub queue: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// Not to be leased before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    pub submitted_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time limit, counted while the run executes or waits, not while it is queued or its worker is dead.
    pub limit: Millis,
    /// Time counted against the limit before `clock_from`.
    pub spent: Millis,
    /// Since when the limit's clock runs; none while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_from: Option<Timestamp>,
    /// Rises by one with every lease; a write with another epoch is refused.
    pub epoch: u64,
    /// Leases that ended without the run's consent (death of the worker); a poison run is known by it.
    pub leases_lost: u32,
    /// Number of the last event: the version of this record.
    pub seq: u64,
    /// Steps whose result is in the journal.
    pub steps: u32,
    /// Seen progress, which is not the same as a renewed lease.
    pub progress_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// The root error, known from the first failed try on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the run waits for, while it waits for more than its next try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaits>,
    pub state: State,
}

impl Run {
    /// When the limit strikes; none while the clock stands.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.clock_from.map(|from| from + self.limit.saturating_sub(self.spent))
    }

    /// Time counted against the limit until `now`.
    pub fn time_used(&self, now: Timestamp) -> Millis {
        self.spent + self.clock_from.map_or(Millis(0), |from| now.since(from))
    }

    /// The lease under which a worker acts on this run now.
    pub fn lease(&self) -> Option<Lease> {
        match &self.state {
            State::Initializing { lease, .. }
            | State::Running { lease, .. }
            | State::Completing { lease, .. } => Some(*lease),
            State::Pending { .. } | State::Waiting { .. } | State::Ended { .. } => None,
        }
    }

    /// Waits for its time, not for its turn.
    pub fn is_delayed(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Pending { .. })
            && self.epoch == 0
            && self.due.is_some_and(|due| due > now)
    }

    /// Why the run is a dead letter: it ended without success and by nobody's will, so somebody has to look. The
    /// failure of a child is its parent's to handle, that of a probe nobody's.
    pub fn dead_cause(&self) -> Option<&str> {
        let State::Ended { outcome: Outcome::Failed { failure } | Outcome::Timeout { failure }, .. } =
            &self.state
        else {
            return None;
        };
        (self.parent.is_none() && self.trigger != Trigger::Probe).then_some(failure.cause.as_str())
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }
}
