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
pub use event::{Event, Record};
pub use state::{Cancel, Lease, Outcome, State, StateName, WaitOn};
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

    pub fn is_terminal(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }
}
