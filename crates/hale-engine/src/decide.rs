//! What the loop decides about each input, against memory, without waiting for anything.
//!
//! Every decision ends in an op of the batch and the act that follows it, or in a refusal that needs no commit.
//! Read next: [`crate::claims`] for who gets work, [`crate::act`] for what follows.

use crate::adopt::Delegating;
use crate::crew::holds;
use crate::desk::{Act, Desk, Look, Moved, WorkerLook, advance, update_of};
use crate::input::{Append, Caller, Change, Ended, Input, Receipt, Refusal, Reply, Resolve, With, together};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::queue::Line;
use hale_core::run::{Event, Order, Record, Run, State, Wait, WaitOn, accept, event};
use hale_core::time::Timestamp;
use hale_store::{Idempotency, Insert, Op, StoredRun};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Times that an operator's change is decided anew because the run moved under it.
const CHANGE_TRIES: u32 = 5;

impl Desk {
    pub(crate) fn decide(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Submit { order, first, input, idempotency, with, reply, ended } => {
                if let Some(ended) = ended {
                    self.watchers.entry(order.id).or_default().push(ended);
                }
                self.submit((*order, first), (input, idempotency, with), reply, now);
            }
            Input::Watch { run, ended } => self.watchers.entry(run).or_default().push(ended),
            Input::Released { pack } => self.released(&pack),
            Input::Change { run, change, by, with, tries, reply } => {
                self.change(Changing { run, change, by, with, tries }, reply, now);
            }
            Input::Append { worker, append, reply } => self.append(worker, append, reply, now),
            Input::Join { hello, orders, reply } => self.join(hello, orders, reply, now),
            Input::Heartbeat { worker, holds, reply } => self.heartbeat(worker, &holds, reply, now),
            Input::PollGone { worker } => self.poll_gone(worker, now),
            Input::Drain { worker, drain, reply } => self.drain_worker(worker, drain, reply),
            Input::Depart { worker, reply } => self.depart(worker, reply, now),
            Input::Leave { worker, why } => self.leave(worker, &why, now),
            Input::ProcessEnded { row, reply } => self.process_ended(*row, reply, now),
            Input::Write { ops, reply } => self.write(ops, reply),
            Input::Approvals { reply } => {
                let _ = reply.send(self.approvals());
            }
            Input::Look { reply } => {
                self.renew_embedded(now);
                let _ = reply.send(self.look());
            }
            Input::LookQueues { reply } => {
                let _ = reply.send(self.look_queues(now));
            }
            Input::Retune { reply } => {
                self.retune();
                let _ = reply.send(());
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
        (input, idempotency, with): (Arc<str>, Option<Idempotency>, With),
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
        if let Err(failure) = self.admits(&order) {
            self.watchers.remove(&order.id);
            return drop(reply.send(Err(failure)));
        }
        if let Err(failure) = self.has_room("accept the run") {
            self.watchers.remove(&order.id);
            return drop(reply.send(Err(failure)));
        }
        let (run, accepted, effects) = accept(order, now);
        let mut moved = Moved {
            records: vec![Record { v: event::VERSION, seq: run.seq, at: now, event: accepted }],
            run,
            effects,
            output: None,
        };
        let fork = with.fork.map(|(from, steps)| Event::Forked { from, steps });
        if let Err(failure) = follow(&mut moved, first.into_iter().chain(fork), now) {
            self.watchers.remove(&moved.run.id);
            return drop(reply.send(Err(failure)));
        }
        let line = Line::of(&moved.run);
        match self.idle_worker(&line.queue) {
            _ if moved.run.is_delayed(now) => self.ripening.expect(moved.run.due.unwrap_or(now)),
            // Nobody waits and a slot is free: the run is born leased, in the same commit.
            Some(worker) if self.queue.is_empty() && self.may_be_born(&line, now) => {
                self.born_leased(&mut moved, worker, now);
            }
            _ => self.join_line(&line, 1),
        }
        let insert = Insert {
            run: moved.run.clone(),
            input: input.clone(),
            records: moved.records.clone(),
            output: None,
            idempotency,
        };
        let op = together(with.ops, Op::Insert(Box::new(insert)));
        self.push(op, Act::Accepted { reply, moved, input });
    }

    fn may_be_born(&mut self, line: &Line, now: Timestamp) -> bool {
        !self.queue.is_paused(&line.queue)
            && !self.standing.holds(&line.key, now)
            && self.gates.may(line, &self.registry, now)
    }

    fn born_leased(&mut self, moved: &mut Moved, worker: WorkerId, now: Timestamp) {
        let events = vec![Event::Leased { worker, epoch: moved.run.epoch + 1 }, Event::Initialized];
        let Ok(leased) = advance(&moved.run, events, now) else { return };
        let line = Line::of(&moved.run);
        self.flows.arrived(&line, 1, now);
        self.flows.served(&line, 1, now);
        if let Some(state) = self.workers.get_mut(&worker) {
            state.busy += 1;
        }
        self.has_a_lease(worker, now);
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
        mut append: Append,
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
            // The answer to the first time was lost on its way, or is not there yet.
            let _ = reply.send(self.sent_again(&append));
            return;
        }
        if let Some(spawn) = append.spawn.take() {
            return self.delegate(&run, Delegating { append, spawn: *spawn, reply }, now);
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
            let _ = reply.send(self.sent_again(&append));
            return;
        }
        self.meters.writes_fenced.add(1);
        let what = append.events.first().map_or("nothing", Event::name).to_owned();
        let fenced = Event::Fenced { worker, epoch: append.epoch, what };
        let _ = reply.send(Err(Refusal::Fenced { epoch: append.epoch, now_at: run.epoch }));
        if let Ok(moved) = advance(run, vec![fenced], now) {
            match self.active.get_mut(&run.id) {
                Some(active) => active.run = moved.run.clone(),
                None => drop(self.departing.insert(run.id, moved.run.clone())),
            }
            self.push(update_of(&moved, run.seq), Act::Moved(moved));
        }
    }

