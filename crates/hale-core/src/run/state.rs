//! The states of a run. What is known only in one state lives in that state.
//!
//! Eight states as the operators' guides have them; RUNNING has a waiting form that holds no slot and no lease.
//! Read next: [`super::event`].

use crate::failure::Failure;
use crate::id::{RunId, WorkerId};
use crate::limits;
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The right of one worker incarnation to advance one run. How long it lasts is known of the worker, which renews
/// all its leases with one heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub worker: WorkerId,
    pub epoch: u64,
}

/// Who asked to cancel, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    pub by: String,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a waiting run waits for; each names its waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitOn {
    /// A failed step is tried again at `until`.
    Retry,
    /// A person decides: whether a deed may be done, or what became of a step that was in flight at a crash and must
    /// not be repeated. [`Awaits`] says which.
    Approval,
    /// A moment, at `until`.
    Timer,
    /// The end of a child run.
    Child,
}

/// What exactly a waiting run waits for, with all that its waker and a reader need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    Timer,
    Child {
        run: RunId,
    },
    /// `question` for the person, `effect` the exact deed that a yes allows.
    Approval {
        question: String,
        effect: Value,
    },
    /// What became of a step that was in flight at a crash.
    Parked,
}

impl Wait {
    pub const fn on(&self) -> WaitOn {
        match self {
            Wait::Timer => WaitOn::Timer,
            Wait::Child { .. } => WaitOn::Child,
            Wait::Approval { .. } | Wait::Parked => WaitOn::Approval,
        }
    }
}

/// The step that a waiting run stands in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Awaits {
    pub index: u32,
    pub name: String,
    #[serde(flatten)]
    pub wait: Wait,
}

impl WaitOn {
    pub const fn name(self) -> &'static str {
        match self {
            WaitOn::Retry => "retry",
            WaitOn::Approval => "approval",
            WaitOn::Timer => "timer",
            WaitOn::Child => "child",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "UPPERCASE")]
pub enum State {
    Pending {
        since: Timestamp,
    },
    Initializing {
        since: Timestamp,
        lease: Lease,
    },
    Running {
        since: Timestamp,
        lease: Lease,
    },
    /// The waiting form of RUNNING.
    Waiting {
        since: Timestamp,
        on: WaitOn,
        until: Timestamp,
    },
    Completing {
        since: Timestamp,
        lease: Lease,
    },
    Ended {
        at: Timestamp,
        outcome: Outcome,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "UPPERCASE")]
pub enum Outcome {
    Completed,
    Failed { failure: Failure },
    Timeout { failure: Failure },
    Cancelled { cancel: Cancel },
}

/// The eight names that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StateName {
    Pending,
    Initializing,
    Running,
    Completing,
    Completed,
    Failed,
    Timeout,
    Cancelled,
}

impl StateName {
    pub const ALL: [StateName; 8] = {
        use StateName::*;
        [Pending, Initializing, Running, Completing, Completed, Failed, Timeout, Cancelled]
    };

    pub const fn name(self) -> &'static str {
        match self {
            StateName::Pending => "PENDING",
            StateName::Initializing => "INITIALIZING",
            StateName::Running => "RUNNING",
            StateName::Completing => "COMPLETING",
            StateName::Completed => "COMPLETED",
            StateName::Failed => "FAILED",
            StateName::Timeout => "TIMEOUT",
            StateName::Cancelled => "CANCELLED",
        }
    }

    /// How long a run normally stays; a run past it is overdue (AO-12 to AO-15). RUNNING varies by pack.
    pub const fn normal(self) -> Option<Millis> {
        match self {
            StateName::Pending => Some(limits::PENDING_NORMAL),
            StateName::Initializing => Some(limits::INITIALIZING_NORMAL),
            StateName::Completing => Some(limits::COMPLETING_NORMAL),
            _ => None,
        }
    }

    pub const fn is_terminal(self) -> bool {
        matches!(self, StateName::Completed | StateName::Failed | StateName::Timeout | StateName::Cancelled)
    }
}

impl std::fmt::Display for StateName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Reads the eight names in any case, and the other guides' aliases (CONF-11): `queued`, `processing`, `done`.
impl std::str::FromStr for StateName {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.to_ascii_uppercase();
        match text.as_str() {
            "QUEUED" => Ok(StateName::Pending),
            "PROCESSING" | "WAITING" => Ok(StateName::Running),
            "DONE" => Ok(StateName::Completed),
            "CANCELED" => Ok(StateName::Cancelled),
            name => Self::ALL.into_iter().find(|state| state.name() == name).ok_or(()),
        }
    }
}

impl State {
    pub const fn name(&self) -> StateName {
        match self {
            State::Pending { .. } => StateName::Pending,
            State::Initializing { .. } => StateName::Initializing,
            State::Running { .. } | State::Waiting { .. } => StateName::Running,
            State::Completing { .. } => StateName::Completing,
            State::Ended { outcome, .. } => outcome.name(),
        }
    }

    /// Since when the run is in this state.
    pub const fn since(&self) -> Timestamp {
        match self {
            State::Pending { since }
            | State::Initializing { since, .. }
            | State::Running { since, .. }
            | State::Waiting { since, .. }
            | State::Completing { since, .. } => *since,
            State::Ended { at, .. } => *at,
        }
    }

    /// Longer in this state than is normal at `now`.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.name().normal().is_some_and(|normal| now.since(self.since()) > normal)
    }
}

impl Outcome {
    pub const fn name(&self) -> StateName {
        match self {
            Outcome::Completed => StateName::Completed,
            Outcome::Failed { .. } => StateName::Failed,
            Outcome::Timeout { .. } => StateName::Timeout,
            Outcome::Cancelled { .. } => StateName::Cancelled,
        }
    }
}
