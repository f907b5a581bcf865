//! Dead letters, operations over many runs, replay and the runs tooling, as a person at a shell has them.

use crate::cli_world::{Did, World};
use serde_json::Value;

fn json(did: &Did) -> Value {
    serde_json::from_str(&did.out).unwrap_or_else(|error| panic!("{error}: {}{}", did.out, did.err))
}

/// A server in which some runs of `hello` have failed by a refused key; their ids, oldest first.
fn with_letters(n: usize) -> (World, Vec<String>) {
    let world = World::new();
    world.up();
    world.expect(0, &["chaos", "inject", "llm.key_refuse", "--for", "10m"]);
    for _ in 0..n {
        world.expect(20, &["run", "hello", "--input", "name=Ada"]);
    }
    world.expect(0, &["chaos", "clear"]);
    let listed = world.expect(0, &["dlq", "list", "--flat", "-o", "name"]);
    let ids: Vec<String> = listed.out.lines().map(str::to_owned).collect();
    assert_eq!(ids.len(), n, "each run is one letter: {}", listed.out);
    (world, ids)
}

// covers: AO-96, AO-153, AO-190
#[test]
fn dead_letters_are_listed_shown_redriven_and_discarded_from_the_command_line() {
    let (world, ids) = with_letters(3);
    let groups = json(&world.expect(0, &["dlq", "list", "--json"]));
    let group = &groups["items"][0];
    assert_eq!((groups["total"].as_u64(), group["count"].as_u64()), (Some(3), Some(3)));
    let cause = group["cause"].as_str().unwrap().to_owned();
    let shown = world.expect(0, &["dlq", "show", &ids[0]]);
    assert!(shown.out.contains(&cause) && shown.out.contains("history"), "{}", shown.out);
    let whole = json(&world.expect(0, &["dlq", "show", &ids[0], "--json"]));
    assert!(whole["history"]["records"].as_array().unwrap().len() > 3);
    assert_eq!(whole["why"]["run"]["id"], ids[0].as_str());
    // Without a terminal nothing happens unless it is said.
    let preview = json(&world.expect(0, &["dlq", "redrive", "--cause", &cause, "--json"]));
    assert_eq!((&preview["dry_run"], &preview["meant"]), (&Value::Bool(true), &Value::from(3)));
    assert!(world.expect(0, &["dlq", "review"]).out.contains("hale dlq redrive --cause"));
    assert_eq!(world.expect(0, &["dlq", "list", "--flat", "-o", "name"]).out.lines().count(), 3);
    let redriven = json(&world.expect(0, &["dlq", "redrive", &ids[0], "--yes", "--json"]));
    assert_eq!((&redriven["state"], &redriven["done"]), (&Value::from("done"), &Value::from(1)));
    let again = world.expect(5, &["dlq", "redrive", &ids[0], "--yes"]);
    assert!(again.err.contains("E011") && again.err.contains("hale dlq list"), "{}", again.err);
    world.expect(3, &["dlq", "redrive", "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ", "--yes"]);
    world.expect(6, &["dlq", "redrive", "--yes"]);
    world.expect(6, &["dlq", "discard", "status:failed", "--yes"]);
    let discarded = json(&world.expect(0, &["dlq", "discard", "pack:hello", "--yes", "--json"]));
    assert_eq!(discarded["done"], 2);
    let id = discarded["id"].as_str().unwrap();
    assert_eq!(world.expect(0, &["dlq", "list", "--flat", "-o", "name"]).out, "");
    let undone = json(&world.expect(0, &["operations", "undo", id, "--json"]));
    world.expect(0, &["operations", "watch", undone["operation"].as_str().unwrap()]);
    assert_eq!(world.expect(0, &["dlq", "list", "--flat", "-o", "name"]).out.lines().count(), 2);
    world.expect(5, &["operations", "undo", id]);
    world.expect(5, &["operations", "pause", id]);
    let many = json(&world.expect(0, &["operations", "list", "--many", "--json"]));
    assert_eq!(many["items"].as_array().unwrap().len(), 3);
    let items = world.expect(0, &["operations", "show", id, "--items", "done", "-o", "name"]);
    assert_eq!(items.out.lines().count(), 2);
}

