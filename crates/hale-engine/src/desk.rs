//! The loop's desk: everything it holds in memory, and the batch that it is filling.
//!
//! Holds active runs only (leased or waiting); the queue is counters, its runs stay in the store.
//! Read next: [`crate::decide`].

use crate::arms::Arms;
use crate::gates::Gates;
use crate::input::{Ended, Input, Reply};
use crate::lines::{Flows, Ripening};
use crate::live::Hub;
use crate::quarantine::{Blamed, Quarantine};
use crate::registry::Registry;
use crate::settings::{Config, Settings};
use crate::worker::switches::Switches;
use crate::worker::{Order, Orders};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::killswitch::Standing;
use hale_core::meter::Meters;
use hale_core::queue::{Line, Queue};
use hale_core::run::{Effect, Event, Record, Run, event};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Op, Store, Update};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::oneshot;

/// An active run: leased or waiting.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub run: Run,
    /// When its timer fires next; the same moment stands in `Desk::timers`.
    pub timer: Option<Timestamp>,
    /// Warnings before the limit that were given.
    pub warned: usize,
    /// How far its moments lie ahead, because the wall clock was set back before this process began: the one at which
    /// its limit's clock began, and the end of its wait. Both are as long as they were meant to be, whatever the clock
    /// says; a wait until a named moment ends early by as much.
    pub clock_ahead: Millis,
    pub wait_ahead: Millis,
    /// Its limit strikes no sooner, because this process began with its lease: whether its worker lives has to show
    /// first. The time of one that died while the server was away does not count.
    pub spared: Timestamp,
    /// Its last progress by the present clock; what lies before this process counts from its beginning, since nobody
    /// could tell any while there was no server.
    pub progress_at: Timestamp,
}

impl Active {
    pub(crate) fn new(run: Run, warned: usize) -> Self {
        let progress_at = run.progress_at;
        let (clock_ahead, wait_ahead, spared) = (Millis(0), Millis(0), Timestamp(0));
        Self { run, timer: None, warned, clock_ahead, wait_ahead, spared, progress_at }
    }

    /// When its time is over, by the present clock.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.run.deadline().map(|deadline| (deadline - self.clock_ahead).max(self.spared))
    }
}

/// A worker as the loop knows it.
#[derive(Debug)]
pub(crate) struct WorkerState {
    pub row: hale_store::WorkerRow,
    pub slots: u32,
    /// The slots that it asked for; an operator may have set others.
    pub asked: u32,
    /// Its place among the processes that the server keeps.
    pub seat: Option<u32>,
    pub busy: u32,
    /// The lease of all its runs ends here unless it is heard of before.
    pub until: Timestamp,
    pub draining: bool,
    /// Its connection ended, and it has not been heard of since.
    pub away: bool,
    /// The queues that it takes from; empty means all.
    pub queues: Vec<Arc<str>>,
    pub orders: Orders,
    /// When it was last heard of, as its stored row says.
    pub stored_at: Timestamp,
}

impl WorkerState {
    pub(crate) fn free(&self) -> u32 {
        if self.draining || self.away { 0 } else { self.slots.saturating_sub(self.busy) }
    }

    pub(crate) fn send(&self, order: Order) {
        // A worker that is gone loses its leases by time; nothing is owed to it.
        let _ = self.orders.send(order);
    }
}

/// How things stand, for status and evidence.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub pending: u64,
    pub active: u64,
    pub waiting: u64,
    /// Of these, runs that wait for a person; since when the first, and how many for too long.
    pub approvals: u64,
    pub approvals_since: Option<Timestamp>,
    pub approvals_stalled: u64,
    pub workers: Vec<WorkerLook>,
    pub closed: bool,
}

#[derive(Clone, Debug)]
pub struct WorkerLook {
    pub row: hale_store::WorkerRow,
    pub slots: u32,
    pub busy: u32,
    pub draining: bool,
    pub until: Timestamp,
    /// The queues that it takes from; empty means all.
    pub queues: Vec<Arc<str>>,
    pub runs: Vec<RunId>,
    /// When the run of it that has stood still for longest made progress.
    pub progress_at: Option<Timestamp>,
    /// Its place among the processes that the server keeps.
    pub seat: Option<u32>,
}

