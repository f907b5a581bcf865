//! Arms that nothing but their names tells apart.
//!
//! Two arms conflict when they share a capability and keywords, and a goal made of what they share gives both the same
//! score: for such goals the choice is arbitrary. The goal is kept as a witness, so that it can be tried by hand.
//! Read next: [`crate::pack`], whose `capabilities` and `keywords` are to be changed then.

use super::{Candidate, Goal, Rules, score};
use serde::{Deserialize, Serialize};

/// A pair that ties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The two arms, by name.
    pub arms: [String; 2],
    pub capabilities: Vec<String>,
    pub keywords: Vec<String>,
    /// A goal on which they tie.
    pub goal: String,
    pub score: u32,
}

/// All pairs that tie; a broken arm may be mended any time, so conditions do not count.
pub fn conflicts(candidates: &[Candidate], rules: &Rules) -> Vec<Conflict> {
    let mut arms: Vec<&Candidate> = candidates.iter().collect();
    arms.sort_by(|a, b| a.arm.cmp(&b.arm));
    let mut found = Vec::new();
    for (place, first) in arms.iter().enumerate() {
        found.extend(arms[place + 1..].iter().filter_map(|second| conflict(first, second, rules)));
    }
    found
}

fn conflict(first: &Candidate, second: &Candidate, rules: &Rules) -> Option<Conflict> {
    let capabilities = shared(&first.capabilities, &second.capabilities);
    let keywords = shared(&first.keywords, &second.keywords);
    if capabilities.is_empty() || keywords.is_empty() {
        return None;
    }
    let goal = keywords.join(", ");
    let cut = Goal::of(&goal);
    let sum = |candidate| score(&cut, candidate, rules).sum();
    let (one, other) = (sum(first), sum(second));
    let arms = [first.arm.clone(), second.arm.clone()];
    (one == other).then_some(Conflict { arms, capabilities, keywords, goal, score: one })
}

fn shared(some: &[String], others: &[String]) -> Vec<String> {
    let mut both: Vec<String> = some
        .iter()
        .map(|word| word.to_lowercase())
        .filter(|word| others.iter().any(|other| other.to_lowercase() == *word))
        .collect();
    both.sort();
    both.dedup();
    both
}
