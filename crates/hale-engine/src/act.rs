//! What follows a commit: answers, orders to workers, log lines, news for watchers.
//!
//! Everything here may happen twice after a crash, or not at all; what matters is in the store already.
//! Read next: [`crate::worker`], which takes the orders.

use crate::adopt::NotAdopted;
use crate::decide::tell;
use crate::desk::{Act, Batch, Desk, Moved, RetryIn};
use crate::input::{Ended, Input, Receipt, Refusal, Reply};
use crate::worker::{Assignment, Order};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::queue::Claim;
use hale_core::run::{Effect, Event, Level, Line, Outcome, Record, Run, State, StateName};
use hale_store::{Claimed, Error, OpResult};
use std::sync::Arc;

impl Desk {
    pub(crate) async fn act(&mut self, batch: Batch, result: Result<Vec<OpResult>, Error>) {
        match result {
            Ok(results) => {
                self.reloaded.clear();
                for (act, result) in batch.acts.into_iter().zip(results) {
                    self.follow(act, result);
                }
            }
            Err(error) => self.refused(batch, &error),
        }
    }

    fn follow(&mut self, act: Act, result: OpResult) {
        match (act, result) {
            (Act::Accepted { reply, moved, input }, OpResult::Done) => self.accepted(reply, moved, input),
            (Act::Accepted { reply, moved, .. }, OpResult::Duplicate { run, .. }) => {
                self.forget(&moved.run);
                self.answer_duplicate(reply, (moved.run.id, run));
            }
            (Act::Accepted { reply, moved, .. }, OpResult::Full) => {
                self.forget(&moved.run);
                let _ = reply.send(Err(self.full()));
            }
            (Act::Accepted { reply, moved, .. }, _) => {
                self.forget(&moved.run);
                self.watchers.remove(&moved.run.id);
                let message = "accept the run: what it follows has moved on in between";
                let _ = reply.send(Err(Failure::new(Code::E011, "run.overtaken", "engine", message)));
            }
            (Act::Moved(moved), OpResult::Done | OpResult::Early) => self.moved(moved),
            (Act::Appended { reply, moved }, OpResult::Done) => {
                let _ = reply.send(Ok(()));
                self.moved(moved);
            }
            (Act::Changed { reply, moved, line, .. }, answer @ (OpResult::Done | OpResult::Early)) => {
                if let (OpResult::Early, Some(line)) = (answer, line) {
                    self.stay_in_line(&line);
                }
                let run = moved.run.clone();
                self.moved(moved);
                let _ = reply.send(Ok(run));
            }
            (Act::Delegated(adopted), OpResult::Done) => self.adopted(*adopted),
            (Act::Delegated(adopted), OpResult::Full) => self.not_adopted(*adopted, NotAdopted::Full),
            (Act::Delegated(adopted), _) => self.not_adopted(*adopted, NotAdopted::Overtaken),
            (Act::Claimed { worker, n, claim }, OpResult::Claimed(claimed)) => {
                self.claimed(worker, (n, claim), claimed);
            }
            (Act::Ripened, OpResult::Ripened { ready, next }) => self.ripened(ready, next),
            (Act::Ripened, _) => self.ripened(Vec::new(), None),
            (Act::Written { reply }, OpResult::Done) => drop(reply.send(Ok(()))),
            (Act::Written { reply }, OpResult::Full) => drop(reply.send(Err(self.full()))),
            (Act::Written { reply }, other) => {
                let message = format!("write: the store answered {other:?}");
                let _ = reply.send(Err(Failure::new(Code::E011, "store.conflict", "store", message)));
            }
            (Act::Silent, _) => {}
            (Act::Quarantined { quarantine, value }, OpResult::Done) => self.quarantined(&quarantine, &value),
            (Act::Quarantined { quarantine, .. }, other) => {
                tracing::error!(
                    pack = quarantine.pack,
                    "pack not put in quarantine: the store answered {other:?}"
                );
            }
            (Act::Changed { reply, moved, retry, line }, other) => {
                if let Some(line) = line {
                    self.stay_in_line(&line);
                }
                self.overtaken(reply, (moved, retry), &other);
            }
            (Act::Appended { reply, moved }, other) => {
                let _ =
                    reply.send(Err(Refusal::Unavailable { why: format!("the store answered {other:?}") }));
                self.take_back(&moved);
            }
            (Act::Moved(moved), other) => {
                tracing::warn!(run_id = %moved.run.id, event = "reload", "run reloaded: the store answered {other:?}");
                self.take_back(&moved);
            }
            (Act::Claimed { worker, n, claim }, _) => self.claimed(worker, (n, claim), Vec::new()),
        }
    }

    fn accepted(&mut self, reply: Reply<Receipt>, moved: Moved, input: Arc<str>) {
        self.meters.runs_accepted.add(1);
        let run = moved.run.clone();
        let records = moved.records.clone();
        self.moved(moved);
        let lease = run.lease();
        if lease.is_some() {
            tracing::info!(
                run_id = %run.id, pack = %run.pack.name, correlation_id = %run.correlation,
                event = "execution_started", "Execution started with input: {}", redacted(&input)
            );
        }
        let _ = reply.send(Ok(Receipt { run: run.clone(), duplicate: false }));
        if let Some(lease) = lease {
            self.order(lease.worker, run, (input, records));
        }
    }

