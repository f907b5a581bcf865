//! A worker that is stopped for longer than its lease and wakes up: its late write is refused, and that is recorded.

use crate::world::{World, order, submit, until};
use hale_lab::history::check;
use serde_json::{Value, json};
use std::time::Duration;

/// A lease is 15 s; a loaded machine needs some more until the next look.
const TAKEN_OVER: Duration = Duration::from_secs(40);

fn run_now(world: &World, id: &str) -> Value {
    world.http().get(&format!("/api/v1/runs/{id}")).unwrap().json()
}

fn events(world: &World, id: &str) -> Vec<Value> {
    let history = world.http().get(&format!("/api/v1/runs/{id}/history")).unwrap().json();
    history["records"].as_array().unwrap().iter().map(|record| record["event"].clone()).collect()
}

fn fenced_writes(world: &World) -> f64 {
    let metrics = world.http().get("/metrics").unwrap().text;
    let line = metrics.lines().find(|line| line.starts_with("hale_writes_fenced_total"));
    let line = line.unwrap_or_else(|| panic!("no hale_writes_fenced_total in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_worker_stopped_for_longer_than_its_lease_cannot_write() {
    let mut world = World::new();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false"));
    // The first worker's call takes long enough to be stopped in the middle of it.
    world.model_does(
        &json!({"fault": {"kind": "slow", "first_token_ms": 3000, "per_chunk_ms": 0}, "count": 1}),
    );
    let sleeper = world.worker();
    let mut asked = order("hello", "Ada");
    let taken = submit(&mut world.http(), &mut asked).unwrap();
    assert_eq!(taken.status, 202, "{}", taken.text);
    let id = asked.receipts[0]["id"].as_str().unwrap().to_owned();
    let calls = until("the model is asked", Duration::from_secs(20), || {
        let (calls, _) = world.calls();
        (!calls.is_empty()).then_some(calls.len())
    });
    assert_eq!(calls, 1);
    let holder = run_now(&world, &id)["worker"].as_str().unwrap().to_owned();
    sleeper.signal(libc::SIGSTOP);
    let _second = world.worker();
    let ended = until("the second worker ends the run", TAKEN_OVER, || {
        let run = run_now(&world, &id);
        (!run["ended_at"].is_null()).then_some(run)
    });
    assert_eq!((&ended["state"], &ended["epoch"]), (&json!("COMPLETED"), &json!(2)), "{ended:#}");
    let lost = events(&world, &id).into_iter().find(|event| event["type"] == "lease_lost");
    assert_eq!(lost.expect("the lease was lost")["worker"], json!(holder));
    assert_eq!(fenced_writes(&world), 0.0, "nothing was refused yet");
    let before = run_now(&world, &id);
    sleeper.signal(libc::SIGCONT);
    let fenced = until("the late write is refused", Duration::from_secs(20), || {
        events(&world, &id).into_iter().find(|event| event["type"] == "fenced")
    });
    assert_eq!((&fenced["worker"], &fenced["epoch"]), (&json!(holder), &json!(1)), "{fenced}");
    assert!(fenced_writes(&world) >= 1.0);
    let after = run_now(&world, &id);
    for field in ["state", "output", "ended_at", "epoch", "steps"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let observed = world.observe(vec![asked], Vec::new());
    let violations = check(&observed);
    assert!(violations.is_empty(), "{violations:#?}");
}
