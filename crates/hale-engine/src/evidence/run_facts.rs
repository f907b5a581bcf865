//! Facts of one run, read from its journal: where its time went, what it did, what stopped it.
//!
//! Pure: records in, facts out, so that a journal from a bundle or from a dead server tells the same.
//! Read next: [`super`].

use crate::live::Doing;
use hale_core::limits;
use hale_core::pack::Manifest;
use hale_core::run::{Event, Outcome, Record, Run, State, Step, StepKind, Wait, WaitOn};
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::Verdict;
use hale_playbooks::evidence::Builder;
use hale_playbooks::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    pub model: String,
    pub time_queue: Millis,
    pub time_model: Millis,
    pub time_tools: Millis,
    pub time_waits: Millis,
    pub slowest_model_call: Millis,
    pub turns: u32,
    pub tool_calls: u32,
    pub waiting_on: String,
    pack: String,
    state: &'static str,
    age: Millis,
    in_state_for: Millis,
    limit: Millis,
    attempts: u32,
    turns_limit: u32,
    pack_limit: Millis,
    pack_turns_limit: u32,
    error: Option<hale_core::failure::Failure>,
    cancelled_by: String,
    /// Calls by tool and arguments.
    calls: BTreeMap<(String, String), u32>,
}

impl RunFacts {
    pub fn of(run: &Run, (records, doing, now): (&[Record], Option<Doing>, Timestamp)) -> Self {
        let end = match &run.state {
            State::Ended { at, .. } => *at,
            _ => now,
        };
        let mut facts = Self {
            pack: run.pack.name.to_string(),
            state: run.state.name().name(),
            age: end.since(run.submitted_at),
            in_state_for: now.since(run.state.since()),
            limit: run.limit,
            error: run.failure.clone(),
            cancelled_by: run.cancel.as_ref().map(|cancel| cancel.by.clone()).unwrap_or_default(),
            waiting_on: waiting_on(run, doing.as_ref()),
            ..Self::default()
        };
        facts.walk(records, end);
        if let Some(doing) = doing.filter(|_| !run.is_terminal()) {
            facts.spend(doing.kind, end.since(doing.since));
        }
        facts
    }

    /// Adds what only the pack knows: `then` is the version of the run, `now` what a new run would get.
    pub fn with_pack(
        mut self,
        (model, then): (String, Option<Arc<Manifest>>),
        (now, raised): (Option<Arc<Manifest>>, Option<Millis>),
    ) -> Self {
        self.model = model;
        self.turns_limit = then.map_or(limits::TURNS, |manifest| manifest.limits.max_turns);
        let pack_limit = now.as_ref().map_or(limits::RUN_TIMEOUT, |manifest| manifest.limits.timeout);
        self.pack_limit = raised.unwrap_or(pack_limit);
        self.pack_turns_limit = now.map_or(limits::TURNS, |manifest| manifest.limits.max_turns);
        self
    }

    fn walk(&mut self, records: &[Record], end: Timestamp) {
        let mut queued_since = None;
        let mut last = end;
        for record in records {
            match &record.event {
                Event::Accepted { .. } | Event::LeaseLost { .. } | Event::Released { .. } | Event::Woken => {
                    queued_since = Some(record.at);
                }
                Event::Leased { .. } => {
                    self.time_queue = self.time_queue
                        + queued_since.take().map_or(Millis(0), |since| record.at.since(since));
                }
                Event::StepEnded { step } => self.ended(step),
                Event::StepFailed { kind, took, attempt, .. } => {
                    self.attempts = *attempt;
                    self.begun(*kind);
                    self.spend(*kind, *took);
                }
                Event::TimedOut { doing } => self.in_flight(doing, record.at.since(last)),
                _ => {}
            }
            last = record.at;
        }
        if let Some(since) = queued_since {
            self.time_queue = self.time_queue + end.since(since);
        }
    }

