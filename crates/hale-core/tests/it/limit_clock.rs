//! The time limit: what counts against it and what does not.
//!
//! Read next: `retries.rs`.

use crate::runs::{Play, WORKER, at, cancel, failed, leased, lost, step, unreachable};
use hale_core::limits;
use hale_core::retry::RetryClass;
use hale_core::run::{Event, Outcome, State, StateName};
use hale_core::time::Millis;

const LIMIT: Millis = Millis::seconds(60);

#[test]
fn time_in_the_queue_does_not_count() {
    let run = Play::new(LIMIT).event(40_000, leased(1)).run;
    assert_eq!(run.deadline(), Some(at(100_000)));
    assert_eq!(run.time_used(at(45_000)), Millis(5_000));
}

#[test]
fn a_dead_workers_time_counts_until_its_last_progress() {
    let play = Play::running(LIMIT, 0)
        .event(10_000, Event::StepEnded { step: Box::new(step(0)) })
        .event(25_000, lost(1));
    assert_eq!(play.run.spent, Millis(10_000));
    assert_eq!(play.run.deadline(), None, "the clock stands while it queues");
    let play = play.event(40_000, leased(2)).event(40_000, Event::Initialized);
    assert_eq!(play.run.deadline(), Some(at(90_000)), "50s are left");
    let play = play.event(60_000, Event::StepEnded { step: Box::new(step(1)) }).event(61_000, lost(2));
    assert_eq!(play.run.spent, Millis(30_000));
    let play = play.event(70_000, leased(3));
    assert_eq!(play.run.deadline(), Some(at(100_000)), "30s are left");
}

#[test]
fn waiting_for_a_retry_counts_and_waiting_for_a_person_does_not() {
    let play = Play::running(LIMIT, 0).event(2_000, failed(1, unreachable(), RetryClass::Tool.policy()));
    assert_eq!(play.run.deadline(), Some(at(60_000)));
    let play = play.event(3_000, Event::Woken);
    assert_eq!(play.run.spent, Millis(3_000));

    let parked =
        Play::running(LIMIT, 0).event(2_000, Event::Parked { index: 0, name: "mail.send".to_owned() });
    assert_eq!(parked.run.deadline(), None);
    let parked = parked.event(500_000, Event::Resolved { by: "ada".to_owned() });
    assert_eq!(parked.run.spent, Millis(0), "the last progress was at the start");
}

// covers: AO-18
#[test]
fn a_late_tick_times_the_run_out() {
    let play =
        Play::running(LIMIT, 0).event(60_100, Event::TimedOut { doing: "waiting for sim/small".to_owned() });
    let State::Ended { outcome: Outcome::Timeout { failure }, .. } = &play.run.state else {
        panic!("{:?}", play.run.state)
    };
    assert_eq!(failure.message, "run passed its time limit of 60s while waiting for sim/small");
    assert_eq!(play.run.state.name(), StateName::Timeout);
}

#[test]
fn the_timeout_carries_the_root_error() {
    let play = Play::running(LIMIT, 0)
        .event(1_000, failed(1, unreachable(), RetryClass::Tool.policy()))
        .event(60_000, Event::TimedOut { doing: "waiting for a retry".to_owned() });
    let failure = play.run.failure.expect("a timeout is a failure");
    assert_eq!(failure.chain, vec!["call model sim/small: connection refused".to_owned()]);
}

#[test]
fn a_run_that_ends_its_workers_is_stopped_as_poison() {
    let mut play = Play::new(LIMIT);
    for epoch in 1..=u64::from(limits::LEASES_MAX) {
        assert_eq!(play.run.state.name(), StateName::Pending);
        play = play.event(epoch * 1000, leased(epoch)).event(epoch * 1000, lost(epoch));
    }
    assert_eq!(play.run.state.name(), StateName::Failed);
    assert_eq!(play.run.failure.map(|failure| failure.cause), Some("run.poison".to_owned()));
}

// covers: AO-12 AO-13 AO-15
#[test]
fn a_run_is_overdue_just_after_its_normal_time() {
    let pending = Play::new(LIMIT).run;
    assert!(!pending.state.is_overdue(at(30_000)));
    assert!(pending.state.is_overdue(at(30_001)));
    let initializing = Play::new(LIMIT).event(0, leased(1)).run;
    assert!(!initializing.state.is_overdue(at(60_000)));
    assert!(initializing.state.is_overdue(at(60_001)));
    let running = Play::running(LIMIT, 0).run;
    assert!(!running.state.is_overdue(at(999_999_999)));
    let completing = Play::running(LIMIT, 0).event(5, Event::Completing { artifacts: Vec::new() }).run;
    assert!(!completing.state.is_overdue(at(30_005)));
    assert!(completing.state.is_overdue(at(30_006)));
}

// covers: AO-19
#[test]
fn a_run_that_was_asked_to_stop_is_not_executed_again() {
    let asked = || Play::running(LIMIT, 0).event(10, cancel());
    let parked = Event::Parked { index: 0, name: "mail.send".to_owned() };
    let failing = failed(1, unreachable(), RetryClass::Tool.policy());
    for event in [Event::Released { worker: WORKER, epoch: 1 }, lost(1), parked, failing] {
        let name = event.name();
        assert_eq!(asked().event(20, event).run.state.name(), StateName::Cancelled, "{name}");
    }
}
