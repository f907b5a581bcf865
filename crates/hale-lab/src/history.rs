//! The history checker: did the system keep what it promised its clients?
//!
//! A black box: it reads what clients were told and what the public API exports, as plain JSON, and shares no type with
//! the engine, so that a mistake there cannot blind it here.
//! Guarantees: pure; the same observation gives the same violations; what cannot be read is a violation, never skipped.
//! Leaves to others: making the trouble and collecting what was seen (the tests of the `hale` crate).
//! Read next: [`journal`], one run's journal; [`promises`], what clients were told; [`calls`], what the model was asked.

mod calls;
mod journal;
mod promises;
mod states;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Everything that was seen from outside. It can be written to a file and checked later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Observed {
    /// What was asked for. Give each an input of its own: that is how an unacknowledged second run is recognised.
    pub submissions: Vec<Submission>,
    /// Answers to `GET /api/v1/runs/{id}` on the way, in the order in which they were read.
    pub sightings: Vec<Value>,
    /// Journals on the way, in the order in which they were read.
    pub snapshots: Vec<Snapshot>,
    /// Every run that the server lists at the end, by id.
    pub runs: BTreeMap<String, Export>,
    /// `calls` of the simulated model's `GET /sim/calls`, oldest first; empty if there is none.
    pub calls: Vec<Value>,
    /// Bounds that hold for what was asked.
    pub bounds: Bounds,
}

/// One order of a client, sent once or more often.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Submission {
    pub key: Option<String>,
    pub pack: String,
    pub input: Value,
    /// The body of every 200 or 202 that came back; none if the client never heard.
    pub receipts: Vec<Value>,
}

/// Journals as they stood at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// `GET /api/v1/runs/{id}/history` by run.
    pub journals: BTreeMap<String, Value>,
    /// How many calls the model's log held when these journals had been read: whatever a journal holds as done must
    /// not be asked again in the calls after them.
    pub calls: usize,
}

/// One run as it was exported at the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Export {
    /// `GET /api/v1/runs/{id}`
    pub view: Value,
    /// `GET /api/v1/runs/{id}/history`
    pub history: Value,
}

/// What no run may pass, whatever happens to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// Tries of one step: the first and its retries.
    pub tries_max: u64,
    /// Leases that a run may lose; the last one fails it.
    pub leases_lost_max: u64,
}

impl Default for Bounds {
    /// As the manual has them: at most 10 retries in a pack, and 5 lost leases.
    fn default() -> Self {
        Self { tries_max: 11, leases_lost_max: 5 }
    }
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A run that was acknowledged is there.
    AcknowledgedRunExists,
    /// Every run comes to an end.
    RunEnds,
    /// A run ends once.
    OneEnd,
    /// Nothing happens to a run after its end.
    EndIsFinal,
    /// The journal's events follow from one another.
    LegalTransition,
    /// Numbers in the journal go 1, 2, 3.
    DenseJournal,
    /// What stood in a journal stands there later.
    JournalOnlyGrows,
    /// A step has one result.
    OneResult,
    /// A step with a result is not begun, tried or parked again.
    ResultIsFinal,
    /// Each lease has a higher epoch than the one before.
    EpochsRise,
    /// Nothing is accepted under a lease that is over.
    OldEpochRefused,
    /// Tries are counted 1, 2, 3 and are bounded; so are lost leases.
    AttemptsBounded,
    /// The same key names the same run, and makes no second one.
    OneRunForAKey,
    /// Nothing runs that nobody asked for.
    AskedFor,
    /// The model is not asked again for an answer that is in the journal.
    DoneIsNotAskedAgain,
    /// Each lease executes a step at most once.
    OneCallForALease,
    /// The run's page says what its journal says.
    ViewAgrees,
    /// The export can be read.
    Readable,
}

/// A rule that was broken, where and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    pub rule: Rule,
    /// The run, where it is about one.
    pub run: Option<String>,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            Some(run) => write!(f, "{:?}: {run}: {}", self.rule, self.what),
            None => write!(f, "{:?}: {}", self.rule, self.what),
        }
    }
}

/// Where rules report what broke them.
#[derive(Debug, Default)]
struct Report {
    run: Option<String>,
    found: Vec<Violation>,
}

impl Report {
    fn broken(&mut self, rule: Rule, what: impl Into<String>) {
        self.found.push(Violation { rule, run: self.run.clone(), what: what.into() });
    }

    fn about(&mut self, run: &str) -> &mut Self {
        self.run = Some(run.to_owned());
        self
    }
}

/// Everything that is wrong with what was observed; empty if all promises were kept.
pub fn check(observed: &Observed) -> Vec<Violation> {
    let mut report = Report::default();
    promises::check(observed, &mut report);
    for (id, export) in &observed.runs {
        report.about(id);
        journal::check(export, observed.bounds, &mut report);
    }
    calls::check(observed, &mut report);
    report.found
}

/// A text field of an export; empty when it is not there.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The records of an exported history, or none when it is no history.
fn records(history: &Value) -> Option<&Vec<Value>> {
    history["records"].as_array()
}

/// Whether a state's name is one of an end.
fn is_end(state: &str) -> bool {
    matches!(state, "COMPLETED" | "FAILED" | "TIMEOUT" | "CANCELLED")
}
