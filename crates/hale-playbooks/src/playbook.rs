//! A playbook: symptoms, causes with evidence for and against, fixes, prevention, and its proof.
//!
//! Guarantees: one that was loaded has all four parts, knows every signal it asks for, and passed every lint of
//! [`load`]; it holds no code, only expressions, templates and action verbs from a closed list.
//! Leaves to others: judging ([`crate::verdict`]), doing ([`Verb`]s are carried out by `hale-engine`).
//! Read next: [`load`], then `catalogue/*.yaml`.

mod lint;
pub mod load;
mod schema;
mod verb;

pub use hale_core::operation::Risk;
pub use verb::{Need, Param, Verb};

use crate::evidence::{Evidence, Subject};
use crate::expr::{Expr, Reach, Truth};
use crate::template::Template;
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug)]
pub struct Playbook {
    pub id: String,
    pub title: String,
    /// Which guide or incident taught it.
    pub source: String,
    pub scope: Scope,
    pub symptoms: Vec<Symptom>,
    pub causes: Vec<Cause>,
    pub actions: BTreeMap<String, Action>,
    pub prevent: Vec<String>,
    pub prove: Vec<Proof>,
    /// The file it was loaded from.
    pub file: String,
}

/// What a playbook can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    System,
    Run,
    Both,
}

impl Scope {
    pub fn covers(self, subject: &Subject) -> bool {
        match subject {
            Subject::System => self != Scope::Run,
            Subject::Run(_) => self != Scope::System,
        }
    }

    pub fn reach(self) -> Reach {
        if self == Scope::System { Reach::System } else { Reach::Run }
    }
}

/// The kind of subject that a symptom or a clue is limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    System,
    Run,
}

/// Whether an expression is put to this subject: one that asks about a run never is to the system.
fn applies(on: Option<On>, test: &Expr, subject: &Subject) -> bool {
    let on = if test.asks_run() { Some(On::Run) } else { on };
    match subject {
        Subject::System => on != Some(On::Run),
        Subject::Run(_) => on != Some(On::System),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// What is seen.
#[derive(Clone, Debug)]
pub struct Symptom {
    pub id: String,
    pub when: Expr,
    pub on: Option<On>,
    pub severity: Severity,
    pub says: Template,
}

impl Symptom {
    pub fn applies(&self, subject: &Subject) -> bool {
        applies(self.on, &self.when, subject)
    }
}

/// What explains it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// `area.cause`: the code of a finding, the same in the CLI, the metric and the test.
    pub id: String,
    pub title: String,
    /// The component where the cause sits: `worker`, `provider:openai`.
    pub at: Template,
    pub prior: Prior,
    pub evidence: Vec<Clue>,
    pub says: Template,
    /// For a run as subject, where the system's numbers are not the run's.
    pub says_run: Option<Template>,
    /// Actions, best first.
    pub fix: Vec<String>,
    /// What holds when the cause is gone.
    pub verify: Option<Verify>,
}

impl Cause {
    pub fn clues(&self, subject: &Subject) -> impl Iterator<Item = &Clue> {
        self.evidence.iter().filter(move |clue| applies(clue.on, &clue.test, subject))
    }

    pub fn says(&self, subject: &Subject) -> &Template {
        match (subject, &self.says_run) {
            (Subject::Run(_), Some(says)) => says,
            _ => &self.says,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    Rare,
    Common,
}

impl Prior {
    pub fn points(self) -> i32 {
        match self {
            Prior::Rare => 0,
            Prior::Common => 2,
        }
    }
}

/// One piece of evidence: a test, and what it says about the cause when it holds.
#[derive(Clone, Debug)]
pub struct Clue {
    pub test: Expr,
    pub side: Side,
    pub weight: Weight,
    pub on: Option<On>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    For,
    Against,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    Weak,
    Strong,
    Decisive,
}

impl Weight {
    /// Ten points are a factor of ten in odds. Fixed, so that a person can add up a verdict by hand.
    pub fn points(self) -> i32 {
        match self {
            Weight::Weak => 3,
            Weight::Strong => 8,
            Weight::Decisive => 20,
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weight::Weak => "weak",
            Weight::Strong => "strong",
            Weight::Decisive => "decisive",
        })
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::For => "for",
            Side::Against => "against",
        })
    }
}

/// A deed that mends a cause.
#[derive(Clone, Debug)]
pub struct Action {
    pub verb: Verb,
    pub risk: Risk,
    pub title: String,
    /// What a person would type; advice may have none.
    pub command: Option<Template>,
    pub params: BTreeMap<String, Expr>,
    pub undo: Undo,
    /// Must hold at the moment of the deed.
    pub guard: Option<Expr>,
    /// Who and what feels it.
    pub blast: String,
}

/// The way back.
#[derive(Clone, Debug)]
pub enum Undo {
    By(Template),
    None { because: Option<String> },
}

/// What must become true, and how soon.
#[derive(Clone, Debug)]
pub struct Verify {
    pub until: Expr,
    pub within: Millis,
}

impl Verify {
    /// Whether the evidence shows it. What is unknown shows nothing: a fix that cannot be seen to work is not verified.
    pub fn met(&self, evidence: &Evidence) -> bool {
        self.until.truth(evidence) == Truth::True
    }
}

/// How the lab proves the playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// With this fault injected, these symptoms show and this cause is named.
    Inject { fault: String, cause: String, shows: Vec<String> },
    /// This near miss must stay silent.
    Twin { twin: String },
}

impl Playbook {
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.id == id)
    }
}
