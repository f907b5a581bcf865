//! Workers as the loop sees them: who joins, lives, drains, departs and is lost.
//!
//! A worker that ends gives back what it holds in the same turn of the loop. Read next: [`crate::claims`] for what they
//! are given, [`crate::resync`] for what memory is compared with.

use crate::desk::{Act, Active, Desk, WorkerState};
use crate::input::{Hello, Reply};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, Run};
use hale_core::time::Timestamp;
use hale_store::{Op, WorkerRow};
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
        let row = WorkerRow {
            id: hello.id,
            kind: hello.kind,
            host: hello.host,
            pid: hello.pid,
            slots: hello.slots,
            started_at: now,
            seen_at: now,
            draining: false,
            ended: None,
        };
        let busy = self.active.values().filter(|active| holds(active, hello.id)).count() as u32;
        let state = WorkerState {
            row: row.clone(),
            slots: hello.slots.min(limits::WORKER_CONCURRENCY_MAX),
            busy,
            until: now + limits::LEASE,
            draining: false,
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

    pub(crate) fn heartbeat(
        &mut self,
        id: WorkerId,
        held: &[(RunId, u64)],
        reply: oneshot::Sender<bool>,
        now: Timestamp,
    ) {
        let Some(worker) = self.workers.get_mut(&id) else {
            let _ = reply.send(false);
            return;
        };
        worker.until = now + limits::LEASE;
        worker.row.seen_at = now;
        if now.since(worker.stored_at) >= limits::LEASE_RENEW {
            worker.stored_at = now;
            let row = worker.row.clone();
            self.push(Op::Worker(row), Act::Silent);
        }
        let _ = reply.send(true);
        self.unknown_to_worker(id, held, now);
    }

    /// An order may be lost on its way: a lease that its worker does not know of after a while is taken back.
    fn unknown_to_worker(&mut self, id: WorkerId, held: &[(RunId, u64)], now: Timestamp) {
        let lost: Vec<Run> = self
            .active
            .values()
            .filter(|active| holds(active, id) && now.since(active.run.progress_at) > limits::LEASE)
            .filter(|active| !held.contains(&(active.run.id, active.run.epoch)))
            .map(|active| active.run.clone())
            .collect();
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
        self.push(Op::Worker(ended(worker, why, now)), Act::Silent);
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
        self.push(Op::Worker(ended(worker, "left", now)), Act::Written { reply });
    }

    fn held_by(&self, id: WorkerId) -> Vec<Run> {
        let held = self.active.values().filter(|active| holds(active, id));
        held.map(|active| active.run.clone()).collect()
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
