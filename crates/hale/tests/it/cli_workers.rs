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
    assert!(told.out.contains("keeps 2 worker processes, as an operator set; 2 of 2 are live"));
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

// covers: AO-183, AO-193, AX-09, AX-11, AX-12, AX-19, AX-109, AX-114, AX-136, AO-31, AO-69, AO-108, AO-182, CX-54
#[test]
fn a_crash_is_seen_told_and_recovered_from_and_the_number_of_workers_goes_up_and_down() {
    let world = World::new();
    world.write("hale.toml", "[worker]\nembedded = false\n");
    world.up();
    let wanted = |args: &[&str], n: u64| {
        let scaled = json(&world.expect(0, &[&["workers", "scale", "--json"], args].concat()).out);
        assert_eq!((&scaled["wanted"], &scaled["live"]), (&Value::from(n), &Value::from(n)), "{scaled}");
    };
    for (args, n) in [(["4"], 4), (["2"], 2), (["+1"], 3), (["-1"], 2)] {
        wanted(&args, n);
    }
    let below = world.expect(6, &["workers", "scale", "-3"]);
    assert!(below.err.contains("fewer than none"), "{}", below.err);
    world.expect(2, &["workers", "scale", "two"]);

    // One crashes: the end is told with its meaning beside how many there should be, and another takes its seat.
    let workers = list(&world)["items"].as_array().unwrap().clone();
    // What each uses, and what the machine has left.
    assert!(workers.iter().all(|worker| worker["memory_bytes"].as_u64() > Some(1 << 20)), "{workers:?}");
    assert!(workers.iter().all(|worker| worker["cpu_ms"].is_u64()), "{workers:?}");
    let machine = json(&world.hale(&["status", "--json"]).out)["machine"].clone();
    assert!(machine["memory_available_bytes"].as_u64() < machine["memory_bytes"].as_u64(), "{machine}");
    assert!(machine["cpus"].as_u64() >= Some(1) && machine["load_1m"].is_f64(), "{machine}");
    let (pid, seat) = (workers[0]["pid"].as_i64().unwrap(), workers[0]["seat"].clone());
    // Twice: the first one only takes the handler away that Rust has for overflows of the stack.
    let kill = format!("kill -SEGV {pid} && sleep 0.2 && kill -SEGV {pid}");
    assert!(world.program("sh").args(["-c", &kill]).status().unwrap().success());
    let told = until("its end is told", Duration::from_secs(20), || {
        let told = list(&world);
        let newest =
            told["events"].as_array().unwrap().iter().find(|event| event["alarming"] == true)?.clone();
        (told["items"].as_array().unwrap().len() == 2).then_some((told, newest))
    });
    let (list, end) = told;
    assert_eq!((&end["seat"], &end["worker"]), (&seat, &workers[0]["id"]), "{end}");
    assert_eq!((&list["wanted"], list["seats"][0]["state"].as_str()), (&Value::from(2), Some("taken")));
    let shown = world.expect(0, &["workers", "list"]).out;
    assert!(shown.contains("2 of 2 are live") && shown.contains("last events"), "{shown}");
    let ended = world.expect(0, &["workers", "show", workers[0]["id"].as_str().unwrap()]).out;
    assert!(ended.contains("139") && ended.contains("SIGSEGV"), "{ended}");
    // Verify, in the lines that a runbook wants.
    let lines = until("all is well again", Duration::from_secs(20), || {
        let status = world.hale(&["status", "--components"]);
        (status.code == 0 && status.out.contains("(2/2 live)")).then_some(status.out)
    });
    let expected = "orchestrator: healthy\nworker: healthy (2/2 live)\nqueue: healthy (depth: 0)\nartifacts: healthy\nregistry: healthy\n";
    assert_eq!(lines, expected);
    // Their polls come by the clock and are not told; what people asked is.
    let log = world.expect(0, &["logs", "-n", "10000", "-o", "jsonl"]).out;
    assert!(log.contains("/api/v1/workers/scale"), "{log}");
    assert!(!log.lines().any(|line| line.contains("/sync\"") && line.contains("\"status\":200")), "{log}");
    // A queue that nobody serves is not healthy.
    world.expect(0, &["workers", "scale", "0"]);
    world.expect(0, &["run", "hello", "--input", "name=Ada", "--detach"]);
    let waits = world.hale(&["status", "--components"]);
    assert!(waits.out.contains("queue: degraded (depth: 1)"), "{}", waits.out);
}

// covers: AX-112, AX-115
#[test]
fn a_server_that_cannot_start_names_the_key_that_keeps_it_from_it() {
    let world = World::new();
    world.write("hale.toml", "[worker]\nconcurrency = \"many\"\n");
    let refused = world.expect(6, &["up"]);
    for part in ["worker.concurrency", "many", "hale.toml"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    world.write("hale.toml", "");
    let explained = world
        .program(crate::cli_world::HALE)
        .env_remove("HALE_LISTEN")
        .args(["config", "explain", "listen"])
        .output();
    let explained = crate::cli_world::did(explained.unwrap());
    assert!(explained.out.contains("127.0.0.1:8080"), "{explained:?}");
}
