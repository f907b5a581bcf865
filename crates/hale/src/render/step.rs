//! A line of a run's journal as a line for people.
//!
//! Guarantees: a step's line names what was acted on (`files.read /var/log/dpkg.log`), not only the tool.
//! Read next: [`super::live`], [`super::run`].

use super::paint::{Look, Tone};
use super::table::cut;
use hale_core::failure::Failure;
use hale_core::run::{Answer, Event, StateName, Step, Wait};
use serde_json::Value;

/// Arguments that say what a call is about, most telling first.
const TELLING: [&str; 8] = ["path", "folder", "pattern", "query", "url", "name", "question", "text"];
/// A call's argument in a line; more pushes the time off the screen.
const ARGUMENT_COLUMNS: usize = 60;

/// What a call was about: its most telling argument, or nothing.
pub fn argument(request: &Value) -> Option<String> {
    let arguments = request.get("arguments").unwrap_or(request);
    let told = TELLING.iter().find_map(|name| arguments.get(name)?.as_str());
    told.map(|text| cut(&crate::logs::line::escaped(text), ARGUMENT_COLUMNS))
}

/// `files.read /var/log/dpkg.log`, or the name alone.
pub fn title(step: &Step) -> String {
    match argument(&step.request) {
        Some(argument) if step.kind == hale_core::run::StepKind::Tool => format!("{} {argument}", step.name),
        _ => step.name.clone(),
    }
}

/// `312 tok`, for a model call that says so.
pub fn tokens(step: &Step) -> Option<String> {
    step.usage.map(|usage| format!("{} tok", usage.input_tokens + usage.output_tokens))
}

/// What a line of the journal says, and how it sounds; none for lines that say nothing to a watcher.
pub fn line(event: &Event) -> Option<(Tone, String)> {
    let line = match event {
        Event::StepEnded { step } => {
            let tokens = tokens(step).map(|tokens| format!("  {tokens}")).unwrap_or_default();
            let (tone, wrong) =
                if step.is_error { (Tone::Warn, "  answered with an error") } else { (Tone::Good, "") };
            (tone, format!("step {}  {}  {}{tokens}{wrong}", step.index + 1, title(step), step.took))
        }
        Event::StepFailed { index, attempt, name, took, failure, policy, .. } => {
            let tries = policy.retries_max + 1;
            let number = format!("step {}  {name}  {took}", index + 1);
            (Tone::Bad, format!("{number}  {}  try {attempt} of {tries}", short(failure)))
        }
        Event::StepDispatched { .. } | Event::Accepted { .. } | Event::Leased { .. } | Event::Initialized => {
            return None;
        }
        Event::StageCompleted { n, of, name } => (Tone::Good, format!("step {n}/{of} completed: {name}")),
        Event::Parked { index, name } => (
            Tone::Warn,
            format!("step {}  {name}  was in flight at a crash and must not be repeated", index + 1),
        ),
        Event::Routed { decision } => (Tone::Plain, format!("routed: {}", decision.says())),
        Event::Forked { from, steps } => {
            (Tone::Plain, format!("the first {} steps are those of {from}", steps.len()))
        }
        Event::Awaiting { index, name, wait, .. } => (Tone::Plain, awaiting(*index, name, wait)),
        Event::Awaited { index, answer } => answered(*index, answer),
        Event::Resolved { by } => (Tone::Plain, format!("the parked step was resolved by {by}")),
        Event::CancelAsked { by, reason } => {
            let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            (Tone::Warn, format!("{by} asked to cancel{why}"))
        }
        Event::LeaseLost { worker, why, .. } => {
            (Tone::Warn, format!("worker {worker} was lost ({why}); another goes on"))
        }
        Event::Released { worker, .. } => {
            (Tone::Plain, format!("worker {worker} drains and gave the run back"))
        }
        Event::Fenced { worker, what, .. } => {
            (Tone::Warn, format!("a late write of worker {worker} was refused: {what}"))
        }
        Event::TimedOut { doing } => (Tone::Bad, format!("the time limit struck while {doing}")),
        Event::Woken
        | Event::Stopped
        | Event::Completing { .. }
        | Event::Completed { .. }
        | Event::Failed { .. } => {
            return None;
        }
    };
    Some(line)
}

fn awaiting(index: u32, name: &str, wait: &Wait) -> String {
    let what = match wait {
        Wait::Timer => "sleeps".to_owned(),
        Wait::Child { run } => format!("waits for {run}"),
        Wait::Approval { question, .. } => {
            format!("waits for a person: {}", crate::logs::line::escaped(question))
        }
        Wait::Parked => "is parked".to_owned(),
    };
    format!("step {}  {name}  {what}", index + 1)
}

fn answered(index: u32, answer: &Answer) -> (Tone, String) {
    let said = |reason: &Option<String>| reason.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    let (tone, what) = match answer {
        Answer::Fired => (Tone::Good, "slept".to_owned()),
        Answer::Child { run, outcome, .. } => {
            let tone = if *outcome == StateName::Completed { Tone::Good } else { Tone::Bad };
            (tone, format!("{run} ended {outcome}"))
        }
        Answer::Approved { by, reason } => (Tone::Good, format!("approved by {by}{}", said(reason))),
        Answer::Denied { by, reason } => (Tone::Warn, format!("denied by {by}{}", said(reason))),
        Answer::Expired => (Tone::Warn, "nobody decided in time".to_owned()),
    };
    (tone, format!("step {}  {what}", index + 1))
}

/// `E006 429 from sim`, in one line.
pub fn short(failure: &Failure) -> String {
    format!("{} {}", failure.code, crate::logs::line::escaped(&failure.message))
}

/// The line with its glyph, indented: how the live view and the history show it.
pub fn shown(look: &Look, event: &Event) -> Option<String> {
    let (tone, text) = line(event)?;
    Some(match tone {
        Tone::Good => format!("  {} {text}", Tone::Good.paint(look.glyphs.good())),
        Tone::Bad => format!("  {} {text}", Tone::Bad.paint(look.glyphs.bad())),
        Tone::Warn => format!("  {} {text}", Tone::Warn.paint(look.glyphs.warn())),
        Tone::Plain | Tone::Strong | Tone::Dim | Tone::Moving => format!("  {} {text}", look.glyphs.note()),
    })
}
