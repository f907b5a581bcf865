//! Two runs side by side. Pure: two fetched runs in, their differences out.
//!
//! Guarantees: ids and times never make two runs different; what differs is named with both values.
//! Leaves to others: fetching (`cli/runs/compare.rs`).

use super::paint::{Look, Tone};
use super::table::{Cell, Column, Table, cut};
use super::when;
use crate::wire::{History, RunView};
use hale_core::run::{Event, Step};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One run with its journal.
#[derive(Clone, Debug)]
pub struct Side {
    pub run: RunView,
    pub history: History,
}

/// What differs.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub schema: &'static str,
    pub a: String,
    pub b: String,
    pub same: bool,
    pub facts: Vec<Fact>,
    pub steps: Vec<StepPair>,
    /// Places in the inputs that differ, by path.
    pub input: Vec<Change>,
    pub output: Vec<Change>,
}

/// A fact of both runs. Times are shown and never count as a difference.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub name: &'static str,
    pub a: String,
    pub b: String,
    pub same: bool,
    pub counts: bool,
}

/// A step at one place.
#[derive(Clone, Debug, Serialize)]
pub struct StepPair {
    /// 1 for the first.
    pub step: u32,
    /// `same`, `changed`, `only in a`, `only in b`.
    pub verdict: &'static str,
    /// What changed: name, request, result, error.
    pub changed: Vec<&'static str>,
    pub a: Option<StepSide>,
    pub b: Option<StepSide>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepSide {
    pub kind: &'static str,
    pub name: String,
    pub took_ms: u64,
}

/// A value that differs; none where there is nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub path: String,
    pub a: Option<Value>,
    pub b: Option<Value>,
}

/// Places of a value that are named; more is "and others".
const CHANGES: usize = 100;
/// A value in a line.
const SHOWN_COLUMNS: usize = 48;

pub fn of(a: &Side, b: &Side) -> Compared {
    let facts = facts(&a.run, &b.run);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    changes("", (a.run.input.as_ref(), b.run.input.as_ref()), &mut input);
    changes("", (a.run.output.as_ref(), b.run.output.as_ref()), &mut output);
    let steps = steps(&a.history, &b.history);
    let same = facts.iter().all(|fact| fact.same || !fact.counts)
        && steps.iter().all(|step| step.verdict == "same")
        && input.is_empty()
        && output.is_empty();
    let (a, b) = (a.run.id.clone(), b.run.id.clone());
    Compared { schema: "hale.compare/1", a, b, same, facts, steps, input, output }
}

fn facts(a: &RunView, b: &RunView) -> Vec<Fact> {
    let fact = |name, of: &dyn Fn(&RunView) -> String, counts| {
        let (a, b) = (of(a), of(b));
        Fact { name, same: a == b, a, b, counts }
    };
    let error = |run: &RunView| run.error.as_ref().map(|error| error.cause.clone()).unwrap_or_default();
    vec![
        fact("pack", &|run| run.pack.clone(), true),
        fact("version", &|run| run.version.clone(), true),
        fact("state", &|run| run.state.clone(), true),
        fact("error", &error, true),
        fact("steps", &|run| run.steps.to_string(), true),
        fact("limit", &|run| when::span(run.timeout_ms), true),
        fact("took", &|run| when::span(run.duration_ms), false),
        fact("submitted", &|run| run.submitted_at.clone(), false),
    ]
}

fn results(history: &History) -> BTreeMap<u32, &Step> {
    let mut steps = BTreeMap::new();
    for record in &history.records {
        match &record.event {
            Event::Forked { steps: kept, .. } => steps.extend(kept.iter().map(|step| (step.index, step))),
            Event::StepEnded { step } => {
                steps.insert(step.index, step);
            }
            _ => {}
        }
    }
    steps
}

fn steps(a: &History, b: &History) -> Vec<StepPair> {
    let (a, b) = (results(a), results(b));
    let mut places: Vec<u32> = a.keys().chain(b.keys()).copied().collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| pair(place, (a.get(&place).copied(), b.get(&place).copied()))).collect()
}