/// What follows when an op of the batch is durable.
#[derive(Debug)]
pub(crate) enum Act {
    Accepted {
        reply: Reply<crate::input::Receipt>,
        moved: Moved,
        input: Arc<str>,
    },
    Moved(Moved),
    /// `line`: the one that the run has left by this.
    Changed {
        reply: Reply<Run>,
        moved: Moved,
        retry: Option<Box<Input>>,
        line: Option<Line>,
    },
    Appended {
        reply: oneshot::Sender<Result<(), crate::input::Refusal>>,
        moved: Moved,
    },
    Delegated(Box<crate::adopt::Adopted>),
    Claimed {
        worker: WorkerId,
        n: u32,
        claim: hale_core::queue::Claim,
    },
    Ripened,
    Written {
        reply: Reply<()>,
    },
    Quarantined {
        quarantine: Box<Quarantine>,
        value: String,
    },
    Silent,
}

/// A run that moved, and what the move ordered.
#[derive(Debug)]
pub(crate) struct Moved {
    pub run: Run,
    pub records: Vec<Record>,
    pub effects: Vec<Effect>,
    pub output: Option<Arc<str>>,
}

impl Moved {
    /// Moves the run on by one event more, before it is stored.
    ///
    /// # Errors
    /// The pair that the table refuses; then nothing has changed.
    pub(crate) fn add(&mut self, event: Event, now: Timestamp) -> Result<(), hale_core::run::Refused> {
        let next = advance(&self.run, vec![event], now)?;
        self.run = next.run;
        self.records.extend(next.records);
        self.effects.extend(next.effects);
        Ok(())
    }
}

/// Decisions that are not durable yet; `acts[i]` follows `ops[i]`.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub ops: Vec<Op>,
    pub acts: Vec<Act>,
}

pub(crate) struct Desk {
    pub config: Config,
    pub store: Arc<dyn Store>,
    pub registry: Registry,
    pub settings: Settings,
    pub meters: Arc<Meters>,
    pub hub: Hub,
    pub arms: Arms,
    pub active: HashMap<RunId, Active>,
    /// Runs that are active no more, until the store knows it too: whoever reads them there would decide on what is
    /// past, and what follows could meet its number again under another event.
    pub departing: HashMap<RunId, Run>,
    pub queue: Queue,
    pub workers: BTreeMap<WorkerId, WorkerState>,
    pub timers: BTreeSet<(Timestamp, RunId)>,
    pub watchers: HashMap<RunId, Vec<oneshot::Sender<Ended>>>,
    /// Deaths of workers that packs are blamed for.
    pub blamed: Blamed,
    pub next: Batch,
    /// A batch is handed over and not answered.
    pub flying: bool,
    pub closed: bool,
    /// The store refused a batch: the next one waits until then.
    pub rests_until: Timestamp,
    /// When this process began.
    pub began: Timestamp,
    /// The last look round, and the first end of a lease that it saw.
    pub looked_at: Timestamp,
    pub lease_ends: Timestamp,
    pub gates: Gates,
    pub ripening: Ripening,
    pub flows: Flows,
    /// Runs that left a line before memory counted them in it.
    pub owed: BTreeMap<Line, u64>,
    /// Runs taken back to the store while the answers of the present batch are followed.
    pub reloaded: BTreeSet<RunId>,
    /// Lines whose last claim found fewer runs than were counted.
    pub doubted: BTreeSet<Line>,
    /// Runs claimed for a worker whose claim is not answered yet; also when it has left in between.
    pub placed: BTreeMap<WorkerId, u32>,
    /// When the queue was compared with the store last.
    pub checked_at: Timestamp,
    /// When it was stored last which workers were heard of.
    pub seen_stored_at: Timestamp,
    /// Kill switches, the embedded worker's view of them, and when the next held target comes back.
    pub standing: Standing,
    pub switches: Switches,
    pub returns: Option<Timestamp>,
}

impl Desk {
    pub(crate) fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    pub(crate) fn rests(&self) -> bool {
        self.now() < self.rests_until
    }

    pub(crate) fn undurable(&self) -> usize {
        self.next.ops.len()
    }

    pub(crate) fn take_batch(&mut self) -> Option<Batch> {
        (!self.next.ops.is_empty()).then(|| std::mem::take(&mut self.next))
    }

    pub(crate) fn push(&mut self, op: Op, act: Act) {
        self.next.ops.push(op);
        self.next.acts.push(act);
    }

