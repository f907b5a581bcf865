//! Which run goes next: weighted turns over counters, without a scan and without starvation.
//!
//! Knows counts per line (queue, key, class), never the runs themselves: it answers "claim n from this line", the
//! store executes it. Between named queues and between the keys of a class each has its turn, so that a million
//! queued runs of one key cost another key one turn; between the classes of a queue 6 : 3 : 1, so that a flood of
//! `high` slows `low` but never stops it. A key that may not go now (its limit is reached, it is switched off) is
//! held: it costs no turn until it is released.
//! Read next: `hale-store/src/sqlite/claim.rs`.

use crate::run::{Priority, Run};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Turns of each class in a round of ten: high, normal, low.
pub const WEIGHTS: Weights = [6, 3, 1];

/// Turns of the classes in one round, by [`Priority`]; none may be 0, or its class would starve.
pub type Weights = [u32; 3];

/// The fair share of a run: tenants do not pay for one another, nor do packs of one tenant.
pub fn key_of(tenant: Option<&str>, pack: &str) -> Arc<str> {
    match tenant {
        Some(tenant) => Arc::from(format!("{tenant}/{pack}")),
        None => Arc::from(pack),
    }
}

/// Where a run waits its turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub queue: Arc<str>,
    pub key: Arc<str>,
    pub priority: Priority,
}

impl Line {
    pub fn of(run: &Run) -> Self {
        Self { queue: run.queue.clone(), key: run.key.clone(), priority: run.priority }
    }
}

/// Take up to `n` runs, oldest first, from one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub line: Line,
    pub n: u32,
}

#[derive(Clone, Debug, Default)]
struct Class {
    /// Runs that wait, by key; a key without runs is not kept.
    counts: BTreeMap<Arc<str>, u64>,
    /// Keys with runs that are not held, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    /// Smooth weighted round robin: the credit of the class.
    credit: i64,
    total: u64,
}

#[derive(Clone, Debug)]
struct Named {
    classes: [Class; 3],
    weights: Weights,
    held: BTreeSet<Arc<str>>,
    paused: bool,
}

impl Default for Named {
    fn default() -> Self {
        Self { classes: Default::default(), weights: WEIGHTS, held: BTreeSet::new(), paused: false }
    }
}

/// Counters and turns of all waiting runs.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    named: BTreeMap<Arc<str>, Named>,
    /// Queues in the order of their turns.
    turns: VecDeque<Arc<str>>,
}

impl Queue {
    /// `n` runs joined the line.
    pub fn added(&mut self, line: &Line, n: u64) {
        if n == 0 {
            return;
        }
        let named = self.named(&line.queue);
        let held = named.held.contains(&line.key);
        let class = &mut named.classes[line.priority as usize];
        class.total += n;
        match class.counts.get_mut(&line.key) {
            Some(count) => *count += n,
            None => {
                class.counts.insert(line.key.clone(), n);
                if !held {
                    class.turns.push_back(line.key.clone());
                }
            }
        }
    }

    /// `n` runs left the line otherwise than by [`Queue::next`]: cancelled, or found missing. Answers how many of
    /// them were counted.
    pub fn removed(&mut self, line: &Line, n: u64) -> u64 {
        let Some(named) = self.named.get_mut(&line.queue) else { return 0 };
        let class = &mut named.classes[line.priority as usize];
        let Some(count) = class.counts.get_mut(&line.key) else { return 0 };
        let gone = n.min(*count);
        *count -= gone;
        class.total -= gone;
        if *count == 0 {
            class.counts.remove(&line.key);
            class.turns.retain(|other| *other != line.key);
        }
        gone
    }

    /// Runs that wait, in all queues.
    pub fn len(&self) -> u64 {
        self.named.values().flat_map(|named| &named.classes).map(|class| class.total).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.named.values().flat_map(|named| &named.classes).all(|class| class.total == 0)
    }

    /// Runs that wait in one class of one queue.
    pub fn class_len(&self, queue: &str, priority: Priority) -> u64 {
        self.named.get(queue).map_or(0, |named| named.classes[priority as usize].total)
    }

    /// Names of the queues that were ever seen, with what waits in each.
    pub fn names(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        let total = |named: &Named| named.classes.iter().map(|class| class.total).sum();
        self.named.iter().map(move |(name, named)| (name, total(named)))
    }

    /// Turns of the classes of one queue.
    pub fn weights(&self, queue: &str) -> Weights {
        self.named.get(queue).map_or(WEIGHTS, |named| named.weights)
    }

    pub fn is_paused(&self, queue: &str) -> bool {
        self.named.get(queue).is_some_and(|named| named.paused)
    }

