//! A goal with constraints, as it stands on the command line.

use crate::wire::tasks::StartTask;
use hale_core::routing::Constraint;
use hale_core::routing::contract::Says;

/// What is to be done, and within which bounds.
#[derive(Clone, Debug, clap::Args)]
pub struct Goal {
    /// What is to be done, in a sentence
    #[arg(long, value_name = "TEXT")]
    pub goal: String,
    /// What has to hold: KEY=VALUE of the arm, or a text for it (may be repeated)
    #[arg(long, value_name = "CONSTRAINT")]
    pub require: Vec<String>,
    /// What should hold, but may be given up: KEY=VALUE (may be repeated, most important first)
    #[arg(long, value_name = "CONSTRAINT")]
    pub prefer: Vec<String>,
}

impl Goal {
    pub fn task(&self) -> StartTask {
        let required = self.require.iter().map(|text| constraint(text, true));
        let preferred = self.prefer.iter().map(|text| constraint(text, false));
        StartTask {
            goal: self.goal.clone(),
            constraints: required.chain(preferred).collect(),
            ..StartTask::default()
        }
    }
}

/// A key is one word; anything else is a sentence that happens to hold `=`.
fn constraint(text: &str, required: bool) -> Constraint {
    let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    match text.split_once('=') {
        Some((key, value)) if is_key(key) && !value.is_empty() => Constraint::has(key, value, required),
        _ => Constraint { says: Says::Text { text: text.to_owned() }, required },
    }
}
