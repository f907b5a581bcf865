//! What happens because time passes: limits, retries, leases, time without progress.
//!
//! One timer a run, in one ordered set; recovery is a predicate over leases that is looked at for ever, never a
//! one-off loop at the start.
//! Read next: `hale-core/src/run/apply.rs`.

use crate::desk::{Act, Active, Desk};
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Answer, Awaits, Event, Run, State, Wait, WaitOn};
use hale_core::time::{Millis, Timestamp};
use tokio::time::Instant;

/// Between two looks while there are runs: an orphan is taken back, a caller who went away forgotten within this.
const LOOK_ACTIVE: Millis = Millis::seconds(1);
/// Between two looks while there is nothing but workers. No longer than a lease: a worker that joins after a look is
/// seen again before its lease can have run out.
const LOOK_IDLE: Millis = limits::LEASE;

impl Desk {
    /// The next moment at which something is due, if no input comes before: a run's timer, the end of a lease, or a
    /// look round.
    pub(crate) fn next_wake(&self) -> Instant {
        let timer = self.timers.first().map(|(at, _)| *at);
        let rested = self.rests().then_some(self.rests_until).filter(|_| self.undurable() > 0);
        let due =
            [timer, self.ripening.wake(), self.gates.wake, rested, self.returns].into_iter().flatten().min();
        let look = self.next_look();
        self.config.clock.instant(due.map_or(look, |due| due.min(look)))
    }

    fn next_look(&self) -> Timestamp {
        let busy = !self.active.is_empty() || !self.watchers.is_empty();
        let beat = self.looked_at + if busy { LOOK_ACTIVE } else { LOOK_IDLE };
        beat.min(self.lease_ends)
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self) {
        self.wake_due();
        if self.next_look() <= self.now() {
            self.look_round();
        }
    }

    /// Levels for whoever reads the meters, and the turns that the loop made.
    pub(crate) fn count(&self) {
        self.meters.loop_turns.add(1);
        self.meters.runs_pending.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        self.meters.runs_active.set(i64::try_from(self.active.len()).unwrap_or(i64::MAX));
    }

    pub(crate) fn drop_timer(&mut self, id: RunId) {
        if let Some(at) = self.active.get_mut(&id).and_then(|active| active.timer.take()) {
            self.timers.remove(&(at, id));
        }
    }

    /// Sets the one timer of an active run to the next moment that matters to it.
    pub(crate) fn set_timer(&mut self, id: RunId, now: Timestamp) {
        let Some(active) = self.active.get_mut(&id) else { return };
        let at = match &active.run.state {
            State::Waiting { until, .. } => {
                let until = *until - active.wait_ahead;
                active.deadline().map_or(until, |deadline| deadline.min(until))
            }
            _ => match active.deadline() {
                Some(deadline) => warning(active, now).unwrap_or(deadline),
                None => return,
            },
        };
        active.timer = Some(at);
        self.timers.insert((at, id));
    }

