//! Steps that wait without a worker: for a moment, for a child run, for a person.
//!
//! A wait is written together with all that came before it, and the run is given back: no slot, no lease. Whoever
//! takes the run next finds the answer in the journal and ends the step with it.
//! Guarantees: `took` of such a step is the time that was waited, by the journal; what a tool refuses is an answer.
//! Read next: `hale-engine/src/adopt.rs`, the other side of a child.

use super::host::{Done, Halt, Host};
use crate::input::Spawn;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::pack::InputSchema;
use hale_core::run::{Answer, Dispatch, Event, StepKind, StepSpec, Usage, Wait};
use hale_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::future::ready;

/// A pack that is a tool of another, as it stood when the run was ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Delegate {
    /// As the manifest names it: `pack:NAME` or `pack:NAME@VERSION`.
    pub tool: String,
    pub pack: String,
    /// The version whose input schema the model is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub description: String,
    pub input: InputSchema,
    /// Why it cannot be called; then the model is not told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Failure>,
}

/// What a run has left for a child.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    pub turns: u32,
    pub tokens: u64,
}

/// What a step waits for, at most until when, and the child that it needs.
pub struct Begin {
    pub wait: Wait,
    pub until: Timestamp,
    pub spawn: Option<Spawn>,
}

impl Host<'_> {
    /// Ends the step with what came of its wait; or begins to wait, and the run is given back.
    ///
    /// # Errors
    /// [`Halt::Yielded`] when the wait begins, else as [`Host::step`].
    pub async fn wait(
        &self,
        spec: StepSpec,
        begin: Begin,
        tell: impl FnOnce(&Answer, Millis) -> Done,
    ) -> Result<Value, Halt> {
        if let Some(step) = self.replay.done(spec.index) {
            return self.replayed(step, &spec);
        }
        if let Some((answer, waited)) = self.replay.answered(spec.index) {
            let done = tell(answer, waited);
            let value = done.value.clone();
            self.end(spec, (1, waited), done);
            return Ok(value);
        }
        if self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        self.border().await?;
        let Begin { wait, until, spawn } = begin;
        let StepSpec { index, kind, name, .. } = spec;
        self.write_with(vec![Event::Awaiting { index, kind, name, wait, until }], spawn).await?;
        Err(Halt::Yielded)
    }

    /// A step that is refused without a wait.
    async fn refused(&self, spec: StepSpec, failure: &Failure, waiting_on: &str) -> Result<Value, Halt> {
        let done = Done { is_error: true, ..told(error_of(failure), waiting_on) };
        self.step(spec, |_| ready(Ok(done))).await
    }

    fn is_answered(&self, index: u32) -> bool {
        self.replay.done(index).is_some() || self.replay.answered(index).is_some()
    }

    /// `time.sleep`: until a moment. One that lies behind is no wait; one past the run's limit fails the run.
    ///
    /// # Errors
    /// As [`Host::wait`].
    pub async fn sleep(&self, name: String, arguments: &Value) -> Result<Value, Halt> {
        let (index, now) = (self.next_index()?, self.now());
        let request = arguments.clone();
        let spec = StepSpec { index, kind: StepKind::Timer, name, dispatch: Dispatch::Idempotent, request };
        let until = match moment(arguments, now) {
            Ok(until) => until,
            Err(failure) => return self.refused(spec, &failure, "engine").await,
        };
        let slept =
            move |waited: Millis| told(json!({ "slept_ms": waited.0, "until": until.rfc3339() }), "timer");
        if until <= now && !self.is_answered(index) {
            return self.step(spec, |_| ready(Ok(slept(Millis(0))))).await;
        }
        let begin = Begin { wait: Wait::Timer, until, spawn: None };
        self.wait(spec, begin, |_, waited| slept(waited)).await
    }

    /// `pack:NAME`: a run of another pack; its output is the answer, its failure an error that the model reads.
    ///
    /// # Errors
    /// As [`Host::wait`].
    pub async fn delegate(&self, child: &Delegate, arguments: &Value, left: Left) -> Result<Value, Halt> {
        let (index, now) = (self.next_index()?, self.now());
        let (name, request) = (child.tool.clone(), arguments.clone());
        let spec = StepSpec { index, kind: StepKind::Child, name, dispatch: Dispatch::Idempotent, request };
        if let Some(failure) = child.refused.as_ref().filter(|_| !self.is_answered(index)) {
            return self.refused(spec, failure, "registry").await;
        }
        let run = RunId::mint(now, crate::facade::chance());
        let spawn = Spawn {
            run,
            pack: child.pack.clone(),
            version: child.version.clone(),
            input: arguments.clone(),
            turns: left.turns,
            tokens: left.tokens,
        };
        let until = self.run.deadline().unwrap_or(now + self.run.limit);
        let begin = Begin { wait: Wait::Child { run }, until, spawn: Some(spawn) };
        self.wait(spec, begin, |answer, _| child_told(answer)).await
    }

    /// A person's consent to a call: none when it is given, else the error that the model reads in place of the call.
    ///
    /// # Errors
    /// As [`Host::wait`].
    pub async fn consent(&self, tool: &str, arguments: &Value) -> Result<Option<Value>, Halt> {
        let effect = json!({ "tool": tool, "arguments": arguments });
        let spec = StepSpec {
            index: self.next_index()?,
            kind: StepKind::Approval,
            name: tool.to_owned(),
            dispatch: Dispatch::Idempotent,
            request: effect.clone(),
        };
        let question = question(tool, arguments);
        let until = self.now() + self.manifest.approval_timeout();
        let begin = Begin { wait: Wait::Approval { question, effect }, until, spawn: None };
        let tool = tool.to_owned();
        let value = self.wait(spec, begin, move |answer, waited| decided(&tool, answer, waited)).await?;
        Ok((value.get("approved") != Some(&Value::Bool(true))).then_some(value))
    }
}

