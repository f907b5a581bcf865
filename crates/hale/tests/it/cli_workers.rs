//! Workers from the command line, against a real server that keeps processes of its own.

use crate::cli_world::World;
use crate::world::until;
use serde_json::Value;
use std::time::Duration;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn list(world: &World) -> Value {
    json(&world.expect(0, &["workers", "list", "--json"]).out)
}

fn live(world: &World) -> Vec<String> {
    let list = list(world);
    let items = list["items"].as_array().unwrap().iter();
    items
        .filter(|worker| worker["status"] == "live")
        .map(|worker| worker["id"].as_str().unwrap().to_owned())
        .collect()
}

// covers: AO-28, AO-32, AO-33, AO-97, AO-137, AO-138, AO-139, AO-140, AO-141, AO-142, AX-110, AX-113, AX-135
#[test]
fn the_procedure_drain_and_restart_runs_from_the_command_line() {
    let world = World::new();
    world.write("hale.toml", "[worker]\nembedded = false\nprocesses = 1\n");
    world.up();
    let scaled = json(&world.expect(0, &["workers", "scale", "2", "--json"]).out);
    assert_eq!((&scaled["wanted"], &scaled["live"]), (&Value::from(2), &Value::from(2)), "{scaled}");
    let before = live(&world);
    assert_eq!(before.len(), 2);
    let told = world.expect(0, &["workers", "list"]);
    assert!(told.out.contains("keeps 2 worker processes, as an operator set"), "{}", told.out);
    assert!(told.out.contains("PROGRESS") && told.out.contains("0/5"), "{}", told.out);

    // 1. Drain: they take nothing new. 2. Wait for work in progress.
    let drained = world.expect(0, &["workers", "drain", "--all", "--wait", "30s"]);
    assert!(drained.out.contains("0 runs in hand"), "{drained:?}");
    assert!(live(&world).is_empty());
    let waits = world.expect(0, &["run", "hello", "--input", "name=Ada", "--detach"]);
    // 3. Restart, 4. until it is done. 5. Take the drain away. 6. Verify.
    let restarted = json(&world.expect(0, &["workers", "restart", "--all", "--json"]).out);
    assert_eq!(restarted["seats"].as_array().unwrap().len(), 2, "{restarted}");
    world.expect(0, &["workers", "resume", "--all"]);
    let after = live(&world);
    assert!(after.len() == 2 && after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
    world.expect(0, &["runs", "watch", waits.out.trim()]);
    // The probes of the start may have come before the processes joined.
    until("the status is healthy", Duration::from_secs(10), || {
        let status = world.hale(&["status"]);
        (status.code == 0 && status.out.contains("2 live")).then_some(())
    });

    let ended = world.expect(0, &["workers", "list", "--all"]);
    assert!(ended.out.contains("it ended in order, as it was asked to"), "{}", ended.out);
    let shown = world.expect(0, &["workers", "show", &before[0]]);
    assert!(shown.out.contains("exit code") && shown.out.contains("certainty"), "{}", shown.out);

    world.expect(0, &["workers", "limits", "1", "--slots", "7"]);
    let limited = world.expect(0, &["workers", "limits", "1"]);
    assert!(limited.out.contains("has 7 slots, 0 busy"), "{}", limited.out);
    world.expect(0, &["operations", "undo", scaled["operation"].as_str().unwrap()]);
    let back = json(&world.expect(0, &["workers", "scale", "--reset", "--json"]).out);
    assert_eq!((&back["wanted"], &back["live"]), (&Value::from(1), &Value::from(1)), "{back}");
}

// covers: AO-30
#[test]
fn what_cannot_be_is_refused_with_what_why_and_the_next_command() {
    let world = World::new();
    world.up();
    for (code, args) in [
        (6, &["workers", "scale", "65"][..]),
        (2, &["workers", "scale"]),
        (3, &["workers", "restart", "9"]),
        (5, &["workers", "restart", "embedded"]),
        (5, &["workers", "restart", "--all"]),
        (3, &["workers", "show", "wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ"]),
        (3, &["workers", "drain", "nobody"]),
        (6, &["workers", "limits", "embedded", "--slots", "0"]),
        (6, &["workers", "limits", "embedded", "--slots", "1025"]),
        (2, &["workers", "drain"]),
        (6, &["up", "--workers", "65"]),
    ] {
        let refused = world.expect(code, args);
        assert!(refused.err.contains("hint") || code == 2, "{args:?}: {}", refused.err);
    }
    let embedded = world.expect(0, &["workers", "limits", "embedded", "--slots", "2"]);
    assert!(embedded.err.contains("hale operations undo"), "{}", embedded.err);
    assert_eq!(list(&world)["items"][0]["slots"], 2);
}