    fn ended(&mut self, step: &Step) {
        self.attempts = step.attempt;
        self.begun(step.kind);
        self.spend(step.kind, step.took);
        if step.kind == StepKind::Tool {
            *self.calls.entry((step.name.clone(), step.request.to_string())).or_default() += 1;
        }
    }

    fn begun(&mut self, kind: StepKind) {
        match kind {
            StepKind::Model => self.turns += 1,
            StepKind::Tool | StepKind::Job | StepKind::Arm => self.tool_calls += 1,
            StepKind::Echo | StepKind::Child | StepKind::Timer | StepKind::Approval => {}
        }
    }

    /// The step that the limit cut off: the engine named it in the event.
    fn in_flight(&mut self, doing: &str, spent: Millis) {
        let kind = if doing.starts_with("waiting for model") {
            StepKind::Model
        } else if doing.starts_with("waiting for arm") {
            StepKind::Arm
        } else if doing.starts_with("waiting for tool") {
            StepKind::Tool
        } else {
            return;
        };
        self.begun(kind);
        self.spend(kind, spent);
    }

    fn spend(&mut self, kind: StepKind, took: Millis) {
        match kind {
            StepKind::Model => {
                self.time_model = self.time_model + took;
                self.slowest_model_call = self.slowest_model_call.max(took);
            }
            StepKind::Tool | StepKind::Job | StepKind::Arm => self.time_tools = self.time_tools + took,
            StepKind::Child | StepKind::Timer | StepKind::Approval => {
                self.time_waits = self.time_waits + took
            }
            StepKind::Echo => {}
        }
    }

    /// Where the time went.
    pub fn time(&self) -> BTreeMap<String, Millis> {
        let known = self.time_queue + self.time_model + self.time_tools + self.time_waits;
        let parts = [
            ("queue", self.time_queue),
            ("model", self.time_model),
            ("tools", self.time_tools),
            ("waits", self.time_waits),
            ("other", self.age.saturating_sub(known)),
        ];
        let spent = parts.into_iter().filter(|(name, time)| *name != "waits" || *time > Millis(0));
        spent.map(|(name, time)| (name.to_owned(), time)).collect()
    }

    pub(super) fn fill(&self, builder: Builder) -> Builder {
        let worked = self.age.saturating_sub(self.time_queue).0.max(1) as f64;
        let share = |part: Millis| Value::Num((part.0 as f64 / worked).min(1.0));
        let text = |text: &str| Value::Text(text.to_owned());
        let repeated = self.calls.iter().max_by_key(|(_, n)| **n);
        let error = |read: fn(&hale_core::failure::Failure) -> String| {
            Value::Text(self.error.as_ref().map(read).unwrap_or_default())
        };
        let after = self.error.as_ref().and_then(|failure| failure.retry_after).unwrap_or_default();
        let facts: [(&str, Value); 26] = [
            ("run.age", Value::Duration(self.age)),
            ("run.attempts", Value::Int(i64::from(self.attempts))),
            ("run.cancelled_by", text(&self.cancelled_by)),
            ("run.error_cause", error(|failure| failure.cause.clone())),
            ("run.error_code", error(|failure| failure.code.to_string())),
            ("run.error_origin", error(|failure| failure.origin.clone())),
            ("run.in_state_for", Value::Duration(self.in_state_for)),
            ("run.limit", Value::Duration(self.limit)),
            ("run.model", text(&self.model)),
            ("run.model_share", share(self.time_model)),
            ("run.pack", text(&self.pack)),
            ("run.pack_limit", Value::Duration(self.pack_limit)),
            ("run.pack_turns_limit", Value::Int(i64::from(self.pack_turns_limit))),
            ("run.repeated_call_max", Value::Int(repeated.map_or(0, |(_, n)| i64::from(*n)))),
            ("run.repeated_call_name", text(repeated.map_or("", |((name, _), _)| name))),
            ("run.retry_after", Value::Duration(after)),
            ("run.slowest_model_call", Value::Duration(self.slowest_model_call)),
            ("run.state", text(self.state)),
            ("run.time_model", Value::Duration(self.time_model)),
            ("run.time_queue", Value::Duration(self.time_queue)),
            ("run.time_tools", Value::Duration(self.time_tools)),
            ("run.tool_calls", Value::Int(i64::from(self.tool_calls))),
            ("run.tool_share", share(self.time_tools)),
            ("run.turns", Value::Int(i64::from(self.turns))),
            ("run.turns_limit", Value::Int(i64::from(self.turns_limit))),
            ("run.waiting_on", text(&self.waiting_on)),
        ];
        facts.into_iter().fold(builder, |builder, (name, value)| builder.known(name, value, "journal"))
    }
}

