//! What a worker process tells of its model calls, merged into the calls of the server.
//!
//! Guarantees: a call that is told again is counted once; the moment of its end is reckoned back from now, since the
//! clocks of two machines differ; at most [`limits::WORKER_CALLS`] a request, and names have a bound.
//! Leaves to others: what the calls mean (`crate::evidence`).
//! Read next: `hale-gateway/src/stats.rs`.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::WorkerId;
use hale_core::limits;
use hale_core::time::Timestamp;
use hale_gateway::CallStats;
use hale_gateway::stats::{CallRecord, Numbered};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// Model calls that ended in a worker's process and that the server has not acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// By the worker's clock, as are the moments of the calls.
    pub sent_at: Timestamp,
    /// Numbered by the worker, rising.
    pub ended: Vec<Numbered>,
}

impl Calls {
    /// What came in after call `told`.
    pub fn after(stats: &CallStats, told: u64, now: Timestamp) -> Self {
        Self { sent_at: now, ended: stats.after(told, limits::WORKER_CALLS) }
    }

    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// The number of the last call; with none, the one before.
    pub fn last(&self) -> Option<u64> {
        self.ended.last().map(|call| call.n)
    }
}

/// The last call of one worker that was taken.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

impl Taken {
    /// Takes what is new.
    ///
    /// # Errors
    /// E002 for more calls than one request may carry.
    pub(super) fn take(
        &self,
        calls: Calls,
        (worker, stats): (WorkerId, &CallStats),
        now: Timestamp,
    ) -> Result<(), Failure> {
        if calls.ended.len() > limits::WORKER_CALLS {
            let message = format!(
                "take {} calls of worker {worker}: one request carries at most {}",
                calls.ended.len(),
                limits::WORKER_CALLS
            );
            return Err(Failure::new(Code::E002, "worker.too_many_calls", "engine", message));
        }
        for Numbered { n, mut call } in calls.ended {
            if self.0.fetch_max(n, Ordering::Relaxed) >= n {
                continue;
            }
            if let Some(name) = too_long(&call) {
                tracing::warn!(worker = %worker, event = "call_not_counted", "call not counted: its {name} is longer than {} bytes", limits::CALL_NAME_BYTES);
                continue;
            }
            call.at = now - calls.sent_at.since(call.at);
            stats.record(call);
        }
        Ok(())
    }
}

fn too_long(call: &CallRecord) -> Option<&'static str> {
    let long = |text: &str| text.len() > limits::CALL_NAME_BYTES;
    [
        ("model", Some(&call.model)),
        ("provider", Some(&call.provider)),
        ("cause", call.cause.as_ref()),
        ("first model", call.instead_of.as_ref()),
    ]
    .into_iter()
    .find_map(|(name, text)| text.is_some_and(|text| long(text)).then_some(name))
}
