//! What must hold in every history, judged from what was promised outside and what the store holds, by rules of its own.
//!
//! Two kinds of looks: at every quiet moment (nobody waits for what is free, no time was missed, memory agrees with the
//! store), and at the end (every journal line, every letter, every promise).

use super::hand::Mood;
use super::house::Sim;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::queue::Line;
use hale_core::run::{Event, Record, Run, State, StateName, Trigger};
use hale_core::time::{Millis, Timestamp};
use hale_engine::worker::Assignment;
use hale_store::{DeadFilter, ListFilter, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is due may be this late: a turn of the loop.
const LATE: Millis = Millis(100);
/// Leases are looked at every second.
const LOOK: Millis = Millis(1_200);
/// From the start of an engine: a lease and the longest time between two words of a worker.
const SPARED: Millis = Millis(23_000);
/// Most rows that any of the histories has.
const ALL: u32 = 100_000;

impl Sim {
    pub fn is_child(&self, run: RunId) -> bool {
        let stored = self.store.run(run).unwrap();
        stored.is_some_and(|stored| stored.run.parent.is_some())
    }

    /// A lease that comes in must be the only one of its epoch and know all that was confirmed. One that another has
    /// overtaken may have lain in the inbox of a worker that stood still; what it writes is fenced.
    pub fn judge_lease(&mut self, assignment: &Assignment, to: WorkerId) {
        let (run, epoch) = (assignment.run.id, assignment.run.epoch);
        let name = self.name(run);
        let last = self.leases.range((run, 0)..=(run, u64::MAX)).next_back().map(|((_, last), _)| *last);
        if last.is_some_and(|last| last > epoch) && !self.leases.contains_key(&(run, epoch)) {
            self.leases.insert((run, epoch), to.0);
            return self.count("late_orders");
        }
        if last.is_some_and(|last| last >= epoch) {
            self.wrong(format!("r{name} is handed out under epoch {epoch} after epoch {last:?}"));
        }
        self.leases.insert((run, epoch), to.0);
        if assignment.run.lease().is_none_or(|lease| lease.worker != to || lease.epoch != epoch) {
            self.wrong(format!("r{name} is handed to w{} under another lease", to.0));
        }
        if self.completed.contains(&run) {
            self.wrong(format!("r{name} is handed out, but its end was confirmed"));
        }
        if assignment.run.due.is_some_and(|due| due > self.now()) {
            self.wrong(format!("r{name} is handed out before its time"));
        }
        let stored: BTreeMap<u32, String> = results(&assignment.records).collect();
        let promised: Vec<(u32, String)> = self.acked_of(run);
        for (index, mark) in promised {
            if stored.get(&index) != Some(&mark) {
                self.wrong(format!("step {index} of r{name} was confirmed and is not in its journal"));
            }
        }
    }

    fn acked_of(&self, run: RunId) -> Vec<(u32, String)> {
        let of_run = self.acked.range((run, 0)..=(run, u32::MAX));
        of_run.map(|((_, index), mark)| (*index, mark.clone())).collect()
    }

    /// A side effect of a step: never again once its result was confirmed. Who lost its lease unawares cannot know
    /// that; what it does then is done under the same key, and its write is refused.
    pub fn act_outside(&mut self, step: (RunId, u32), (name, epoch): (usize, u64)) {
        self.count("side_effects");
        if !self.acked.contains_key(&step) {
            return;
        }
        if self.leases.keys().any(|(run, later)| *run == step.0 && *later > epoch) {
            self.count("late_side_effects");
        } else {
            self.wrong(format!("step {} of r{name} is executed again", step.1));
        }
    }

    /// The looks at a quiet moment. What is wrong must still be wrong a moment later: an answer may be on its way.
    pub async fn look(&mut self) {
        for _ in 0..3 {
            if !self.is_well() || self.complaints().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        for complaint in self.complaints() {
            self.wrong(complaint);
        }
    }

    /// Without a word to the engine, which any word would wake.
    fn complaints(&mut self) -> Vec<String> {
        let active: Vec<Run> = self.store.active().unwrap().into_iter().map(|stored| stored.run).collect();
        let mut all = self.idle_beside_work(&active);
        let now = self.now();
        if self.store.delayed().unwrap().next.is_some_and(|next| next + LATE < now) {
            all.push("a delayed run is due and does not wait for its turn".to_owned());
        }
        for run in &active {
            let name = self.name(run.id);
            // A limit does not strike before it has shown whether the worker of before lives.
            let spared = run.lease().map_or(Timestamp(0), |_| self.up_since + SPARED);
            if run.deadline().is_some_and(|deadline| deadline.max(spared) + LOOK < now) {
                all.push(format!("r{name} is past its limit and has not ended"));
            }
            match &run.state {
                State::Waiting { until, .. } if *until + LATE < now => {
                    all.push(format!("r{name} waits for a moment that is past"));
                }
                _ => all.extend(self.orphaned(run, now).then(|| format!("r{name} has a lease of nobody"))),
            }
        }
        all
    }

    /// Leased to a worker that nobody has heard of for longer than a lease.
    fn orphaned(&self, run: &Run, now: Timestamp) -> bool {
        let Some(lease) = run.lease() else { return false };
        if self.engine().embedded() == Some(lease.worker) {
            return false;
        }
        // After a start every worker has a lease's time to come back.
        let heard = self
            .heard
            .get(&lease.worker.0)
            .copied()
            .into_iter()
            .chain([self.engine().started_at(), run.progress_at])
            .max();
        heard.is_some_and(|heard| heard + limits::LEASE + LOOK < now)
    }

    /// Nobody starves: as long as a worker that is well has a free slot, nothing waits that may go.
    fn idle_beside_work(&mut self, active: &[Run]) -> Vec<String> {
        let now = self.now();
        let held = |id: WorkerId| {
            active.iter().filter(move |run| run.lease().is_some_and(|lease| lease.worker == id))
        };
        let idle: Vec<_> = self
            .hands
            .iter()
            .filter(|hand| hand.mood == Mood::Well && hand.joined && hand.draining == Some(false))
            .filter(|hand| {
                let heard = self.heard.get(&hand.id.0).copied().unwrap_or(Timestamp(0));
                now.since(heard) < Millis::seconds(10) && heard >= self.engine().started_at()
            })
            .filter(|hand| (held(hand.id).count() as u32) < hand.slots)
            .map(|hand| (hand.id, hand.queues.clone()))
            .collect();
        let serves = |line: &Line| {
            idle.iter()
                .find(|(_, queues)| queues.is_empty() || queues.contains(&line.queue))
                .map(|(id, _)| *id)
        };
        let waiting: Vec<Line> =
            self.store.queue().unwrap().into_iter().filter(|row| row.count > 0).map(|row| row.line).collect();
        let stuck = waiting.iter().filter(|line| self.may_go(line, active));
        stuck
            .filter_map(|line| Some((line, serves(line)?)))
            .map(|(line, id)| format!("{}/{} waits beside the idle w{}", line.queue, line.key, id.0))
            .collect()
    }

    fn may_go(&self, line: &Line, active: &[Run]) -> bool {
        let engine = self.engine();
        let pack = line.key.rsplit_once('/').map_or(&*line.key, |(_, pack)| pack);
        let paused = engine.settings().queues().get(&*line.queue).is_some_and(|queue| queue.paused.is_some());
        let leased = || active.iter().filter(|run| run.lease().is_some());
        let going = leased().filter(|run| &*run.pack.name == pack).count() as u32;
        let of_key = leased().filter(|run| run.key == line.key).count() as u32;
        let below =
            |name: &str, going: u32| engine.limit_of(name).concurrency.is_none_or(|most| going < most);
        !paused
            && engine.settings().quarantine(pack).is_none()
            && below(pack, going)
            && below(&line.key, of_key)
    }

    /// Memory agrees with the store.
    pub async fn compare(&mut self) {
        let mut last = String::new();
        for _ in 0..3 {
            if !self.is_well() {
                return;
            }
            let rows = self.store.queue().unwrap();
            let pending: u64 = rows.iter().map(|row| row.count).sum();
            let active: Vec<Run> =
                self.store.active().unwrap().into_iter().map(|stored| stored.run).collect();
            let leased = active.iter().filter(|run| run.lease().is_some()).count() as u64;
            let engine = self.engine();
            let Some(Ok(look)) = self.ask(engine.look()).await else { return };
            let busy: Vec<(u128, u32, usize)> =
                look.workers.iter().map(|worker| (worker.row.id.0, worker.busy, worker.runs.len())).collect();
            let agrees = look.pending == pending
                && look.active == leased
                && look.waiting == active.len() as u64 - leased
                && busy.iter().all(|(_, busy, runs)| *busy as usize == *runs);
            if agrees {
                return;
            }
            last = format!(
                "the store has {pending} waiting, {leased} leased, {} active; memory {} waiting, {} leased, {} waits, workers {busy:?}",
                active.len(),
                look.pending,
                look.active,
                look.waiting
            );
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        self.wrong(last);
    }

    /// The judgement at the end, when all that was ill is well and all had their time.
    pub fn judge(&mut self) {
        let runs = self.every_run();
        for id in self.accepted.clone() {
            if !runs.contains_key(&id) {
                let name = self.name(id);
                self.wrong(format!("r{name} was accepted and is lost"));
            }
        }
        for (id, run) in &runs {
            self.judge_run(*id, run);
        }
        let repeated: Vec<String> = self.mind.repeated.lock().unwrap().clone();
        for key in repeated {
            let named = key.rsplit_once('-').and_then(|(run, index)| Some((run.parse().ok()?, index)));
            let name = named.map(|(run, index)| format!("step {index} of r{}", self.name(run)));
            self.wrong(format!("the model was asked again for {name:?}, whose result is stored"));
        }
        self.judge_letters(&runs);
    }

    /// Every run of the store, each found under one state and under one only.
    fn every_run(&mut self) -> BTreeMap<RunId, Run> {
        let mut runs = BTreeMap::new();
        for state in StateName::ALL {
            let filter = ListFilter { states: vec![state], ..ListFilter::default() };
            for run in self.store.list(&filter, None, ALL).unwrap().runs {
                let name = self.name(run.id);
                if runs.insert(run.id, run).is_some() {
                    self.wrong(format!("r{name} is in two states"));
                }
            }
        }
        let all = self.store.list(&ListFilter::default(), None, ALL).unwrap().runs.len();
        if all != runs.len() {
            self.wrong(format!("{all} runs, but {} in all states", runs.len()));
        }
        runs
    }

    fn judge_run(&mut self, id: RunId, run: &Run) {
        let name = self.name(id);
        if !run.is_terminal() {
            self.wrong(format!("r{name} never ended: {:?}", run.state));
        }
        let records = self.store.history(id, 1, ALL).unwrap();
        if let Err(why) = journal(run, &records) {
            self.wrong(format!("r{name}: {why}"));
        }
        let stored: BTreeMap<u32, String> = results(&records).collect();
        for (index, mark) in self.acked_of(id) {
            if stored.get(&index) != Some(&mark) {
                self.wrong(format!("step {index} of r{name} was confirmed and is lost"));
            }
        }
        if self.completed.contains(&id) && run.state.name() != StateName::Completed {
            self.wrong(format!("r{name} was confirmed as completed and is {}", run.state.name()));
        }
        for Record { event, at, .. } in &records {
            self.count(event.name());
            let (epoch, at) = (run.epoch, self.since_begin(*at));
            self.log.push(format!("{at:>7} r{name} {} of e{epoch}", event.name()));
        }
        self.log.push(format!("        r{name} ends {} after {} leases", run.state.name(), run.epoch));
    }

    /// Every run that failed is one letter, whatever became of it; nothing else is one; a redriven one was redriven once.
    fn judge_letters(&mut self, runs: &BTreeMap<RunId, Run>) {
        let filter = DeadFilter { resolved: true, ..DeadFilter::default() };
        let letters = self.store.dead(&filter, ALL).unwrap();
        let mut seen = BTreeSet::new();
        for letter in &letters {
            let name = self.name(letter.run);
            if !seen.insert(letter.run) {
                self.wrong(format!("r{name} is a dead letter twice"));
            }
            // A person may retry it by hand as often as they like.
            let redrives = runs.values().filter(|run| run.trigger == Trigger::Redrive);
            let again = redrives.filter(|run| run.retry_of == Some(letter.run)).count();
            let resolution = letter.resolution.as_deref().unwrap_or("");
            if resolution.starts_with("redriven as") {
                self.count("redriven");
                if again != 1 {
                    self.wrong(format!("r{name} was redriven, and {again} runs follow it"));
                }
            }
        }
        let redrives = runs.values().filter(|run| run.trigger == Trigger::Redrive);
        for (id, old) in redrives.filter_map(|run| Some((run.id, run.retry_of?))) {
            let expected = format!("redriven as {id}");
            let told =
                letters.iter().find(|letter| letter.run == old).and_then(|letter| letter.resolution.clone());
            if told != Some(expected) {
                let name = self.name(old);
                self.wrong(format!("r{name} was redriven, and its letter says {}", told.is_some()));
            }
        }
        for (id, run) in runs {
            if must_be_a_letter(run) != seen.contains(id) {
                let name = self.name(*id);
                self.wrong(format!("r{name} ended {} and letter is {}", run.state.name(), seen.contains(id)));
            }
        }
    }
}

/// Somebody has to look: it failed by nobody's will, and nobody above it hears of that.
fn must_be_a_letter(run: &Run) -> bool {
    matches!(run.state.name(), StateName::Failed | StateName::Timeout) && run.parent.is_none()
}

fn results(records: &[Record]) -> impl Iterator<Item = (u32, String)> {
    records.iter().filter_map(|record| match &record.event {
        Event::StepEnded { step } => Some((step.index, step.result.to_string())),
        _ => None,
    })
}

/// One journal by itself: dense, epochs that rise by one, one holder at a time, steps in their order, one end.
fn journal(run: &Run, records: &[Record]) -> Result<(), String> {
    let (mut epoch, mut holder, mut steps, mut end) = (0, None, 0, None);
    for (place, record) in records.iter().enumerate() {
        let at = record.seq;
        if at != place as u64 + 1 {
            return Err(format!("line {at} stands at place {}", place + 1));
        }
        if end.is_some() && !matches!(record.event, Event::Fenced { .. }) {
            return Err(format!("{} at line {at} after the end", record.event.name()));
        }
        match &record.event {
            Event::Leased { worker, epoch: next } => {
                if holder.is_some() || *next != epoch + 1 {
                    return Err(format!(
                        "line {at} leases under epoch {next} after {epoch}, held by {holder:?}"
                    ));
                }
                (epoch, holder) = (*next, Some(*worker));
            }
            Event::LeaseLost { worker, epoch: of, .. } | Event::Released { worker, epoch: of } => {
                if holder != Some(*worker) || *of != epoch {
                    return Err(format!("line {at} ends a lease that is not held"));
                }
                holder = None;
            }
            Event::StepFailed { .. } | Event::Awaiting { .. } | Event::Parked { .. } => holder = None,
            Event::StepEnded { step } => {
                let by = step.result.get("by").and_then(serde_json::Value::as_u64).map(u128::from);
                let under = step.result.get("epoch").and_then(serde_json::Value::as_u64);
                let wrong = by.is_some_and(|by| holder != Some(WorkerId(by)))
                    || under.is_some_and(|under| under != epoch);
                if holder.is_none() || wrong || step.index != steps {
                    return Err(format!(
                        "line {at} ends step {} by w{by:?} e{under:?}, held by {holder:?} e{epoch}",
                        step.index
                    ));
                }
                steps += 1;
            }
            Event::Completed { .. } => end = Some(StateName::Completed),
            Event::TimedOut { .. } => end = Some(StateName::Timeout),
            _ => {}
        }
    }
    let told = run.state.name();
    if run.epoch != epoch || run.steps != steps || end.is_some_and(|end| end != told) {
        return Err(format!(
            "it is {told} with epoch {} and {} steps, its journal says {end:?}, {epoch}, {steps}",
            run.epoch, run.steps
        ));
    }
    Ok(())
}
