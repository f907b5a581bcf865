//! A finding: the verdict on one symptom, with its proof.
//!
//! Guarantees: one shape for `why`, `doctor`, alerts, problem answers and the audit; every number it rests on is quoted;
//! its JSON is the same whenever the evidence is the same.
//! Leaves to others: layout on a terminal (`hale`).
//! Read next: [`crate::verdict`], which makes them.

use crate::evidence::Subject;
use crate::expr::Truth;
use crate::playbook::{Risk, Severity, Side, Verb, Weight};
use crate::value::Value;
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const SCHEMA: &str = "hale.finding/1";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub schema: String,
    /// The cause's id, for example `llm.rate_limited`.
    pub code: String,
    pub title: String,
    pub subject: Subject,
    /// The component where the cause sits.
    pub at: String,
    pub severity: Severity,
    pub certainty: Certainty,
    /// What is seen, in a sentence.
    pub symptom: String,
    /// What explains it, in a sentence with its numbers.
    pub cause: String,
    pub evidence: Vec<Item>,
    pub ruled_out: Vec<RuledOut>,
    pub score: i32,
    /// How far ahead of the next cause, or of no cause at all.
    pub margin: i32,
    pub fixes: Vec<Fix>,
    pub verify: Option<Check>,
    pub prevent: Vec<String>,
    /// The symptoms that it accounts for, as `playbook/symptom`.
    pub explains: Vec<String>,
    pub playbook: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The best account so far; some unknown reading could still overturn it.
    Likely,
    /// Decisive evidence holds, and no unknown reading could bring another cause level.
    Certain,
}

/// One piece of evidence and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The test as the playbook has it.
    pub expr: String,
    /// The readings it rests on: `workers.live = 0`.
    pub readings: Vec<String>,
    pub side: Side,
    pub weight: Weight,
    pub value: Truth,
    /// What it added to the score.
    pub points: i32,
}

/// A cause that was considered, and why it is not the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    pub cause: String,
    pub because: String,
}

/// A deed that would mend it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    pub id: String,
    pub verb: Verb,
    pub risk: Risk,
    pub title: String,
    pub command: Option<String>,
    /// How to take it back; `None` if that is not possible, and then `undo_none` says why.
    pub undo: Option<String>,
    pub undo_none: Option<String>,
    pub params: BTreeMap<String, Value>,
    pub blast: String,
    /// What must hold before it may be done.
    pub guard: Option<Check>,
    pub readiness: Readiness,
}

/// Whether a fix can be done as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    Ready,
    /// Its guard does not hold.
    Blocked,
    /// Its guard or one of its parameters is unknown.
    Unknown,
}

/// A condition with its readings, to be asked again later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub expr: String,
    pub readings: Vec<String>,
    pub value: Truth,
    /// How long it may take to become true; zero for a guard.
    #[serde(rename = "within_ms")]
    pub within: Millis,
}

/// A symptom whose cause the evidence does not decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undetermined {
    pub playbook: String,
    pub subject: Subject,
    pub severity: Severity,
    pub symptom: String,
    /// Why nothing is said.
    pub because: String,
    /// The causes that are left, best first.
    pub between: Vec<Candidate>,
    pub ruled_out: Vec<RuledOut>,
    /// The tests that would decide, heaviest first, with what is missing.
    pub would_decide: Vec<String>,
    pub explains: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub cause: String,
    pub score: i32,
    /// Pieces of its evidence that are known, of all.
    pub known: usize,
    pub total: usize,
    pub evidence: Vec<Item>,
}

/// A symptom that could not be judged at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    pub playbook: String,
    pub symptom: String,
    /// The readings that are missing: `workers.live unknown: server down`.
    pub because: Vec<String>,
}
