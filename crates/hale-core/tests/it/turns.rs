//! Whose turn it is: weights between classes, turns between keys, starvation for nobody.
//!
//! Read next: `crates/hale-core/src/queue.rs`.

use hale_core::queue::{Claim, Queue, WEIGHTS};
use hale_core::run::Priority;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn key(name: impl ToString) -> Arc<str> {
    Arc::from(name.to_string())
}

fn one(queue: &mut Queue) -> Claim {
    queue.next(1).pop().expect("runs wait")
}

#[test]
fn a_full_queue_gives_6_3_and_1_turns_of_ten() {
    let mut queue = Queue::default();
    for class in Priority::ALL {
        queue.added(&key("k"), class, 1000);
    }
    let mut turns: BTreeMap<Priority, u32> = BTreeMap::new();
    for _ in 0..100 {
        *turns.entry(one(&mut queue).priority).or_default() += 1;
    }
    assert_eq!(turns, BTreeMap::from([(Priority::High, 60), (Priority::Normal, 30), (Priority::Low, 10)]));
}

#[test]
fn a_class_alone_gets_every_turn() {
    let mut queue = Queue::default();
    queue.added(&key("k"), Priority::Low, 3);
    assert_eq!(queue.next(10), [Claim { key: key("k"), priority: Priority::Low, n: 3 }]);
    assert!(queue.is_empty());
}

#[test]
fn a_backlog_of_a_million_costs_another_key_one_turn() {
    let mut queue = Queue::default();
    queue.added(&key("big"), Priority::Normal, 1_000_000);
    queue.added(&key("small"), Priority::Normal, 1);
    let claims = queue.next(2);
    assert!(claims.contains(&Claim { key: key("small"), priority: Priority::Normal, n: 1 }), "{claims:?}");
    assert_eq!(queue.len(), 999_999);
}

#[test]
fn what_left_otherwise_has_no_turn() {
    let mut queue = Queue::default();
    queue.added(&key("a"), Priority::Normal, 2);
    queue.added(&key("b"), Priority::Normal, 1);
    queue.removed("a", Priority::Normal, 5);
    queue.removed("unknown", Priority::Normal, 1);
    queue.removed("b", Priority::High, 1);
    assert_eq!(queue.next(9), [Claim { key: key("b"), priority: Priority::Normal, n: 1 }]);
    queue.added(&key("a"), Priority::Normal, 0);
    assert_eq!(queue.next(9), []);
}

/// Turns within which a key is served: each key before it has one turn, and its class has `weight` of ten. The
/// credits of the classes may be two rounds apart when it joins.
fn bound(class: Priority, keys: usize) -> usize {
    let weight = WEIGHTS.iter().find(|(other, _)| *other == class).expect("every class has a weight").1;
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
            queue.added(&key(k), *class, *n);
            *counts.entry(place(k, class)).or_default() += n;
        }
        Deed::Remove(k, class, n) => {
            queue.removed(&k.to_string(), *class, *n);
            let count = counts.entry(place(k, class)).or_default();
            *count -= (*count).min(*n);
        }
        Deed::Next(slots) => {
            let waiting: u64 = counts.values().sum();
            let claims = queue.next(*slots);
            let taken: u64 = claims.iter().map(|claim| u64::from(claim.n)).sum();
            assert_eq!(taken, waiting.min(u64::from(*slots)), "no slot stays empty while runs wait");
            for claim in claims {
                let count = counts.get_mut(&(claim.priority, claim.key.to_string())).expect("a known key");
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
                prop_assert_eq!(queue.class_len(class), of_class);
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
            queue.added(&key(k), *class, *n);
        }
        queue.added(&key("target"), target, 1);
        let limit = bound(target, 8 + 1);
        let mut turns = 0;
        loop {
            let claims = queue.next(slots);
            turns += slots as usize;
            if claims.iter().any(|claim| claim.key.as_ref() == "target") {
                break;
            }
            prop_assert!(turns <= limit, "not served in {} turns", turns);
            for (k, class, _) in &floods {
                queue.added(&key(k), *class, u64::from(slots));
            }
        }
    }
}