// covers: AO-100, AO-105, AO-106, AO-109, AO-111, AO-112, AO-115, AO-133, AO-134, AO-135, AO-136, AO-147
// covers: AO-184, AO-185, AO-186, AO-188, AO-191, AO-192
#[test]
fn the_runs_tooling_answers_the_guides_questions() {
    let (world, ids) = with_letters(2);
    let failed = ids[0].as_str();
    let info = json(&world.expect(0, &["runs", "show", failed, "--json"]));
    assert_eq!((&info["pack"], &info["state"]), (&Value::from("hello"), &Value::from("FAILED")));
    assert!(info["error"]["message"].is_string() && info["duration_ms"].is_u64());
    let states = world.expect(0, &["runs", "history", failed, "--states"]);
    let line = states.out.lines().find(|line| line.contains(" INITIALIZING -> wrk_")).unwrap_or_default();
    let (moment, _) = line.split_once(' ').unwrap_or_default();
    assert!(
        moment.len() == 20 && moment.ends_with('Z'),
        "2024-12-28T10:00:05Z INITIALIZING -> …: {}",
        states.out
    );
    assert!(states.out.lines().last().unwrap().contains(" FAILED -> "), "{}", states.out);
    // The class is shown before anything is tried again; the new run is linked to the old one.
    let dry = world.expect(0, &["runs", "retry", failed, "--dry-run"]);
    assert!(dry.err.contains("class:"), "{}", dry.err);
    let new = world.expect(0, &["runs", "retry", failed, "--detach", "-o", "name"]).out.trim().to_owned();
    world.expect(0, &["runs", "watch", &new]);
    assert_eq!(json(&world.expect(0, &["runs", "show", &new, "--json"]))["retry_of"], failed);
    let compared = world.expect(1, &["runs", "compare", failed, &new, "--json"]);
    let compared = json(&compared);
    assert_eq!(compared["same"], false);
    assert!(compared["input"].as_array().unwrap().is_empty(), "{compared:#}");
    assert!(compared["steps"].as_array().unwrap().iter().all(|step| step["verdict"] == "only in b"));
    world.expect(0, &["runs", "compare", &new, &new]);
    let replay = ["runs", "replay", &new, "--from-step", "1", "--detach", "-o", "name"];
    let replayed = world.expect(0, &replay).out.trim().to_owned();
    world.expect(0, &["runs", "watch", &replayed]);
    let same = json(&world.expect(0, &["runs", "compare", &new, &replayed, "--json"]));
    assert_eq!(same["same"], true, "{same:#}");
    world.expect(6, &["runs", "replay", &new, "--from-step", "99"]);
    let stats = json(&world.expect(0, &["runs", "stats", "--pack", "hello", "--last", "1h", "--json"]));
    let pack = &stats["packs"][0];
    assert_eq!((pack["runs"].as_u64(), pack["by_state"]["FAILED"].as_u64()), (Some(4), Some(2)));
    assert_eq!(pack["success_share"], 0.5);
    assert!(pack["took"]["p99_ms"].as_u64() >= pack["took"]["p50_ms"].as_u64());
    let errors = json(&world.expect(0, &["runs", "errors", "--last", "1h", "--json"]));
    assert_eq!(
        (&errors["errors"][0]["pack"], errors["errors"][0]["count"].as_u64()),
        (&Value::from("hello"), Some(2))
    );
    assert_eq!(errors["errors"][0]["share"], 0.5);
    assert!(errors["errors"][0]["origin"].as_str().unwrap().starts_with("provider:"));
    let latency = json(&world.expect(0, &["runs", "latency", "--last", "1h", "--json"]));
    let stages: Vec<&str> =
        latency["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert!(stages.contains(&"queue") && stages.contains(&"total"), "{stages:?}");
    let slow = json(&world.expect(0, &["runs", "slow", "-n", "1", "--json"]));
    assert_eq!(slow["slow"].as_array().unwrap().len(), 1);
    world.expect(0, &["runs", "profile", &new]);
    let audit = json(&world.expect(0, &["runs", "audit", failed, "--json"]));
    assert_eq!(audit["items"][0]["operation"], "runs.retry");
    let logs = world.expect(0, &["runs", "logs", failed, "-o", "jsonl"]);
    assert!(!logs.out.is_empty() && logs.out.lines().all(|line| line.contains(failed)), "{}", logs.out);
    let logs = world.expect(0, &["logs", "--pack", "hello", "--last", "1h", "-o", "jsonl"]);
    assert!(!logs.out.is_empty() && logs.out.lines().all(|line| line.contains("\"hello\"")), "{}", logs.out);
}
