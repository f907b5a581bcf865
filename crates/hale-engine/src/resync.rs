//! Memory taken back to what the store holds: at the start, after a refused batch, after a lost race.
//!
//! Read next: [`crate::timers`], which ends leases whose worker is gone.

use crate::desk::{Active, Desk, Moved, WorkerState};
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::queue::{Line, Queue};
use hale_core::run::{Effect, Lease, Run, State};
use hale_core::time::{Millis, Timestamp};
use hale_store::{WorkerKind, WorkerRow};

/// From the start of a process: until then a worker of before is heard of or lost, and what it does not know of is
/// taken back with its first word after a lease.
const SPARED: Millis = Millis(limits::LEASE.0 + 8_000);

impl Desk {
    /// Reads active runs, the queue's counters and the workers that may still live.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn load(&mut self) -> Result<(), hale_store::Error> {
        let now = self.now();
        self.queue = Queue::default();
        self.owed.clear();
        self.placed.clear();
        self.doubted.clear();
        for row in self.store.queue()? {
            self.queue.added(&row.line, row.count);
        }
        self.ripening.begin(self.store.delayed()?.next);
        self.retune();
        for id in self.active.keys().copied().collect::<Vec<_>>() {
            self.drop_timer(id);
        }
        self.active.clear();
        self.departing.clear();
        self.timers.clear();
        for stored in self.store.active()? {
            self.take_in(stored.run);
        }
        for worker in self.workers.values_mut() {
            worker.busy = 0;
        }
        let leases: Vec<_> = self.active.values().filter_map(|active| active.run.lease()).collect();
        for lease in leases {
            if let Some(worker) = self.workers.get_mut(&lease.worker) {
                worker.busy += 1;
            }
        }
        self.gates.clear();
        for active in self.active.values().filter(|active| active.run.lease().is_some()) {
            self.gates.took(&active.run.key, 1);
        }
        let ids: Vec<RunId> = self.active.keys().copied().collect();
        for id in ids {
            self.set_timer(id, now);
        }
        // Leases may have come back whose worker is gone: look at once.
        self.lease_ends = now;
        self.tell_lost_ends()?;
        self.stop_left_behind();
        Ok(())
    }

    /// Worker processes of before may have outlived the server: their leases hold until they prove dead. What the
    /// former server itself executed is lost at once, since its folder is locked by us.
    pub(crate) fn remember_workers(&mut self, rows: Vec<WorkerRow>) {
        let now = self.now();
        for row in rows {
            if row.ended.is_some() || row.kind == WorkerKind::Embedded {
                continue;
            }
            let (orders, _) = tokio::sync::mpsc::unbounded_channel();
            let state = WorkerState {
                slots: row.slots,
                asked: row.slots,
                seat: None,
                busy: 0,
                until: now + limits::LEASE,
                // No new work until it is heard of.
                draining: true,
                away: false,
                queues: Vec::new(),
                orders,
                stored_at: row.seen_at,
                row,
            };
            self.workers.insert(state.row.id, state);
        }
    }

    pub(crate) fn resync(&mut self) {
        if let Err(error) = self.load() {
            tracing::error!(event = "resync_failed", error = %error, "memory not taken back to the store");
        }
    }

    /// Takes one run back to what is stored.
    pub(crate) fn reload(&mut self, id: RunId) {
        let before = self.active.get(&id).map(|active| active.run.clone());
        self.departing.remove(&id);
        match self.store.run(id) {
            Ok(Some(stored)) => {
                self.drop_timer(id);
                self.active.remove(&id);
                let (held, holds) = (before.as_ref().and_then(Run::lease), stored.run.lease());
                self.recount(held, holds);
                match (held.is_some(), holds.is_some()) {
                    (true, false) => self.give_back(&stored.run.key, 1),
                    (false, true) => self.gates.took(&stored.run.key, 1),
                    _ => {}
                }
                self.take_in(stored.run);
                let now = self.now();
                self.set_timer(id, now);
                if let Err(error) = self.hear_child(id) {
                    tracing::error!(run_id = %id, error = %error, "child of the run not looked at");
                }
            }
            Ok(None) => {
                self.drop_timer(id);
                self.active.remove(&id);
            }
            Err(error) => tracing::error!(run_id = %id, error = %error, "run not reloaded"),
        }
    }

    /// The slot that memory believed in against the one that the store knows.
    fn recount(&mut self, believed: Option<Lease>, stored: Option<Lease>) {
        if believed == stored {
            return;
        }
        if let Some(worker) = believed.and_then(|lease| self.workers.get_mut(&lease.worker)) {
            worker.busy = worker.busy.saturating_sub(1);
        }
        if let Some(worker) = stored.and_then(|lease| self.workers.get_mut(&lease.worker)) {
            worker.busy += 1;
        }
    }

    /// A move that was decided but not stored, because the run had moved on: lines that it joined are left again.
    pub(crate) fn take_back(&mut self, moved: &Moved) {
        for effect in &moved.effects {
            if let Effect::Enqueue { queue, key, priority } = effect {
                self.leave_line(&Line { queue: queue.clone(), key: key.clone(), priority: *priority });
            }
        }
        // Once for the answers of one batch, of which all is stored by now: after that, memory holds what was decided
        // since, and the store does not.
        if self.reloaded.insert(moved.run.id) {
            self.reload(moved.run.id);
        }
    }

    /// A run that was decided but never stored.
    pub(crate) fn forget(&mut self, run: &Run) {
        match run.lease() {
            Some(lease) => {
                if let Some(worker) = self.workers.get_mut(&lease.worker) {
                    worker.busy = worker.busy.saturating_sub(1);
                }
                self.drop_timer(run.id);
                self.active.remove(&run.id);
                self.give_back(&run.key, 1);
            }
            None if run.is_delayed(run.submitted_at) => {}
            None => self.leave_line(&Line::of(run)),
        }
    }

    fn take_in(&mut self, run: Run) {
        if run.lease().is_some() || matches!(run.state, State::Waiting { .. }) {
            let now = self.now();
            let clock_ahead = run.clock_from.map_or(Millis(0), |from| from.since(now));
            let progress_at = run.progress_at.clamp(self.began, now);
            let wait_ahead = run.state.since().since(now);
            let spared = if run.lease().is_some() { self.began + SPARED } else { Timestamp(0) };
            self.active.insert(
                run.id,
                Active { clock_ahead, wait_ahead, spared, progress_at, ..Active::new(run, 0) },
            );
        }
    }
}
