//! What the loop decides about each input, against memory, without waiting for anything.
//!
//! Every decision ends in an op of the batch and the act that follows it, or in a refusal that needs no commit.
//! Read next: [`crate::claims`] for who gets work, [`crate::act`] for what follows.

use crate::desk::{Act, Desk, Look, Moved, WorkerLook, WorkerState, advance, update_of};
use crate::input::{Append, Caller, Change, Ended, Hello, Input, Receipt, Refusal, Reply, Resolve};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::queue::Line;
use hale_core::run::{Event, Order, Record, Run, State, WaitOn, accept, event};
use hale_core::time::Timestamp;
use hale_store::{Idempotency, Insert, Op, WorkerRow};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Times that an operator's change is decided anew because the run moved under it.
const CHANGE_TRIES: u32 = 5;

impl Desk {
    pub(crate) fn decide(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Submit { order, first, input, idempotency, reply, ended } => {
                if let Some(ended) = ended {
                    self.watchers.entry(order.id).or_default().push(ended);
                }
                self.submit((*order, first), (input, idempotency), reply, now);
            }
            Input::Watch { run, ended } => self.watchers.entry(run).or_default().push(ended),
            Input::Change { run, change, by, tries, reply } => {
                self.change(Changing { run, change, by, tries }, reply, now);
            }
            Input::Append { worker, append, reply } => self.append(worker, append, reply, now),
            Input::Join { hello, orders, reply } => self.join(hello, orders, reply, now),
            Input::Heartbeat { worker, holds, reply } => self.heartbeat(worker, &holds, reply, now),
            Input::Drain { worker, drain, reply } => self.drain_worker(worker, drain, reply),
            Input::Depart { worker, reply } => self.depart(worker, reply, now),
            Input::Leave { worker, why } => self.leave(worker, &why, now),
            Input::Write { ops, reply } => self.write(ops, reply),
            Input::Look { reply } => {
                self.renew_embedded(now);
                let _ = reply.send(self.look());
            }
            Input::Close { reply } => {
                self.closed = true;
                let _ = reply.send(());
            }
        }
    }

    fn submit(
        &mut self,
        (order, first): (Order, Vec<Event>),
        (input, idempotency): (Arc<str>, Option<Idempotency>),
        reply: Reply<Receipt>,
        now: Timestamp,
    ) {
        if self.closed {
            self.watchers.remove(&order.id);
            let _ = reply.send(Err(Failure::new(
                Code::E014,
                "server.draining",
                "engine",
                "accept the run: the server drains",
            )));
            return;
        }
        if self.queue.len() >= limits::QUEUE_DEPTH {
            self.watchers.remove(&order.id);
            let message = format!("accept the run: {} runs wait already", self.queue.len());
            let _ = reply.send(Err(Failure::new(Code::E004, "queue.full", "engine", message)));
            return;
        }
        let (run, accepted, effects) = accept(order, now);
        let mut moved = Moved {
            records: vec![Record { v: event::VERSION, seq: run.seq, at: now, event: accepted }],
            run,
            effects,
            output: None,
        };
        if let Err(failure) = follow(&mut moved, first, now) {
            self.watchers.remove(&moved.run.id);
            return drop(reply.send(Err(failure)));
        }
        match self.idle_worker() {
            // Nobody waits and a slot is free: the run is born leased, in the same commit.
            Some(worker) if self.queue.is_empty() => self.born_leased(&mut moved, worker, now),
            _ => self.queue.added(&Line::of(&moved.run), 1),
        }
        let insert = Insert {
            run: moved.run.clone(),
            input: input.clone(),
            records: moved.records.clone(),
            output: None,
            idempotency,
        };
        self.push(Op::Insert(Box::new(insert)), Act::Accepted { reply, moved, input });
    }

    fn born_leased(&mut self, moved: &mut Moved, worker: WorkerId, now: Timestamp) {
        let events = vec![Event::Leased { worker, epoch: moved.run.epoch + 1 }, Event::Initialized];
        let Ok(leased) = advance(&moved.run, events, now) else { return };
        if let Some(state) = self.workers.get_mut(&worker) {
            state.busy += 1;
        }
        moved.records.extend(leased.records);
        // The order to enqueue is undone by the lease that follows it in the same commit.
        moved.effects = leased.effects;
        moved.run = leased.run;
        let settled =
            Moved { run: moved.run.clone(), records: Vec::new(), effects: Vec::new(), output: None };
        self.settle(&moved.run.clone(), &settled, now);
    }

    fn append(
        &mut self,
        worker: WorkerId,
        append: Append,
        reply: oneshot::Sender<Result<(), Refusal>>,
        now: Timestamp,
    ) {
        let Some(active) = self.active.get(&append.run) else {
            return self.fence_ended(worker, append, reply, now);
        };
        let run = active.run.clone();
        if run.lease().is_none_or(|lease| lease.worker != worker || lease.epoch != append.epoch) {
            return self.fence(&run, (worker, append), reply, now);
        }
        if is_stored(&run, &append.events) {
            // The answer to the first time was lost on its way.
            let _ = reply.send(Ok(()));
            return;
        }
        match self.advance(&run, append.events, now) {
            Ok((op, moved)) => self.push(op, Act::Appended { reply, moved }),
            Err(refused) => {
                let _ = reply.send(Err(Refusal::Unfit { why: refused.to_string() }));
            }
        }
    }

    /// Refuses a write under a stale lease, and records that it came.
    fn fence(
        &mut self,
        run: &Run,
        (worker, append): (WorkerId, Append),
        reply: oneshot::Sender<Result<(), Refusal>>,
        now: Timestamp,
    ) {
        if append.epoch == run.epoch && is_last(run, &append.events) {
            let _ = reply.send(Ok(()));
            return;
        }
        self.meters.writes_fenced.add(1);
        let what = append.events.first().map_or("nothing", Event::name).to_owned();
        let fenced = Event::Fenced { worker, epoch: append.epoch, what };
        let _ = reply.send(Err(Refusal::Fenced { epoch: append.epoch, now_at: run.epoch }));
        if let Ok(moved) = advance(run, vec![fenced], now) {
            if let Some(active) = self.active.get_mut(&run.id) {
                active.run = moved.run.clone();
            }
            self.push(update_of(&moved, run.seq), Act::Moved(moved));
        }
    }

    /// The run is queued again or has ended: what is known of it is in the store.
    fn fence_ended(
        &mut self,
        worker: WorkerId,
        append: Append,
        reply: oneshot::Sender<Result<(), Refusal>>,
        now: Timestamp,
    ) {
        match self.store.run(append.run) {
            Ok(Some(stored)) => self.fence(&stored.run, (worker, append), reply, now),
            Ok(None) => {
                let _ = reply.send(Err(Refusal::Fenced { epoch: append.epoch, now_at: 0 }));
            }
            Err(error) => {
                let _ = reply.send(Err(Refusal::Unavailable { why: error.to_string() }));
            }
        }
    }

    fn change(&mut self, order: Changing, reply: Reply<Run>, now: Timestamp) {
        let stored = match self.active.get(&order.run) {
            Some(active) => Ok(Some(active.run.clone())),
            None => self.store.run(order.run).map(|stored| stored.map(|stored| stored.run)),
        };
        let run = match stored {
            Ok(Some(run)) => run,
            Ok(None) => return drop(reply.send(Err(no_run(order.run)))),
            Err(error) => return drop(reply.send(Err(error.failure()))),
        };
        let events = match events_of(&order, &run) {
            Ok(events) => events,
            Err(failure) => return drop(reply.send(Err(failure))),
        };
        match self.advance(&run, events, now) {
            Ok((op, moved)) => {
                if matches!(run.state, State::Pending { .. }) {
                    self.queue.removed(&Line::of(&run), 1);
                }
                self.push(op, Act::Changed { reply, moved, retry: order.again() });
            }
            Err(refused) => {
                let message = format!("{} run {}: it is {}", order.change.verb(), run.id, refused.state);
                let _ = reply.send(Err(Failure::new(Code::E011, "run.conflict", "engine", message)));
            }
        }
    }

    fn join(&mut self, hello: Hello, orders: crate::worker::Orders, reply: Reply<()>, now: Timestamp) {
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
            orders,
            stored_at: now,
        };
        self.workers.insert(hello.id, state);
        self.push(Op::Worker(row), Act::Written { reply });
    }

    fn heartbeat(
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

    fn drain_worker(&mut self, id: WorkerId, drain: bool, reply: Reply<()>) {
        let Some(worker) = self.workers.get_mut(&id) else {
            let _ = reply.send(Err(no_worker(id)));
            return;
        };
        worker.draining = drain;
        worker.row.draining = drain;
        let row = worker.row.clone();
        self.push(Op::Worker(row), Act::Written { reply });
    }

    fn leave(&mut self, id: WorkerId, why: &str, now: Timestamp) {
        let Some(worker) = self.workers.remove(&id) else { return };
        for run in self.held_by(id) {
            self.lose(&run, why, now);
        }
        self.push(Op::Worker(ended(worker, why, now)), Act::Silent);
    }

    /// Orders that were still on their way to a worker that ends are given back in its name: no lease was lost.
    fn depart(&mut self, id: WorkerId, reply: Reply<()>, now: Timestamp) {
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

    fn write(&mut self, ops: Vec<Op>, reply: Reply<()>) {
        let mut reply = Some(reply);
        let last = ops.len().saturating_sub(1);
        if ops.is_empty()
            && let Some(reply) = reply.take()
        {
            let _ = reply.send(Ok(()));
        }
        for (place, op) in ops.into_iter().enumerate() {
            let act = match reply.take_if(|_| place == last) {
                Some(reply) => Act::Written { reply },
                None => Act::Silent,
            };
            self.push(op, act);
        }
    }

    fn look(&self) -> Look {
        let workers = self.workers.iter().map(|(id, worker)| WorkerLook {
            row: worker.row.clone(),
            slots: worker.slots,
            busy: worker.busy,
            draining: worker.draining,
            until: worker.until,
            runs: self
                .active
                .values()
                .filter(|active| holds(active, *id))
                .map(|active| active.run.id)
                .collect(),
        });
        let waiting = self.active.values().filter(|active| active.run.lease().is_none()).count() as u64;
        Look {
            pending: self.queue.len(),
            active: self.active.len() as u64 - waiting,
            waiting,
            workers: workers.collect(),
            closed: self.closed,
        }
    }
}

/// Adds to an acceptance what is told with it.
fn follow(moved: &mut Moved, events: Vec<Event>, now: Timestamp) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let next = advance(&moved.run, events, now).map_err(|refused| {
        Failure::new(Code::E015, "run.unfit_beginning", "engine", "accept the run").caused_by(&refused)
    })?;
    moved.records.extend(next.records);
    moved.effects.extend(next.effects);
    moved.run = next.run;
    Ok(())
}

