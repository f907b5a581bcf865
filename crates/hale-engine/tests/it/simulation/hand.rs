//! Workers outside: they join, poll, write step by step, stand still, die, and come back when nobody waits for them.
//!
//! A hand follows a plan that the history's seed wrote for each run. It knows what it did and what was confirmed, which
//! is what the oracle holds against the journal.

use super::chance::Chance;
use super::house::Sim;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::retry::Policy;
use hale_core::run::{Answer, Event, Record, Step, StepKind, Wait};
use hale_core::time::{Millis, Timestamp};
use hale_engine::facade::workers::{Sync, Synced};
use hale_engine::input::{Append, Hello, Refusal, Spawn};
use hale_engine::worker::{Assignment, Order};
use hale_store::WorkerKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Says nothing until then.
    Still(Timestamp),
}

/// One worker process.
pub struct Hand {
    pub id: WorkerId,
    pub slots: u32,
    pub queues: Vec<Arc<str>>,
    pub mood: Mood,
    /// The server said that it knows it.
    pub joined: bool,
    /// As it was answered last; none when an order was not answered. Joining again changes nothing of it.
    pub draining: Option<bool>,
    pub held: Vec<Held>,
}

/// A run in hand.
#[derive(Clone)]
pub struct Held {
    pub run: RunId,
    pub epoch: u64,
    token: Arc<str>,
    done: u32,
    failed: BTreeMap<u32, u32>,
    answers: BTreeMap<u32, Answer>,
    stop: bool,
    /// A write that was not answered: it is sent again as it is.
    unanswered: Option<Append>,
}

/// What a step of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Tool,
    /// A tool that is noted before it acts.
    Noted,
    /// Fails so often before it succeeds.
    Flaky(u32),
    Doomed,
    Sleep(u64),
    Ask,
    Child,
}

const TWICE: Policy =
    Policy { retries_max: 2, wait_min: Millis(1_000), wait_max: Millis(2_000), jitter_max: Millis(0) };

/// The plan of a run: the same for every worker that gets it.
fn plan(seed: u64, name: usize, is_child: bool) -> Vec<Deed> {
    let mut chance = Chance::of(seed, 1_000 + name as u64);
    let steps = 1 + chance.below(4);
    let deed = |chance: &mut Chance| match chance.below(20) {
        0..=7 => Deed::Tool,
        8..=10 => Deed::Noted,
        11..=12 => Deed::Flaky(1 + chance.below(2) as u32),
        13..=14 => Deed::Doomed,
        15..=16 => Deed::Sleep(500 + chance.below(15_000)),
        17..=18 => Deed::Ask,
        _ if is_child => Deed::Tool,
        _ => Deed::Child,
    };
    (0..steps).map(|_| deed(&mut chance)).collect()
}

impl Held {
    fn of(assignment: &Assignment) -> Self {
        let (mut done, mut failed, mut answers) = (0, BTreeMap::new(), BTreeMap::new());
        for Record { event, .. } in &assignment.records {
            match event {
                Event::StepEnded { .. } => done += 1,
                Event::Forked { steps, .. } => done += steps.len() as u32,
                Event::StepFailed { index, attempt, .. } => drop(failed.insert(*index, *attempt)),
                Event::Awaited { index, answer } => drop(answers.insert(*index, answer.clone())),
                _ => {}
            }
        }
        let (run, epoch) = (assignment.run.id, assignment.run.epoch);
        let token = assignment.token.clone();
        Self { run, epoch, token, done, failed, answers, stop: false, unanswered: None }
    }
}

impl Sim {
    pub async fn hire(&mut self, slots: u32, queues: &[&str]) {
        self.hired += 1;
        let hand = Hand {
            id: WorkerId(self.hired),
            slots,
            queues: queues.iter().map(|queue| Arc::from(*queue)).collect(),
            mood: Mood::Well,
            joined: false,
            draining: Some(false),
            held: Vec::new(),
        };
        self.hands.push(hand);
        let place = self.hands.len() - 1;
        self.tell(format!("w{} joins with {slots} slots for {queues:?}", self.hired));
        self.join(place).await;
    }

    async fn join(&mut self, place: usize) {
        let hand = &self.hands[place];
        let hello = Hello {
            id: hand.id,
            kind: WorkerKind::Process,
            host: "h".into(),
            pid: 1,
            slots: hand.slots,
            queues: hand.queues.clone(),
            seat: None,
        };
        self.may_be_heard(place);
        let engine = self.engine();
        let answer = self.ask(engine.worker_join(hello, Default::default())).await;
        self.hands[place].joined = matches!(answer, Some(Ok(_)));
    }

