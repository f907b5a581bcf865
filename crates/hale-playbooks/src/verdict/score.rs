//! The arithmetic of one cause.
//!
//! Guarantees: a true test adds its weight or takes it away, anything else adds nothing; the prior is added once.
//! Read next: [`super::diagnose`].

use crate::evidence::Evidence;
use crate::expr::Truth;
use crate::finding::Item;
use crate::playbook::{Cause, Clue, Side, Weight};

/// Tests named when the evidence does not decide; more would be a list, not an advice.
const NAMED_MAX: usize = 3;

pub(super) struct Scored<'a> {
    pub cause: &'a Cause,
    pub items: Vec<Item>,
    pub points: i32,
    clues: Vec<(&'a Clue, Vec<String>)>,
}

impl<'a> Scored<'a> {
    pub fn new(cause: &'a Cause, evidence: &Evidence) -> Self {
        let clues: Vec<_> =
            cause.clues(evidence.subject()).map(|clue| (clue, clue.test.unknowns(evidence))).collect();
        let items: Vec<Item> = clues.iter().map(|(clue, _)| item(clue, evidence)).collect();
        let points = cause.prior.points() + items.iter().map(|item| item.points).sum::<i32>();
        Self { cause, items, points, clues }
    }

    /// The decisive evidence against the cause, if it holds.
    pub fn refuted(&self) -> Option<&Item> {
        self.items.iter().find(|item| {
            item.side == Side::Against && item.weight == Weight::Decisive && item.value == Truth::True
        })
    }

    pub fn known(&self) -> usize {
        self.items.iter().filter(|item| item.value != Truth::Unknown).count()
    }

    /// Whether evidence of at least this weight speaks for the cause.
    pub fn supported(&self, least: Weight) -> bool {
        let supports =
            |item: &Item| item.side == Side::For && item.weight >= least && item.value == Truth::True;
        self.items.iter().any(supports)
    }

    /// Whether no unknown reading could still refute it.
    pub fn safe(&self) -> bool {
        !self.unknown().any(|(clue, _)| clue.side == Side::Against && clue.weight == Weight::Decisive)
    }

    /// What it would come to if every unknown test spoke for it.
    pub fn points_possible(&self) -> i32 {
        let more = self.unknown().filter(|(clue, _)| clue.side == Side::For);
        self.points + more.map(|(clue, _)| clue.weight.points()).sum::<i32>()
    }

    /// What it would come to if every unknown test spoke against it, short of removing it.
    pub fn points_safe(&self) -> i32 {
        let less =
            self.unknown().filter(|(clue, _)| clue.side == Side::Against && clue.weight != Weight::Decisive);
        self.points - less.map(|(clue, _)| clue.weight.points()).sum::<i32>()
    }

    fn unknown(&self) -> impl Iterator<Item = &(&'a Clue, Vec<String>)> {
        let pairs = self.clues.iter().zip(&self.items);
        pairs.filter(|(_, item)| item.value == Truth::Unknown).map(|(clue, _)| clue)
    }
}

fn item(clue: &Clue, evidence: &Evidence) -> Item {
    let value = clue.test.truth(evidence);
    let points = match (value, clue.side) {
        (Truth::True, Side::For) => clue.weight.points(),
        (Truth::True, Side::Against) => -clue.weight.points(),
        (Truth::False | Truth::Unknown, _) => 0,
    };
    Item {
        expr: clue.test.source().to_owned(),
        readings: clue.test.readings(evidence),
        side: clue.side,
        weight: clue.weight,
        value,
        points,
    }
}

/// The heaviest unknown tests of the causes still standing: what to find out next.
pub(super) fn would_decide(standing: &[Scored<'_>]) -> Vec<String> {
    let mut open: Vec<_> = standing
        .iter()
        .flat_map(|scored| scored.unknown().map(move |(clue, unknowns)| (scored.cause, *clue, unknowns)))
        .collect();
    open.sort_by_key(|(_, clue, _)| std::cmp::Reverse(clue.weight));
    let mut named: Vec<String> = Vec::new();
    for (cause, clue, unknowns) in open {
        let why = if unknowns.is_empty() { "it has no value".to_owned() } else { unknowns.join(", ") };
        let text = format!("{} ({} {} {}): {why}", clue.test.source(), clue.weight, clue.side, cause.id);
        if !named.contains(&text) {
            named.push(text);
        }
    }
    named.truncate(NAMED_MAX);
    named
}
