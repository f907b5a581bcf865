//! The task that keeps worker processes: hears of ends and orders, and does what is due.
//!
//! It sleeps until something is heard or due; while a process drains by order, it looks whether it has anything left.
//! A process that is told to end lets its runs go on for its own grace period and gives back the rest; one that has
//! not ended by then is killed.
//! Read next: [`super::seat`].

use super::seat::{Ordered, Seat, State, Taken, Then, log_of, not_started};
use super::{Heard, Launch, SeatLook};
use crate::facade::{Engine, chance, hostname};
use crate::input::Input;
use arc_swap::ArcSwap;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::WorkerId;
use hale_core::supervise::{Ended, Next, Sent};
use hale_core::time::{Millis, Timestamp};
use hale_sandbox::process::nursery::{Nursery, Order};
use hale_sandbox::process::oom;
use hale_store::{WorkerKind, WorkerRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Beyond its grace period: giving back what it holds takes up to five seconds.
const LATE: Millis = Millis::seconds(8);
/// Between two looks at what a draining process still has.
const LOOK_AGAIN: Millis = Millis(100);
/// Longer than any wait: there is always something to sleep for.
const IDLE: Millis = Millis::seconds(3600);

pub(super) struct Keeper {
    engine: Engine,
    launch: Launch,
    nursery: Arc<Nursery>,
    heard: mpsc::Sender<Heard>,
    shown: Arc<ArcSwap<Vec<SeatLook>>>,
    seats: BTreeMap<u32, Seat>,
    /// Who waits until all have ended; nothing starts any more.
    closing: Option<oneshot::Sender<()>>,
}

impl Keeper {
    pub(super) fn new(
        engine: Engine,
        (launch, nursery): (Launch, Nursery),
        (heard, shown): (mpsc::Sender<Heard>, Arc<ArcSwap<Vec<SeatLook>>>),
    ) -> Self {
        let nursery = Arc::new(nursery);
        Self { engine, launch, nursery, heard, shown, seats: BTreeMap::new(), closing: None }
    }

    /// Until the engine stops, or all have ended after [`Heard::Close`].
    pub(super) async fn keep(mut self, mut hears: mpsc::Receiver<Heard>) {
        let stop = self.engine.0.stop.clone();
        self.fit();
        loop {
            self.do_what_is_due().await;
            self.show();
            if self.closing.is_some() && self.seats.is_empty() {
                break;
            }
            let wake = self.engine.clock().instant(self.next());
            tokio::select! {
                heard = hears.recv() => match heard {
                    Some(heard) => self.hear(heard).await,
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Some(reply) = self.closing {
            let _ = reply.send(());
        }
    }

    fn show(&self) {
        let now = self.engine.now();
        let looks = self.seats.iter().map(|(n, seat)| seat.look(*n, now)).collect();
        self.shown.store(Arc::new(looks));
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Changed => self.fit(),
            Heard::Restart { seat, wait, reply } => {
                let ordered = self.restart(seat, wait);
                if let Ok(Some(worker)) = &ordered {
                    // It may not have joined yet; then there is nothing to drain.
                    let (reply, _) = oneshot::channel();
                    let drain = Input::Drain { worker: *worker, drain: true, reply };
                    let _ = self.engine.send(drain).await;
                }
                let _ = reply.send(ordered.map(|_| ()));
            }
            Heard::Ended { seat, worker, status } => self.ended(seat, worker, status).await,
            Heard::Close { reply } => {
                self.closing = Some(reply);
                let until = self.engine.now();
                self.seats.retain(|_, seat| seat.taken().is_some());
                for taken in self.seats.values_mut().filter_map(Seat::taken) {
                    taken.ordered = Some(Ordered { then: Then::Leave, until });
                }
            }
        }
    }

    /// As many seats as are wanted: new ones start at once, those too many end in order.
    fn fit(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = self.engine.now();
        let wanted = self.engine.settings().processes().unwrap_or(self.launch.wanted);
        for n in 1..=wanted {
            let seat = self.seats.entry(n).or_insert_with(|| Seat::new(now));
            if let Some(ordered) = seat.taken().and_then(|taken| taken.ordered.as_mut()) {
                // Wanted again before it was gone.
                ordered.then = Then::StartAgain;
            }
        }
        self.seats.retain(|n, seat| *n <= wanted || seat.taken().is_some());
        for (_, seat) in self.seats.range_mut(wanted + 1..) {
            if let Some(taken) = seat.taken() {
                let until = taken.ordered.map_or(now, |ordered| ordered.until);
                taken.ordered = Some(Ordered { then: Then::Leave, until });
            }
        }
    }

    /// Answers with the worker that has to be drained first.
    fn restart(&mut self, n: u32, wait: Millis) -> Result<Option<WorkerId>, Failure> {
        let now = self.engine.now();
        let Some(seat) = self.seats.get_mut(&n).filter(|_| self.closing.is_none()) else {
            let message = format!("restart the worker process of seat {n}: there is no such seat");
            return Err(Failure::new(Code::E010, "worker.no_seat", "engine", message));
        };
        seat.past.close();
        match &mut seat.state {
            State::Taken(taken) if taken.ordered.is_some() => {
                let message = format!("restart worker {}: it ends already", taken.worker);
                return Err(Failure::new(Code::E011, "worker.ends", "engine", message));
            }
            State::Taken(taken) => {
                taken.ordered = Some(Ordered { then: Then::StartAgain, until: now + wait });
                return Ok(Some(taken.worker));
            }
            state => *state = State::Idle { at: now },
        }
        Ok(None)
    }

    /// The next moment at which something is due.
    fn next(&self) -> Timestamp {
        let now = self.engine.now();
        let due = self.seats.values().map(|seat| match &seat.state {
            State::Idle { at } => *at,
            State::Taken(taken) => match (taken.ordered, taken.sent) {
                (Some(ordered), None) => ordered.until.min(now + LOOK_AGAIN),
                (Some(ordered), Some(Sent::Terminate)) => ordered.until,
                _ => now + IDLE,
            },
            State::Starting { .. } | State::Open { .. } => now + IDLE,
        });
        due.min().unwrap_or(now + IDLE)
    }

    async fn do_what_is_due(&mut self) {
        let now = self.engine.now();
        let due = |seat: &Seat| matches!(seat.state, State::Idle { at } if at <= now);
        let starts: Vec<u32> = self.seats.iter().filter(|(_, seat)| due(seat)).map(|(n, _)| *n).collect();
        for n in starts {
            self.start(n).await;
        }
        let busy = self.busy().await;
        let grace = self.launch.grace + LATE;
        for taken in self.seats.values_mut().filter_map(Seat::taken) {
            let Some(ordered) = taken.ordered.as_mut() else { continue };
            let has_work = busy.get(&taken.worker).copied().unwrap_or(0) > 0;
            match taken.sent {
                None if ordered.until <= now || !has_work => {
                    ordered.until = now + grace;
                    taken.tell(Sent::Terminate);
                }
                Some(Sent::Terminate) if ordered.until <= now => taken.tell(Sent::Kill),
                _ => {}
            }
        }
    }

    /// Runs in hand of those that drain by order; asked only while there are some.
    async fn busy(&self) -> BTreeMap<WorkerId, u32> {
        let drains = |seat: &Seat| matches!(&seat.state, State::Taken(taken) if taken.ordered.is_some() && taken.sent.is_none());
        if !self.seats.values().any(drains) {
            return BTreeMap::new();
        }
        let workers = self.engine.look().await.map(|look| look.workers).unwrap_or_default();
        workers.into_iter().map(|worker| (worker.row.id, worker.busy)).collect()
    }

    async fn start(&mut self, n: u32) {
        let now = self.engine.now();
        let worker = WorkerId::mint(now, chance());
        let slots = self.engine.settings().slots((worker, WorkerKind::Process, Some(n)), self.launch.slots);
        let (log, said_from) = log_of(&self.launch.logs, n);
        let mut args = self.launch.args.clone();
        for (flag, value) in
            [("--id", worker.to_string()), ("--seat", n.to_string()), ("--slots", slots.to_string())]
        {
            args.extend([flag.into(), value.into()]);
        }
        let order = Order { exe: self.launch.program.clone(), args, env: self.launch.env.clone(), log };
        if let Some(seat) = self.seats.get_mut(&n) {
            seat.state = State::Starting { worker, since: now };
        }
        // It says its seat when it joins, which may be sooner than its start has come back.
        self.show();
        let nursery = self.nursery.clone();
        let oom = oom::Counts::read();
        let started = tokio::task::spawn_blocking(move || nursery.start(order)).await;
        let kept = match started {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => return self.failed(n, (worker, slots), chain(&error)).await,
            Err(error) => return self.failed(n, (worker, slots), error.to_string()).await,
        };
        let (pid, start_time, heard) = (kept.pid(), kept.start_time(), self.heard.clone());
        let taken =
            Taken { worker, pid, start_time, since: now, slots, said_from, oom, ordered: None, sent: None };
        if let Some(seat) = self.seats.get_mut(&n) {
            seat.state = State::Taken(Box::new(taken));
        }
        tracing::info!(event = "worker_process_started", worker = %worker, seat = n, pid, "worker process {pid} started in seat {n}");
        crate::tasks::spawn("worker-process", async move {
            let status = tokio::task::spawn_blocking(move || kept.wait()).await;
            let status = status.ok().and_then(Result::ok);
            let _ = heard.send(Heard::Ended { seat: n, worker, status }).await;
        });
    }

    async fn failed(&mut self, n: u32, (worker, slots): (WorkerId, u32), why: String) {
        let now = self.engine.now();
        let ended = not_started(n, why, now);
        self.keep_end((worker, 0, slots), (now, &ended)).await;
        self.follow(n, (worker, None), ended);
    }

    async fn ended(&mut self, n: u32, worker: WorkerId, status: Option<i32>) {
        let now = self.engine.now();
        let log = self.launch.logs.join(format!("worker-{n}.log"));
        let Some(taken) = self.seats.get_mut(&n).and_then(Seat::taken).filter(|taken| taken.worker == worker)
        else {
            return;
        };
        let ended = taken.ended((n, &log), status, now);
        let (pid, slots, since, ordered) = (taken.pid, taken.slots, taken.since, taken.ordered);
        self.keep_end((worker, pid, slots), (since, &ended)).await;
        self.follow(n, (worker, ordered), ended);
    }

    /// Stores the end; what the worker held is lost at once.
    async fn keep_end(&self, (id, pid, slots): (WorkerId, u32, u32), (since, ended): (Timestamp, &Ended)) {
        let row = WorkerRow {
            id,
            kind: WorkerKind::Process,
            host: hostname(),
            pid,
            slots,
            started_at: since,
            seen_at: ended.at,
            draining: ended.facts.sent.is_some(),
            ended: Some(format!("its process ended: {}", ended.meaning.says)),
            exit: serde_json::to_string(ended).ok(),
        };
        let row = Box::new(row);
        if let Err(failure) = self.engine.ask(|reply| Input::ProcessEnded { row, reply }).await {
            tracing::error!(event = "worker_end_not_kept", worker = %id, error = %failure, "end of a worker process not stored");
        }
    }

    /// What comes after an end.
    fn follow(&mut self, n: u32, (worker, ordered): (WorkerId, Option<Ordered>), ended: Ended) {
        let now = self.engine.now();
        tell(n, worker, &ended);
        let lived = ended.facts.lived;
        let Some(seat) = self.seats.get_mut(&n) else { return };
        seat.last = Some(ended);
        seat.state = match ordered.map(|ordered| ordered.then) {
            _ if self.closing.is_some() => return drop(self.seats.remove(&n)),
            Some(Then::Leave) => return drop(self.seats.remove(&n)),
            Some(Then::StartAgain) => State::Idle { at: now },
            None => match seat.past.ended(lived, now, worker.0 as u64) {
                Next::Restart { at } => {
                    self.engine.meters().worker_restarts.add(1);
                    State::Idle { at }
                }
                Next::Stay => {
                    tracing::error!(
                        event = "worker_breaker_open", seat = n, worker = %worker, ends = seat.past.ends(now),
                        "restart loop: the worker processes of seat {n} ended {} times in 5 minutes, none is started any more; when it is mended: hale workers restart {n}",
                        seat.past.ends(now)
                    );
                    State::Open { since: now }
                }
            },
        };
    }
}

/// The one line of an end.
fn tell(seat: u32, worker: WorkerId, ended: &Ended) {
    let meaning = &ended.meaning;
    let (code, says) = (meaning.code.unwrap_or(-1), &meaning.says);
    let words = ended.facts.last_words.last().map(String::as_str).unwrap_or_default();
    if meaning.alarming {
        tracing::warn!(event = "worker_process_ended", worker = %worker, seat, exit = code, last_words = words, "worker process of seat {seat} ended: {says}");
    } else {
        tracing::info!(event = "worker_process_ended", worker = %worker, seat, exit = code, "worker process of seat {seat} ended: {says}");
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
