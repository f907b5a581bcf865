//! Random histories: whatever happens in whatever order, these hold.
//!
//! Events are drawn half by chance and half to fit the state, so that histories get deep.
//! Read next: `limit_clock.rs`.

use crate::runs::{OTHER, START, WORKER, cancel, dispatched, failed, order, step, unreachable};
use hale_core::failure::Failure;
use hale_core::id::WorkerId;
use hale_core::retry::RetryClass;
use hale_core::run::{Effect, Event, Run, State, accept, apply};
use hale_core::time::Millis;
use proptest::prelude::*;

/// One draw: which event, by whom, under which epoch relative to the run's, how much later, which attempt.
type Draw = (u8, bool, i8, u64, u32);

fn event(draw: Draw, run: &Run) -> Event {
    let (which, own, offset, _, attempt) = draw;
    let holder = run.lease().map_or(WORKER, |lease| lease.worker);
    let worker: WorkerId = if own { holder } else { OTHER };
    let epoch = run.epoch.saturating_add_signed(i64::from(offset));
    let failure = || Box::new(Failure { retry: RetryClass::Tool, ..unreachable() });
    match which {
        0 | 1 => {
            Event::Leased { worker: WORKER, epoch: run.epoch.saturating_add_signed(1 + i64::from(offset)) }
        }
        2 | 3 => Event::Initialized,
        4 => dispatched(),
        5 | 6 => Event::StepEnded { step: Box::new(step(run.steps)) },
        7 => failed(attempt, *failure(), RetryClass::Tool.policy()),
        8 => Event::StageCompleted { n: 1, of: 3, name: "analysis".to_owned() },
        9 => Event::Parked { index: 0, name: "mail.send".to_owned() },
        10 => Event::Resolved { by: "ada".to_owned() },
        11 | 12 => Event::Woken,
        13 => cancel(),
        14 => Event::Stopped,
        15 => Event::LeaseLost { worker, epoch, why: "late".to_owned() },
        16 => Event::Released { worker, epoch },
        17 => Event::Fenced { worker, epoch, what: "step".to_owned() },
        18 => Event::Completing { artifacts: Vec::new() },
        19 => Event::Completed { output: serde_json::Value::Null },
        20 => Event::Failed { failure: failure() },
        _ => Event::TimedOut { doing: "working".to_owned() },
    }
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    // Offsets are mostly none, so that leases match more often than not.
    let offset = prop_oneof![6 => Just(0i8), 1 => -2i8..=2];
    prop::collection::vec((0u8..22, prop::bool::weighted(0.8), offset, 0u64..20_000, 1u32..6), 1..60)
}

/// What must hold between a run and the run after one accepted event.
fn check(before: &Run, event: &Event, after: &Run, effects: &[Effect]) {
    assert_eq!(after.seq, before.seq + 1, "seq counts the accepted events");
    assert!(after.epoch >= before.epoch, "the epoch never falls");
    assert!(
        after.epoch == before.epoch || matches!(event, Event::Leased { .. }),
        "only a lease raises the epoch"
    );
    assert!(after.spent >= before.spent, "time spent never falls");
    assert!(after.steps >= before.steps && after.leases_lost >= before.leases_lost);
    assert!(before.cancel.is_none() || after.cancel.is_some(), "a cancellation is not forgotten");
    match event {
        Event::Leased { epoch, .. } => assert_eq!(*epoch, before.epoch + 1, "a lease is the next epoch"),
        Event::LeaseLost { worker, epoch, .. } | Event::Released { worker, epoch } => {
            let holder = before.lease().map(|lease| (lease.worker, lease.epoch));
            assert_eq!(holder, Some((*worker, *epoch)), "only the holder's lease can end");
        }
        _ => {}
    }
    if before.is_terminal() {
        assert!(matches!(event, Event::Fenced { .. }), "{} after the end", event.name());
        assert_eq!(before.state, after.state);
    }
    let enqueued = effects.iter().filter(|effect| matches!(effect, Effect::Enqueue { .. })).count();
    let now_pending = matches!(after.state, State::Pending { .. });
    let was_pending = matches!(before.state, State::Pending { .. });
    assert_eq!(enqueued, usize::from(now_pending && !was_pending), "queued exactly when it becomes PENDING");
    let told = effects.iter().filter(|effect| matches!(effect, Effect::Ended(_))).count();
    assert_eq!(
        told,
        usize::from(after.is_terminal() && !before.is_terminal()),
        "the end is told exactly once"
    );
    if after.cancel.is_some() {
        assert!(
            after.is_terminal() || after.lease().is_some(),
            "a run that was asked to stop neither queues nor waits: {:?}",
            after.state
        );
    }
    let counts = after.lease().is_some() || matches!(after.state, State::Waiting { .. });
    assert!(counts || after.clock_from.is_none(), "the clock stands in {:?}", after.state);
    if let (Some(lease), false) = (after.lease(), matches!(event, Event::Leased { .. })) {
        assert_eq!(Some(lease), before.lease(), "a lease changes only by an event of its own");
    }
    if let Some(lease) = after.lease() {
        assert_eq!(lease.epoch, after.epoch, "the holder has the highest epoch");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    // covers: AO-12 AO-13 AO-14 AO-15 AO-16 AO-17 AO-18 AO-19
    #[test]
    fn any_history_keeps_the_promises_of_the_table(draws in draws()) {
        let mut run = accept(order(Millis::seconds(60)), START).0;
        let mut now = START;
        for draw in draws {
            now = now + Millis(draw.3);
            let event = event(draw, &run);
            let before = run.clone();
            match apply(&before, &event, now) {
                Ok((after, effects)) => {
                    check(&before, &event, &after, &effects);
                    run = after;
                }
                Err(refused) => {
                    prop_assert_eq!(refused.state, before.state.name());
                    prop_assert_eq!(refused.event, event.name());
                }
            }
        }
    }

    #[test]
    fn one_history_gives_one_run(draws in draws()) {
        let play = || {
            let mut run = accept(order(Millis::seconds(60)), START).0;
            let mut now = START;
            for draw in &draws {
                now = now + Millis(draw.3);
                if let Ok((after, _)) = apply(&run, &event(*draw, &run), now) {
                    run = after;
                }
            }
            run
        };
        let run = play();
        prop_assert_eq!(&run, &play());
        // And the record survives being stored.
        let stored = serde_json::to_string(&run).unwrap();
        prop_assert_eq!(serde_json::from_str::<Run>(&stored).unwrap(), run);
    }
}

#[test]
fn random_histories_reach_every_state() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        let mut run = accept(order(Millis::seconds(60)), START).0;
        for draw in draws().new_tree(&mut runner).unwrap().current() {
            if let Ok((after, _)) = apply(&run, &event(draw, &run), START) {
                run = after;
                let waits = matches!(run.state, State::Waiting { .. });
                reached.insert(format!("{}{}", run.state.name(), if waits { " waiting" } else { "" }));
            }
        }
    }
    // PENDING, INITIALIZING, RUNNING, its waiting form, COMPLETING and the four ends.
    assert_eq!(reached.len(), 9, "{reached:?}");
}
