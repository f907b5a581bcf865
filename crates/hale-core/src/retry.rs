//! Whether to try again, and when.
//!
//! Two classes wait differently (CONF-06): tools and connectors after 1, 2 and 4 s; models five attempts between 4
//! and 60 s with up to 2 s of jitter. What the other side asks for (`Retry-After`) always wins. A wait that would
//! end after the deadline is not started: the answer is [`Verdict::TooLate`] and says so.
//! Read next: [`crate::run`].

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// How a failure may be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    Never,
    Tool,
    Model,
}

/// How often and how long: the default of a class, or what the pack's `retry` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Retries after the first try.
    pub retries_max: u32,
    pub wait_min: Millis,
    pub wait_max: Millis,
    pub jitter_max: Millis,
}

impl RetryClass {
    pub const fn policy(self) -> Policy {
        let (retries_max, min, max, jitter) = match self {
            RetryClass::Never => (0, 0, 0, 0),
            RetryClass::Tool => (3, 1_000, 4_000, 0),
            // Five attempts are four retries.
            RetryClass::Model => (4, 4_000, 60_000, 2_000),
        };
        Policy { retries_max, wait_min: Millis(min), wait_max: Millis(max), jitter_max: Millis(jitter) }
    }
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Wait this long, then try again.
    Wait(Millis),
    /// All retries are used up, or there were none.
    Exhausted,
    /// The wait of this length would end after the deadline.
    TooLate(Millis),
}

/// The facts of one failed try. `tries` counts the tries so far, 1 after the first.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    pub tries: u32,
    pub retry_after: Option<Millis>,
    pub deadline: Timestamp,
    /// Any number; spread over the policy's jitter.
    pub chance: u64,
}

impl Policy {
    /// Decides after a failed try at `now`.
    pub fn decide(&self, tried: Tried, now: Timestamp) -> Verdict {
        if tried.tries > self.retries_max {
            return Verdict::Exhausted;
        }
        let doubled = self.wait_min.0.saturating_mul(1u64 << (tried.tries.saturating_sub(1)).min(32));
        let jitter = if self.jitter_max.0 == 0 { 0 } else { tried.chance % (self.jitter_max.0 + 1) };
        let own = Millis(doubled.min(self.wait_max.0) + jitter);
        let wait = tried.retry_after.unwrap_or(own);
        if now + wait >= tried.deadline { Verdict::TooLate(wait) } else { Verdict::Wait(wait) }
    }
}