    fn answer_duplicate(&mut self, reply: Reply<Receipt>, (asked, first): (RunId, RunId)) {
        if let Some(watchers) = self.watchers.remove(&asked) {
            self.watchers.entry(first).or_default().extend(watchers);
        }
        let _ = reply.send(match self.store.run(first) {
            Ok(Some(stored)) => {
                if stored.run.is_terminal()
                    && let Some(watchers) = self.watchers.remove(&first)
                {
                    tell(watchers, &Ended { run: stored.run.clone(), output: stored.output });
                }
                Ok(Receipt { run: stored.run, duplicate: true })
            }
            Ok(None) => Err(crate::decide::no_run(first)),
            Err(error) => Err(error.failure()),
        });
    }

    fn claimed(&mut self, worker: WorkerId, (n, claim): (u32, Claim), claimed: Vec<Claimed>) {
        if let Some(placed) = self.placed.get_mut(&worker) {
            *placed = placed.saturating_sub(n);
            if *placed == 0 {
                self.placed.remove(&worker);
            }
        }
        let missing = n.saturating_sub(claimed.len() as u32);
        if missing > 0 {
            self.fell_short(&claim.line, missing);
            if let Some(state) = self.workers.get_mut(&worker) {
                state.busy = state.busy.saturating_sub(missing);
            }
            self.give_back(&claim.line.key, missing);
        } else if !self.doubted.is_empty() {
            self.doubted.remove(&claim.line);
        }
        let now = self.now();
        self.flows.served(&claim.line, claimed.len() as u64, now);
        for Claimed { run, input, records, effects } in claimed {
            let moved = Moved { run: run.clone(), records: Vec::new(), effects, output: None };
            let run = match self.moved_since(&run) {
                // It was cancelled, or more, between the commit of the claim and this answer.
                Some(newer) if newer.lease() != run.lease() => continue,
                Some(newer) => newer,
                None => {
                    // The slot was taken when the claim was placed; only membership and timers are new.
                    self.settle(&run, &moved, now);
                    run
                }
            };
            tracing::info!(
                run_id = %run.id, pack = %run.pack.name, correlation_id = %run.correlation,
                event = "execution_started", "Execution started with input: {}", redacted(&input)
            );
            self.hub.records(run.id, &records, false);
            for effect in moved.effects {
                self.carry_out(&run, effect, None);
            }
            match self.left_by(&run) {
                Some(parent) => self.end_left_behind(&run, parent),
                None => self.order(worker, run, (input, records)),
            }
        }
    }

    /// The run as it was decided after this: a caller may read the store before the loop hears of its own commit.
    fn moved_since(&self, run: &Run) -> Option<Run> {
        let known = self.active.get(&run.id).map(|active| &active.run);
        known.or_else(|| self.departing.get(&run.id)).filter(|known| known.seq > run.seq).cloned()
    }

    /// Sends a leased run to its worker; a pack that is gone by now fails the run.
    fn order(&mut self, worker: WorkerId, run: Run, (input, records): (Arc<str>, Vec<Record>)) {
        if self.held_back(&run) {
            return;
        }
        let found = self.registry.manifest(&run.pack);
        let Some(manifest) = found else {
            let message = format!("load pack {} v{}", run.pack.name, run.pack.version);
            let failure = Box::new(Failure::new(Code::E001, "pack.not_found", "registry", message));
            return self.move_by(&run, Event::Failed { failure }, self.now());
        };
        let primary = manifest.model.clone().unwrap_or_else(|| self.config.default_model.clone());
        let mut fallback = manifest.fallback.clone();
        fallback.extend(self.settings.fallback(&primary));
        fallback.retain(|model| *model != primary);
        fallback.dedup();
        let deadline = run.deadline().unwrap_or_else(|| self.now() + run.limit);
        let assignment = Assignment {
            left: deadline.since(self.now()),
            route: hale_gateway::Route { primary, fallback },
            run,
            input,
            records,
            delegates: self.delegates(&manifest),
            manifest,
            retries_max: self.config.retries_max,
            tool_limits: self.settings.tool_limits(),
            token: Arc::default(),
        };
        if let Some(state) = self.workers.get(&worker) {
            state.send(Order::Run(Box::new(assignment)));
        }
    }

    /// Carries out the effects of a durable move.
    pub(crate) fn moved(&mut self, moved: Moved) {
        let Moved { run, records, effects, output } = moved;
        if self.departing.get(&run.id).is_some_and(|last| last.seq <= run.seq) {
            self.departing.remove(&run.id);
        }
        let ended = run.is_terminal();
        let steps = records.iter().filter(|record| matches!(record.event, Event::StepEnded { .. })).count();
        self.meters.steps_stored.add(steps as u64);
        self.arms.hear(&records);
        self.hub.records(run.id, &records, ended);
        for effect in effects {
            self.carry_out(&run, effect, output.clone());
        }
    }

