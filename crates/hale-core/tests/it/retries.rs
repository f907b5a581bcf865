//! When to try again (CONF-06).
//!
//! Read next: `crates/hale-core/src/retry.rs`.

use crate::runs::at;
use hale_core::retry::{Policy, RetryClass, Tried, Verdict};
use hale_core::time::Millis;
use proptest::prelude::*;

fn decide(class: RetryClass, tries: u32, chance: u64) -> Verdict {
    class.policy().decide(Tried { tries, retry_after: None, deadline: at(u64::MAX / 4), chance }, at(0))
}

// covers: AO-123
#[test]
fn tools_wait_1_2_and_4_seconds_then_give_up() {
    let waits: Vec<Verdict> = (1..=4).map(|tries| decide(RetryClass::Tool, tries, 99)).collect();
    let wait = |seconds| Verdict::Wait(Millis::seconds(seconds));
    assert_eq!(waits, [wait(1), wait(2), wait(4), Verdict::Exhausted]);
}

// covers: OL-144
#[test]
fn models_get_five_attempts_from_4_seconds_with_up_to_2_of_jitter() {
    for (tries, base) in [(1, 4_000), (2, 8_000), (3, 16_000), (4, 32_000)] {
        assert_eq!(decide(RetryClass::Model, tries, 0), Verdict::Wait(Millis(base)));
        assert_eq!(decide(RetryClass::Model, tries, 2_000), Verdict::Wait(Millis(base + 2_000)));
        assert_eq!(decide(RetryClass::Model, tries, 2_001), Verdict::Wait(Millis(base)));
    }
    assert_eq!(decide(RetryClass::Model, 5, 0), Verdict::Exhausted);
    let long = Policy { retries_max: 10, ..RetryClass::Model.policy() };
    let tried = Tried { tries: 9, retry_after: None, deadline: at(1_000_000), chance: 0 };
    assert_eq!(long.decide(tried, at(0)), Verdict::Wait(Millis::seconds(60)), "never more than 60s");
}

#[test]
fn what_must_not_be_retried_is_not() {
    assert_eq!(decide(RetryClass::Never, 1, 0), Verdict::Exhausted);
}

#[test]
fn retry_after_wins_over_the_own_wait() {
    let tried = |ms| Tried { tries: 1, retry_after: Some(Millis(ms)), deadline: at(100_000), chance: 1_999 };
    for ms in [0, 500, 30_000] {
        assert_eq!(RetryClass::Model.policy().decide(tried(ms), at(0)), Verdict::Wait(Millis(ms)));
    }
    assert_eq!(RetryClass::Model.policy().decide(tried(100_000), at(0)), Verdict::TooLate(Millis(100_000)));
}

#[test]
fn a_wait_that_ends_at_the_deadline_is_too_late() {
    let tried = |deadline| Tried { tries: 1, retry_after: None, deadline: at(deadline), chance: 0 };
    assert_eq!(RetryClass::Tool.policy().decide(tried(1_000), at(0)), Verdict::TooLate(Millis(1_000)));
    assert_eq!(RetryClass::Tool.policy().decide(tried(1_001), at(0)), Verdict::Wait(Millis(1_000)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_policy_waits_outside_its_bounds_or_past_the_deadline(
        tries in any::<u32>(),
        (min, max, jitter) in (0u64..1 << 40, 0u64..1 << 40, 0u64..1 << 40),
        chance in any::<u64>(),
        deadline in 0u64..1 << 42,
    ) {
        let policy = Policy {
            retries_max: 50,
            wait_min: Millis(min.min(max)),
            wait_max: Millis(max),
            jitter_max: Millis(jitter),
        };
        let verdict = policy.decide(Tried { tries, retry_after: None, deadline: at(deadline), chance }, at(0));
        match verdict {
            Verdict::Wait(wait) => {
                prop_assert!(wait.0 <= max + jitter && wait.0 >= min.min(max));
                prop_assert!(at(0) + wait < at(deadline) && tries <= 50);
            }
            Verdict::TooLate(wait) => prop_assert!(at(0) + wait >= at(deadline)),
            Verdict::Exhausted => prop_assert!(tries > 50),
        }
    }
}
