//! A run, a list of runs, and a run's history.
//!
//! Leaves to others: the view while it runs ([`super::live`]), why it ended so ([`super::diagnosis`]).

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, pairs};
use super::{step, when};
use crate::wire::waits::{ChildView, WaitView};
use crate::wire::{History, RunView};
use hale_core::run::{Event, Record, StateName};
use serde_json::Value;

/// The list; `wide` has more columns.
pub fn table(runs: &[RunView], look: &Look, wide: bool) -> Table {
    let narrow = [
        ("id", Column::Left),
        ("state", Column::Left),
        ("pack", Column::Left),
        ("submitted", Column::Left),
        ("took", Column::Right),
    ];
    let more = [
        ("steps", Column::Right),
        ("priority", Column::Left),
        ("trigger", Column::Left),
        ("worker", Column::Left),
    ];
    let mut columns = narrow.to_vec();
    if wide {
        columns.extend(more);
    }
    columns.push(("note", Column::Text));
    let mut table = Table::new(&columns);
    for run in runs {
        let mut cells = vec![
            Cell::from(run.id.clone()),
            state(run, look),
            Cell::from(format!("{}@{}", run.pack, run.version)),
            Cell::from(when::moment(look, &run.submitted_at)),
            Cell::from(when::span(run.duration_ms)),
        ];
        if wide {
            cells.extend([
                Cell::from(run.steps.to_string()),
                Cell::from(run.priority.clone()),
                Cell::from(run.trigger.clone()),
                Cell::from(run.worker.clone().unwrap_or_default()),
            ]);
        }
        cells.push(Cell::new(note(run), Tone::Dim));
        table.row(cells);
    }
    table
}

fn state(run: &RunView, look: &Look) -> Cell {
    match run.state.parse::<StateName>() {
        Ok(state) => {
            Cell::new(format!("{} {}", look.glyphs.state(state), run.state), super::paint::tone(state))
        }
        Err(()) => Cell::from(run.state.clone()),
    }
}

/// What is worth saying beside the state.
fn note(run: &RunView) -> String {
    if let Some(error) = &run.error {
        return step::short(error);
    }
    let overdue = if run.overdue { "overdue" } else { "" };
    match &run.waiting_on {
        Some(on) if overdue.is_empty() => format!("waiting on {on}"),
        Some(on) => format!("{overdue}, waiting on {on}"),
        None => overdue.to_owned(),
    }
}

/// The queue, where it is not the usual one, and for whom.
fn queue(run: &RunView) -> String {
    let name = if run.queue == hale_core::run::DEFAULT_QUEUE { "" } else { &run.queue };
    match &run.tenant {
        Some(tenant) => format!("{name} for {tenant}").trim().to_owned(),
        None => name.to_owned(),
    }
}

/// One run whole: `hale runs show`.
pub fn page(run: &RunView, look: &Look) -> String {
    let mut text = format!("{}  {}\n", Tone::Strong.paint(&run.id), headline(run, look));
    let at = |moment: &Option<String>| {
        moment.as_deref().map(|moment| when::moment(look, moment)).unwrap_or_default()
    };
    text.push_str(&pairs(&[
        ("pack", format!("{}@{}", run.pack, run.version)),
        (
            "submitted",
            format!(
                "{} by {}, priority {}",
                when::moment(look, &run.submitted_at),
                run.trigger,
                run.priority
            ),
        ),
        ("queue", queue(run)),
        ("not before", at(&run.due_at)),
        ("started", at(&run.started_at)),
        ("ended", at(&run.ended_at)),
        ("took", format!("{} of {} allowed", when::span(run.duration_ms), when::span(run.timeout_ms))),
        ("steps", run.steps.to_string()),
        ("worker", run.worker.clone().unwrap_or_default()),
        (
            "waits on",
            run.awaits
                .as_ref()
                .map_or_else(|| run.waiting_on.clone().unwrap_or_default(), |wait| waits(wait, look)),
        ),
        ("parent", parent(run)),
        ("children", children(run)),
        ("retry of", run.retry_of.clone().unwrap_or_default()),
        ("correlation", run.correlation_id.clone()),
        ("input", run.input.as_ref().map(compact).unwrap_or_default()),
        ("artifacts", artifacts(run)),
        ("error", run.error.as_ref().map(error).unwrap_or_default()),
    ]));
    if let Some(output) = &run.output {
        text.push_str(&format!("\n{}\n", answer(output)));
    }
    text
}

