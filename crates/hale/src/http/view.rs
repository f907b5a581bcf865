//! From the engine's values to the shapes of the wire.
//!
//! Plain conversions: what is known comes in, nothing is asked or decided here.
//! Read next: [`crate::wire`].

use super::approvals;
use super::problem::Refusal;
use crate::wire::{self, Page, RunView};
use hale_core::failure::Failure;
use hale_core::limits;
use hale_core::pack::Warning;
use hale_core::run::{Outcome, Run, State, WaitOn};
use hale_core::time::{Millis, Timestamp};
use hale_engine::evidence::run_facts;
use hale_engine::live::Doing;
use hale_engine::registry::PackInfo;
use hale_engine::remedy::deeds::Plan;
use hale_store::{AuditRow, KeyRow, Phase, StoredRun};
use serde::Serialize;
use serde_json::Value;

/// What a run looks like in a list.
pub fn run(run: &Run, now: Timestamp) -> RunView {
    let ended_at = match &run.state {
        State::Ended { at, .. } => Some(*at),
        _ => None,
    };
    RunView {
        schema: "hale.run/1".to_owned(),
        id: run.id.to_string(),
        state: run.state.name().to_string(),
        waiting_on: if run.is_delayed(now) { Some("time".to_owned()) } else { waiting_on(run, None) },
        overdue: run.state.is_overdue(now) && !is_young(run, now),
        pack: run.pack.name.to_string(),
        version: run.pack.version.to_string(),
        priority: run.priority.name().to_owned(),
        queue: run.queue.to_string(),
        tenant: run.tenant.as_deref().map(str::to_owned),
        due_at: run.due.map(Timestamp::rfc3339),
        trigger: name(&run.trigger),
        correlation_id: run.correlation.to_string(),
        submitted_at: run.submitted_at.rfc3339(),
        started_at: run.started_at.map(Timestamp::rfc3339),
        ended_at: ended_at.map(Timestamp::rfc3339),
        duration_ms: ended_at.unwrap_or(now).since(run.submitted_at).0,
        timeout_ms: run.limit.0,
        worker: run.lease().map(|lease| lease.worker.to_string()),
        epoch: run.epoch,
        steps: run.steps,
        retry_of: run.retry_of.map(|first| first.to_string()),
        parent: run.parent.map(|parent| parent.run.to_string()),
        parent_index: run.parent.map(|parent| parent.index),
        awaits: approvals::wait(run),
        children: Vec::new(),
        error: error(run),
        output: None,
        input: None,
        artifacts: Vec::new(),
    }
}

/// A delayed run is late only when its time has passed.
fn is_young(run: &Run, now: Timestamp) -> bool {
    matches!(run.state, State::Pending { .. }) && now.since(run.waits_since()) <= limits::PENDING_NORMAL
}

/// What a run looks like while its step is known.
pub fn doing(shown: RunView, run: &Run, doing: Option<&Doing>) -> RunView {
    if matches!(run.state, State::Pending { .. }) {
        return shown;
    }
    RunView { waiting_on: waiting_on(run, doing), ..shown }
}

/// What a run looks like when it is asked for: with input, output and artifacts.
pub fn stored(stored: &StoredRun, now: Timestamp) -> RunView {
    RunView {
        input: Some(json(&stored.input)),
        output: stored.output.as_deref().map(json),
        artifacts: stored.artifacts.clone(),
        ..run(&stored.run, now)
    }
}

/// With the runs that are its steps.
pub fn with_children(shown: RunView, children: &[Run]) -> RunView {
    RunView { children: children.iter().map(approvals::child).collect(), ..shown }
}

/// Stored JSON; text that is not JSON any more is shown as it is.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The name that a value has on the wire.
pub fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// What a run waits for: `retry`, `approval`, `worker`, or the component that its present step waits on.
fn waiting_on(run: &Run, doing: Option<&Doing>) -> Option<String> {
    if let State::Waiting { on: WaitOn::Retry, .. } = run.state {
        return Some("retry".to_owned());
    }
    Some(run_facts::waiting_on(run, doing)).filter(|component| !component.is_empty())
}

/// The error that ended the run, or the last one so far.
fn error(run: &Run) -> Option<Failure> {
    match &run.state {
        State::Ended { outcome: Outcome::Failed { failure } | Outcome::Timeout { failure }, .. } => {
            Some(failure.clone())
        }
        State::Ended { outcome: Outcome::Completed, .. } => None,
        _ => run.failure.clone(),
    }
}

/// A page with the schema of its items: `hale.runs/1`.
pub fn page<T>(schema: &str, items: Vec<T>, next: Option<String>) -> Page<T> {
    Page { schema: format!("hale.{schema}/1"), items, next }
}

