//! Where a run's time went, by its journal.
//!
//! Read next: `crates/hale-core/src/run/profile.rs`.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::WorkerId;
use hale_core::retry::RetryClass;
use hale_core::run::profile::Profile;
use hale_core::run::{Event, Record, Step, StepKind};
use hale_core::time::{Millis, Timestamp};
use serde_json::json;

const WORKER: WorkerId = WorkerId(7);

fn step(index: u32, kind: StepKind, name: &str, took: u64) -> Event {
    let step = Step {
        index,
        attempt: 1,
        kind,
        name: name.to_owned(),
        request: json!({}),
        result: json!({}),
        took: Millis(took),
        waiting_on: String::new(),
        usage: Some(hale_core::run::Usage { input_tokens: 10, output_tokens: 5 }),
        is_error: false,
    };
    Event::StepEnded { step: Box::new(step) }
}

fn failed(took: u64) -> Event {
    Event::StepFailed {
        index: 1,
        attempt: 1,
        kind: StepKind::Model,
        name: "sim/small".to_owned(),
        took: Millis(took),
        failure: Box::new(Failure::new(Code::E006, "llm.rate_limited", "provider:sim", "call")),
        policy: RetryClass::Model.policy(),
        chance: 0,
    }
}

fn journal(events: Vec<(i64, Event)>) -> Vec<Record> {
    let record = |(seq, (at, event)): (u64, (i64, Event))| Record { v: 2, seq, at: Timestamp(at), event };
    (1u64..).zip(events).map(record).collect()
}

#[test]
fn every_part_of_a_runs_time_is_told_once() {
    let first = samples_accepted();
    let records = journal(vec![
        (1000, first),
        (1300, Event::Leased { worker: WORKER, epoch: 1 }),
        (1310, Event::Initialized),
        (1510, step(0, StepKind::Model, "sim/small", 200)),
        (1610, failed(100)),
        (2610, Event::Woken),
        (2660, Event::Leased { worker: WORKER, epoch: 2 }),
        (2661, Event::Initialized),
        (2961, step(1, StepKind::Model, "sim/small", 290)),
        (3011, step(2, StepKind::Tool, "files.read", 50)),
        (3020, Event::Completing { artifacts: Vec::new() }),
        (3030, Event::Completed { output: json!({}) }),
    ]);
    let profile = Profile::of(&records);
    assert_eq!((profile.total, profile.queued, profile.starting), (Millis(2030), Millis(350), Millis(11)));
    assert_eq!(
        (profile.failed, profile.waiting, profile.completing),
        (Millis(100), Millis(1000), Millis(10))
    );
    let model = profile.kinds["model"];
    assert_eq!((model.count, model.took, model.longest), (2, Millis(490), Millis(290)));
    assert_eq!(profile.names["files.read"].took, Millis(50));
    assert_eq!((profile.input_tokens, profile.output_tokens), (30, 15));
    let told: u64 = profile.parts().iter().map(|(_, took)| took.0).sum();
    assert_eq!(told, profile.total.0, "the parts are the whole: {:?}", profile.parts());
    assert_eq!(profile.parts()[0].0, "waits", "the longest first");
}

#[test]
fn the_time_of_a_wait_is_not_that_of_its_step_too() {
    let records = journal(vec![
        (0, samples_accepted()),
        (0, Event::Leased { worker: WORKER, epoch: 1 }),
        (0, Event::Initialized),
        (5000, step(0, StepKind::Timer, "sleep", 5000)),
    ]);
    let profile = Profile::of(&records);
    assert!(profile.kinds.is_empty(), "{profile:?}");
    assert_eq!(Profile::of(&[]), Profile::default());
}

fn samples_accepted() -> Event {
    let line = include_str!("samples/v2.jsonl").lines().find(|line| line.contains("\"accepted\""));
    serde_json::from_str::<Record>(line.expect("a line")).expect("a record").event
}
