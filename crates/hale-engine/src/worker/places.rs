//! Places at a tool: how many calls of one tool this worker makes at a time.
//!
//! Guarantees: never more calls at a time than the limit that came with the run's order; who waits is told when a
//! place is free. Read next: [`super::agent`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The places of one worker.
#[derive(Debug, Default)]
pub struct Places {
    busy: Mutex<HashMap<Arc<str>, u32>>,
    freed: Notify,
}

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    tool: Arc<str>,
}

impl Places {
    fn busy(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if one is free now.
    pub fn try_take(&self, tool: &Arc<str>, most: u32) -> Option<Place<'_>> {
        let mut all = self.busy();
        let busy = all.entry(tool.clone()).or_default();
        if *busy >= most {
            return None;
        }
        *busy += 1;
        Some(Place { places: self, tool: tool.clone() })
    }

    /// Waits for a place; the run's own limit bounds the wait.
    pub async fn take(&self, tool: &Arc<str>, most: u32) -> Place<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Listen first, look then: a place that is freed between the two is not missed.
            freed.as_mut().enable();
            if let Some(place) = self.try_take(tool, most) {
                return place;
            }
            freed.await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.places.busy();
        if let Some(busy) = all.get_mut(&self.tool) {
            *busy = busy.saturating_sub(1);
            if *busy == 0 {
                all.remove(&self.tool);
            }
        }
        drop(all);
        self.places.freed.notify_waiters();
    }
}