fn holds(active: &crate::desk::Active, worker: WorkerId) -> bool {
    active.run.lease().is_some_and(|lease| lease.worker == worker)
}

/// Whether a batch under the present lease was stored before: its first result is in the journal. Batches are stored
/// whole or not at all.
fn is_stored(run: &Run, events: &[Event]) -> bool {
    let first = events.iter().find_map(|event| match event {
        Event::StepEnded { step } => Some(step.index),
        _ => None,
    });
    first.is_some_and(|index| index < run.steps)
}

/// Whether the batch is the one that ended the last lease, sent again because its answer was lost.
fn is_last(run: &Run, events: &[Event]) -> bool {
    use hale_core::run::StateName;
    match (events.last(), &run.state) {
        (Some(Event::StepFailed { .. }), State::Waiting { .. }) => true,
        (Some(Event::StepFailed { .. } | Event::Failed { .. }), state) => state.name() == StateName::Failed,
        (Some(Event::Completed { .. }), state) => state.name() == StateName::Completed,
        (Some(Event::Stopped), state) => state.name() == StateName::Cancelled,
        _ => false,
    }
}

/// The row of a worker that ended.
fn ended(worker: WorkerState, why: &str, now: Timestamp) -> WorkerRow {
    WorkerRow { ended: Some(why.to_owned()), seen_at: now, ..worker.row }
}

