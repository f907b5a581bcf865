//! When a tool must stop: its deadline and the cancel flag.
//!
//! Tools look at it before every file, every [`crate::limits::CHECK_EVERY`] entries, every read and every piece of
//! text handed to a pattern, so that a cancellation stops them well within a second. A read that the kernel itself
//! holds (a dead network mount) cannot be interrupted; the engine gives up on the thread then.
//! Read next: [`crate::tools`].

use crate::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Handed to every call. Clones share the flag.
#[derive(Clone, Debug)]
pub struct Control {
    pub deadline: Instant,
    pub cancelled: Arc<AtomicBool>,
}

impl Control {
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, cancelled: Arc::new(AtomicBool::new(false)) }
    }

    /// # Errors
    /// [`Error::Cancelled`] or [`Error::TimedOut`] when the tool must stop.
    pub fn check(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        if Instant::now() >= self.deadline { Err(Error::TimedOut) } else { Ok(()) }
    }
}
