//! Records of every version that was ever written must decode for ever.
//!
//! `samples/v1.jsonl` has one line for each variant of the event. A change of shape gets a new version and a new file;
//! a line is never edited.

use hale_core::run::event::VERSION;
use hale_core::run::{Event, Record};
use std::collections::BTreeSet;

const SAMPLES: [(u32, &str); 1] = [(1, include_str!("samples/v1.jsonl"))];

/// Every variant's name. The match makes a new variant an error here until it is listed, and the test below makes
/// it an error until it has a sample.
fn every_name() -> Vec<&'static str> {
    fn listed(event: &Event) {
        match event {
            Event::Accepted { .. }
            | Event::Leased { .. }
            | Event::Initialized
            | Event::StepDispatched { .. }
            | Event::StepEnded { .. }
            | Event::StepFailed { .. }
            | Event::StageCompleted { .. }
            | Event::Parked { .. }
            | Event::Resolved { .. }
            | Event::Woken
            | Event::CancelAsked { .. }
            | Event::Stopped
            | Event::LeaseLost { .. }
            | Event::Released { .. }
            | Event::Fenced { .. }
            | Event::Completing { .. }
            | Event::Completed { .. }
            | Event::Failed { .. }
            | Event::TimedOut { .. } => {}
        }
    }
    let _ = listed;
    vec![
        "accepted",
        "leased",
        "initialized",
        "step_dispatched",
        "step_ended",
        "step_failed",
        "stage_completed",
        "parked",
        "resolved",
        "woken",
        "cancel_asked",
        "stopped",
        "lease_lost",
        "released",
        "fenced",
        "completing",
        "completed",
        "failed",
        "timed_out",
    ]
}

#[test]
fn every_sample_decodes_and_writes_back_as_it_was() {
    for (version, samples) in SAMPLES {
        for line in samples.lines() {
            let record: Record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(record.v, version, "{line}");
            if version == VERSION {
                let written: serde_json::Value = serde_json::to_value(&record).unwrap();
                assert_eq!(written, serde_json::from_str::<serde_json::Value>(line).unwrap());
            }
        }
    }
}

#[test]
fn every_event_has_a_sample_of_the_present_version() {
    let (version, samples) = SAMPLES[SAMPLES.len() - 1];
    assert_eq!(version, VERSION, "a new version needs its samples");
    let decoded = samples.lines().map(|line| serde_json::from_str::<Record>(line).unwrap().event.name());
    let found: BTreeSet<&str> = decoded.collect();
    assert_eq!(found, every_name().into_iter().collect());
}
