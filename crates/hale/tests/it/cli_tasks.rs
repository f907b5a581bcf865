//! Tasks and arms at the command line, against a server of its own with the arms that come with hale.

use crate::cli_world::World;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// covers: OL-114, OL-117
#[test]
fn the_arms_that_come_with_hale_take_tasks_and_say_why() {
    let world = World::new();
    world.up();
    let none = world.expect(5, &["tasks", "start", "--goal", "Write a Python function"]);
    assert!(none.err.contains("hale arms install"), "{}", none.err);
    let installed = json(&world.expect(0, &["arms", "install", "--json"]).out);
    let names: Vec<&str> =
        installed["items"].as_array().unwrap().iter().map(|pack| pack["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["planner", "executor", "coder", "judge", "guardian", "retriever"]);
    assert!(world.expect(0, &["arms", "install"]).out.contains("unchanged"), "twice changes nothing");
    let misspelt = world.expect(3, &["arms", "install", "codr"]);
    assert!(misspelt.err.contains("hale arms install coder"), "{}", misspelt.err);

    let listed = world.expect(0, &["arms", "list"]);
    assert_eq!(listed.out.matches("healthy").count(), 6, "{}", listed.out);
    assert!(world.expect(0, &["arms", "show", "planner"]).out.contains("break down"));
    let scored = world.expect(0, &["arms", "score", "--goal", "Write a Python function"]);
    assert!(
        scored.out.contains("keyword \"python\" +10, keyword \"function\" +10")
            || scored.out.contains("keyword \"function\" +10, keyword \"python\" +10"),
        "{}",
        scored.out
    );
    assert!(scored.out.starts_with("coder takes it"), "{}", scored.out);
    let quiet = world.expect(0, &["arms", "check-conflicts"]);
    assert!(quiet.err.contains("no two arms tie"), "{}", quiet.err);

    let dry = world.expect(
        0,
        &[
            "tasks",
            "start",
            "--goal",
            "Plan the move",
            "--require",
            "No network calls",
            "--prefer",
            "speed=fast",
            "--dry-run",
        ],
    );
    assert!(dry.out.starts_with("planner takes it") && dry.out.contains("gave up speed=fast"), "{}", dry.out);
    assert_eq!(json(&world.expect(0, &["runs", "list", "--json"]).out)["items"], serde_json::json!([]));

    let task = world.expect(0, &["tasks", "start", "--goal", "Write a Python function", "--detach"]);
    let id = task.out.trim();
    assert!(id.starts_with("run_"), "{}", task.out);
    world.expect(0, &["runs", "watch", id]);
    let shown = world.expect(0, &["tasks", "show", id]);
    assert!(
        shown.out.contains("coder takes it") && shown.out.contains("Write a Python function"),
        "{}",
        shown.out
    );
    let why = world.expect(0, &["why", id]);
    assert!(why.out.contains("why this arm") && why.out.contains("coder takes it"), "{}", why.out);
    let nothing = world.expect(6, &["tasks", "start", "--goal", " "]);
    assert!(nothing.err.contains("goal"), "{}", nothing.err);
}

// covers: OL-123, OL-125, OL-126
#[test]
fn an_arm_registers_at_the_command_line_and_leaves() {
    let world = World::new();
    world.up();
    let registered =
        world.expect(0, &["arms", "register", "mailer", "--at", "http://127.0.0.1:9", "--keyword", "mail"]);
    assert!(registered.err.contains("no tasks until it is healthy"), "{}", registered.err);
    let refused = world.expect(5, &["tasks", "start", "--goal", "mail it"]);
    assert!(refused.err.contains("mailer 0 (unhealthy"), "{}", refused.err);
    let outside = world.expect(4, &["arms", "register", "far", "--at", "http://192.0.2.1"]);
    assert!(outside.err.contains("arms.allow"), "{}", outside.err);
    let log = world.expect(0, &["logs", "-n", "200"]).out;
    assert!(log.contains("Successfully registered with orchestrator"), "{log}");
    assert!(log.contains("Failed to register with orchestrator"), "{log}");
    assert!(log.contains("routing failed"), "{log}");
    world.expect(0, &["arms", "deregister", "mailer"]);
    world.expect(5, &["arms", "deregister", "mailer"]);
    assert!(world.expect(0, &["arms", "list"]).out.contains("disabled"));
    world.expect(0, &["arms", "register", "mailer"]);
    world.expect(3, &["arms", "show", "nobody"]);
}
