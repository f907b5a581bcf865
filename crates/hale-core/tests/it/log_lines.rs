//! The log lines that operators know by heart, letter for letter.
//!
//! Read next: `crates/hale-core/src/run/apply.rs`.

use crate::runs::{OTHER, Play, cancel, failed, lost, step, unreachable};
use hale_core::retry::RetryClass;
use hale_core::run::{Event, Level};
use hale_core::time::Millis;

const LIMIT: Millis = Millis::seconds(60);

fn check(play: &Play, expected: &[(Level, &str)]) {
    let lines = play.lines();
    let lines: Vec<(Level, &str)> = lines.iter().map(|(level, text)| (*level, text.as_str())).collect();
    assert_eq!(lines, expected);
}

// covers: AO-118 AO-120 AO-121
#[test]
fn a_good_run_speaks_the_guides_lines() {
    let stage = |n: u32, name: &str| Event::StageCompleted { n, of: 3, name: name.to_owned() };
    let play = Play::running(LIMIT, 0)
        .event(10_000, Event::StepEnded { step: Box::new(step(0)) })
        .event(10_000, stage(1, "data_collection"))
        .event(30_000, stage(2, "analysis"))
        .event(45_000, stage(3, "output_generation"))
        .event(45_100, Event::Completing { artifacts: Vec::new() })
        .event(45_249, Event::Completed { output: serde_json::Value::Null });
    let expected = [
        (Level::Info, "Agent pack loaded: research-pack v1.2.3"),
        (Level::Info, "Step 1/3 completed: data_collection"),
        (Level::Info, "Step 2/3 completed: analysis"),
        (Level::Info, "Step 3/3 completed: output_generation"),
        (Level::Info, "Execution completed successfully in 45.2s"),
    ];
    check(&play, &expected);
}

// covers: AO-122 AO-123 AO-124 AO-17
#[test]
fn a_failing_call_is_retried_after_1_2_and_4_seconds() {
    let policy = RetryClass::Tool.policy();
    let again = |play: Play, ms: u64, epoch: u64| {
        play.event(ms, Event::Woken)
            .event(ms, Event::Leased { worker: OTHER, epoch })
            .event(ms, Event::Initialized)
    };
    let play = Play::running(LIMIT, 0).event(0, failed(1, unreachable(), policy));
    let play = again(play, 1_000, 2).event(1_000, failed(2, unreachable(), policy));
    let play = again(play, 3_000, 3).event(3_000, failed(3, unreachable(), policy));
    let play = again(play, 7_000, 4).event(7_000, failed(4, unreachable(), policy));
    let connect = "Failed to connect to external API: provider:sim: call model sim/small: connection refused";
    let loaded = (Level::Info, "Agent pack loaded: research-pack v1.2.3");
    let expected = [
        loaded,
        (Level::Error, connect),
        (Level::Error, "Retry 1/3 after 1s"),
        loaded,
        (Level::Error, connect),
        (Level::Error, "Retry 2/3 after 2s"),
        loaded,
        (Level::Error, connect),
        (Level::Error, "Retry 3/3 after 4s"),
        loaded,
        (Level::Error, connect),
        (Level::Error, "All retries exhausted, marking as failed"),
        (Level::Error, "Execution failed: call model sim/small: connection refused"),
    ];
    check(&play, &expected);
}

// covers: AO-128 AO-18
#[test]
fn a_timeout_names_its_limit() {
    let play =
        Play::running(LIMIT, 0).event(60_000, Event::TimedOut { doing: "calling sim/small".to_owned() });
    let expected = [
        (Level::Info, "Agent pack loaded: research-pack v1.2.3"),
        (Level::Error, "Execution timeout exceeded (60s)"),
        (Level::Error, "run passed its time limit of 60s while calling sim/small"),
    ];
    check(&play, &expected);
}

#[test]
fn a_retry_that_would_come_too_late_is_not_started_and_says_so() {
    let policy = RetryClass::Tool.policy();
    let play = Play::running(LIMIT, 0).event(59_500, failed(1, unreachable(), policy));
    let expected = [
        (Level::Info, "Agent pack loaded: research-pack v1.2.3"),
        (
            Level::Error,
            "Failed to connect to external API: provider:sim: call model sim/small: connection refused",
        ),
        (Level::Error, "No retry: waiting 1s would pass the limit, 500ms are left"),
        (
            Level::Error,
            "Execution failed: call model sim/small: connection refused: not retried: the wait of 1s would end \
             after the time limit, 500ms are left",
        ),
    ];
    check(&play, &expected);
}

// covers: AO-19
#[test]
fn a_cancelled_run_names_who_did_it() {
    let play = Play::new(LIMIT).event(5, cancel());
    check(&play, &[(Level::Info, "Execution cancelled by ada")]);
}

#[test]
fn a_lost_lease_and_a_refused_write_are_warnings() {
    let fenced = Event::Fenced { worker: OTHER, epoch: 1, what: "step 3".to_owned() };
    let play = Play::running(LIMIT, 0).event(15_000, lost(1)).event(16_000, fenced);
    let refused = format!("Write refused: step 3 by {OTHER} under epoch 1, the run is at 1");
    let expected = [
        (Level::Info, "Agent pack loaded: research-pack v1.2.3"),
        (Level::Warn, "Lease lost: no heartbeat for 15s"),
        (Level::Warn, refused.as_str()),
    ];
    check(&play, &expected);
}
