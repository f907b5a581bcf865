//! An operation over many runs survives SIGKILL of its server in the middle: it goes on where it stood, and acts on no
//! run twice.
//!
//! The judge is what clients see: each old run has exactly one run after it, and the operation names that one.

use crate::world::{World, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Enough for several batches; the kill must find some of them done and others not.
const RUNS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(60);

const BRITTLE: &str = "\
---
name: brittle
version: 1.0.0
description: Fails at its first refused call.
retry: { max: 0 }
---
Answer with one sentence.
";

fn begun(world: &World, path: &str, body: &Value) -> String {
    let answer = world.http().post(path, body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn bulk(world: &World, id: &str) -> Value {
    let answer = world.http().get(&format!("/api/v1/operations/{id}")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["bulk"].clone()
}

/// Kills the server while the operation is in its middle; tells how far it was.
fn killed_in_the_middle(world: &mut World, id: &str) -> u64 {
    let done = until("the operation is in its middle", PATIENCE, || {
        let done = bulk(world, id)["done"].as_u64().unwrap();
        (done > 0).then_some(done)
    });
    world.kill_server();
    assert!(done < RUNS as u64, "the kill came too late: all {done} were done");
    done
}

fn over(world: &World, id: &str) -> Value {
    until("the operation ends", PATIENCE, || {
        let bulk = bulk(world, id);
        (bulk["state"] == "done").then_some(bulk)
    })
}

/// The new run of each old one, by the operation's items.
fn made(world: &World, id: &str) -> BTreeMap<String, String> {
    let items = world.http().get(&format!("/api/v1/operations/{id}/items?limit=1000")).unwrap().json();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    items["items"].as_array().unwrap().iter().map(|item| (text(item, "run"), text(item, "detail"))).collect()
}

/// Every run that follows another one, by the one it follows.
fn followers(world: &World) -> BTreeMap<String, Vec<String>> {
    let mut followers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in world.runs() {
        if let Some(old) = run["retry_of"].as_str() {
            let new = run["id"].as_str().unwrap().to_owned();
            followers.entry(old.to_owned()).or_default().push(new);
        }
    }
    followers
}

fn dead_letters(world: &mut World) {
    let path = world.path("packs").join("brittle.md");
    std::fs::write(&path, BRITTLE).unwrap();
    let before = std::time::SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
    world.model_does(&json!({"fault": {"kind": "key_refused"}}));
    world.up();
    let mut http = world.http();
    for _ in 0..RUNS {
        let answer = http.post("/api/v1/runs", &json!({"pack": "brittle"})).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    world.settle(PATIENCE);
    let groups = http.get("/api/v1/dlq/groups").unwrap().json();
    assert_eq!(groups["total"], RUNS, "each run is one letter: {groups:#}");
}

// covers: AO-153
#[test]
fn a_bulk_redrive_that_is_killed_in_the_middle_runs_each_letter_again_once() {
    let mut world = World::new();
    dead_letters(&mut world);
    let id = begun(&world, "/api/v1/dlq/redrive", &json!({"filter": "pack:brittle"}));
    let at = killed_in_the_middle(&mut world, &id);
    world.up();
    let bulk = over(&world, &id);
    println!("killed at {at} of {RUNS}; {bulk}");
    assert_eq!((&bulk["done"], &bulk["left"], &bulk["failed"]), (&json!(RUNS), &json!(0), &json!(0)));
    world.settle(PATIENCE);
    let (made, followers) = (made(&world, &id), followers(&world));
    assert_eq!((made.len(), followers.len()), (RUNS, RUNS));
    for (old, new) in &made {
        assert_eq!(followers[old], std::slice::from_ref(new), "one run after {old}");
        let letter = world.http().get(&format!("/api/v1/dlq/{old}")).unwrap().json();
        assert_eq!(letter["letter"]["resolution"], format!("redriven as {new}"));
    }
    // They died again, each is a letter of its own, and the old ones wait no more.
    let groups = world.http().get("/api/v1/dlq/groups").unwrap().json();
    assert_eq!(groups["total"], RUNS);
}
