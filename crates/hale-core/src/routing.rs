//! Which arm takes a task: scores with every part kept, and a choice that can be explained.
//!
//! A keyword of an arm that stands in the goal counts 10, its domain 50; an arm that is unhealthy, or misses a
//! constraint, counts nothing. Guarantees: what is chosen is fit; only optional constraints are ever relaxed, never
//! one about safety; the same contract and candidates give the same decision, in whatever order they come; nothing is
//! thrown away, so that a decision can be read and judged later.
//! Leaves to others: who is healthy ([`crate::arm`]), carrying the decision out (the engine).
//! Read next: [`contract`], what is asked; then [`score`](mod@score), how much an arm is worth to it.

pub mod conflict;
pub mod contract;
pub mod score;

pub use conflict::{Conflict, conflicts};
pub use contract::{Constraint, Contract, Flaw, SAFETY};
pub use score::{Goal, Part, Score, score};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a candidate can take a task at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Condition {
    #[default]
    Fit,
    /// It does not answer, or nobody knows whether it does.
    Unhealthy { why: String },
    /// It could not take this task: disabled, or made for another input.
    Unfit { why: String },
}

/// A pack that can be routed to, as it stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub arm: String,
    /// `agent`, `arm` and so on.
    pub kind: String,
    pub capabilities: Vec<String>,
    pub domains: Vec<String>,
    pub keywords: Vec<String>,
    /// What it says of itself: `network: none`.
    pub properties: BTreeMap<String, String>,
    pub condition: Condition,
}

/// The weights and thresholds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// For each keyword of the arm that stands in the goal.
    pub keyword: u32,
    /// Once, if one of the arm's domains stands in the goal.
    pub domain: u32,
    /// A best score below it makes optional constraints go.
    pub good: u32,
    /// Who takes what nobody scores on, in this order.
    pub defaults: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            keyword: 10,
            domain: 50,
            good: 10,
            defaults: vec!["planner".to_owned(), "planner-arm".to_owned()],
        }
    }
}

/// A constraint that was given up so that somebody can take the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxed {
    pub constraint: Constraint,
    /// The best score that there would be with it.
    pub best_with: u32,
}

/// Why the chosen arm was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Reason {
    /// It has the best score.
    Score {
        /// Others with the same score; the name decides then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tied_with: Vec<String>,
    },
    /// Nobody scores, and it is the first default arm that is fit.
    Default,
}

/// What was decided, with everything that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub arm: String,
    pub reason: Reason,
    pub contract: Contract,
    /// All candidates, best first, under the constraints that are left.
    pub scores: Vec<Score>,
    /// In the order in which they were given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxed: Vec<Relaxed>,
    pub rules: Rules,
}

/// Nobody can take the task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route the task: {}", if scores.is_empty() { "there are no arms" } else { "no arm is fit to take it" })]
pub struct Refused {
    pub scores: Vec<Score>,
    pub relaxed: Vec<Relaxed>,
}

impl Decision {
    /// The constraints that still hold: what the arm is told.
    pub fn constraints(&self) -> Vec<&Constraint> {
        let gone = |one: &&Constraint| self.relaxed.iter().any(|relaxed| relaxed.constraint == **one);
        self.contract.constraints.iter().filter(|one| !gone(one)).collect()
    }

    /// Why this arm, in one sentence.
    pub fn says(&self) -> String {
        let why = match (&self.reason, self.scores.first()) {
            (Reason::Default, _) => "nobody scores on the goal, and it is the default".to_owned(),
            (Reason::Score { tied_with }, Some(best)) if tied_with.is_empty() => {
                format!("its score of {} is the best: {}", best.total, best.says())
            }
            (Reason::Score { tied_with }, Some(best)) => format!(
                "its score of {} ties with {}, and its name comes first: {}",
                best.total,
                tied_with.join(", "),
                best.says()
            ),
            (Reason::Score { .. }, None) => "it was the only one".to_owned(),
        };
        let relaxed: Vec<String> = self.relaxed.iter().map(|one| one.constraint.to_string()).collect();
        let given_up =
            if relaxed.is_empty() { String::new() } else { format!("; without {}", relaxed.join(", ")) };
        format!("{} takes it: {why}{given_up}", self.arm)
    }

    /// All scores in one line, for the log: `coder 60, planner 0 (unhealthy: ...)`.
    pub fn scores_line(&self) -> String {
        line(&self.scores)
    }
}

impl Refused {
    pub fn scores_line(&self) -> String {
        line(&self.scores)
    }
}

