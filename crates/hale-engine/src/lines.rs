//! Joining and leaving lines: counters that stay exact while commits are under way, and delayed runs that ripen.
//!
//! Whether a run with a due time stands in a line is known to the store alone, so a run that leaves is taken out of
//! the counters at once and put back when its commit says that it was in no line, or was not stored. What could not
//! be taken out, because its ripening is not answered yet or a claim has just counted it, is owed: the next that join
//! pay it, or the claim that finds fewer runs than it counted. What such a claim does not pay goes back.
//! Read next: [`crate::claims`].

use crate::desk::{Act, Desk};
use hale_core::limits;
use hale_core::queue::Line;
use hale_core::run::Priority;
use hale_core::time::{Millis, Timestamp};
use hale_store::Op;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Parts of the minute that arrivals and services are counted in.
const PARTS: i64 = 6;
const PART: i64 = 10_000;
/// Before a store that refused is asked again for what ripens.
const ASK_AGAIN: Millis = Millis::seconds(2);

/// What waits for its time, as far as memory knows.
#[derive(Debug, Default)]
pub(crate) struct Ripening {
    /// When the first of them is due.
    next: Option<Timestamp>,
    /// The earliest of those that were accepted since the store was asked.
    later: Option<Timestamp>,
    asked: bool,
}

impl Ripening {
    pub(crate) fn begin(&mut self, next: Option<Timestamp>) {
        *self = Self { next, later: None, asked: false };
    }

    /// A delayed run was accepted.
    pub(crate) fn expect(&mut self, due: Timestamp) {
        let place = if self.asked { &mut self.later } else { &mut self.next };
        *place = Some(place.map_or(due, |next| next.min(due)));
    }

    pub(crate) fn wake(&self) -> Option<Timestamp> {
        self.next.filter(|_| !self.asked)
    }

    /// The store refused the question: it is asked again a little later, unless memory is made anew before.
    pub(crate) fn refused(&mut self, now: Timestamp) {
        if self.asked {
            self.answered(Some(now + ASK_AGAIN));
        }
    }

    fn answered(&mut self, next: Option<Timestamp>) {
        let both = [next, self.later.take()];
        *self = Self { next: both.into_iter().flatten().min(), later: None, asked: false };
    }
}

/// Arrivals and services of one class within the last minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Part of time, arrivals, services.
    parts: VecDeque<(i64, u64, u64)>,
}

impl Flow {
    fn part(&mut self, now: Timestamp) -> Option<&mut (i64, u64, u64)> {
        let part = now.0.div_euclid(PART);
        if self.parts.back().is_none_or(|(last, ..)| *last < part) {
            self.parts.push_back((part, 0, 0));
        }
        while self.parts.len() > PARTS as usize + 1 {
            self.parts.pop_front();
        }
        self.parts.back_mut()
    }

    /// Arrived and served in the last minute.
    pub(crate) fn last_minute(&self, now: Timestamp) -> (u64, u64) {
        let from = now.0.div_euclid(PART) - PARTS;
        let live = self.parts.iter().filter(|(part, ..)| *part > from);
        live.fold((0, 0), |(arrived, served), (_, a, s)| (arrived + a, served + s))
    }
}

/// Flows by queue and class.
#[derive(Debug, Default)]
pub(crate) struct Flows(BTreeMap<Arc<str>, [Flow; 3]>);

impl Flows {
    fn of(&mut self, line: &Line) -> &mut Flow {
        if !self.0.contains_key(&line.queue) {
            self.0.insert(line.queue.clone(), Default::default());
        }
        &mut self.0.entry(line.queue.clone()).or_default()[line.priority as usize]
    }

    pub(crate) fn arrived(&mut self, line: &Line, n: u64, now: Timestamp) {
        if let Some((_, arrived, _)) = self.of(line).part(now) {
            *arrived += n;
        }
    }

    pub(crate) fn served(&mut self, line: &Line, n: u64, now: Timestamp) {
        if let Some((.., served)) = self.of(line).part(now) {
            *served += n;
        }
    }

    pub(crate) fn last_minute(&self, queue: &str, priority: Priority, now: Timestamp) -> (u64, u64) {
        self.0.get(queue).map_or((0, 0), |flows| flows[priority as usize].last_minute(now))
    }
}

impl Desk {
    /// `n` runs join a line.
    pub(crate) fn join_line(&mut self, line: &Line, n: u64) {
        let now = self.now();
        self.flows.arrived(line, n, now);
        let unpaid = n - self.pay(line, n);
        self.queue.added(line, unpaid);
    }

