//! What became of the last calls: the evidence about providers, kept in memory.
//!
//! Guarantees: at most [`CALLS_KEPT`] calls are kept, the oldest goes first; nothing here reads a clock, so the same
//! calls give the same answers whenever they are asked for.
//! Leaves to others: numbers over a restart (the journal has them), judging them (the playbooks).
//! Read next: [`crate::call`], which records.

use hale_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A thousand calls are minutes of a busy server and weeks of a quiet one, at some 200 bytes each.
pub const CALLS_KEPT: usize = 1000;

/// One attempt, as it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it ended.
    pub at: Timestamp,
    /// With its provider: `sim/small`.
    pub model: String,
    pub provider: String,
    /// None if it was answered, else the cause (`llm.rate_limited`).
    pub cause: Option<String>,
    pub latency: Millis,
    /// Set if this was a fallback: the model that was asked for first.
    pub instead_of: Option<String>,
}

/// Which calls a question is about: those that ended after `since` and no later than `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Window {
    /// The stretch of this length that ends at `now`.
    pub fn last(length: Millis, now: Timestamp) -> Self {
        Self { since: now - length, until: now }
    }

    fn holds(&self, at: Timestamp) -> bool {
        at > self.since && at <= self.until
    }
}

/// A ring of the last calls.
#[derive(Debug, Default)]
pub struct CallStats {
    ring: Mutex<VecDeque<CallRecord>>,
}

impl CallStats {
    fn ring(&self) -> MutexGuard<'_, VecDeque<CallRecord>> {
        // A panic elsewhere cannot leave the ring half changed: every change is one push or pop.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self, call: CallRecord) {
        let mut ring = self.ring();
        if ring.len() == CALLS_KEPT {
            ring.pop_front();
        }
        ring.push_back(call);
    }

    /// All calls that are kept, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.ring().iter().cloned().collect()
    }

    /// How many calls ended in the window, answered or not.
    pub fn count(&self, window: Window) -> u64 {
        self.ring().iter().filter(|call| window.holds(call.at)).count() as u64
    }

    /// How many calls of the window failed, by cause.
    pub fn failures_by_cause(&self, window: Window) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in self.ring().iter().filter(|call| window.holds(call.at)) {
            if let Some(cause) = &call.cause {
                *counts.entry(cause.clone()).or_insert(0) += 1;
            }
        }
        counts
    }

    /// How many calls of the window a fallback answered.
    pub fn served_by_fallback(&self, window: Window) -> u64 {
        let served =
            |call: &&CallRecord| window.holds(call.at) && call.cause.is_none() && call.instead_of.is_some();
        self.ring().iter().filter(served).count() as u64
    }

    /// The last call that failed for this cause.
    pub fn last_failure(&self, cause: &str) -> Option<CallRecord> {
        self.ring().iter().rev().find(|call| call.cause.as_deref() == Some(cause)).cloned()
    }

    /// The last call to this model (`sim/small`), however it ended.
    pub fn last_call(&self, model: &str) -> Option<CallRecord> {
        self.ring().iter().rev().find(|call| call.model == model).cloned()
    }

    /// When this model first answered after `since`: the proof that a failure is over.
    pub fn ok_since(&self, model: &str, since: Timestamp) -> Option<Timestamp> {
        let answered = |call: &&CallRecord| call.at > since && call.model == model && call.cause.is_none();
        self.ring().iter().find(answered).map(|call| call.at)
    }

    /// The latency that 95 of 100 answered calls of the window stayed within; for one model or, with None, for all.
    pub fn p95_latency(&self, window: Window, model: Option<&str>) -> Option<Millis> {
        let wanted = |call: &&CallRecord| {
            window.holds(call.at) && call.cause.is_none() && model.is_none_or(|model| call.model == model)
        };
        let mut latencies: Vec<Millis> = self.ring().iter().filter(wanted).map(|call| call.latency).collect();
        latencies.sort_unstable();
        let rank = (latencies.len() * 95).div_ceil(100);
        latencies.get(rank.checked_sub(1)?).copied()
    }
}
