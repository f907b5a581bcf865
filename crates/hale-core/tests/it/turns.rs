//! Whose turn it is: weights between classes, turns between keys, starvation for nobody.
//!
//! Read next: `crates/hale-core/src/queue.rs`.

use hale_core::queue::{Claim, Line, Queue, WEIGHTS};
use hale_core::run::Priority;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn key(name: impl ToString) -> Arc<str> {
    Arc::from(name.to_string())
}

fn line(name: impl ToString, priority: Priority) -> Line {
    Line { queue: key("default"), key: key(name), priority }
}

fn in_queue(queue: &str, name: &str) -> Line {
    Line { queue: key(queue), ..line(name, Priority::Normal) }
}

fn next(queue: &mut Queue, slots: u32) -> Vec<Claim> {
    queue.next(slots, |_| true, |_| true)
}

fn one(queue: &mut Queue) -> Claim {
    next(queue, 1).pop().expect("runs wait")
}

#[test]
fn named_queues_take_turns() {
    let mut queue = Queue::default();
    queue.added(&in_queue("big", "a"), 1_000_000);
    queue.added(&in_queue("small", "b"), 2);
    let turns: Vec<Arc<str>> = (0..4).map(|_| one(&mut queue).line.queue).collect();
    assert_eq!(turns, [key("big"), key("small"), key("big"), key("small")]);
}

#[test]
fn a_worker_gets_only_from_the_queues_that_it_serves() {
    let mut queue = Queue::default();
    queue.added(&in_queue("gpu", "a"), 5);
    queue.added(&in_queue("default", "b"), 2);
    let claims = queue.next(9, |name| name == "default", |_| true);
    assert_eq!(claims, [Claim { line: in_queue("default", "b"), n: 2 }]);
    assert_eq!(queue.len(), 5);
}

#[test]
fn a_key_that_may_not_go_is_held_until_it_is_released() {
    let mut queue = Queue::default();
    queue.added(&in_queue("default", "full"), 3);
    queue.added(&in_queue("default", "free"), 2);
    let claims = queue.next(9, |_| true, |line| line.key.as_ref() == "free");
    assert_eq!(claims, [Claim { line: in_queue("default", "free"), n: 2 }]);
    let (default, full) = (key("default"), key("full"));
    assert_eq!(queue.held().collect::<Vec<_>>(), [(&default, &full)]);
    queue.added(&in_queue("default", "full"), 1);
    assert_eq!(next(&mut queue, 9), []);
    assert_eq!(queue.len(), 4);
    queue.release("default", "full");
    assert_eq!(next(&mut queue, 9), [Claim { line: in_queue("default", "full"), n: 4 }]);
}

#[test]
fn a_paused_queue_takes_runs_and_gives_none() {
    let mut queue = Queue::default();
    queue.pause(&key("default"));
    queue.added(&in_queue("default", "a"), 1);
    assert_eq!(next(&mut queue, 1), []);
    queue.resume(&key("default"));
    assert_eq!(next(&mut queue, 1).len(), 1);
}

#[test]
fn weights_that_an_operator_sets_are_the_share_of_turns() {
    let mut queue = Queue::default();
    // Even a weight of 0 leaves a class its turn.
    queue.set_weights(&key("default"), [1, 8, 0]);
    for class in Priority::ALL {
        queue.added(&line("k", class), 1000);
    }
    let mut turns: BTreeMap<Priority, u32> = BTreeMap::new();
    for _ in 0..100 {
        *turns.entry(one(&mut queue).line.priority).or_default() += 1;
    }
    assert_eq!(turns, BTreeMap::from([(Priority::High, 10), (Priority::Normal, 80), (Priority::Low, 10)]));
}

#[test]
fn a_full_queue_gives_6_3_and_1_turns_of_ten() {
    let mut queue = Queue::default();
    for class in Priority::ALL {
        queue.added(&line("k", class), 1000);
    }
    let mut turns: BTreeMap<Priority, u32> = BTreeMap::new();
    for _ in 0..100 {
        *turns.entry(one(&mut queue).line.priority).or_default() += 1;
    }
    assert_eq!(turns, BTreeMap::from([(Priority::High, 60), (Priority::Normal, 30), (Priority::Low, 10)]));
}

#[test]
fn a_class_alone_gets_every_turn() {
    let mut queue = Queue::default();
    queue.added(&line("k", Priority::Low), 3);
    assert_eq!(next(&mut queue, 10), [Claim { line: line("k", Priority::Low), n: 3 }]);
    assert!(queue.is_empty());
}