    /// One request: heartbeat, writes, orders.
    pub async fn sync(&mut self, place: usize, appends: Vec<Append>) -> Option<Vec<Result<(), Refusal>>> {
        let hand = &self.hands[place];
        let id = hand.id;
        let holds = hand.held.iter().map(|held| (held.run, held.epoch)).collect();
        let sync = Sync { holds, appends, wait_ms: 1, ..Sync::default() };
        let engine = self.engine();
        self.may_be_heard(place);
        let answer = self.ask(engine.worker_sync(id, sync)).await;
        // An order that waited for its commit may have been heard at its end as well.
        self.may_be_heard(place);
        match answer {
            Some(Ok(Synced { results, orders })) => {
                for order in orders {
                    self.obey(place, order);
                }
                Some(results)
            }
            Some(Err(failure)) if failure.code == Code::E010 => {
                self.count("joins_again");
                self.join(place).await;
                None
            }
            _ => None,
        }
    }

    fn may_be_heard(&mut self, place: usize) {
        let now = self.now();
        self.heard.insert(self.hands[place].id.0, now);
    }

    fn obey(&mut self, place: usize, order: Order) {
        match order {
            Order::Run(assignment) => self.take(place, &assignment),
            Order::Stop { run, epoch } => {
                let hand = &mut self.hands[place];
                let held = hand.held.iter_mut().find(|held| (held.run, held.epoch) == (run, epoch));
                if let Some(held) = held {
                    held.stop = true;
                }
                let (id, name) = (hand.id.0, self.name(run));
                self.tell(format!("w{id} is told to stop r{name} e{epoch}"));
            }
            // No history throws a switch: `killswitch.rs` sweeps them.
            Order::Switches { .. } => {}
        }
    }

    fn take(&mut self, place: usize, assignment: &Assignment) {
        let (run, epoch) = (assignment.run.id, assignment.run.epoch);
        let (id, name) = (self.hands[place].id, self.name(run));
        self.tell(format!("w{} gets r{name} e{epoch} with {} lines", id.0, assignment.records.len()));
        self.judge_lease(assignment, id);
        self.hands[place].held.retain(|held| held.run != run);
        self.hands[place].held.push(Held::of(assignment));
        self.count("leases");
    }

    /// Does the next thing for one of the runs in hand.
    pub async fn work(&mut self, place: usize, which: usize) {
        let Some(held) = self.hands[place].held.get(which).cloned() else { return };
        let id = self.hands[place].id;
        let append = match held.unanswered.clone() {
            Some(again) => again,
            None => self.next_write(id, &held),
        };
        let names: Vec<&str> = append.events.iter().map(Event::name).collect();
        let name = self.name(held.run);
        let line = format!("w{} writes {} of r{name} e{}", id.0, names.join("+"), held.epoch);
        let answer = self.sync(place, vec![append.clone()]).await.and_then(|mut results| results.pop());
        self.tell(format!("{line}: {}", told(answer.as_ref())));
        self.written(place, append, answer);
    }

    fn written(&mut self, place: usize, append: Append, answer: Option<Result<(), Refusal>>) {
        let (run, epoch) = (append.run, append.epoch);
        let hand = &mut self.hands[place];
        let Some(at) = hand.held.iter().position(|held| (held.run, held.epoch) == (run, epoch)) else {
            return;
        };
        match answer {
            None | Some(Err(Refusal::Unavailable { .. })) => {
                hand.held[at].unanswered = Some(append);
                self.count("unanswered");
            }
            Some(Err(Refusal::Fenced { .. })) => {
                hand.held.remove(at);
                self.count("fenced");
            }
            Some(Err(Refusal::Untrusted { .. })) => {
                hand.held.remove(at);
                let name = self.name(run);
                self.wrong(format!("the token of r{name} e{epoch} is not known"));
            }
            Some(Err(Refusal::Unfit { why })) => {
                hand.held.remove(at);
                let name = self.name(run);
                self.wrong(format!("the write of r{name} e{epoch} is unfit: {why}"));
            }
            Some(Ok(())) => {
                let held = &mut hand.held[at];
                if held.unanswered.take().is_some() {
                    self.count("resent");
                }
                self.confirmed(place, at, &append.events);
            }
        }
    }

    /// What was confirmed must never be lost or done again.
    fn confirmed(&mut self, place: usize, at: usize, events: &[Event]) {
        let run = self.hands[place].held[at].run;
        for event in events {
            match event {
                Event::StepEnded { step } => {
                    self.hands[place].held[at].done = step.index + 1;
                    self.acked.insert((run, step.index), step.result.to_string());
                    self.count("steps");
                }
                Event::Completed { .. } => drop(self.completed.insert(run)),
                _ => {}
            }
        }
        let over = matches!(
            events.last(),
            Some(
                Event::StepFailed { .. } | Event::Awaiting { .. } | Event::Completed { .. } | Event::Stopped
            ) | Some(Event::Released { .. })
        );
        if over {
            self.hands[place].held.remove(at);
        }
    }