    /// The run is queued again or has ended: what is known of it is in the store, or on its way there.
    fn fence_ended(
        &mut self,
        worker: WorkerId,
        append: Append,
        reply: oneshot::Sender<Result<(), Refusal>>,
        now: Timestamp,
    ) {
        match self.latest(append.run) {
            Ok(Some(run)) => self.fence(&run, (worker, append), reply, now),
            Ok(None) => {
                let _ = reply.send(Err(Refusal::Fenced { epoch: append.epoch, now_at: 0 }));
            }
            Err(error) => {
                let _ = reply.send(Err(Refusal::Unavailable { why: error.to_string() }));
            }
        }
    }

    /// The answer to a write that memory knows already: it is confirmed when it is in the store, not when it was
    /// decided, or a crash in between takes back what a worker was told.
    fn sent_again(&self, append: &Append) -> Result<(), Refusal> {
        match self.store.run(append.run) {
            Ok(Some(StoredRun { run, .. })) if run.epoch == append.epoch && knows(&run, &append.events) => {
                Ok(())
            }
            Ok(_) => Err(not_yet()),
            Err(error) => Err(Refusal::Unavailable { why: error.to_string() }),
        }
    }

    fn change(&mut self, order: Changing, reply: Reply<Run>, now: Timestamp) {
        let run = match self.latest(order.run) {
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
                let line = matches!(run.state, State::Pending { .. }).then(|| Line::of(&run));
                if let Some(line) = &line {
                    self.leave_line(line);
                }
                let retry = order.again();
                self.push(together(order.with, op), Act::Changed { reply, moved, retry, line });
            }
            Err(refused) => {
                let message = format!("{} run {}: it is {}", order.change.verb(), run.id, refused.state);
                let _ = reply.send(Err(Failure::new(Code::E011, "run.conflict", "engine", message)));
            }
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
        let now = self.now();
        let workers = self.workers.iter().map(|(id, worker)| WorkerLook {
            row: worker.row.clone(),
            slots: worker.slots,
            busy: worker.busy,
            draining: worker.draining,
            until: worker.until,
            queues: worker.queues.clone(),
            seat: worker.seat,
            progress_at: self
                .active
                .values()
                .filter(|active| holds(active, *id))
                .map(|active| active.run.progress_at)
                .min(),
            runs: self
                .active
                .values()
                .filter(|active| holds(active, *id))
                .map(|active| active.run.id)
                .collect(),
        });
        let asked: Vec<Timestamp> = self.asking().map(|run| run.state.since()).collect();
        let stalled = |since: &&Timestamp| now.since(**since) >= limits::APPROVAL_STALL;
        let waiting = self.active.values().filter(|active| active.run.lease().is_none()).count() as u64;
        Look {
            pending: self.queue.len(),
            active: self.active.len() as u64 - waiting,
            waiting,
            approvals: asked.len() as u64,
            approvals_since: asked.iter().min().copied(),
            approvals_stalled: asked.iter().filter(stalled).count() as u64,
            workers: workers.collect(),
            closed: self.closed,
        }
    }
}

