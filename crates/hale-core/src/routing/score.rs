//! What an arm is worth to a goal, part by part.
//!
//! Words are compared as words, without case: `plan` does not stand in `explanation`, and `break down` stands in
//! `break down the work`. Guarantees: a candidate that is not fit, or misses a constraint, has a total of zero and says
//! why; what it would have had stays in the parts.
//! Read next: [`super::decide`](fn@super::decide).

use super::contract::{Constraint, Says};
use super::{Candidate, Condition, Rules};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// What one word of the arm brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `keyword` or `domain`.
    pub from: String,
    pub word: String,
    pub points: u32,
}

/// The score of one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    pub arm: String,
    /// What counts: the sum of the parts, or zero.
    pub total: u32,
    pub parts: Vec<Part>,
    pub condition: Condition,
    /// Constraints that it does not meet, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
}

impl Score {
    /// Whether the candidate may be chosen at all.
    pub fn is_fit(&self) -> bool {
        self.condition == Condition::Fit && self.unmet.is_empty()
    }

    /// What the parts come to before anything else counts.
    pub fn sum(&self) -> u32 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.points))
    }

    /// The same under these constraints.
    pub(super) fn under(&self, candidate: &Candidate, constraints: &[&Constraint]) -> Self {
        let unmet =
            constraints.iter().filter(|one| !meets(candidate, one)).map(ToString::to_string).collect();
        let mut score = Self { total: 0, unmet, ..self.clone() };
        if score.is_fit() {
            score.total = score.sum();
        }
        score
    }

    /// The parts and what stands against it, in words.
    pub fn says(&self) -> String {
        let parts = self.parts.iter().map(|part| format!("{} {:?} +{}", part.from, part.word, part.points));
        let mut words: Vec<String> = parts.collect();
        if words.is_empty() {
            words.push("no word of it stands in the goal".to_owned());
        }
        words.extend(self.against());
        words.join(", ")
    }

    fn against(&self) -> Vec<String> {
        let mut words = Vec::new();
        match &self.condition {
            Condition::Fit => {}
            Condition::Unhealthy { why } => words.push(format!("unhealthy: {why}")),
            Condition::Unfit { why } => words.push(format!("unfit: {why}")),
        }
        words.extend(self.unmet.iter().map(|unmet| format!("does not meet {unmet}")));
        words
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.arm, self.total)?;
        let against = self.against();
        if against.is_empty() { Ok(()) } else { write!(f, " ({})", against.join("; ")) }
    }
}

/// A goal, cut into words.
#[derive(Clone, Debug)]
pub struct Goal {
    words: Vec<String>,
    known: HashSet<String>,
}

impl Goal {
    pub fn of(text: &str) -> Self {
        let words = words(text);
        Self { known: words.iter().cloned().collect(), words }
    }

    fn has(&self, sought: &[String]) -> bool {
        // Most words do not stand there; only the rest is worth a walk through the goal.
        let known = !sought.is_empty() && sought.iter().all(|word| self.known.contains(word));
        known && (sought.len() == 1 || self.words.windows(sought.len()).any(|part| part == sought))
    }
}

/// Scores one candidate as if there were no constraints.
pub fn score(goal: &Goal, candidate: &Candidate, rules: &Rules) -> Score {
    let mut parts = Vec::new();
    let mut seen: Vec<Vec<String>> = Vec::new();
    for keyword in &candidate.keywords {
        let sought = words(keyword);
        // A keyword that is written twice counts once.
        if goal.has(&sought) && !seen.contains(&sought) {
            parts.push(Part { from: "keyword".to_owned(), word: keyword.clone(), points: rules.keyword });
            seen.push(sought);
        }
    }
    if let Some(domain) = candidate.domains.iter().find(|domain| goal.has(&words(domain))) {
        parts.push(Part { from: "domain".to_owned(), word: domain.clone(), points: rules.domain });
    }
    let (arm, condition) = (candidate.arm.clone(), candidate.condition.clone());
    let score = Score { arm, total: 0, parts, condition, unmet: Vec::new() };
    score.under(candidate, &[])
}

/// Whether the candidate meets a constraint. Texts are the arm's to keep: no word of ours can tell.
pub fn meets(candidate: &Candidate, constraint: &Constraint) -> bool {
    let Says::Has { key, value } = &constraint.says else { return true };
    let value = value.trim();
    let same = |own: &String| own.eq_ignore_ascii_case(value);
    match key.trim().to_ascii_lowercase().as_str() {
        "arm" => same(&candidate.arm),
        "kind" => same(&candidate.kind),
        "capability" => candidate.capabilities.iter().any(same),
        "domain" => candidate.domains.iter().any(same),
        key => candidate.properties.iter().any(|(own, has)| own.eq_ignore_ascii_case(key) && same(has)),
    }
}

/// The words of a text, in small letters. `+` and `#` belong to words: `c++`, `c#`.
fn words(text: &str) -> Vec<String> {
    text.to_lowercase()
        .split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '+' | '#')))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