    /// A claim found `missing` runs fewer than it had counted: they left the line while it was under way, and were
    /// taken out of the counters by that a second time. A line that falls short twice is compared with the store, or
    /// a miscount would be claimed for ever.
    pub(crate) fn fell_short(&mut self, line: &Line, missing: u32) {
        let mut back = u64::from(missing) - self.pay(line, u64::from(missing));
        if back > 0 && !self.doubted.insert(line.clone()) {
            tracing::warn!(event = "queue_drift", queue = %line.queue, key = %line.key, missing, "fewer runs were queued than counted");
            match self.store.queue() {
                Ok(rows) => {
                    back = back.min(rows.iter().find(|row| row.line == *line).map_or(0, |row| row.count));
                    self.doubted.remove(line);
                }
                // A count too many is found out by the next claim; one too few leaves a run waiting.
                Err(error) => {
                    tracing::warn!(event = "queue_check_failed", error = %error, "the line was not compared with the store");
                }
            }
        }
        self.queue.added(line, back);
    }

    /// Pays what a line owes with at most `n` runs; says with how many.
    fn pay(&mut self, line: &Line, n: u64) -> u64 {
        let Some(owed) = self.owed.get_mut(line) else { return 0 };
        let paid = n.min(*owed);
        *owed -= paid;
        if *owed == 0 {
            self.owed.remove(line);
        }
        paid
    }

    /// One run leaves a line, unless its commit says otherwise.
    pub(crate) fn leave_line(&mut self, line: &Line) {
        if self.queue.removed(line, 1) == 0 {
            *self.owed.entry(line.clone()).or_default() += 1;
        }
    }

    /// It did not leave after all, or was in no line.
    pub(crate) fn stay_in_line(&mut self, line: &Line) {
        match self.owed.get_mut(line) {
            Some(owed) if *owed > 1 => *owed -= 1,
            Some(_) => {
                self.owed.remove(line);
            }
            None => self.queue.added(line, 1),
        }
    }

    /// Asks the store for the delayed runs whose time has come.
    pub(crate) fn ripen(&mut self, now: Timestamp) {
        if self.ripening.wake().is_some_and(|next| next <= now) {
            self.ripening.asked = true;
            self.push(Op::Ripen { n: limits::RIPEN_BATCH, at: now }, Act::Ripened);
        }
    }

    pub(crate) fn ripened(&mut self, ready: Vec<(Line, u64)>, next: Option<Timestamp>) {
        for (line, n) in ready {
            tracing::debug!(event = "ripened", queue = %line.queue, key = %line.key, n, "delayed runs wait for their turn");
            self.join_line(&line, n);
        }
        self.ripening.answered(next);
        let now = self.now();
        self.ripen(now);
    }

    /// Keys that their rate held may go again.
    pub(crate) fn let_go(&mut self, now: Timestamp) {
        if self.gates.wake.is_some_and(|wake| wake <= now) {
            self.gates.wake = None;
            self.queue.release_all();
        }
    }

    /// Runs of a key gave their leases back: keys of its pack that were held may go again.
    pub(crate) fn give_back(&mut self, key: &str, n: u32) {
        self.gates.gave_back(key, n);
        let pack = crate::gates::pack_of(key);
        let held = self.queue.held().filter(|(_, held)| crate::gates::pack_of(held) == pack);
        let held: Vec<(Arc<str>, Arc<str>)> = held.map(|(queue, key)| (queue.clone(), key.clone())).collect();
        for (queue, key) in held {
            self.queue.release(&queue, &key);
        }
    }

    /// The net: when memory says that nobody waits and nothing is under way, the store is asked now and then.
    pub(crate) fn check_queue(&mut self, now: Timestamp) {
        let quiet = self.queue.is_empty() && self.undurable() == 0 && !self.flying;
        if !quiet || now.since(self.checked_at) < limits::QUEUE_CHECK {
            return;
        }
        self.checked_at = now;
        let rows = match self.store.queue() {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(event = "queue_check_failed", error = %error, "the queue was not compared with the store");
                return;
            }
        };
        self.owed.clear();
        for row in rows.iter().filter(|row| row.count > 0) {
            tracing::warn!(
                event = "queue_drift", queue = %row.line.queue, key = %row.line.key, found = row.count,
                "runs waited in the store that memory did not count; they are taken over"
            );
            self.queue.added(&row.line, row.count);
        }
    }

    /// Takes over what operators set: weights, pauses, limits.
    pub(crate) fn retune(&mut self) {
        self.gates.retune(&self.settings);
        self.gates.wake = None;
        let names: Vec<Arc<str>> = self.queue.names().map(|(name, _)| name.clone()).collect();
        let set = self.settings.queues();
        for name in names.iter().filter(|name| !set.contains_key(name.as_ref())) {
            self.queue.resume(name);
            self.queue.set_weights(name, hale_core::queue::WEIGHTS);
        }
        for (name, tuned) in set {
            let name: Arc<str> = Arc::from(name);
            self.queue.set_weights(&name, tuned.weights);
            match tuned.paused {
                Some(_) => self.queue.pause(&name),
                None => self.queue.resume(&name),
            }
        }
        self.queue.release_all();
        self.resize_workers();
        self.rethrow();
    }
}

/// How long ago, for people who wait.
pub(crate) fn age(oldest: Option<Timestamp>, now: Timestamp) -> Millis {
    oldest.map_or(Millis(0), |oldest| now.since(oldest))
}