/// What the run waits for now; empty when it waits for nothing.
pub fn waiting_on(run: &Run, doing: Option<&Doing>) -> String {
    match &run.state {
        State::Pending { .. } => "worker".to_owned(),
        State::Waiting { on: WaitOn::Retry, .. } => "timer".to_owned(),
        State::Waiting { on: WaitOn::Timer, .. } => "timer".to_owned(),
        State::Waiting { on: WaitOn::Approval, .. } => "approval".to_owned(),
        State::Waiting { on: WaitOn::Child, .. } => match run.awaits.as_ref().map(|awaits| &awaits.wait) {
            Some(Wait::Child { run }) => format!("run:{run}"),
            _ => "run".to_owned(),
        },
        State::Running { .. } => match doing {
            Some(Doing { kind: StepKind::Model, name, .. }) => {
                format!("provider:{}", name.split_once('/').map_or(&**name, |(provider, _)| provider))
            }
            Some(Doing { kind: StepKind::Tool, name, .. }) => format!("tool:{name}"),
            Some(Doing { kind: StepKind::Arm, name, .. }) => format!("arm:{name}"),
            _ => String::new(),
        },
        State::Initializing { .. } | State::Completing { .. } | State::Ended { .. } => String::new(),
    }
}

/// The sentence for one run, in any state.
pub fn says(run: &Run, (facts, verdict, now): (&RunFacts, &Verdict, Timestamp)) -> String {
    let (id, spent) = (run.id, facts.age);
    let stands = match &run.state {
        State::Pending { since } => format!("run {id} waits in PENDING for {}", now.since(*since)),
        State::Waiting { on: WaitOn::Retry, until, .. } => {
            format!("run {id} waits {} to retry a failed step", until.since(now))
        }
        State::Waiting { on: WaitOn::Timer, until, .. } => {
            format!("run {id} sleeps {} more", until.since(now))
        }
        State::Waiting { on: WaitOn::Child, .. } => {
            format!("run {id} waits for its child, {}", facts.waiting_on)
        }
        State::Waiting { on: WaitOn::Approval, .. } => {
            format!("run {id} waits for a decision: hale runs resolve {id} --as retry")
        }
        State::Ended { outcome: Outcome::Completed, .. } => {
            format!("run {id} completed in {spent}: nothing is wrong")
        }
        State::Ended { outcome: Outcome::Failed { failure }, .. } => {
            format!("run {id} failed after {spent}: {failure} ({})", failure.code)
        }
        State::Ended { outcome: Outcome::Timeout { failure }, .. } => {
            format!("run {id} timed out: {failure}")
        }
        State::Ended { outcome: Outcome::Cancelled { cancel }, .. } => {
            let reason = cancel.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("run {id} was cancelled by {}{reason}", cancel.by)
        }
        state if facts.waiting_on.is_empty() => {
            format!("run {id} is {} for {}", state.name(), facts.in_state_for)
        }
        state => format!("run {id} is {} and waits on {}", state.name(), facts.waiting_on),
    };
    match verdict.findings.first() {
        Some(finding) => format!("{stands}. {}", finding.title),
        None => stands,
    }
}
