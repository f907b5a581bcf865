//! What happens in a history: callers, workers, operators, faults and time, one deed after the other, by chance.

use super::chance::Chance;
use super::hand::Mood;
use super::house::{PACKS, Sim};
use crate::world::caller;
use hale_core::id::RunId;
use hale_core::limiter::Limit;
use hale_core::run::{Priority, State};
use hale_core::time::Millis;
use hale_engine::bulk::BulkKind;
use hale_engine::facade::bulk::{BulkOrder, Chosen};
use hale_engine::{Caller, Decision, Submit, Word};
use hale_store::{DeadFilter, Store};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Everything that is well again must have come to rest within this.
const HEALED_WITHIN: Millis = Millis::seconds(900);
/// Between two heartbeats of those who live.
const BEAT: u64 = 3_000;

impl Sim {
    /// One life of the engine; the last one is driven to rest and judged.
    pub async fn live(&mut self, deeds: u64) {
        for _ in 0..deeds {
            self.act().await;
            self.settle().await;
            self.look().await;
            if !self.violations.is_empty() {
                return;
            }
        }
    }

    async fn act(&mut self) {
        match self.chance.below(100) {
            0..=21 => self.submit().await,
            22..=54 => self.let_work().await,
            55..=69 => {
                let wait = 50 + self.chance.below(6_000);
                self.pass(wait).await;
            }
            70..=72 => {
                let wait = 8_000 + self.chance.below(30_000);
                self.pass(wait).await;
            }
            73..=76 => self.hire_one().await,
            77..=83 => self.fate_of_a_hand().await,
            84..=87 => self.fault(),
            _ => self.operate().await,
        }
    }

    async fn submit(&mut self) {
        let (pack, _) = *self.chance.pick(&PACKS).unwrap();
        let n = self.chance.below(6);
        let key = self.chance.one_in(6).then(|| format!("{pack}-{n}"));
        let due = self.chance.one_in(6).then(|| self.now() + Millis(1_000 + self.chance.below(30_000)));
        let submit = Submit {
            pack: pack.to_owned(),
            input: json!({ "n": n }),
            priority: self.chance.pick(&[None, Some(Priority::High), Some(Priority::Low)]).copied().unwrap(),
            due: due.filter(|_| key.is_none()),
            idempotency: key.clone(),
            ..Submit::default()
        };
        let tenant = self.chance.pick(&[None, None, Some("acme")]).copied().unwrap();
        let caller = Caller { tenant: tenant.map(Into::into), ..caller() };
        let engine = self.engine();
        match self.ask(engine.submit(submit, &caller)).await {
            Some(Ok(receipt)) => {
                let name = self.name(receipt.run.id);
                self.accepted.insert(receipt.run.id);
                self.tell(format!("r{name} of {pack} is accepted, key {key:?}, due {:?}", due.is_some()));
                if let Some(key) = key {
                    let first = *self.promised.entry(key.clone()).or_insert(receipt.run.id);
                    if first != receipt.run.id {
                        self.wrong(format!("key {key} is two runs"));
                    }
                }
            }
            Some(Err(failure)) => self.tell(format!("a run of {pack} is refused: {}", failure.cause)),
            None => self.tell(format!("a run of {pack}: no answer")),
        }
    }

    /// One hand does something, if there is one that is well.
    async fn let_work(&mut self) {
        let well: Vec<usize> =
            (0..self.hands.len()).filter(|at| self.hands[*at].mood == Mood::Well).collect();
        let Some(place) = self.chance.pick(&well).copied() else { return self.hire_one().await };
        if self.hands[place].held.is_empty() || self.chance.one_in(4) {
            self.sync(place, Vec::new()).await;
            self.settle().await;
        }
        let which = self.chance.below(self.hands[place].held.len() as u64) as usize;
        self.work(place, which).await;
    }

    async fn hire_one(&mut self) {
        if self.hands.len() >= 5 {
            return;
        }
        let slots = 1 + self.chance.below(3) as u32;
        let queues: &[&str] = if self.chance.one_in(4) { &["night"] } else { &[] };
        self.hire(slots, queues).await;
    }