    fn carry_out(&mut self, run: &Run, effect: Effect, output: Option<Arc<str>>) {
        match effect {
            Effect::Log(line) => log(run, &line),
            Effect::StopWork { worker, epoch } => {
                if let Some(state) = self.workers.get(&worker) {
                    state.send(Order::Stop { run: run.id, epoch });
                }
            }
            Effect::Ended(_) => {
                self.count_end(run);
                if run.state.name() == StateName::Completed {
                    self.acquit(&run.pack.name);
                }
                if let Some(watchers) = self.watchers.remove(&run.id) {
                    tell(watchers, &Ended { run: run.clone(), output });
                }
            }
            Effect::TellParent { parent, index } => self.tell_parent((parent, index), run, output),
            Effect::CancelChild(child) => self.cancel_child(child, run),
            // Counted and timed when it was decided.
            Effect::Enqueue { .. } | Effect::WakeAt(_) => {}
        }
    }

    fn count_end(&self, run: &Run) {
        let State::Ended { outcome, .. } = &run.state else { return };
        let count = match outcome {
            Outcome::Completed => &self.meters.runs_completed,
            Outcome::Failed { .. } => &self.meters.runs_failed,
            Outcome::Timeout { .. } => &self.meters.runs_timeout,
            Outcome::Cancelled { .. } => &self.meters.runs_cancelled,
        };
        count.add(1);
    }

    /// The run moved between the decision and its commit: decide anew on what is stored.
    fn overtaken(
        &mut self,
        reply: Reply<Run>,
        (moved, retry): (Moved, Option<Box<Input>>),
        answer: &OpResult,
    ) {
        self.take_back(&moved);
        match retry.map(|again| *again) {
            Some(Input::Change { run, change, by, with, tries, .. }) => {
                let now = self.now();
                self.decide(Input::Change { run, change, by, with, tries, reply }, now);
            }
            _ => {
                let message =
                    format!("change run {}: it keeps moving, the store answered {answer:?}", moved.run.id);
                let _ = reply.send(Err(Failure::new(Code::E011, "run.conflict", "engine", message)));
            }
        }
    }

    /// Nothing of the batch is stored: answer, and take memory back to what is.
    fn refused(&mut self, batch: Batch, error: &Error) {
        // What was decided since rests on what is refused now, so it goes with it.
        let later = self.take_batch().unwrap_or_default();
        let acts: Vec<Act> = batch.acts.into_iter().chain(later.acts).collect();
        tracing::error!(event = "batch_refused", error = %error, "batch of {} refused", acts.len());
        let failure = error.failure().retry_in(2);
        for act in acts {
            match act {
                Act::Accepted { reply, moved, .. } => {
                    self.watchers.remove(&moved.run.id);
                    let mut failure = failure.clone();
                    failure.code = Code::E014;
                    let _ = reply.send(Err(failure));
                }
                Act::Appended { reply, .. } => {
                    let _ = reply.send(Err(Refusal::Unavailable { why: failure.to_string() }));
                }
                Act::Delegated(adopted) => {
                    let why = failure.to_string();
                    let _ = adopted.delegating.reply.send(Err(Refusal::Unavailable { why }));
                }
                Act::Changed { reply, .. } => drop(reply.send(Err(failure.clone()))),
                Act::Written { reply } => drop(reply.send(Err(failure.clone()))),
                Act::Moved(_)
                | Act::Claimed { .. }
                | Act::Quarantined { .. }
                | Act::Ripened
                | Act::Silent => {}
            }
        }
        let now = self.now();
        // What was refused is decided anew at once, and would be refused at once, as fast as the loop turns.
        self.rests_until = now + limits::STORE_REST;
        self.ripening.refused(now);
        self.resync();
    }
}

fn log(run: &Run, line: &Line) {
    let (id, pack, correlation, text) = (run.id, &run.pack.name, &run.correlation, &line.text);
    let event = line.event;
    match line.level {
        Level::Info => {
            tracing::info!(run_id = %id, pack = %pack, correlation_id = %correlation, event, "{text}")
        }
        Level::Warn => {
            tracing::warn!(run_id = %id, pack = %pack, correlation_id = %correlation, event, "{text}")
        }
        Level::Error => {
            tracing::error!(run_id = %id, pack = %pack, correlation_id = %correlation, event, "{text}")
        }
    }
}

/// The shape of the input without its values: keys and sizes. Values may hold what must not be in a log.
fn redacted(input: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(input) {
        Ok(serde_json::Value::Object(fields)) => {
            let shown: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key}: {}", shape(value))).collect();
            format!("{{{}}}", shown.join(", "))
        }
        Ok(value) => shape(&value),
        Err(_) => format!("{} bytes", input.len()),
    }
}

fn shape(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(text) => format!("string of {}", text.len()),
        Value::Array(items) => format!("array of {}", items.len()),
        Value::Object(fields) => format!("object of {}", fields.len()),
    }
}
