//! The transitions of a run as the manual tells them, written down a second time and apart from the engine.
//!
//! Some events leave open what follows: after a failed try the run waits or fails, by a policy that is the engine's
//! affair. So this follows a set of states, and an event is legal if one of them takes it.
//! Read next: [`super::journal`], which feeds it.

use serde_json::Value;
use std::collections::BTreeSet;

/// Where a run may be. RUNNING has two waiting forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    Pending,
    Initializing,
    Running,
    WaitsForRetry,
    WaitsForApproval,
    Completing,
    Completed,
    Failed,
    Timeout,
    Cancelled,
}

use At::{
    Cancelled, Completed, Completing, Failed, Initializing, Pending, Running, Timeout, WaitsForApproval,
    WaitsForRetry,
};

impl At {
    /// The name that users see.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pending => "PENDING",
            Initializing => "INITIALIZING",
            Running | WaitsForRetry | WaitsForApproval => "RUNNING",
            Completing => "COMPLETING",
            Completed => "COMPLETED",
            Failed => "FAILED",
            Timeout => "TIMEOUT",
            Cancelled => "CANCELLED",
        }
    }

    fn is_end(self) -> bool {
        matches!(self, Completed | Failed | Timeout | Cancelled)
    }

    /// Somebody holds the lease.
    fn held(self) -> bool {
        matches!(self, Initializing | Running | Completing)
    }
}

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    Yes,
    /// No state that the run may be in takes it.
    Refused,
    /// The run had ended.
    AfterEnd,
}

/// The states that a run may be in, by its journal so far.
#[derive(Clone, Debug)]
pub(super) struct States {
    at: BTreeSet<At>,
    cancel_asked: bool,
}

impl States {
    /// After `accepted`.
    pub(super) fn new() -> Self {
        Self { at: BTreeSet::from([Pending]), cancel_asked: false }
    }

    /// Follows one event. A refused one leaves the states as they were, so that one mistake is told once.
    pub(super) fn take(&mut self, name: &str, event: &Value) -> Took {
        if name == "fenced" {
            return Took::Yes;
        }
        let next: BTreeSet<At> = self.at.iter().flat_map(|at| self.after(*at, name)).collect();
        if next.is_empty() {
            return if self.ended() { Took::AfterEnd } else { Took::Refused };
        }
        self.at = next;
        if name == "cancel_asked" {
            self.cancel_asked = true;
        }
        // A retry that the policy forbids is an end; the record of the try carries the policy.
        if name == "step_failed" && event["policy"]["retries_max"].as_u64() == Some(0) {
            self.at.remove(&WaitsForRetry);
        }
        Took::Yes
    }

    fn after(&self, at: At, name: &str) -> Vec<At> {
        let or_cancelled = |to: At| if self.cancel_asked { vec![Cancelled] } else { vec![to] };
        match (at, name) {
            (Pending, "leased") => vec![Initializing],
            (Initializing, "initialized") => vec![Running],
            (Running, "step_dispatched" | "step_ended" | "stage_completed") => vec![Running],
            (Running, "step_failed") if self.cancel_asked => vec![Failed, Cancelled],
            (Running, "step_failed") => vec![WaitsForRetry, Failed],
            (Running, "parked") => or_cancelled(WaitsForApproval),
            (Running, "completing") => vec![Completing],
            (Completing, "completed") => vec![Completed],
            // What could not be stored at first is stored by now.
            (Completing, "completing") => vec![Completing],
            (at, "failed") if at.held() => vec![Failed],
            (at, "stopped") if at.held() && self.cancel_asked => vec![Cancelled],
            (at, "timed_out") if at.held() => vec![Timeout],
            (WaitsForRetry | WaitsForApproval, "timed_out") => vec![Timeout],
            (at, "lease_lost") if at.held() && self.cancel_asked => vec![Cancelled],
            (at, "lease_lost") if at.held() => vec![Pending, Failed],
            (at, "released") if at.held() => or_cancelled(Pending),
            (WaitsForRetry | WaitsForApproval, "woken") => or_cancelled(Pending),
            (WaitsForApproval, "resolved") => or_cancelled(Pending),
            (Pending | WaitsForRetry | WaitsForApproval, "cancel_asked") => vec![Cancelled],
            (at, "cancel_asked") if at.held() => vec![at],
            _ => Vec::new(),
        }
    }

    /// Whatever it is, it is an end.
    pub(super) fn ended(&self) -> bool {
        self.at.iter().all(|at| at.is_end())
    }

    /// Whether the journal allows the run to show this state.
    pub(super) fn may_be(&self, state: &str) -> bool {
        self.at.iter().any(|at| at.name() == state)
    }

    pub(super) fn names(&self) -> String {
        let names: BTreeSet<&str> = self.at.iter().map(|at| at.name()).collect();
        names.into_iter().collect::<Vec<_>>().join(" or ")
    }
}