    fn next_write(&mut self, id: WorkerId, held: &Held) -> Append {
        let name = self.name(held.run);
        let (run, epoch, index) = (held.run, held.epoch, held.done);
        let mut append = Append { run, epoch, events: Vec::new(), spawn: None, token: held.token.clone() };
        if held.stop {
            append.events.push(Event::Stopped);
            return append;
        }
        let is_child = self.is_child(run);
        let plan = plan(self.seed, name, is_child);
        let Some(deed) = plan.get(index as usize).copied() else {
            append.events =
                vec![Event::Completing { artifacts: Vec::new() }, Event::Completed { output: json!(name) }];
            return append;
        };
        let attempt = held.failed.get(&index).copied().unwrap_or(0) + 1;
        let kind = kind_of(deed);
        if !matches!(kind, StepKind::Tool) && !held.answers.contains_key(&index) {
            self.begin_wait(&mut append, deed, index);
            return append;
        }
        self.act_outside((run, index), (name, epoch));
        let fails = matches!(deed, Deed::Doomed) || matches!(deed, Deed::Flaky(times) if attempt <= times);
        if fails {
            append.events.push(failed(index, attempt));
            return append;
        }
        if deed == Deed::Noted {
            append.events.push(Event::StepDispatched {
                index,
                attempt,
                kind,
                name: "act".to_owned(),
                policy: hale_core::run::Dispatch::Retry,
            });
        }
        let mark = json!({ "by": id.0 as u64, "epoch": epoch, "mark": self.chance.next() >> 12 });
        append.events.push(ended((index, attempt), kind, mark));
        // Half of the last steps are stored with the end of their run.
        if index as usize + 1 == plan.len() && self.chance.one_in(2) {
            append.events.push(Event::Completing { artifacts: Vec::new() });
            append.events.push(Event::Completed { output: json!(name) });
        }
        append
    }

    fn begin_wait(&mut self, append: &mut Append, deed: Deed, index: u32) {
        let now = self.now();
        let (wait, until) = match deed {
            Deed::Sleep(wait) => (Wait::Timer, now + Millis(wait)),
            Deed::Ask => (
                Wait::Approval { question: "may I?".to_owned(), effect: json!({}) },
                now + Millis::seconds(40),
            ),
            _ => {
                let run = RunId::mint(now, u128::from(self.chance.next()));
                let pack = if self.chance.one_in(2) { "alpha" } else { "beta" };
                append.spawn = Some(Box::new(Spawn {
                    run,
                    pack: pack.to_owned(),
                    version: None,
                    input: json!({}),
                    turns: 5,
                    tokens: 1_000,
                }));
                (Wait::Child { run }, now + Millis::seconds(600))
            }
        };
        append.events.push(Event::Awaiting {
            index,
            kind: kind_of(deed),
            name: "wait".to_owned(),
            wait,
            until,
        });
    }
}

fn kind_of(deed: Deed) -> StepKind {
    match deed {
        Deed::Sleep(_) => StepKind::Timer,
        Deed::Ask => StepKind::Approval,
        Deed::Child => StepKind::Child,
        _ => StepKind::Tool,
    }
}

fn failed(index: u32, attempt: u32) -> Event {
    let failure = Failure::new(Code::E006, "tool.io", "tool:act", "act");
    Event::StepFailed {
        index,
        attempt,
        kind: StepKind::Tool,
        name: "act".to_owned(),
        took: Millis(1),
        failure: Box::new(failure),
        policy: TWICE,
        chance: 0,
    }
}

fn ended((index, attempt): (u32, u32), kind: StepKind, result: serde_json::Value) -> Event {
    Event::StepEnded {
        step: Box::new(Step {
            index,
            attempt,
            kind,
            name: "act".to_owned(),
            request: json!({}),
            result,
            took: Millis(1),
            waiting_on: "tool:act".to_owned(),
            usage: None,
            is_error: false,
        }),
    }
}

fn told(answer: Option<&Result<(), Refusal>>) -> &'static str {
    match answer {
        None => "no answer",
        Some(Ok(())) => "stored",
        Some(Err(Refusal::Fenced { .. })) => "fenced",
        Some(Err(Refusal::Unfit { .. })) => "unfit",
        Some(Err(Refusal::Untrusted { .. })) => "untrusted",
        Some(Err(Refusal::Unavailable { .. })) => "unavailable",
    }
}
