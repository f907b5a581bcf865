//! Counters of waiting runs and of runs by state, kept with the rows that they count.
//!
//! A commit gathers its changes here and writes one row for each touched counter, so a start reads some counters
//! instead of a million runs.
//! Read next: `sqlite/write.rs`.

use crate::Line;
use hale_core::run::StateName;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Changes of one commit.
#[derive(Clone, Default)]
pub(super) struct Counters {
    queue: BTreeMap<Line, i64>,
    states: BTreeMap<(Arc<str>, StateName), i64>,
}

/// What a run counts under.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) line: Line,
    /// A pending run that waits for its time stands in no line yet.
    pub(super) delayed: bool,
    pub(super) pack: Arc<str>,
    pub(super) state: StateName,
}

impl Counters {
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.states.clear();
    }

    pub(super) fn added(&mut self, place: &Place) {
        self.change(place, 1);
    }

    pub(super) fn removed(&mut self, place: &Place) {
        self.change(place, -1);
    }

    fn change(&mut self, place: &Place, by: i64) {
        *self.states.entry((place.pack.clone(), place.state)).or_default() += by;
        if place.state == StateName::Pending && !place.delayed {
            *self.queue.entry(place.line.clone()).or_default() += by;
        }
    }

    /// A delayed run joins its line.
    pub(super) fn ripened(&mut self, place: &Place) {
        *self.queue.entry(place.line.clone()).or_default() += 1;
    }

    /// Writes the changes; a counter at zero has no row.
    pub(super) fn store(&self, conn: &Connection) -> rusqlite::Result<()> {
        for (line, change) in self.queue.iter().filter(|(_, change)| **change != 0) {
            conn.prepare_cached(
                "INSERT INTO queue_counts(queue, key, priority, count) VALUES(?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute((line.queue.as_ref(), line.key.as_ref(), line.priority as i64, change))?;
            if *change < 0 {
                conn.prepare_cached(
                    "DELETE FROM queue_counts WHERE queue = ?1 AND key = ?2 AND priority = ?3 AND count = 0",
                )?
                .execute((line.queue.as_ref(), line.key.as_ref(), line.priority as i64))?;
            }
        }
        for ((pack, state), change) in self.states.iter().filter(|(_, change)| **change != 0) {
            conn.prepare_cached(
                "INSERT INTO state_counts(pack, state, count) VALUES(?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )?
            .execute((pack.as_ref(), *state as i64, change))?;
            if *change < 0 {
                conn.prepare_cached("DELETE FROM state_counts WHERE pack = ?1 AND state = ?2 AND count = 0")?
                    .execute((pack.as_ref(), *state as i64))?;
            }
        }
        Ok(())
    }
}
