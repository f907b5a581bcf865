//! Which run goes next: weighted turns over counters, without a scan and without starvation.
//!
//! Knows counts per class and key, never the runs themselves: it answers "claim n from key k of class c", the store
//! executes it. Between classes 6 : 3 : 1, so that a flood of `high` slows `low` but never stops it; within a class
//! each key has its turn, so that a million queued runs of one key cost another key one turn.
//! Read next: `hale-store/src/sqlite/claim.rs`.

use crate::run::Priority;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Turns of each class in a round of ten.
pub const WEIGHTS: [(Priority, i64); 3] = [(Priority::High, 6), (Priority::Normal, 3), (Priority::Low, 1)];

/// Take up to `n` runs, oldest first, from one key of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key: Arc<str>,
    pub priority: Priority,
    pub n: u32,
}

#[derive(Clone, Debug, Default)]
struct Class {
    /// Runs that wait, by key; a key without runs is not kept.
    counts: BTreeMap<Arc<str>, u64>,
    /// Keys with runs, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// Smooth weighted round robin: the credit of the class.
    credit: i64,
    total: u64,
}

/// Counters and turns of all waiting runs.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    classes: [Class; 3],
}

impl Queue {
    /// `n` runs of `key` joined the queue.
    pub fn added(&mut self, key: &Arc<str>, priority: Priority, n: u64) {
        if n == 0 {
            return;
        }
        let class = &mut self.classes[priority as usize];
        class.total += n;
        match class.counts.get_mut(key) {
            Some(count) => *count += n,
            None => {
                class.counts.insert(key.clone(), n);
                class.turns.push_back(key.clone());
            }
        }
    }

    /// `n` runs of `key` left the queue otherwise than by [`Queue::next`]: cancelled, or found missing.
    pub fn removed(&mut self, key: &str, priority: Priority, n: u64) {
        let class = &mut self.classes[priority as usize];
        let Some(count) = class.counts.get_mut(key) else { return };
        let gone = n.min(*count);
        *count -= gone;
        class.total -= gone;
        if *count == 0 {
            class.counts.remove(key);
            class.turns.retain(|other| other.as_ref() != key);
        }
    }

    /// Runs that wait.
    pub fn len(&self) -> u64 {
        self.classes.iter().map(|class| class.total).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs that wait in one class.
    pub fn class_len(&self, priority: Priority) -> u64 {
        self.classes[priority as usize].total
    }

    /// Decides the next `slots` runs and counts them as taken. Neighbouring turns of one key are one claim.
    pub fn next(&mut self, slots: u32) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        for _ in 0..slots {
            let Some(priority) = self.next_class() else { break };
            let Some(key) = self.classes[priority as usize].take_turn() else { break };
            match claims.iter_mut().find(|claim| claim.priority == priority && claim.key == key) {
                Some(claim) => claim.n += 1,
                None => claims.push(Claim { key, priority, n: 1 }),
            }
        }
        claims
    }

    fn next_class(&mut self) -> Option<Priority> {
        let mut round = 0;
        for (priority, weight) in WEIGHTS {
            let class = &mut self.classes[priority as usize];
            if class.total > 0 {
                class.credit += weight;
                round += weight;
            } else {
                // A class that waits for nothing must not save up turns.
                class.credit = 0;
            }
        }
        let (chosen, _) =
            WEIGHTS
                .iter()
                .filter(|(priority, _)| self.classes[*priority as usize].total > 0)
                .max_by_key(|(priority, weight)| (self.classes[*priority as usize].credit, *weight))?;
        self.classes[*chosen as usize].credit -= round;
        Some(*chosen)
    }
}

impl Class {
    fn take_turn(&mut self) -> Option<Arc<str>> {
        let key = self.turns.pop_front()?;
        let count = self.counts.get_mut(&key)?;
        *count -= 1;
        self.total -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        } else {
            self.turns.push_back(key.clone());
        }
        Some(key)
    }
}
