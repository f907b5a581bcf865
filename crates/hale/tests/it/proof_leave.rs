//! A worker process that is told to end gives back what it cannot finish: another one goes on at once.

use crate::world::{World, order, submit, until};
use hale_lab::history::check;
use serde_json::{Value, json};
use std::time::Duration;

fn get(world: &World, path: &str) -> Value {
    world.http().get(path).unwrap().json()
}

#[test]
fn a_worker_that_is_terminated_gives_its_run_to_another_without_waiting_for_the_lease() {
    let mut world = World::new();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false"));
    // Far longer than the grace period of the first worker.
    world.model_does(
        &json!({"fault": {"kind": "slow", "first_token_ms": 45_000, "per_chunk_ms": 0}, "count": 1}),
    );
    let mut leaving = world.worker_with(&["--grace", "300ms"]);
    let mut asked = order("hello", "Ada");
    assert_eq!(submit(&mut world.http(), &mut asked).unwrap().status, 202);
    let id = asked.receipts[0]["id"].as_str().unwrap().to_owned();
    until("the model is asked", Duration::from_secs(20), || (world.calls().1 == 1).then_some(()));
    let holder = get(&world, &format!("/api/v1/runs/{id}"))["worker"].as_str().unwrap().to_owned();
    let _second = world.worker();
    until("a second worker is live", Duration::from_secs(20), || {
        (get(&world, "/api/v1/workers")["items"].as_array().unwrap().len() == 2).then_some(())
    });
    leaving.signal(libc::SIGTERM);
    let ended = until("another worker ends the run", Duration::from_secs(30), || {
        let run = get(&world, &format!("/api/v1/runs/{id}"));
        (!run["ended_at"].is_null()).then_some(run)
    });
    assert_eq!((&ended["state"], &ended["epoch"]), (&json!("COMPLETED"), &json!(2)), "{ended:#}");
    let history = get(&world, &format!("/api/v1/runs/{id}/history"));
    let records = history["records"].as_array().unwrap();
    let at = |kind: &str, nth: usize| {
        let found = records.iter().filter(|record| record["event"]["type"] == kind).nth(nth);
        found.unwrap_or_else(|| panic!("no {kind} in {history:#}")).clone()
    };
    let (released, leased) = (at("released", 0), at("leased", 1));
    assert_eq!(released["event"]["worker"], json!(holder));
    assert!(records.iter().all(|record| record["event"]["type"] != "lease_lost"), "{history:#}");
    // A lease is 15 s; a loaded machine needs some of that.
    let waited = leased["at"].as_i64().unwrap() - released["at"].as_i64().unwrap();
    assert!((0..5_000).contains(&waited), "taken over after {waited} ms");
    until("the first worker has ended", Duration::from_secs(20), || leaving.ended());
    let workers = get(&world, "/api/v1/workers");
    assert_eq!(workers["items"].as_array().unwrap().len(), 1, "it said that it leaves: {workers:#}");
    let violations = check(&world.observe(vec![asked], Vec::new()));
    assert!(violations.is_empty(), "{violations:#?}");
}