fn told(value: Value, waiting_on: &str) -> Done {
    Done { value, waiting_on: waiting_on.to_owned(), usage: None, is_error: false }
}

fn error_of(failure: &Failure) -> Value {
    json!({ "error": { "code": failure.code, "cause": failure.cause, "message": failure.to_string() } })
}

/// `{"seconds": 30}` or `{"until": "2026-11-22T03:05:00Z"}`.
fn moment(arguments: &Value, now: Timestamp) -> Result<Timestamp, Failure> {
    let refused =
        |message: String| Failure::new(Code::E002, "tool.invalid_arguments", "tool:time.sleep", message);
    let most = limits::RUN_TIMEOUT_MAX.0 / 1000;
    match (arguments.get("seconds"), arguments.get("until")) {
        (Some(seconds), None) => {
            match seconds.as_f64().filter(|seconds| (0.0..=most as f64).contains(seconds)) {
                Some(seconds) => Ok(now + Millis((seconds * 1000.0) as u64)),
                None => Err(refused(format!("sleep {seconds} seconds: give a number from 0 to {most}"))),
            }
        }
        (None, Some(until)) => {
            let at = until.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            match at.filter(|at| at.since(now) <= limits::RUN_TIMEOUT_MAX) {
                Some(at) => Ok(at),
                None => Err(refused(format!(
                    "sleep until {until}: give a moment such as 2026-11-22T03:05:00Z, at most {most} seconds ahead"
                ))),
            }
        }
        _ => Err(refused("sleep: give either seconds or until".to_owned())),
    }
}

/// The child's end as its parent's model reads it.
fn child_told(answer: &Answer) -> Done {
    let Answer::Child { run, outcome, output, failure, usage } = answer else {
        return told(Value::Null, "run");
    };
    let usage: Option<Usage> = *usage;
    let waiting_on = format!("run:{run}");
    match (output, failure) {
        (Some(output), None) => Done { value: output.clone(), waiting_on, usage, is_error: false },
        (None, None) if *outcome == hale_core::run::StateName::Completed => {
            Done { value: Value::Null, waiting_on, usage, is_error: false }
        }
        (_, Some(failure)) => {
            let mut value = error_of(failure);
            value["error"]["run"] = json!(run.to_string());
            Done { value, waiting_on, usage, is_error: true }
        }
        (_, None) => {
            let message = format!("the child {run} ended {outcome}");
            let failure = Failure::new(Code::E011, "run.child_cancelled", "engine", message);
            Done { value: error_of(&failure), waiting_on, usage, is_error: true }
        }
    }
}

/// Tool and arguments in one line.
fn question(tool: &str, arguments: &Value) -> String {
    let text = format!("{tool} {arguments}");
    match text.char_indices().nth(limits::QUESTION_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn decided(tool: &str, answer: &Answer, waited: Millis) -> Done {
    let because = |reason: &Option<String>| reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let (cause, message, by) = match answer {
        Answer::Approved { by, reason } => {
            let value = json!({ "approved": true, "by": by, "reason": reason });
            return told(value, &format!("person:{by}"));
        }
        Answer::Denied { by, reason } => {
            ("approval.denied", format!("call {tool}: {by} denied it{}", because(reason)), by.as_str())
        }
        _ => ("approval.expired", format!("call {tool}: nobody approved it within {waited}"), "nobody"),
    };
    let failure = Failure::new(Code::E013, cause, &format!("tool:{tool}"), message);
    let mut value = error_of(&failure);
    value["approved"] = Value::Bool(false);
    Done { is_error: true, ..told(value, &format!("person:{by}")) }
}
