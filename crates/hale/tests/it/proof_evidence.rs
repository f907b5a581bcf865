//! Evidence that crosses a border between processes: calls of a worker reach the server's doctor, and what a server
//! saw before SIGKILL is there for the doctor who comes after it.

use crate::world::{World, order, submit, until};
use hale_engine::recorder;
use serde_json::{Value, json};
use std::process::Output;
use std::time::Duration;

fn doctor(world: &World, more: &[&str]) -> Output {
    world.program().args(["doctor", "--data"]).arg(&world.data).args(more).output().unwrap()
}

fn findings(world: &World) -> Vec<Value> {
    let said = doctor(world, &["--json"]);
    let said: Value =
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    said["verdict"]["findings"].as_array().unwrap_or_else(|| panic!("{said:#}")).clone()
}

fn limit_the_model(world: &mut World) {
    world.model_does(&json!({"fault": {"kind": "rate_limit", "retry_after": 1}}));
}

#[test]
fn a_rate_limit_that_only_a_worker_process_meets_is_named_by_the_servers_doctor() {
    let mut world = World::new();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false"));
    let _worker = world.worker();
    limit_the_model(&mut world);
    assert!(findings(&world).is_empty(), "nothing has happened yet");
    let taken = submit(&mut world.http(), &mut order("hello", "Ada")).unwrap();
    assert_eq!(taken.status, 202, "{}", taken.text);
    let finding = until("the doctor names it", Duration::from_secs(20), || findings(&world).pop());
    assert!(!world.calls().0.is_empty(), "the model was asked, or the fault took no effect");
    assert_eq!(finding["code"], "llm.rate_limited", "{finding:#}");
    assert_eq!(doctor(&world, &[]).status.code(), Some(11));
}

#[test]
fn what_a_killed_server_saw_last_is_told_by_the_doctor_without_it() {
    let mut world = World::new();
    world.up();
    limit_the_model(&mut world);
    submit(&mut world.http(), &mut order("hello", "Ada")).unwrap();
    until("the model limits the call", Duration::from_secs(20), || findings(&world).pop());
    let pid = world.server.as_ref().unwrap().pid();
    world.kill_server();
    let said = doctor(&world, &[]);
    let told = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(69), "{told}");
    assert!(told.contains("its last lines before it went away:"), "{told}");
    let ring = recorder::read(&recorder::path(&world.data)).unwrap();
    assert_eq!((ring[0].kind.as_str(), &ring[0].text), ("start", &format!("process {pid} started")));
    assert!(told.contains("log  ERROR [run_id=run_"), "{told}");
    assert!(told.contains("Failed to connect to external API: provider:sim"), "{told}");
    assert!(!told.contains("drained"), "it had no time for that: {told}");
    assert_eq!(recorder::read(&recorder::path(&world.data)).unwrap(), ring, "looking changes nothing");
}