    /// Moves an active run by `events`, in memory and into the batch's op; the caller adds what follows.
    ///
    /// # Errors
    /// The pair that the table refuses; then nothing has changed.
    pub(crate) fn advance(
        &mut self,
        run: &Run,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<(Op, Moved), hale_core::run::Refused> {
        let was = run.seq;
        let moved = advance(run, events, now)?;
        self.settle(run, &moved, now);
        Ok((update_of(&moved, was), moved))
    }

    /// Keeps memory in step with a run that moves from `before` to `moved.run`: slots, queue, timers, membership.
    pub(crate) fn settle(&mut self, before: &Run, moved: &Moved, now: Timestamp) {
        let run = &moved.run;
        if let Some(lease) = before.lease()
            && run.lease().is_none()
            && let Some(worker) = self.workers.get_mut(&lease.worker)
        {
            worker.busy = worker.busy.saturating_sub(1);
        }
        if before.lease().is_some() && run.lease().is_none() {
            self.give_back(&run.key, 1);
        }
        for effect in &moved.effects {
            if let Effect::Enqueue { queue, key, priority } = effect {
                let line = Line { queue: queue.clone(), key: key.clone(), priority: *priority };
                self.join_line(&line, 1);
            }
        }
        let stays = run.lease().is_some() || matches!(run.state, hale_core::run::State::Waiting { .. });
        if stays {
            let mut next = Active::new(run.clone(), 0);
            if let Some(active) = self.active.get(&run.id) {
                next.warned = active.warned;
                if active.run.clock_from == run.clock_from {
                    next.clock_ahead = active.clock_ahead;
                }
                if active.run.progress_at == run.progress_at {
                    next.progress_at = active.progress_at;
                }
                if run.lease().is_some() && active.run.lease() == run.lease() {
                    next.spared = active.spared;
                }
            }
            self.drop_timer(run.id);
            self.active.insert(run.id, next);
            self.set_timer(run.id, now);
        } else {
            self.drop_timer(run.id);
            self.active.remove(&run.id);
            self.departing.insert(run.id, run.clone());
        }
    }

    /// A run as it was decided last: in memory, or in the store.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn latest(&self, id: RunId) -> Result<Option<Run>, hale_store::Error> {
        let known = self.active.get(&id).map(|active| &active.run).or_else(|| self.departing.get(&id));
        match known {
            Some(run) => Ok(Some(run.clone())),
            None => Ok(self.store.run(id)?.map(|stored| stored.run)),
        }
    }

    /// Refuses more runs than may wait: a queue that grows without bound serves nobody.
    pub(crate) fn has_room(&self, doing: &str) -> Result<(), Failure> {
        let (wait, most) = (self.queue.len(), self.config.queue_depth_max);
        if wait < most {
            return Ok(());
        }
        let message = format!("{doing}: {wait} runs wait already, at most {most} may (queue.depth_max)");
        Err(Failure::new(Code::E004, "queue.full", "engine", message).retry_in(1))
    }

    pub(crate) fn full(&self) -> Failure {
        Failure::new(Code::E014, "store.disk_full", "store", "accept the run: the disk is full").retry_in(5)
    }
}

/// The op that stores a move.
pub(crate) fn update_of(moved: &Moved, was: u64) -> Op {
    Op::Update(Box::new(Update {
        run: moved.run.clone(),
        was,
        records: moved.records.clone(),
        output: moved.output.clone(),
        artifacts: Vec::new(),
    }))
}

/// `retry_after` in seconds, for callers that should come again.
pub(crate) trait RetryIn {
    fn retry_in(self, seconds: u64) -> Self;
}

impl RetryIn for Failure {
    fn retry_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(hale_core::time::Millis::seconds(seconds));
        self
    }
}

/// Moves `run` by all of `events`, or by none.
pub(crate) fn advance(
    run: &Run,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<Moved, hale_core::run::Refused> {
    let mut at = run.clone();
    let (mut records, mut effects, mut output) = (Vec::with_capacity(events.len()), Vec::new(), None);
    for event in events {
        let (next, ordered) = hale_core::run::apply(&at, &event, now)?;
        at = next;
        effects.extend(ordered);
        if let Event::Completed { output: value } = &event {
            output = Some(Arc::from(value.to_string()));
        }
        records.push(Record { v: event::VERSION, seq: at.seq, at: now, event });
    }
    Ok(Moved { run: at, records, effects, output })
}
