//! Journals are kept for ever: a checked-in record of every event in every version must decode.
//!
//! A line of `samples/v1.jsonl` is never edited; a change of shape gets a version and a file of its own.
//! Read next: `crates/hale-core/src/run/event.rs`.

use hale_core::run::{Event, Run, apply, event};
use std::collections::BTreeSet;

const V1: &str = include_str!("samples/v1.jsonl");

/// Every event that there is; a new one fails to compile here until it is in the samples.
fn is_known(event: &Event) {
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
const EVENTS: usize = 19;

#[test]
fn every_sample_of_version_1_decodes_and_is_written_the_same() {
    let mut names = BTreeSet::new();
    for line in V1.lines() {
        let record: event::Record = serde_json::from_str(line).expect(line);
        assert_eq!((record.v, event::VERSION), (1, 1), "a new version needs samples of its own");
        is_known(&record.event);
        names.insert(record.event.name());
        assert_eq!(serde_json::to_string(&record).unwrap(), line, "decoding loses nothing");
    }
    assert_eq!(names.len(), EVENTS, "every event has a sample: {names:?}");
}

#[test]
fn the_name_of_an_event_is_its_type_on_the_wire() {
    for line in V1.lines() {
        let record: event::Record = serde_json::from_str(line).expect(line);
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["event"]["type"], record.event.name());
    }
}

#[test]
fn a_stored_run_of_version_1_decodes_and_goes_on() {
    let run: Run = serde_json::from_str(include_str!("samples/run_v1.json")).unwrap();
    let (next, _) = apply(&run, &Event::Stopped, run.progress_at).expect("it was asked to stop");
    assert!(next.is_terminal());
}