    /// Handles every timer that is due.
    pub(crate) fn wake_due(&mut self) {
        let now = self.now();
        self.ripen(now);
        self.let_go(now);
        self.let_return(now);
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.remove(&(at, id));
            let Some(active) = self.active.get_mut(&id) else { continue };
            active.timer = None;
            let (run, ahead) = (active.run.clone(), active.wait_ahead);
            let late = active.deadline().filter(|deadline| *deadline <= now);
            match (&run.state, late) {
                // Over before the limit, though nobody was there to see it.
                (State::Waiting { on, until, .. }, Some(deadline)) if *until - ahead < deadline => {
                    self.wait_over(&run, (*on, *until - ahead), now);
                }
                (_, Some(_)) => self.time_out(&run, now),
                (State::Waiting { on, until, .. }, None) => self.wait_over(&run, (*on, *until - ahead), now),
                (_, None) => self.warn(&run, now),
            }
        }
    }

    fn wait_over(&mut self, run: &Run, (on, until): (WaitOn, Timestamp), now: Timestamp) {
        if until > now {
            return self.set_timer(run.id, now);
        }
        let timed_out = |doing: &str| Event::TimedOut { doing: doing.to_owned() };
        let event = match (on, &run.awaits) {
            (WaitOn::Retry, _) => Event::Woken,
            (WaitOn::Timer, Some(awaits)) => Event::Awaited { index: awaits.index, answer: Answer::Fired },
            (WaitOn::Approval, Some(Awaits { index, wait: Wait::Approval { .. }, .. })) => {
                Event::Awaited { index: *index, answer: Answer::Expired }
            }
            (WaitOn::Approval, _) => timed_out("waiting for a decision"),
            (WaitOn::Child, _) => timed_out("waiting for a child run"),
            (WaitOn::Timer, None) => timed_out("waiting for a moment"),
        };
        self.move_by(run, event, now);
    }

    fn time_out(&mut self, run: &Run, now: Timestamp) {
        let doing = match (&run.state, self.hub.doing(run.id)) {
            (State::Waiting { on, .. }, _) => match &run.awaits {
                Some(awaits) => format!("waiting for {} ({})", on.name(), awaits.name),
                None => "waiting to retry".to_owned(),
            },
            (_, Some(doing)) => {
                let (kind, spent) = (doing.kind.name(), now.since(doing.since));
                format!("waiting for {kind} {}, {spent} of {}", doing.name, run.limit)
            }
            (_, None) => format!("in {}", run.state.name()),
        };
        self.move_by(run, Event::TimedOut { doing }, now);
    }

    fn warn(&mut self, run: &Run, now: Timestamp) {
        let used = run.time_used(now);
        tracing::warn!(
            run_id = %run.id, pack = %run.pack.name, correlation_id = %run.correlation, event = "time_warning",
            "Execution time: {}s of {}s limit", used.0 / 1000, run.limit.0 / 1000
        );
        if let Some(active) = self.active.get_mut(&run.id) {
            active.warned += 1;
        }
        self.set_timer(run.id, now);
    }

    pub(crate) fn move_by(&mut self, run: &Run, event: Event, now: Timestamp) {
        match self.advance(run, vec![event], now) {
            Ok((op, moved)) => self.push(op, Act::Moved(moved)),
            Err(refused) => tracing::error!(run_id = %run.id, error = %refused, "timer refused"),
        }
    }

    /// The net: leases that ran out, runs without progress, workers that are gone.
    pub(crate) fn look_round(&mut self) {
        let now = self.now();
        self.renew_embedded(now);
        let dead = self.workers.iter().filter(|(_, worker)| worker.until <= now);
        let dead: Vec<(WorkerId, Millis)> =
            dead.map(|(id, worker)| (*id, now.since(worker.row.seen_at))).collect();
        for (id, silent) in dead {
            tracing::warn!(worker = %id, event = "worker_lost", "worker lost: no heartbeat for {silent}");
            self.lose_worker(id, now);
        }
        self.lose_orphans(now);
        self.note_seen(now);
        self.enforce(now);
        self.check_queue(now);
        self.watchers.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
        self.looked_at = now;
        // A heartbeat moves an end away, which costs one look too many at most.
        self.lease_ends = self.workers.values().map(|worker| worker.until).min().unwrap_or(now + LOOK_IDLE);
    }

    /// Leases of the embedded worker live as long as this loop turns: it is one process.
    pub(crate) fn renew_embedded(&mut self, now: Timestamp) {
        for worker in self.workers.values_mut() {
            if worker.row.kind == hale_store::WorkerKind::Embedded && !worker.orders.is_closed() {
                worker.until = now + limits::LEASE;
                worker.row.seen_at = now;
            }
        }
    }

    fn lose_worker(&mut self, id: WorkerId, now: Timestamp) {
        self.decide(crate::input::Input::Leave { worker: id, why: "its lease ran out".to_owned() }, now);
    }

    /// Runs whose worker is unknown (it died before this process began) or makes no progress.
    fn lose_orphans(&mut self, now: Timestamp) {
        let visibility = self.config.visibility;
        let mut lost: Vec<(Run, &'static str)> = self
            .active
            .values()
            .filter_map(|active| {
                let lease = active.run.lease()?;
                let why = if !self.workers.contains_key(&lease.worker) {
                    "its worker is gone"
                } else if now.since(active.progress_at) > visibility.max(active.run.limit) {
                    "no progress"
                } else {
                    return None;
                };
                Some((active.run.clone(), why))
            })
            .collect();
        lost.sort_unstable_by_key(|(run, _)| run.id);
        for (run, why) in lost {
            self.lose(&run, why, now);
        }
    }
}

/// The next warning before the limit that is still ahead: at 50 and 55 parts of 60.
fn warning(active: &Active, now: Timestamp) -> Option<Timestamp> {
    let run = &active.run;
    let from = run.clock_from? - active.clock_ahead;
    let parts = limits::TIME_WARNINGS.get(active.warned..)?;
    let at = |part: &u64| from + Millis(run.limit.0 / 60 * part).saturating_sub(run.spent);
    parts.iter().map(at).find(|at| *at > now)
}