    async fn fate_of_a_hand(&mut self) {
        if self.hands.is_empty() {
            return self.hire_one().await;
        }
        let place = self.chance.below(self.hands.len() as u64) as usize;
        let id = self.hands[place].id;
        match self.chance.below(5) {
            0 => {
                self.hands.remove(place);
                self.count("dies");
                self.tell(format!("w{} dies", id.0));
            }
            1 | 2 => {
                let until = self.now() + Millis(5_000 + self.chance.below(40_000));
                self.hands[place].mood = Mood::Still(until);
                self.count("stalls");
                self.tell(format!("w{} stands still", id.0));
            }
            3 => {
                let engine = self.engine();
                let (answer, drain) = match self.hands[place].draining {
                    Some(true) => (self.ask(engine.worker_resume(id, &caller())).await, false),
                    _ => (self.ask(engine.worker_drain(id, &caller())).await, true),
                };
                self.hands[place].draining = matches!(answer, Some(Ok(_))).then_some(drain);
                self.count("drains");
                self.tell(format!("w{} is drained: {drain}, {:?}", id.0, self.hands[place].draining));
            }
            _ => {
                let engine = self.engine();
                let left = matches!(self.ask(engine.worker_leave(id)).await, Some(Ok(())));
                self.hands.remove(place);
                self.count("leaves");
                self.tell(format!("w{} leaves: {left}", id.0));
            }
        }
    }

    fn fault(&mut self) {
        if self.store.is_ill() {
            return self.mend();
        }
        let what = match self.chance.below(3) {
            0 => {
                self.store.broken.store(true, Ordering::Relaxed);
                "broken"
            }
            1 => {
                self.store.hold(true);
                "held"
            }
            _ => {
                self.store.silence(true);
                "silent"
            }
        };
        self.count(what);
        self.tell(format!("the store is {what}"));
    }

    /// Time passes; who is well is heard of in between.
    pub async fn pass(&mut self, wait: u64) {
        self.tell(format!("{wait} ms pass"));
        let mut left = wait;
        while left > 0 {
            let step = left.min(BEAT);
            left -= step;
            tokio::time::sleep(Duration::from_millis(step)).await;
            // A fault of the store does not last.
            if self.store.is_ill() && self.chance.one_in(2) {
                self.mend();
            }
            for place in 0..self.hands.len() {
                if let Mood::Still(until) = self.hands[place].mood {
                    if until > self.now() {
                        continue;
                    }
                    self.hands[place].mood = Mood::Well;
                    self.tell(format!("w{} comes back", self.hands[place].id.0));
                    if self.chance.one_in(2) {
                        // It writes before it listens.
                        self.work(place, 0).await;
                    }
                }
                self.sync(place, Vec::new()).await;
            }
        }
    }

    async fn operate(&mut self) {
        self.compare().await;
        let (engine, me) = (self.engine(), caller());
        match self.chance.below(12) {
            0 | 1 => {
                let Some(run) = self.chance.clone_pick(&self.runs) else { return };
                let done = self.ask(engine.cancel(run, None, &me)).await;
                let done = done.map(|done| done.map(|run| run.state.name()).map_err(|failure| failure.cause));
                let name = self.name(run);
                self.tell(format!("cancel r{name}: {done:?}"));
            }
            2 => {
                let Some(run) = self.chance.clone_pick(&self.runs) else { return };
                let done = self.ask(engine.retry(run, None, &me)).await;
                let new = done.and_then(Result::ok).map(|receipt| self.name(receipt.run.id));
                let name = self.name(run);
                self.tell(format!("retry r{name}: {new:?}"));
            }
            3 => self.turn_a_queue().await,
            4 => {
                let weights = [1 + self.chance.below(9) as u32, 1 + self.chance.below(9) as u32, 1];
                let done = self.ask(engine.queue_weights("default", Some(weights), &me)).await;
                self.tell(format!("weights {weights:?}: {}", matches!(done, Some(Ok(_)))));
            }
            5 => {
                let limit = self.chance.pick(&[None, Some(1), Some(2)]).copied().unwrap();
                let limit = limit.map(|most| Limit { concurrency: Some(most), rate: None });
                let done = self.ask(engine.key_limit("alpha", limit, &me)).await;
                self.tell(format!("limit {limit:?}: {}", matches!(done, Some(Ok(_)))));
            }
            6 | 7 => self.decide().await,
            8 | 9 => self.redrive().await,
            10 => self.release().await,
            _ => self.turn_the_embedded().await,
        }
    }