#[test]
fn a_backlog_of_a_million_costs_another_key_one_turn() {
    let mut queue = Queue::default();
    queue.added(&line("big", Priority::Normal), 1_000_000);
    queue.added(&line("small", Priority::Normal), 1);
    let claims = next(&mut queue, 2);
    assert!(claims.contains(&Claim { line: line("small", Priority::Normal), n: 1 }), "{claims:?}");
    assert_eq!(queue.len(), 999_999);
}

#[test]
fn what_left_otherwise_has_no_turn() {
    let mut queue = Queue::default();
    queue.added(&line("a", Priority::Normal), 2);
    queue.added(&line("b", Priority::Normal), 1);
    queue.removed(&line("a", Priority::Normal), 5);
    queue.removed(&line("unknown", Priority::Normal), 1);
    queue.removed(&line("b", Priority::High), 1);
    assert_eq!(next(&mut queue, 9), [Claim { line: line("b", Priority::Normal), n: 1 }]);
    queue.added(&line("a", Priority::Normal), 0);
    assert_eq!(next(&mut queue, 9), []);
}

/// Turns within which a key is served: each key before it has one turn, and its class has `weight` of ten. The
/// credits of the classes may be two rounds apart when it joins.
fn bound(class: Priority, keys: usize) -> usize {
    let weight = WEIGHTS[class as usize];
    (keys + 2) * usize::try_from(10 / weight + 1).expect("a weight is small") + 20
}

/// What happens between two turns.
#[derive(Clone, Debug)]
enum Deed {
    Add(usize, Priority, u64),
    Remove(usize, Priority, u64),
    Next(u32),
}

fn class() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0usize..8, class(), 0u64..20).prop_map(|(k, c, n)| Deed::Add(k, c, n)),
        (0usize..8, class(), 0u64..20).prop_map(|(k, c, n)| Deed::Remove(k, c, n)),
        (0u32..12).prop_map(Deed::Next),
    ]
}

type Counts = BTreeMap<(Priority, String), u64>;

fn play(queue: &mut Queue, counts: &mut Counts, deed: &Deed) {
    let place = |k: &usize, class: &Priority| (*class, k.to_string());
    match deed {
        Deed::Add(k, class, n) => {
            queue.added(&line(k, *class), *n);
            *counts.entry(place(k, class)).or_default() += n;
        }
        Deed::Remove(k, class, n) => {
            queue.removed(&line(k, *class), *n);
            let count = counts.entry(place(k, class)).or_default();
            *count -= (*count).min(*n);
        }
        Deed::Next(slots) => {
            let waiting: u64 = counts.values().sum();
            let claims = next(queue, *slots);
            let taken: u64 = claims.iter().map(|claim| u64::from(claim.n)).sum();
            assert_eq!(taken, waiting.min(u64::from(*slots)), "no slot stays empty while runs wait");
            for claim in claims {
                let count =
                    counts.get_mut(&(claim.line.priority, claim.line.key.to_string())).expect("a known key");
                *count = count.checked_sub(u64::from(claim.n)).expect("no run is claimed twice");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_is_counted_once(deeds in prop::collection::vec(deed(), 1..80)) {
        let (mut queue, mut counts) = (Queue::default(), Counts::new());
        for deed in &deeds {
            play(&mut queue, &mut counts, deed);
            prop_assert_eq!(queue.len(), counts.values().sum::<u64>());
            for class in Priority::ALL {
                let of_class = counts.iter().filter(|((other, _), _)| *other == class).map(|(_, n)| n).sum::<u64>();
                prop_assert_eq!(queue.class_len("default", class), of_class);
            }
        }
    }

    /// After any past, with floods that never dry up, one waiting run is served within a bound that depends on the
    /// keys of its own class only.
    #[test]
    fn nobody_starves(
        past in prop::collection::vec(deed(), 0..60),
        floods in prop::collection::vec((0usize..6, class(), 1u64..1000), 1..12),
        slots in 1u32..5,
        target in class(),
    ) {
        let (mut queue, mut counts) = (Queue::default(), Counts::new());
        for deed in &past {
            play(&mut queue, &mut counts, deed);
        }
        for (k, class, n) in &floods {
            queue.added(&line(k, *class), *n);
        }
        queue.added(&line("target", target), 1);
        let limit = bound(target, 8 + 1);
        let mut turns = 0;
        loop {
            let claims = next(&mut queue, slots);
            turns += slots as usize;
            if claims.iter().any(|claim| claim.line.key.as_ref() == "target") {
                break;
            }
            prop_assert!(turns <= limit, "not served in {} turns", turns);
            for (k, class, _) in &floods {
                queue.added(&line(k, *class), u64::from(slots));
            }
        }
    }
}
