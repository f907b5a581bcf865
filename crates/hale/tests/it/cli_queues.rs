//! Queues and schedules from the command line, against a real server.

use crate::cli_world::World;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// covers: AO-145, AO-149, AO-150, AO-151, AO-152, AO-189
#[test]
fn the_procedure_of_queue_recovery_runs_from_the_command_line() {
    let world = World::new();
    world.write("hale.toml", "[worker]\nembedded = false\n");
    world.up();
    for _ in 0..3 {
        world.expect(0, &["run", "hello", "--input", "name=Ada", "--detach"]);
    }
    world.expect(0, &["run", "hello", "--input", "name=Ada", "--in", "1h", "--detach"]);
    let list = world.expect(0, &["queues", "list"]);
    assert!(list.out.contains("no live worker takes from it"), "{}", list.out);
    assert!(list.out.contains("1 runs wait for their time"), "{}", list.out);
    let queues = json(&world.expect(0, &["queues", "list", "--json"]).out);
    assert_eq!(queues["items"][0]["depth"], 3);
    let shown = world.expect(0, &["queues", "show", "default"]);
    assert!(shown.out.contains("normal") && shown.out.contains("hello"), "{}", shown.out);
    let peeked = json(&world.expect(0, &["queues", "peek", "default", "-n", "2", "--json"]).out);
    assert_eq!(peeked["items"].as_array().unwrap().len(), 2);
    world.expect(0, &["queues", "weights", "default", "--high", "6", "--normal", "3", "--low", "2"]);
    world.expect(0, &["queues", "limit", "hello", "--concurrency", "3", "--rate", "10/s"]);
    let limits = world.expect(0, &["queues", "limit"]);
    assert!(limits.out.contains("3 at a time, 10/s"), "{}", limits.out);
    world.expect(0, &["queues", "limit", "hello", "--clear"]);
    world.expect(0, &["queues", "drain", "default"]);
    world.expect(0, &["queues", "resume", "default"]);
    let stuck = ["queues", "move-stuck", "default", "--older-than", "1h"];
    let unsaid = world.expect(2, &stuck);
    assert!(unsaid.err.contains("--dry-run"), "{}", unsaid.err);
    let dry = world.expect(0, &[&stuck[..], &["--dry-run"]].concat());
    assert!(dry.out.contains("would move to the dead letters: 0 runs"), "{}", dry.out);
    world.expect(2, &["queues", "purge", "default"]);
    let purged = world.expect(0, &["queues", "purge", "--pack", "hello", "--confirm"]);
    assert!(
        purged.out.contains("cancelled: 4 of 4 runs") && purged.err.contains("hale runs retry"),
        "{purged:?}"
    );
    let queues = json(&world.expect(0, &["queues", "list", "--json"]).out);
    assert_eq!((&queues["items"][0]["depth"], &queues["delayed"]), (&Value::from(0), &Value::from(0)));
    world.expect(3, &["queues", "show", "nowhere"]);
    world.expect(6, &["worker", "--queues", "Bad Name"]);
}

#[test]
fn a_schedule_is_steered_from_the_command_line() {
    let world = World::new();
    world.up();
    let line = ["schedules", "create", "nightly", "--pack", "hello", "--cron", "0 3 * * *"];
    let made = world.expect(0, &[&line[..], &["--tz", "Europe/Berlin", "--input", "name=Ada"]].concat());
    assert!(made.out.contains("schedule nightly fires next at"), "{}", made.out);
    let list = world.expect(0, &["schedules", "list"]);
    assert!(list.out.contains("0 3 * * *") && list.out.contains("Europe/Berlin"), "{}", list.out);
    let next = world.expect(0, &["schedules", "next", "nightly", "-n", "4"]);
    assert_eq!(next.out.lines().count(), 4, "{}", next.out);
    let run = world.expect(0, &["schedules", "trigger", "nightly"]);
    world.expect(0, &["runs", "watch", run.out.trim()]);
    world.expect(0, &["schedules", "pause", "nightly"]);
    world.expect(5, &["schedules", "pause", "nightly"]);
    world.expect(0, &["schedules", "resume", "nightly"]);
    let shown = world.expect(0, &["schedules", "show", "nightly"]);
    assert!(shown.out.contains("1 started, 0 skipped, 0 missed"), "{}", shown.out);
    world.expect(0, &["schedules", "delete", "nightly"]);
    world.expect(3, &["schedules", "show", "nightly"]);
    let bad = world.expect(
        6,
        &["schedules", "create", "x", "--pack", "hello", "--input", "name=Ada", "--cron", "0 25 * * *"],
    );
    assert!(bad.err.contains("field 2 (hour)") && bad.err.contains("0 3 * * *"), "{}", bad.err);
}
