//! Delegation and approvals from the command line, with the packs that stand in `packs/` and the simulated model.

use crate::cli_world::World;
use serde_json::Value;
use std::time::{Duration, Instant};

const PACKS: [(&str, &str); 2] = [
    ("research-pack.md", include_str!("../../../../packs/research-pack.md")),
    ("research-desk.md", include_str!("../../../../packs/research-desk.md")),
];

fn world() -> World {
    let world = World::new();
    world.up();
    for (name, text) in PACKS {
        world.write(name, text);
        world.expect(0, &["packs", "deploy", name]);
    }
    world
}

/// A run of the desk that stands at its question.
fn asking(world: &World) -> String {
    let did =
        world.expect(0, &["run", "research-desk", "--input", "question=why?", "--detach", "-o", "name"]);
    let id = did.out.trim().to_owned();
    let begun = Instant::now();
    while !world.expect(0, &["approvals", "list", "-o", "name"]).out.contains(&id) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{id} does not ask");
        std::thread::sleep(Duration::from_millis(50));
    }
    id
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_person_approves_and_the_desk_has_it_researched() {
    let world = world();
    let id = asking(&world);
    let list = world.expect(0, &["approvals", "list"]);
    assert!(list.out.contains(r#"pack:research-pack {"question":"why?"}"#), "{}", list.out);
    assert!(world.expect(0, &["status"]).out.contains("1 wait for a person: hale approvals list"));
    let shown = world.expect(0, &["approvals", "show", &id]);
    for part in ["the exact call:", r#""question": "why?""#, &format!("hale approvals approve {id}")] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let effect = json(&world.expect(0, &["approvals", "show", &id, "--json"]).out);
    assert_eq!(effect["effect"]["tool"], "pack:research-pack");
    let page = world.expect(0, &["runs", "show", &id]).out;
    assert!(page.contains("a person: pack:research-pack"), "{page}");
    let approved = world.expect(0, &["approvals", "approve", &id, "--reason", "worth it"]);
    assert!(approved.err.contains("the exact call:"), "{}", approved.err);
    world.expect(0, &["runs", "watch", &id, "--wait", "30s"]);
    let run = json(&world.expect(0, &["runs", "show", &id, "--json"]).out);
    assert_eq!(
        (run["state"].as_str(), run["children"][0]["pack"].as_str()),
        (Some("COMPLETED"), Some("research-pack"))
    );
    let child = run["children"][0]["id"].as_str().unwrap();
    let page = world.expect(0, &["runs", "show", child]).out;
    assert!(page.contains(&format!("{id}, its step 3")), "{page}");
    let history = world.expect(0, &["runs", "history", &id]).out;
    for part in [
        "waits for a person",
        "approved by local: worth it",
        &format!("waits for {child}"),
        "ended COMPLETED",
    ] {
        assert!(history.contains(part), "{part}: {history}");
    }
    assert!(world.expect(0, &["operations", "list"]).out.contains("approvals.approve"));
    world.expect(5, &["approvals", "approve", &id, "--yes"]);
    world.expect(5, &["approvals", "show", &id]);
}

#[test]
fn a_person_denies_and_the_desk_goes_on_without() {
    let world = world();
    let id = asking(&world);
    world.expect(0, &["approvals", "deny", &id, "--reason", "no budget"]);
    world.expect(0, &["runs", "watch", &id, "--wait", "30s"]);
    let run = json(&world.expect(0, &["runs", "show", &id, "--json"]).out);
    assert_eq!((run["state"].as_str(), run.get("children")), (Some("COMPLETED"), None));
    assert!(run["output"]["answer"].as_str().unwrap().contains("no budget"), "{}", run["output"]);
    world.expect(3, &["approvals", "deny", "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ"]);
    let empty = world.expect(0, &["approvals", "list"]);
    assert!(empty.err.contains("no run waits for a person"), "{}", empty.err);
}