    async fn turn_a_queue(&mut self) {
        let name = self.chance.pick(&["default", "night"]).copied().unwrap();
        let (engine, me) = (self.engine(), caller());
        let paused = engine.settings().queues().get(name).is_some_and(|queue| queue.paused.is_some());
        let done = match paused {
            true => self.ask(engine.queue_resume(name, &me)).await,
            false => self.ask(engine.queue_drain(name, &me)).await,
        };
        self.tell(format!("queue {name} paused {paused}, turned: {}", matches!(done, Some(Ok(_)))));
    }

    /// A person answers the question that was asked first.
    async fn decide(&mut self) {
        let engine = self.engine();
        let asking = self.store.active().unwrap().into_iter().filter(|stored| {
            matches!(stored.run.state, State::Waiting { on: hale_core::run::WaitOn::Approval, .. })
        });
        let Some(run) = asking.map(|stored| stored.run.id).min() else { return };
        let word = if self.chance.one_in(4) { Word::Deny } else { Word::Approve };
        let decision = Decision { word, reason: None, step: None };
        let done = self.ask(engine.decide(run, decision, &caller())).await;
        let name = self.name(run);
        self.tell(format!("{} r{name}: {}", word.name(), matches!(done, Some(Ok(_)))));
    }

    async fn redrive(&mut self) {
        let waiting: Vec<RunId> =
            self.store.dead(&DeadFilter::default(), 100).unwrap().into_iter().map(|row| row.run).collect();
        let Some(run) = self.chance.clone_pick(&waiting) else { return };
        let kind = if self.chance.one_in(4) { BulkKind::Discard } else { BulkKind::Redrive };
        let order = BulkOrder { kind, chosen: Chosen::Runs(vec![run]), reason: None };
        let engine = self.engine();
        let done = self.ask(engine.bulk_begin(order, &caller())).await;
        let name = self.name(run);
        self.tell(format!("{kind:?} r{name}: {}", matches!(done, Some(Ok(_)))));
    }

    async fn release(&mut self) {
        let engine = self.engine();
        for held in engine.quarantines() {
            self.count("quarantine_released");
            let done = self.ask(engine.release(&held.pack, &caller())).await;
            self.tell(format!("release {}: {}", held.pack, matches!(done, Some(Ok(_)))));
        }
    }

    async fn turn_the_embedded(&mut self) {
        let engine = self.engine();
        if engine.config().embedded_slots == 0 {
            return;
        }
        if engine.embedded().is_some() {
            engine.kill_embedded("killed by the history").await;
            self.tell("the embedded worker is killed");
        } else {
            let started = self.ask(engine.start_embedded(2)).await;
            self.tell(format!("the embedded worker starts: {}", matches!(started, Some(Ok(_)))));
        }
    }

    /// Everything that was made ill is made well, and everybody gets the time to finish.
    pub async fn heal(&mut self) {
        self.mend();
        self.tell("all is made well");
        self.hands.clear();
        let (engine, me) = (self.engine(), caller());
        for (name, queue) in engine.settings().queues() {
            if queue.paused.is_some() {
                engine.queue_resume(&name, &me).await.unwrap();
            }
        }
        engine.key_limit("alpha", None, &me).await.unwrap();
        for _ in 0..3 {
            self.hire(3, &[]).await;
        }
        let give_up = self.now() + HEALED_WITHIN;
        while self.now() < give_up && !self.at_rest() && self.violations.is_empty() {
            self.release().await;
            self.decide().await;
            for place in 0..self.hands.len() {
                for which in (0..self.hands[place].held.len()).rev() {
                    self.work(place, which).await;
                }
            }
            self.pass(500).await;
            self.look().await;
        }
        self.compare().await;
    }

    fn at_rest(&self) -> bool {
        let waits = self.store.queue().unwrap().iter().any(|row| row.count > 0);
        let delayed = self.store.delayed().unwrap().count > 0;
        !waits
            && !delayed
            && self.store.active().unwrap().is_empty()
            && self.store.bulks_open().unwrap().is_empty()
    }
}

impl Chance {
    fn clone_pick<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        self.pick(all).cloned()
    }
}
