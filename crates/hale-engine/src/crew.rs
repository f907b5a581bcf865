//! Workers as the loop sees them: who joins, lives, drains, departs and is lost.
//!
//! A worker that ends gives back what it holds in the same turn of the loop. Read next: [`crate::claims`] for what they
//! are given, [`crate::resync`] for what memory is compared with.

use crate::desk::{Act, Active, Desk, WorkerState};
use crate::input::{Hello, Reply};
use crate::settings::slots_key;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, Run};
use hale_core::time::Timestamp;
use hale_store::{Op, WorkerKind, WorkerRow};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Desk {
    pub(crate) fn join(
        &mut self,
        hello: Hello,
        orders: crate::worker::Orders,
        reply: Reply<()>,
        now: Timestamp,
    ) {
        let draining = self.was_draining(hello.id);
        let row = WorkerRow {
            id: hello.id,
            kind: hello.kind,
            host: hello.host,
            pid: hello.pid,
            slots: hello.slots,
            started_at: now,
            seen_at: now,
            draining,
            ended: None,
            exit: None,
        };
        let row =
            WorkerRow { slots: self.settings.slots((hello.id, hello.kind, hello.seat), hello.slots), ..row };
        // What is claimed for it and not stored yet is in no run.
        let held = self.active.values().filter(|active| holds(active, hello.id)).count() as u32;
        let busy = held + self.placed.get(&hello.id).copied().unwrap_or(0);
        let state = WorkerState {
            slots: row.slots,
            row: row.clone(),
            asked: hello.slots,
            seat: hello.seat,
            busy,
            until: now + limits::LEASE,
            draining,
            away: false,
            queues: served(hello.queues),
            orders,
            stored_at: now,
        };
        if !self.standing.on.is_empty() {
            state.send(self.switches_now(now));
        }
        self.workers.insert(hello.id, state);
        self.push(Op::Worker(row), Act::Written { reply });
    }

    /// Whoever joins again was told before what to do with new work: neither a restart of the server nor a silence
    /// takes a drain back.
    fn was_draining(&self, id: WorkerId) -> bool {
        if let Some(known) = self.workers.get(&id) {
            return known.row.draining;
        }
        match self.store.workers() {
            Ok(rows) => rows.iter().any(|row| row.id == id && row.draining),
            Err(error) => {
                tracing::warn!(event = "worker_unread", worker = %id, error = %error, "whether the worker drains is not known; it joins as one that works");
                false
            }
        }
    }

    pub(crate) fn heartbeat(
        &mut self,
        id: WorkerId,
        held: &[(RunId, u64)],
        reply: oneshot::Sender<Option<bool>>,
        now: Timestamp,
    ) {
        let Some(worker) = self.workers.get_mut(&id) else {
            let _ = reply.send(None);
            return;
        };
        let in_hand = worker.busy > 0;
        worker.until = now + if in_hand { limits::LEASE } else { limits::IDLE_LEASE };
        worker.away = false;
        worker.row.seen_at = now;
        let _ = reply.send(Some(in_hand));
        self.unknown_to_worker(id, held, now);
    }

    /// The connection ended over which a worker waited for orders: it gets none until it is heard of again, and a
    /// lease is what it has for that.
    pub(crate) fn poll_gone(&mut self, id: WorkerId, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.away = true;
        self.has_a_lease(id, now);
    }

    /// From now on the worker has something to lose, or is in doubt: it is believed alive no longer than a lease.
    pub(crate) fn has_a_lease(&mut self, id: WorkerId, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.until = worker.until.min(now + limits::LEASE);
        self.lease_ends = self.lease_ends.min(worker.until);
    }

    /// Stores when workers were last heard of: for whoever reads the store after a crash, so all of them now and then in
    /// one commit. Leases do not rest on it.
    pub(crate) fn note_seen(&mut self, now: Timestamp) {
        if now.since(self.seen_stored_at) < limits::SEEN_STORED {
            return;
        }
        self.seen_stored_at = now;
        let heard = |worker: &&mut WorkerState| {
            worker.row.kind == WorkerKind::Process && worker.row.seen_at > worker.stored_at
        };
        let mut rows = Vec::new();
        for worker in self.workers.values_mut().filter(heard) {
            worker.stored_at = worker.row.seen_at;
            rows.push(worker.row.clone());
        }
        for row in rows {
            self.push(Op::Worker(row), Act::Silent);
        }
    }

    /// Operators changed how many runs a worker executes: those in hand go on.
    pub(crate) fn resize_workers(&mut self) {
        let mut rows = Vec::new();
        for (id, worker) in &mut self.workers {
            let slots = self.settings.slots((*id, worker.row.kind, worker.seat), worker.asked);
            if slots != worker.slots {
                tracing::info!(event = "worker_resized", worker = %id, slots, "worker has {slots} slots from now on");
                worker.slots = slots;
                worker.row.slots = slots;
                rows.push(worker.row.clone());
            }
        }
        for row in rows {
            self.push(Op::Worker(row), Act::Silent);
        }
    }

    /// The process of a worker has ended, and whoever kept it saw how.
    pub(crate) fn process_ended(&mut self, row: WorkerRow, reply: Reply<()>, now: Timestamp) {
        let why = row.ended.clone().unwrap_or_default();
        let row = match self.workers.remove(&row.id) {
            Some(worker) => {
                let held = self.held_by(row.id);
                self.blame(&worker.row, (&held, &why), now);
                for run in held {
                    self.lose(&run, &why, now);
                }
                self.forget_slots(&worker);
                WorkerRow { exit: row.exit, ..ended(worker, &why, now) }
            }
            None => row,
        };
        self.push(Op::Worker(row), Act::Written { reply });
    }

    /// An order may be lost on its way: a lease that its worker does not know of after a while is taken back.
    fn unknown_to_worker(&mut self, id: WorkerId, held: &[(RunId, u64)], now: Timestamp) {
        let mut lost: Vec<Run> = self
            .active
            .values()
            .filter(|active| holds(active, id) && now.since(active.progress_at) > limits::LEASE)
            .filter(|active| !held.contains(&(active.run.id, active.run.epoch)))
            .map(|active| active.run.clone())
            .collect();
        lost.sort_unstable_by_key(|run| run.id);
        for run in lost {
            self.lose(&run, "the worker does not know of the run", now);
        }
    }

    pub(crate) fn drain_worker(&mut self, id: WorkerId, drain: bool, reply: Reply<()>) {
        let Some(worker) = self.workers.get_mut(&id) else {
            let _ = reply.send(Err(no_worker(id)));
            return;
        };
        worker.draining = drain;
        worker.row.draining = drain;
        let row = worker.row.clone();
        self.push(Op::Worker(row), Act::Written { reply });
    }

    pub(crate) fn leave(&mut self, id: WorkerId, why: &str, now: Timestamp) {
        let Some(worker) = self.workers.remove(&id) else { return };
        let held = self.held_by(id);
        self.blame(&worker.row, (&held, why), now);
        for run in held {
            self.lose(&run, why, now);
        }
        self.forget_slots(&worker);
        self.push(Op::Worker(ended(worker, why, now)), Act::Silent);
    }

    /// What an operator set for this incarnation alone ends with it.
    fn forget_slots(&mut self, worker: &WorkerState) {
        let key = slots_key(worker.row.id, worker.row.kind, worker.seat);
        if key.ends_with(&worker.row.id.to_string()) && self.settings.get(&key).is_some() {
            self.settings.set(&key, None);
            self.push(Op::Setting { key, value: None }, Act::Silent);
        }
    }

    /// Orders that were still on their way to a worker that ends are given back in its name: no lease was lost.
    pub(crate) fn depart(&mut self, id: WorkerId, reply: Reply<()>, now: Timestamp) {
        let Some(worker) = self.workers.remove(&id) else {
            let _ = reply.send(Err(no_worker(id)));
            return;
        };
        for run in self.held_by(id) {
            let event = Event::Released { worker: id, epoch: run.epoch };
            self.move_by(&run, event, now);
        }
        self.forget_slots(&worker);
        self.push(Op::Worker(ended(worker, "left", now)), Act::Written { reply });
    }

    /// Oldest first: so they join their lines again.
    fn held_by(&self, id: WorkerId) -> Vec<Run> {
        let held = self.active.values().filter(|active| holds(active, id));
        let mut held: Vec<Run> = held.map(|active| active.run.clone()).collect();
        held.sort_unstable_by_key(|run| run.id);
        held
    }

    /// Ends a lease without its worker's word.
    pub(crate) fn lose(&mut self, run: &Run, why: &str, now: Timestamp) {
        let Some(lease) = run.lease() else { return };
        self.meters.leases_expired.add(1);
        let event = Event::LeaseLost { worker: lease.worker, epoch: lease.epoch, why: why.to_owned() };
        match self.advance(run, vec![event], now) {
            Ok((op, moved)) => self.push(op, Act::Moved(moved)),
            Err(refused) => tracing::error!(run_id = %run.id, error = %refused, "lease not taken back"),
        }
    }
}

/// In one order, so that workers of the same queues are one group.
fn served(mut queues: Vec<Arc<str>>) -> Vec<Arc<str>> {
    queues.sort();
    queues.dedup();
    queues.truncate(limits::WORKER_QUEUES);
    queues
}

pub(crate) fn holds(active: &Active, worker: WorkerId) -> bool {
    active.run.lease().is_some_and(|lease| lease.worker == worker)
}

/// The row of a worker that ended.
fn ended(worker: WorkerState, why: &str, now: Timestamp) -> WorkerRow {
    WorkerRow { ended: Some(why.to_owned()), seen_at: now, ..worker.row }
}

fn no_worker(id: WorkerId) -> Failure {
    Failure::new(Code::E010, "worker.not_found", "engine", format!("find worker {id}"))
}
