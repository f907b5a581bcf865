//! An artifact store that breaks under a server that is killed: what was answered is there afterwards, whole.
//!
//! The store breaks as real ones do: its folder is there and takes nothing.

use crate::world::{World, until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where new contents are written first is a file, so nothing new can be written; what is there is read on.
fn break_place(place: &Path) {
    std::fs::remove_dir_all(place.join("tmp")).unwrap_or_default();
    std::fs::create_dir_all(place).unwrap();
    std::fs::write(place.join("tmp"), b"no folder").unwrap();
}

fn mend_place(place: &Path) {
    std::fs::remove_file(place.join("tmp")).unwrap();
    std::fs::create_dir(place.join("tmp")).unwrap();
}

fn start(world: &World, letter: &str) -> String {
    let body = json!({"pack": "echo", "input": {"text": letter.repeat(100_000)}, "timeout": "60s"});
    let answer = world.http().post("/api/v1/runs", &body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn comes_to(world: &World, run: &str, state: &str) {
    let path = format!("/api/v1/runs/{run}");
    until(state, PATIENCE, || (world.http().get(&path).ok()?.json()["state"] == state).then_some(()));
}

fn output(world: &World, run: &str) -> Value {
    let answer = world.http().get(&format!("/api/v1/runs/{run}/artifacts/output.json")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

// covers: AO-160
#[test]
fn an_output_in_the_spool_outlives_kill_9_and_goes_into_the_store_that_works_again() {
    let mut world = World::new();
    world.up();
    let blobs = world.data.join("blobs");
    break_place(&blobs);
    let run = start(&world, "s");
    comes_to(&world, &run, "COMPLETED");
    assert_eq!(output(&world, &run)["text"], "s".repeat(100_000));
    let spooled = || count(&world.data.join("spool"));
    assert_eq!(
        (spooled(), count(&blobs)),
        (1, 1),
        "the fault did not take effect: the output, and what is in the way"
    );
    let mended = || mend_place(&blobs);
    let data = world.data.clone();
    world.kill_server();
    mended();
    world.up();
    until("the spool is empty", PATIENCE, || (count(&data.join("spool")) == 0).then_some(()));
    assert_eq!(output(&world, &run)["text"], "s".repeat(100_000));
    // While the store is tried out, what it was tried with is there too.
    until("one output in the store", PATIENCE, || (count(&data.join("blobs")) == 1).then_some(()));
}

// covers: AO-160
#[test]
fn a_run_whose_output_nothing_takes_is_completing_over_kill_9_and_completes_when_it_can() {
    let mut world = World::new();
    world.up();
    let (blobs, spool) = (world.data.join("blobs"), world.data.join("spool"));
    break_place(&blobs);
    std::fs::write(&spool, b"no folder").unwrap();
    let run = start(&world, "c");
    comes_to(&world, &run, "COMPLETING");
    world.kill_server();
    mend_place(&blobs);
    // Only the store is mended: the spool is not needed for it.
    world.up();
    comes_to(&world, &run, "COMPLETED");
    assert_eq!(output(&world, &run)["text"], "c".repeat(100_000));
    let history = world.http().get(&format!("/api/v1/runs/{run}/history")).unwrap().text;
    assert_eq!(history.matches("\"step_ended\"").count(), 1, "a finished step was repeated: {history}");
    assert!(history.contains("\"lease_lost\"") && history.contains("\"completed\""), "{history}");
}

/// As a person at a shell types it.
#[track_caller]
fn hale(world: &World, code: i32, line: &str) -> Value {
    let mut command = world.program();
    command.args(line.split_whitespace()).env("HALE_URL", format!("http://{}", world.address));
    let output = command.env("HALE_DATA", &world.data).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "hale {line}\n{out}\n{err}");
    serde_json::from_str(&out).unwrap_or(Value::Null)
}

// covers: AO-155, AO-156, AO-157, AO-158, AO-159, AO-160
#[test]
fn procedure_5_an_artifact_store_that_fails_is_seen_left_and_what_it_did_not_take_is_stored() {
    let mut world = World::new();
    let second = world.path("second");
    let config = world.path("work/hale.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[artifacts]\nsecondary = {second:?}\n")).unwrap();
    world.up();
    let before = start(&world, "b");
    comes_to(&world, &before, "COMPLETED");
    let blobs = world.data.join("blobs");
    break_place(&blobs);
    // 1. to 3. The probe writes, reads and removes: it fails, names the store and the user that it ran as.
    until("the probe sees it", PATIENCE, || {
        (world.http().get("/health/artifacts").ok()?.status == 503).then_some(())
    });
    let stores = hale(&world, 11, "artifacts stores --json");
    let (primary, backup) = (&stores["components"][0], &stores["components"][1]);
    assert_eq!(
        (&primary["name"], &primary["status"]),
        (&json!("primary"), &json!("unhealthy")),
        "{stores:#}"
    );
    assert_eq!((&backup["name"], &backup["status"]), (&json!("backup"), &json!("healthy")), "{stores:#}");
    for part in ["active", "tmp", "as user"] {
        assert!(primary["detail"].as_str().unwrap().contains(part), "{part}: {stores:#}");
    }
    // A run that ends meanwhile loses nothing.
    let during = start(&world, "d");
    comes_to(&world, &during, "COMPLETED");
    assert_eq!(count(&world.data.join("spool")), 1, "the fault did not take effect");
    // 4. Over to the other store: proven by a probe, on record.
    hale(&world, 0, "artifacts failover --to backup --reason drill");
    let after = start(&world, "a");
    comes_to(&world, &after, "COMPLETED");
    // 5. What was not taken goes into it now.
    let retried = hale(&world, 0, "artifacts retry --failed-since 1h --json");
    assert_eq!(retried["left"], 0, "{retried:#}");
    assert_eq!((count(&world.data.join("spool")), count(&second) >= 2), (0, true));
    until("the probe is content with the other", PATIENCE, || {
        (world.http().get("/health/artifacts").ok()?.status == 200).then_some(())
    });
    for (run, letter) in [(&before, "b"), (&during, "d"), (&after, "a")] {
        assert_eq!(output(&world, run)["text"], letter.repeat(100_000));
    }
    hale(&world, 0, "artifacts verify");
    let audit = world.http().get("/api/v1/operations?limit=20").unwrap().text;
    assert!(audit.contains("artifacts.failover") && audit.contains("drill"), "{audit}");
}

/// Files below a folder, whatever their depth.
fn count(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}
