//! What a task asks of its arm: a goal, constraints, a priority.
//!
//! A constraint is a text for the arm, or a key with a value that the arm has to have. Guarantees: a plain text is
//! required unless it says otherwise; a constraint about safety is required whatever it says.
//! Read next: [`super::score`].

use crate::limits;
use crate::run::Priority;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// Keys about safety: a constraint under one of these is never relaxed, even if it calls itself optional.
pub const SAFETY: [&str; 11] = [
    "approval", "data", "files", "network", "pii", "privacy", "region", "safety", "sandbox", "secrets",
    "tenant",
];

/// Constraints of one contract; a person does not state more, and each is checked against every arm.
pub const CONSTRAINTS_MAX: usize = 64;
/// Letters of a constraint.
pub const CONSTRAINT_CHARS: usize = 1000;
/// Letters of a goal: a page of text; what is longer belongs into the input.
pub const GOAL_CHARS: usize = 8000;

/// What has to hold of the arm, or of its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Constraint {
    #[serde(flatten)]
    pub says: Says,
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Says {
    /// The arm has this: `capability` `python`, `network` `none`.
    Has { key: String, value: String },
    /// For the arm to read: `Do not modify files in /protected/`.
    Text { text: String },
}

impl Constraint {
    pub fn has(key: &str, value: &str, required: bool) -> Self {
        Self { says: Says::Has { key: key.to_owned(), value: value.to_owned() }, required }
    }

    pub fn text(text: &str) -> Self {
        Self { says: Says::Text { text: text.to_owned() }, required: true }
    }

    /// Whether it is about safety.
    pub fn is_safety(&self) -> bool {
        matches!(&self.says, Says::Has { key, .. } if SAFETY.contains(&key.to_ascii_lowercase().as_str()))
    }

    /// Whether it may be given up: optional, and not about safety. A text keeps no arm out, so that to give it up
    /// would win nothing: it always goes with the task.
    pub fn may_be_relaxed(&self) -> bool {
        !self.required && !self.is_safety() && matches!(self.says, Says::Has { .. })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.says {
            Says::Has { key, value } => write!(f, "{key}={value}"),
            Says::Text { text } => write!(f, "{text:?}"),
        }
    }
}

/// A text alone, or the parts by name.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or an object with `key` and `value` or with `text`")]
enum Written {
    Bare(String),
    Has(Pair),
    Text(Words),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    key: String,
    value: String,
    #[serde(default = "yes")]
    required: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    text: String,
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(input)? {
            Written::Bare(text) => Constraint::text(&text),
            Written::Has(Pair { key, value, required }) => {
                Constraint { says: Says::Has { key, value }, required }
            }
            Written::Text(Words { text, required }) => Constraint { says: Says::Text { text }, required },
        })
    }
}

/// What is to be done, and within which bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Checked by [`Contract::check`], so that a missing one is told by its name.
    #[serde(default)]
    pub goal: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// None means the pack's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// For the arm to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}

/// The part of a contract that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the task's {field}: {problem}")]
pub struct Flaw {
    pub field: String,
    pub problem: String,
}

impl Contract {
    /// Whether it can be routed.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn check(&self) -> Result<(), Flaw> {
        let flaw = |field: &str, problem: String| Err(Flaw { field: field.to_owned(), problem });
        if self.goal.trim().is_empty() {
            return flaw("goal", "it is missing; say in a sentence what is to be done".to_owned());
        }
        let letters = self.goal.chars().count();
        if letters > GOAL_CHARS {
            return flaw(
                "goal",
                format!("it has {letters} letters, at most {GOAL_CHARS}; put data into `input`"),
            );
        }
        if self.constraints.len() > CONSTRAINTS_MAX {
            let problem = format!("there are {}, at most {CONSTRAINTS_MAX}", self.constraints.len());
            return flaw("constraints", problem);
        }
        for (place, constraint) in self.constraints.iter().enumerate() {
            if let Some(problem) = problem(constraint) {
                return flaw(&format!("constraints[{place}]"), problem);
            }
        }
        Ok(())
    }
}

fn problem(constraint: &Constraint) -> Option<String> {
    let too_long = |text: &str| text.chars().count() > CONSTRAINT_CHARS;
    match &constraint.says {
        Says::Text { text } if text.trim().is_empty() => Some("it is empty".to_owned()),
        Says::Has { key, .. } if key.trim().is_empty() || key.len() > limits::NAME_CHARS => {
            Some(format!("its key has to have 1 to {} letters", limits::NAME_CHARS))
        }
        Says::Has { key, value } if value.trim().is_empty() => Some(format!("`{key}` has no value")),
        Says::Text { text: long } | Says::Has { value: long, .. } if too_long(long) => {
            Some(format!("it has more than {CONSTRAINT_CHARS} letters"))
        }
        _ => None,
    }
}
