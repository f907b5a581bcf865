//! Runs whose output could not be stored yet: they stay in COMPLETING and try again.
//!
//! Guarantees: nothing is lost meanwhile, because an output is a function of the journaled steps, and a try repeats
//! none of them; a try comes with growing pauses, or at once when an operator asks for it.
//! Leaves to others: what is tried ([`crate::worker::host`]), the run's deadline ([`crate::timers`](crate)).
//! Read next: `hale-store/src/blobs/depot.rs`, which spools what the store does not take, so that this is rare.

use hale_core::id::RunId;
use hale_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Before the second try.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause: short against the usual limit of a run.
const LONGEST: Duration = Duration::from_secs(15);

/// The runs that wait; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stow(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    again: Notify,
    waiting: Mutex<BTreeMap<RunId, Waiting>>,
}

/// Why and since when a run waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub since: Timestamp,
    pub error: String,
}

/// A run is in the list while this lives.
#[derive(Debug)]
pub struct Waits {
    stow: Stow,
    run: RunId,
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.stow.waiting().remove(&self.run);
    }
}

impl Stow {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<RunId, Waiting>> {
        // One insert or removal at a time: the map is whole whoever panicked.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a run waits.
    pub fn enter(&self, run: RunId, waiting: Waiting) -> Waits {
        self.waiting().insert(run, waiting);
        Waits { stow: self.clone(), run }
    }

    /// All that wait now.
    pub fn list(&self) -> BTreeMap<RunId, Waiting> {
        self.waiting().clone()
    }

    /// Comes back when it is time for another try.
    pub async fn again(&self, tries: u32) {
        let pause = FIRST.saturating_mul(1 << tries.min(10)).min(LONGEST);
        let _ = tokio::time::timeout(pause, self.0.again.notified()).await;
    }

    /// Lets everything that waits try at once.
    pub fn push(&self) {
        self.0.again.notify_waiters();
    }
}
