//! Journals are kept for ever: a checked-in record of every event in every version must decode.
//!
//! A file of samples is never edited; a change of shape gets a version and a file of its own, with every event.
//! Read next: `crates/hale-core/src/run/event.rs`.

use hale_core::run::{Event, Run, apply, event};
use std::collections::BTreeSet;

const SAMPLES: [(u32, &str); 2] =
    [(1, include_str!("samples/v1.jsonl")), (event::VERSION, include_str!("samples/v2.jsonl"))];

/// Every event that there is; a new one fails to compile here until it is in the samples.
fn is_known(event: &Event) {
    match event {
        Event::Accepted { .. }
        | Event::Forked { .. }
        | Event::Awaiting { .. }
        | Event::Awaited { .. }
        | Event::Routed { .. }
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
const EVENTS: usize = 23;

fn lines() -> impl Iterator<Item = (u32, &'static str)> {
    SAMPLES.into_iter().flat_map(|(version, samples)| samples.lines().map(move |line| (version, line)))
}

#[test]
fn every_sample_decodes_and_is_written_the_same() {
    for (version, line) in lines() {
        let record: event::Record = serde_json::from_str(line).expect(line);
        assert_eq!(record.v, version);
        is_known(&record.event);
        assert_eq!(serde_json::to_string(&record).unwrap(), line, "decoding loses nothing");
    }
}

#[test]
fn every_event_has_a_sample_of_the_present_version() {
    let present = lines().filter(|(version, _)| *version == event::VERSION);
    let names: BTreeSet<String> = present
        .map(|(_, line)| serde_json::from_str::<event::Record>(line).unwrap().event.name().to_owned())
        .collect();
    assert_eq!(names.len(), EVENTS, "{names:?}");
}

#[test]
fn the_name_of_an_event_is_its_type_on_the_wire() {
    for (_, line) in lines() {
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