/// Adds to an acceptance what is told with it.
fn follow(moved: &mut Moved, events: impl Iterator<Item = Event>, now: Timestamp) -> Result<(), Failure> {
    for event in events {
        moved.add(event, now).map_err(|refused| {
            Failure::new(Code::E011, "run.unfit_beginning", "engine", "accept the run").caused_by(&refused)
        })?;
    }
    Ok(())
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

fn knows(run: &Run, events: &[Event]) -> bool {
    is_stored(run, events) || is_last(run, events)
}

fn not_yet() -> Refusal {
    Refusal::Unavailable { why: "it was sent before and is on its way to the store".to_owned() }
}

/// Whether the batch is the one that ended the last lease, sent again because its answer was lost.
fn is_last(run: &Run, events: &[Event]) -> bool {
    use hale_core::run::StateName;
    match (events.last(), &run.state) {
        (Some(Event::StepFailed { .. }), State::Waiting { .. }) => true,
        (Some(Event::Awaiting { index, .. }), State::Waiting { .. }) => {
            run.awaits.as_ref().is_some_and(|awaits| awaits.index == *index)
        }
        // The wait was too long for the run, or the run was told to stop.
        (Some(Event::Awaiting { .. }), state) => {
            matches!(state.name(), StateName::Failed | StateName::Cancelled)
        }
        (Some(Event::StepFailed { .. } | Event::Failed { .. }), state) => state.name() == StateName::Failed,
        (Some(Event::Completed { .. }), state) => state.name() == StateName::Completed,
        (Some(Event::Stopped), state) => state.name() == StateName::Cancelled,
        _ => false,
    }
}

pub(crate) fn no_run(id: RunId) -> Failure {
    Failure::new(Code::E010, "run.not_found", "engine", format!("find run {id}"))
}

/// An operator's order for one run, as it is tried.
struct Changing {
    run: RunId,
    change: Change,
    by: Arc<str>,
    with: Vec<Op>,
    tries: u32,
}

impl Changing {
    /// The same order once more; none when it was tried often enough. Its reply is put in by whoever sends it.
    fn again(&self) -> Option<Box<Input>> {
        let (reply, _) = oneshot::channel();
        let (run, change, by, tries) = (self.run, self.change.clone(), self.by.clone(), self.tries + 1);
        let with = self.with.clone();
        (self.tries < CHANGE_TRIES).then(|| Box::new(Input::Change { run, change, by, with, tries, reply }))
    }
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Change::Cancel { .. } => "cancel",
            Change::Resolve(_) => "resolve",
            Change::Withdraw { .. } => "purge",
            Change::GiveUp { .. } => "give up",
            Change::Decide(_) => "decide about",
        }
    }
}

fn events_of(order: &Changing, run: &Run) -> Result<Vec<Event>, Failure> {
    let by = order.by.to_string();
    Ok(match &order.change {
        Change::Cancel { reason } => vec![Event::CancelAsked { by, reason: reason.clone() }],
        Change::Withdraw { .. } if !matches!(run.state, State::Pending { .. }) => {
            let message = format!("purge run {}: it is {} by now", run.id, run.state.name());
            return Err(Failure::new(Code::E011, "run.conflict", "engine", message));
        }
        Change::Withdraw { reason } => vec![Event::CancelAsked { by, reason: Some(reason.clone()) }],
        Change::GiveUp { reason } => vec![Event::GivenUp { by, reason: reason.clone() }],
        Change::Decide(decision) => crate::consent::answer(run, decision, by)?,
        Change::Resolve(Resolve::Retry) => vec![Event::Resolved { by }],
        Change::Resolve(Resolve::Fail) => {
            let parked = matches!(run.state, State::Waiting { on: WaitOn::Approval, .. })
                && !matches!(&run.awaits, Some(awaits) if matches!(awaits.wait, Wait::Approval { .. }));
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