    /// Runs that wait in one line.
    pub fn line_len(&self, line: &Line) -> u64 {
        let named = self.named.get(&line.queue);
        named
            .and_then(|named| named.classes[line.priority as usize].counts.get(&line.key))
            .copied()
            .unwrap_or(0)
    }

    pub fn set_weights(&mut self, queue: &Arc<str>, weights: Weights) {
        self.named(queue).weights = weights.map(|weight| weight.max(1));
    }

    /// A paused queue takes runs and gives none.
    pub fn pause(&mut self, queue: &Arc<str>) {
        self.named(queue).paused = true;
    }

    pub fn resume(&mut self, queue: &Arc<str>) {
        self.named(queue).paused = false;
    }

    /// Takes a key out of the turns of its queue; its runs stay counted.
    pub fn hold(&mut self, queue: &Arc<str>, key: &Arc<str>) {
        let named = self.named(queue);
        if named.held.insert(key.clone()) {
            for class in &mut named.classes {
                class.turns.retain(|other| other != key);
            }
        }
    }

    /// Lets a held key take its turns again.
    pub fn release(&mut self, queue: &str, key: &str) {
        let Some(named) = self.named.get_mut(queue) else { return };
        if let Some(key) = named.held.take(key) {
            for class in named.classes.iter_mut().filter(|class| class.counts.contains_key(&key)) {
                class.turns.push_back(key.clone());
            }
        }
    }

    /// Lets every held key take its turns again; whoever may still not go is held anew when its turn comes.
    pub fn release_all(&mut self) {
        let held = self.named.iter().flat_map(|(queue, named)| {
            named.held.iter().map(|key| (queue.clone(), key.clone())).collect::<Vec<_>>()
        });
        for (queue, key) in held.collect::<Vec<_>>() {
            self.release(&queue, &key);
        }
    }

    /// Keys that are held, with their queue.
    pub fn held(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.named.iter().flat_map(|(queue, named)| named.held.iter().map(move |key| (queue, key)))
    }

    /// Decides the next `slots` runs among the queues that `serves` takes, and counts them as taken. `may` is asked
    /// before each turn whether the line may take one more; a key that may not is held. Neighbouring turns of one
    /// line are one claim.
    pub fn next(
        &mut self,
        slots: u32,
        serves: impl Fn(&str) -> bool,
        mut may: impl FnMut(&Line) -> bool,
    ) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        let mut taken = 0;
        while taken < slots {
            let Some(queue) = self.next_queue(&serves) else { break };
            let Some(line) = self.next_line(&queue) else { continue };
            if !may(&line) {
                self.added(&line, 1);
                self.hold(&line.queue, &line.key);
                continue;
            }
            taken += 1;
            match claims.iter_mut().find(|claim| claim.line == line) {
                Some(claim) => claim.n += 1,
                None => claims.push(Claim { line, n: 1 }),
            }
        }
        claims
    }

    fn named(&mut self, queue: &Arc<str>) -> &mut Named {
        if !self.named.contains_key(queue) {
            self.turns.push_back(queue.clone());
        }
        self.named.entry(queue.clone()).or_default()
    }

    /// The queue whose turn it is among those with something to give; it goes to the end.
    fn next_queue(&mut self, serves: impl Fn(&str) -> bool) -> Option<Arc<str>> {
        let gives = |queue: &Arc<str>| {
            serves(queue) && self.named.get(queue).is_some_and(|named| !named.paused && named.gives())
        };
        let place = self.turns.iter().position(gives)?;
        let queue = self.turns.remove(place)?;
        self.turns.push_back(queue.clone());
        Some(queue)
    }

    fn next_line(&mut self, queue: &Arc<str>) -> Option<Line> {
        let named = self.named.get_mut(queue)?;
        let priority = named.next_class()?;
        let key = named.classes[priority as usize].take_turn()?;
        Some(Line { queue: queue.clone(), key, priority })
    }
}

impl Named {
    fn gives(&self) -> bool {
        self.classes.iter().any(|class| !class.turns.is_empty())
    }

    fn next_class(&mut self) -> Option<Priority> {
        let mut round = 0;
        for priority in Priority::ALL {
            let weight = i64::from(self.weights[priority as usize]);
            let class = &mut self.classes[priority as usize];
            if class.turns.is_empty() {
                // A class that waits for nothing must not save up turns.
                class.credit = 0;
            } else {
                class.credit += weight;
                round += weight;
            }
        }
        let rank =
            |priority: &Priority| (self.classes[*priority as usize].credit, self.weights[*priority as usize]);
        let chosen = Priority::ALL
            .into_iter()
            .filter(|priority| !self.classes[*priority as usize].turns.is_empty())
            .rev()
            .max_by_key(rank)?;
        self.classes[chosen as usize].credit -= round;
        Some(chosen)
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
