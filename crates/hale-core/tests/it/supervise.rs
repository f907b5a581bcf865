//! Worker processes: waits, the breaker, and what an end means.

use hale_core::kill::{End, Grade};
use hale_core::limits::{
    BEAT_MAX, BEAT_MIN, BREAKER_ENDS, BREAKER_WINDOW, IDLE_BEAT_MAX, IDLE_BEAT_MIN, RESTART_MAX, RESTART_MIN,
};
use hale_core::supervise::{Facts, Next, Past, Sent, beat, meaning, wait};
use hale_core::time::{Millis, Timestamp};
use proptest::prelude::*;

const START: Timestamp = Timestamp(1_000_000);

fn facts(end: End) -> Facts {
    Facts {
        end: Some(end),
        lived: Millis::seconds(9),
        sent: None,
        group_oom_kills: Some(0),
        machine_oom_kills: Some(0),
        last_words: Vec::new(),
    }
}

fn signal(signal: i32) -> End {
    End::Signalled { signal, core: false }
}

#[test]
fn the_wait_doubles_from_a_second_to_a_minute() {
    let waits: Vec<u64> = (1..=9).map(|n| wait(n, 0).0 / 1000).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

// covers: AX-17, AX-20
#[test]
fn five_ends_in_five_minutes_open_the_breaker_and_a_person_closes_it() {
    let mut past = Past::default();
    let mut now = START;
    for end in 1..BREAKER_ENDS {
        let Next::Restart { at } = past.ended(Millis(10), now, 0) else { panic!("open after {end}") };
        assert_eq!(at, now + wait(end as u32, 0));
        now = at;
    }
    assert_eq!(past.ended(Millis(10), now, 0), Next::Stay);
    assert_eq!((past.open_since(), past.ends(now), past.restarts()), (Some(now), 5, 4));
    past.close();
    assert_eq!((past.open_since(), past.ends(now), past.restarts()), (None, 0, 4));
    assert_eq!(past.ended(Millis(10), now, 0), Next::Restart { at: now + RESTART_MIN });
}

#[test]
fn a_process_that_lived_long_begins_the_waits_anew() {
    let mut past = Past::default();
    past.ended(Millis(1), START, 0);
    past.ended(Millis(1), START, 0);
    let later = START + BREAKER_WINDOW;
    assert_eq!(past.ended(BREAKER_WINDOW, later, 0), Next::Restart { at: later + RESTART_MIN });
}

proptest! {
    #[test]
    fn a_wait_is_within_its_bounds_and_never_more_than_a_quarter_short(n in 0u32..1000, chance: u64) {
        let (most, got) = (wait(n, 0), wait(n, chance));
        prop_assert!(got <= most && got.0 >= most.0 - most.0 / 4);
        prop_assert!(most >= RESTART_MIN && most <= RESTART_MAX);
    }

    #[test]
    fn a_beat_is_within_its_bounds(id: u128, n: u64) {
        prop_assert!((BEAT_MIN..=BEAT_MAX).contains(&beat(id, n, true)));
        prop_assert!((IDLE_BEAT_MIN..=IDLE_BEAT_MAX).contains(&beat(id, n, false)));
    }

    /// Whatever the ends: open means that there were five in a window, and nothing starts while it is open.
    #[test]
    fn the_breaker_opens_exactly_at_five_ends_in_a_window(
        gaps in prop::collection::vec((0u64..200_000, 0u64..400_000, any::<u64>()), 1..40),
    ) {
        let (mut past, mut now, mut ends) = (Past::default(), START, Vec::new());
        for (gap, lived, chance) in gaps {
            now = now + Millis(gap);
            ends.push(now);
            let within = ends.iter().filter(|end| now.since(**end) < BREAKER_WINDOW).count();
            let next = past.ended(Millis(lived), now, chance);
            prop_assert_eq!(next == Next::Stay, within >= BREAKER_ENDS);
            prop_assert_eq!(past.open_since().is_some(), within >= BREAKER_ENDS);
            if let Next::Restart { at } = next {
                prop_assert!(at > now && at.since(now) <= RESTART_MAX);
            } else {
                past.close();
                ends.clear();
            }
        }
    }
}

// covers: AX-23, AX-24, AX-26, AX-27
#[test]
fn every_end_says_what_it_means() {
    let lines = [
        facts(End::Exited { code: 0 }),
        Facts { sent: Some(Sent::Terminate), ..facts(End::Exited { code: 0 }) },
        Facts { last_words: vec!["no such file".to_owned()], ..facts(End::Exited { code: 1 }) },
        facts(End::Exited { code: 69 }),
        facts(End::Exited { code: 137 }),
        facts(signal(9)),
        Facts { sent: Some(Sent::Kill), ..facts(signal(9)) },
        facts(signal(11)),
        facts(signal(15)),
        facts(signal(6)),
        Facts { end: None, ..facts(signal(9)) },
    ]
    .map(|facts| {
        let told = meaning(&facts);
        let (code, look) = (told.code.map_or("-".to_owned(), |code| code.to_string()), told.alarming);
        format!(
            "{code} {:?} {} | {} | {}\n",
            told.grade,
            if look { "look" } else { "calm" },
            told.says,
            told.advice
        )
    });
    insta::assert_snapshot!(lines.concat());
}

// covers: AX-25, AO-63
#[test]
fn a_kill_alone_is_no_proof_of_a_lack_of_memory_and_counts_of_the_kernel_are_a_hint() {
    let grades =
        [(Some(0), Some(0)), (None, None), (Some(0), Some(2)), (Some(1), Some(1))].map(|(group, machine)| {
            let told =
                meaning(&Facts { group_oom_kills: group, machine_oom_kills: machine, ..facts(signal(9)) });
            assert_eq!((told.code, told.signal.as_deref()), (Some(137), Some("SIGKILL")));
            assert!(
                told.evidence.iter().any(|line| line.starts_with("oom_kill of the server's cgroup")),
                "{told:?}"
            );
            (told.grade, told.says.contains("most likely") || told.says.contains("perhaps"))
        });
    assert_eq!(
        grades,
        [(Grade::Unknown, false), (Grade::Unknown, false), (Grade::Unknown, true), (Grade::Likely, true)]
    );
}