fn line(scores: &[Score]) -> String {
    scores.iter().map(Score::to_string).collect::<Vec<_>>().join(", ")
}

/// Scores every candidate, best first; candidates of one score stand by their names.
pub fn ranked(contract: &Contract, candidates: &[Candidate], rules: &Rules) -> Vec<Score> {
    let goal = Goal::of(&contract.goal);
    let scored = candidates.iter().map(|candidate| score(&goal, candidate, rules)).collect();
    Field { contract, candidates, scored, rules }.under(&[])
}

/// Chooses the arm for a contract.
///
/// While the best score is below [`Rules::good`], optional constraints go one by one, from the last one stated to the
/// first; those that were given up in vain are given back. If nobody scores at all even then, the first default arm
/// that is fit takes the task.
///
/// # Errors
/// [`Refused`], with all scores.
pub fn decide(contract: &Contract, candidates: &[Candidate], rules: &Rules) -> Result<Decision, Refused> {
    let goal = Goal::of(&contract.goal);
    let scored = candidates.iter().map(|candidate| score(&goal, candidate, rules)).collect();
    let field = Field { contract, candidates, scored, rules };
    let gone = field.given_up();
    let scores = field.under(&gone);
    let relaxed = field.told(&gone);
    let chosen = match best(&scores) {
        0 => field.default_of(&scores).map(|arm| (arm, Reason::Default)),
        most => Some(winner(&scores, most)),
    };
    match chosen {
        Some((arm, reason)) => {
            Ok(Decision { arm, reason, contract: contract.clone(), scores, relaxed, rules: rules.clone() })
        }
        None => Err(Refused { scores, relaxed }),
    }
}

/// A contract before its candidates; what their words bring is reckoned once.
struct Field<'a> {
    contract: &'a Contract,
    candidates: &'a [Candidate],
    scored: Vec<Score>,
    rules: &'a Rules,
}

impl Field<'_> {
    /// The ranking without the constraints at these places.
    fn under(&self, gone: &[usize]) -> Vec<Score> {
        let constraints = self.contract.constraints.iter().enumerate();
        let kept: Vec<&Constraint> =
            constraints.filter(|(place, _)| !gone.contains(place)).map(|(_, one)| one).collect();
        let pairs = self.candidates.iter().zip(&self.scored);
        let mut scores: Vec<Score> = pairs.map(|(candidate, score)| score.under(candidate, &kept)).collect();
        scores.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.arm.cmp(&b.arm)));
        scores
    }

    /// Places of the constraints that have to go, in the order in which they go.
    fn given_up(&self) -> Vec<usize> {
        let (constraints, mut gone) = (&self.contract.constraints, Vec::new());
        for place in (0..constraints.len()).rev() {
            if best(&self.under(&gone)) >= self.rules.good {
                break;
            }
            let one = &constraints[place];
            if one.may_be_relaxed() && self.candidates.iter().any(|candidate| !score::meets(candidate, one)) {
                gone.push(place);
            }
        }
        let most = self.worth(&gone);
        // What was stated first weighs most, so it is the first to be given back.
        for place in gone.clone().into_iter().rev() {
            let fewer: Vec<usize> = gone.iter().copied().filter(|other| *other != place).collect();
            if self.worth(&fewer) == most {
                gone = fewer;
            }
        }
        gone
    }

    /// How good the outcome is: the best score, else whether a default arm is fit.
    fn worth(&self, gone: &[usize]) -> u32 {
        let scores = self.under(gone);
        match best(&scores) {
            0 => u32::from(self.default_of(&scores).is_some()),
            most => most.saturating_add(1),
        }
    }

    fn default_of(&self, scores: &[Score]) -> Option<String> {
        let fit = |name: &&String| scores.iter().any(|score| score.arm == **name && score.is_fit());
        self.rules.defaults.iter().find(fit).cloned()
    }

    fn told(&self, gone: &[usize]) -> Vec<Relaxed> {
        let told = gone.iter().map(|place| {
            let others: Vec<usize> = gone.iter().copied().filter(|other| other != place).collect();
            let constraint = self.contract.constraints[*place].clone();
            Relaxed { constraint, best_with: best(&self.under(&others)) }
        });
        told.collect()
    }
}

fn winner(scores: &[Score], most: u32) -> (String, Reason) {
    let mut tied = scores.iter().filter(|score| score.total == most).map(|score| score.arm.clone());
    let arm = tied.next().unwrap_or_default();
    (arm, Reason::Score { tied_with: tied.collect() })
}

fn best(scores: &[Score]) -> u32 {
    scores.first().map_or(0, |score| score.total)
}
