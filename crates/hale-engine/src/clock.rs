//! The clock at the door of the loop: one start on the wall, then monotonic.
//!
//! A jump of the wall clock moves neither leases nor limits, and a test that pauses tokio's time pauses this clock.

use hale_core::time::{Millis, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Tells the time; copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    from: Instant,
}

impl Clock {
    /// A clock that agrees with the wall now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(Timestamp(Millis::from(wall).0 as i64))
    }

    /// A clock on which it is this moment now.
    pub fn at(wall: Timestamp) -> Self {
        Self { wall, from: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.wall + Millis::from(self.from.elapsed())
    }

    /// The moment of tokio's clock that is `at` on this one.
    pub fn instant(&self, at: Timestamp) -> Instant {
        self.from + at.since(self.wall).duration()
    }
}