/// What a run waits for, until when, and who can end it.
fn waits(wait: &WaitView, look: &Look) -> String {
    let what = match (&wait.child, &wait.question) {
        (Some(child), _) => format!("the end of {child}"),
        (None, Some(question)) => format!("a person: {}", crate::logs::line::escaped(question)),
        (None, None) => wait.kind.clone(),
    };
    let (since, until) = (when::moment(look, &wait.since), when::moment(look, &wait.until));
    format!("{what}\nstep {}  {}, since {since}, at most until {until}", wait.index + 1, wait.name)
}

fn parent(run: &RunView) -> String {
    match (&run.parent, run.parent_index) {
        (Some(parent), Some(index)) => format!("{parent}, its step {}", index + 1),
        _ => String::new(),
    }
}

fn children(run: &RunView) -> String {
    let line = |child: &ChildView| {
        format!("{}  {}  {}@{}, step {}", child.id, child.state, child.pack, child.version, child.index + 1)
    };
    run.children.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// State, and `overdue` if it is.
pub fn headline(run: &RunView, look: &Look) -> String {
    let overdue = if run.overdue { Tone::Warn.paint("  overdue") } else { String::new() };
    format!("{}{overdue}", look.state(&run.state))
}

fn artifacts(run: &RunView) -> String {
    let shown = run.artifacts.iter().map(|artifact| {
        format!("{}  {}  {}", artifact.name, when::bytes(artifact.bytes), artifact.media_type)
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// The error with its cause and its whole chain.
pub fn error(failure: &hale_core::failure::Failure) -> String {
    let mut text = format!("{} {}", failure.code, failure.message);
    for source in &failure.chain {
        text.push_str(&format!("\ncause: {source}"));
    }
    text.push_str(&format!("\n{} at {}", failure.cause, failure.origin));
    text
}

/// The answer of a run as text: a text as it is, an object with nothing but a text as that text, else JSON.
pub fn answer(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        Value::Object(object) if object.len() == 1 => match object.iter().next() {
            Some((name, Value::String(text))) if matches!(name.as_str(), "answer" | "text" | "output") => {
                text.clone()
            }
            _ => pretty(output),
        },
        Value::Null => String::new(),
        other => pretty(other),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn compact(value: &Value) -> String {
    value.to_string()
}

/// The journal, one line each: `hale runs history`.
pub fn history(history: &History, look: &Look) -> Table {
    let mut table = Table::new(&[
        ("seq", Column::Right),
        ("at", Column::Left),
        ("event", Column::Left),
        ("detail", Column::Text),
    ]);
    for Record { seq, at, event, .. } in &history.records {
        table.row(vec![
            Cell::from(seq.to_string()),
            Cell::from(when::moment(look, &at.rfc3339())),
            Cell::from(event.name()),
            Cell::from(detail(event)),
        ]);
    }
    table
}

fn detail(event: &Event) -> String {
    if let Some((_, text)) = step::line(event) {
        return text;
    }
    match event {
        Event::Accepted { pack, limit, trigger, .. } => {
            format!("{}@{} by {trigger:?}, limit {limit}", pack.name, pack.version).to_lowercase()
        }
        Event::Leased { worker, epoch } => format!("worker {worker}, epoch {epoch}"),
        Event::StepDispatched { index, name, .. } => format!("step {}  {name}  is about to act", index + 1),
        Event::Completing { artifacts } if !artifacts.is_empty() => format!("{} artifacts", artifacts.len()),
        Event::Failed { failure } => step::short(failure),
        _ => String::new(),
    }
}