fn no_worker(id: WorkerId) -> Failure {
    Failure::new(Code::E010, "worker.not_found", "engine", format!("find worker {id}"))
}

pub(crate) fn no_run(id: RunId) -> Failure {
    Failure::new(Code::E010, "run.not_found", "engine", format!("find run {id}"))
}

/// An operator's order for one run, as it is tried.
struct Changing {
    run: RunId,
    change: Change,
    by: Arc<str>,
    tries: u32,
}

impl Changing {
    /// The same order once more; none when it was tried often enough. Its reply is put in by whoever sends it.
    fn again(&self) -> Option<Input> {
        let (reply, _) = oneshot::channel();
        let (run, change, by, tries) = (self.run, self.change.clone(), self.by.clone(), self.tries + 1);
        (self.tries < CHANGE_TRIES).then_some(Input::Change { run, change, by, tries, reply })
    }
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Change::Cancel { .. } => "cancel",
            Change::Resolve(_) => "resolve",
        }
    }
}

fn events_of(order: &Changing, run: &Run) -> Result<Vec<Event>, Failure> {
    let by = order.by.to_string();
    Ok(match &order.change {
        Change::Cancel { reason } => vec![Event::CancelAsked { by, reason: reason.clone() }],
        Change::Resolve(Resolve::Retry) => vec![Event::Resolved { by }],
        Change::Resolve(Resolve::Fail) => {
            let parked = matches!(run.state, State::Waiting { on: WaitOn::Approval, .. });
            if !parked {
                let message =
                    format!("resolve run {}: it is {} and waits for no decision", run.id, run.state.name());
                return Err(Failure::new(Code::E011, "run.conflict", "engine", message));
            }
            vec![Event::CancelAsked { by, reason: Some("resolved as failed".to_owned()) }]
        }
    })
}

/// Tells watchers of the end; also used when they came too late.
pub(crate) fn tell(watchers: Vec<oneshot::Sender<Ended>>, ended: &Ended) {
    for watcher in watchers {
        let _ = watcher.send(ended.clone());
    }
}

impl Caller {
    /// Whether this caller is a person or a program outside.
    pub fn is_engine(&self) -> bool {
        self.actor.as_ref() == "engine"
    }
}
