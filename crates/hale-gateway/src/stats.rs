//! What became of the last calls: the evidence about providers, kept in memory.
//!
//! Guarantees: at most [`CALLS_KEPT`] calls are kept, in the order in which they ended, the oldest goes first; nothing
//! here reads a clock, so the same calls give the same answers whenever they are asked for.
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
    /// What the provider's refusal said, where it was one over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub latency: Millis,
    /// How long the provider asked to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
    /// Set if this was a fallback: the model that was asked for first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// A call with its place in the order in which calls came in here; the first has 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    pub n: u64,
    #[serde(flatten)]
    pub call: CallRecord,
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
    ring: Mutex<Ring>,
}

/// By the moment of their end: calls of other processes are heard of late.
#[derive(Debug, Default)]
struct Ring {
    kept: VecDeque<Numbered>,
    came: u64,
}

impl Ring {
    fn iter(&self) -> impl DoubleEndedIterator<Item = &CallRecord> {
        self.kept.iter().map(|kept| &kept.call)
    }
}

impl CallStats {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic elsewhere cannot leave the ring half changed: every change is one insertion or removal.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a call, of this process or of another one, in its place.
    pub fn record(&self, call: CallRecord) {
        let mut ring = self.ring();
        ring.came += 1;
        let place = ring.kept.partition_point(|kept| kept.call.at <= call.at);
        let n = ring.came;
        ring.kept.insert(place, Numbered { n, call });
        if ring.kept.len() > CALLS_KEPT {
            ring.kept.pop_front();
        }
    }

    /// All calls that are kept, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.ring().iter().cloned().collect()
    }

    /// The first calls, at most `most`, that came in after the numbered one: for a process that tells another.
    pub fn after(&self, n: u64, most: usize) -> Vec<Numbered> {
        let ring = self.ring();
        if ring.came <= n {
            return Vec::new();
        }
        let mut after: Vec<Numbered> = ring.kept.iter().filter(|kept| kept.n > n).cloned().collect();
        after.sort_unstable_by_key(|kept| kept.n);
        after.truncate(most);
        after
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