/// The size of a page that was asked for.
///
/// # Errors
/// E002 for none, or more than a page may hold.
pub fn page_size(asked: Option<u32>) -> Result<u32, Refusal> {
    match asked {
        None => Ok(limits::PAGE),
        Some(size @ 1..=limits::PAGE_MAX) => Ok(size),
        Some(size) => {
            let message =
                format!("read a page of {size}: ask for 1 to {}, and page with after", limits::PAGE_MAX);
            Err(Refusal::invalid("limit", message))
        }
    }
}

/// Whether a pack is shown in a list or alone, with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Line,
    Whole,
}

pub fn pack(info: &PackInfo, detail: Detail) -> wire::PackView {
    let manifest = &info.manifest;
    let whole = detail == Detail::Whole;
    wire::PackView {
        schema: "hale.pack/1".to_owned(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        current: info.current,
        enabled: info.enabled,
        kind: name(&manifest.kind),
        description: manifest.description.clone(),
        model: manifest.model.clone(),
        fallback: manifest.fallback.clone(),
        tools: manifest.tools.clone(),
        files: manifest.files.clone(),
        web: manifest.web.clone(),
        timeout_ms: manifest.limits.timeout.0,
        deployed_at: info.deployed_at.rfc3339(),
        deployed_by: info.by.clone(),
        digest: info.digest.clone(),
        warnings: info.warnings.iter().map(warning).collect(),
        outcome: String::new(),
        versions: if whole {
            info.versions.iter().map(|version| version.to_string()).collect()
        } else {
            Vec::new()
        },
        source: whole.then(|| info.source.to_string()),
        manifest: whole.then(|| serde_json::to_value(&**manifest).unwrap_or_default()),
        reload_error: info.reload_error.clone(),
    }
}

fn warning(warning: &Warning) -> String {
    let Warning { line, column, message, help } = warning;
    let help = if help.is_empty() { String::new() } else { format!("; {help}") };
    format!("line {line}, column {column}: {message}{help}")
}

pub fn key(row: &KeyRow) -> wire::KeyView {
    wire::KeyView {
        id: row.id.to_string(),
        name: row.name.clone(),
        tenant: row.tenant.clone(),
        created_at: row.created_at.rfc3339(),
        expires_at: row.expires_at.map(Timestamp::rfc3339),
        revoked_at: row.revoked_at.map(Timestamp::rfc3339),
        last_used_at: row.last_used_at.map(Timestamp::rfc3339),
        secret: None,
    }
}

/// One line for each operation, newest first: its intent and its outcome are one.
pub fn operations(rows: &[AuditRow]) -> Vec<wire::OperationView> {
    let mut shown: Vec<wire::OperationView> = Vec::new();
    for row in rows {
        let id = row.id.to_string();
        if let Some(known) = shown.iter_mut().find(|known| known.id == id) {
            // The outcome stands first; what the intent knows beside it is the undo.
            known.undo = known.undo.take().or_else(|| row.undo.clone());
            continue;
        }
        let outcome = match row.phase {
            Phase::Intent => "begun",
            Phase::Outcome => "done",
        };
        let told = json(&row.detail);
        let detail = told_of(&told).unwrap_or_else(|| row.detail.clone());
        let outcome = told.get("outcome").and_then(Value::as_str).unwrap_or(outcome).to_owned();
        shown.push(wire::OperationView {
            id,
            at: row.at.rfc3339(),
            actor: row.actor.clone(),
            operation: row.operation.clone(),
            target: row.target.clone(),
            outcome,
            detail,
            undo: row.undo.clone(),
        });
    }
    shown
}

/// What a row says in words: its own, or what its plan does. An outcome has the text of its intent for a detail.
fn told_of(told: &Value) -> Option<String> {
    if let Some(detail) = told.get("detail").and_then(Value::as_str) {
        return Some(told_of(&json(detail)).unwrap_or_else(|| detail.to_owned()));
    }
    let plan: Plan = serde_json::from_value(told.get("plan")?.clone()).ok()?;
    let why = told.get("cause").and_then(Value::as_str).filter(|cause| !cause.is_empty());
    let why = why.map(|cause| format!("because of: {cause}"));
    Some(plan.effects().into_iter().chain(why).collect::<Vec<_>>().join("; "))
}

/// Spans in milliseconds by name.
pub fn spans(spans: &std::collections::BTreeMap<String, Millis>) -> std::collections::BTreeMap<String, u64> {
    spans.iter().map(|(name, span)| (name.clone(), span.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_words_in_the_intent_and_in_the_outcome() {
        let intent = r#"{"cause":"disk","plan":{"deed":"set","key":"k","before":null,"after":"{}"}}"#;
        let outcome = serde_json::json!({"outcome": "done", "detail": intent});
        for told in [json(intent), outcome] {
            assert_eq!(told_of(&told).as_deref(), Some("k: unset -> set; because of: disk"));
        }
        let plain = serde_json::json!({"outcome": "done", "detail": "1.0.0"});
        assert_eq!(told_of(&plain).as_deref(), Some("1.0.0"));
    }
}