fn pair(place: u32, (a, b): (Option<&Step>, Option<&Step>)) -> StepPair {
    let mut changed = Vec::new();
    if let (Some(a), Some(b)) = (a, b) {
        let differ = [
            ("name", a.kind != b.kind || a.name != b.name),
            ("request", a.request != b.request),
            ("result", meant(&a.result) != meant(&b.result)),
            ("error", a.is_error != b.is_error),
        ];
        changed.extend(differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name));
    }
    let verdict = match (a, b) {
        (Some(_), None) => "only in a",
        (None, _) => "only in b",
        _ if changed.is_empty() => "same",
        _ => "changed",
    };
    let side =
        |step: &Step| StepSide { kind: step.kind.name(), name: step.name.clone(), took_ms: step.took.0 };
    StepPair { step: place + 1, verdict, changed, a: a.map(side), b: b.map(side) }
}

/// A result without its times: an answer that took longer is the same answer.
fn meant(result: &Value) -> Value {
    match result {
        Value::Object(fields) => {
            let times = |key: &str| key == "latency" || key == "time_to_first_chunk" || key.ends_with("_ms");
            let kept = fields.iter().filter(|(key, _)| !times(key));
            Value::Object(kept.map(|(key, value)| (key.clone(), meant(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(meant).collect()),
        other => other.clone(),
    }
}

/// Where two values differ, by path.
pub fn changes(path: &str, (a, b): (Option<&Value>, Option<&Value>), found: &mut Vec<Change>) {
    if a == b || found.len() >= CHANGES {
        return;
    }
    match (a, b) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                changes(&format!("{path}.{key}"), (left.get(key), right.get(key)), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for place in 0..left.len().max(right.len()) {
                changes(&format!("{path}[{place}]"), (left.get(place), right.get(place)), found);
            }
        }
        (a, b) => {
            let path = if path.is_empty() { ".".to_owned() } else { path.to_owned() };
            found.push(Change { path, a: a.cloned(), b: b.cloned() });
        }
    }
}

pub fn text(compared: &Compared, look: &Look) -> String {
    let mut table = Table::new(&[("", Column::Left), ("a", Column::Left), ("b", Column::Left)]);
    table.row(vec!["run".into(), compared.a.clone().into(), compared.b.clone().into()]);
    for fact in &compared.facts {
        let tone = if fact.same || !fact.counts { Tone::Plain } else { Tone::Warn };
        table.row(vec![
            Cell::new(fact.name, Tone::Dim),
            Cell::new(fact.a.clone(), tone),
            Cell::new(fact.b.clone(), tone),
        ]);
    }
    let mut text = table.render(look);
    if !compared.steps.is_empty() {
        text.push('\n');
        text.push_str(&steps_table(&compared.steps).render(look));
    }
    for (name, changes) in [("input", &compared.input), ("output", &compared.output)] {
        for change in changes {
            let shown = |value: &Option<Value>| {
                value.as_ref().map_or("nothing".to_owned(), |value| cut(&value.to_string(), SHOWN_COLUMNS))
            };
            text.push_str(&format!(
                "{} {}  {} -> {}\n",
                Tone::Dim.paint(name),
                change.path,
                shown(&change.a),
                shown(&change.b)
            ));
        }
    }
    text.push_str(&match compared.same {
        true => format!("{}\n", look.good("the same but for ids and times")),
        false => format!("{}\n", Tone::Warn.paint("they differ")),
    });
    text
}

fn steps_table(steps: &[StepPair]) -> Table {
    let mut table = Table::new(&[
        ("step", Column::Right),
        ("verdict", Column::Left),
        ("a", Column::Left),
        ("took", Column::Right),
        ("b", Column::Left),
        ("took", Column::Right),
    ]);
    for pair in steps {
        let name = |side: &Option<StepSide>| side.as_ref().map(|side| side.name.clone()).unwrap_or_default();
        let took =
            |side: &Option<StepSide>| side.as_ref().map(|side| when::span(side.took_ms)).unwrap_or_default();
        let verdict = match pair.changed.is_empty() {
            true => pair.verdict.to_owned(),
            false => format!("{}: {}", pair.verdict, pair.changed.join(", ")),
        };
        let tone = if pair.verdict == "same" { Tone::Plain } else { Tone::Warn };
        table.row(vec![
            pair.step.to_string().into(),
            Cell::new(verdict, tone),
            name(&pair.a).into(),
            took(&pair.a).into(),
            name(&pair.b).into(),
            took(&pair.b).into(),
        ]);
    }
    table
}
