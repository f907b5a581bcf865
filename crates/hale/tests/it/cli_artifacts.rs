//! Artifacts, retention and backup from the command line, against a real server.

use crate::cli_world::World;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A server with a second store, and a run with a large output.
fn with_run() -> (World, String) {
    let world = World::new();
    let second = world.cwd().join("second");
    std::fs::create_dir(&second).unwrap();
    world.write("hale.toml", &format!("[artifacts]\nsecondary = \"{}\"\n", second.display()));
    world.up();
    world.write("echo.md", include_str!("../../../../packs/echo.md"));
    world.expect(0, &["packs", "deploy", "echo.md"]);
    world.write("long.txt", &"x".repeat(100_000));
    let run = world.expect(0, &["run", "echo", "--input", "text=@long.txt", "--json"]);
    let id = json(&run.out)["id"].as_str().unwrap().to_owned();
    (world, id)
}

// covers: AO-06, AO-155, AO-156, AO-159, AO-160
#[test]
fn the_procedure_of_artifact_store_recovery_runs_from_the_command_line() {
    let (world, run) = with_run();
    let stores = world.expect(0, &["artifacts", "stores"]);
    assert!(stores.out.contains("primary") && stores.out.contains("backup"), "{}", stores.out);
    let listed = json(&world.expect(0, &["artifacts", "list", &format!("run:{run}"), "--json"]).out);
    let hash = listed["items"][0]["hash"].as_str().unwrap().to_owned();
    world.expect(0, &["artifacts", "get", &run, "output.json", "--to", "one.json"]);
    world.expect(0, &["artifacts", "get", &hash, "--to", "two.json"]);
    let read = |name: &str| std::fs::read_to_string(world.cwd().join(name)).unwrap();
    assert!(read("one.json") == read("two.json") && read("one.json").contains(&"x".repeat(100_000)));
    assert_eq!(world.expect(0, &["artifacts", "get", &hash]).out, read("one.json"));
    let verified = world.expect(0, &["artifacts", "verify"]);
    assert!(verified.out.contains("all sound: 1 artifacts"), "{}", verified.out);

    let over = world.expect(0, &["artifacts", "failover", "--to", "backup", "--reason", "drill", "--json"]);
    let operation = json(&over.out)["operation"].as_str().unwrap().to_owned();
    world.expect(0, &["artifacts", "get", &hash]);
    world.expect(5, &["artifacts", "failover", "--to", "backup", "--reason", "again"]);
    world.expect(0, &["operations", "undo", &operation]);
    let retried = world.expect(0, &["artifacts", "retry", "--failed-since", "1 hour ago"]);
    assert!(retried.out.contains("0 stored, 0 left"), "{}", retried.out);
    world.expect(0, &["artifacts", "retry", "--failed-since", "1h"]);
    world.expect(6, &["artifacts", "retry", "--failed-since", "soon"]);

    let path = world.cwd().join(".hale/blobs").join(&hash[..2]).join(&hash[2..]);
    let path =
        if path.exists() { path } else { data(&world).join("blobs").join(&hash[..2]).join(&hash[2..]) };
    std::fs::write(&path, b"damaged").unwrap();
    let broken = world.expect(1, &["artifacts", "verify"]);
    assert!(broken.out.contains("output.json") && broken.out.contains(&run), "{}", broken.out);
    let refused = world.expect(1, &["artifacts", "get", &hash, "--to", "three.json"]);
    assert!(refused.err.contains("E007"), "{}", refused.err);
    assert!(!world.cwd().join("three.json").exists());
}

fn data(world: &World) -> std::path::PathBuf {
    json(&world.expect(0, &["status", "--json"]).out)["data"].as_str().unwrap().into()
}

#[test]
fn a_file_is_put_and_goes_into_an_input() {
    let (world, _) = with_run();
    world.write("notes.txt", "some notes");
    let hash = world.expect(0, &["artifacts", "put", "notes.txt"]).out.trim().to_owned();
    let inputs = world.expect(0, &["artifacts", "list", "--inputs"]);
    assert!(inputs.out.contains("notes.txt") && inputs.out.contains(&hash), "{}", inputs.out);
    let input = format!("{{\"notes\": {{\"artifact\": \"{hash}\"}}}}");
    let run = json(&world.expect(0, &["run", "echo", "--input", &input, "--json"]).out);
    assert_eq!(run["output"]["notes"], "some notes");
    world.expect(3, &["artifacts", "put", "absent.txt"]);
    let absent = format!("{{\"notes\": {{\"artifact\": \"{}\"}}}}", "0".repeat(64));
    world.expect(3, &["run", "echo", "--input", &absent]);
    world.expect(3, &["artifacts", "get", &"0".repeat(64)]);
    world.expect(6, &["artifacts", "get", "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ"]);
    world.expect(6, &["artifacts", "list", "sise:1"]);
    world.expect(2, &["artifacts", "failover", "--to", "backup"]);
}

#[test]
fn pruning_only_tells_unless_it_is_said_to() {
    let (world, run) = with_run();
    world.expect(0, &["down"]);
    let text = std::fs::read_to_string(world.cwd().join("hale.toml")).unwrap();
    world.write("hale.toml", &format!("{text}\n[retention]\nruns = \"1ms\"\n"));
    world.up();
    let told = world.expect(0, &["prune"]);
    assert!(told.out.contains("would be forgotten") && told.err.contains("hale prune --yes"), "{told:?}");
    world.expect(0, &["runs", "show", &run]);
    let told = json(&world.expect(0, &["prune", "--dry-run", "--json"]).out);
    assert_eq!((&told["dry_run"], &told["kinds"][0]["count"]), (&Value::from(true), &Value::from(1)));
    let done = json(&world.expect(0, &["prune", "--yes", "--json"]).out);
    assert_eq!(done["kinds"][0]["count"], 1);
    world.expect(3, &["runs", "show", &run]);
    let nothing = world.expect(0, &["prune", "--yes"]);
    assert!(nothing.out.contains("nothing is past its retention"), "{}", nothing.out);
    world.expect(2, &["prune", "--yes", "--dry-run"]);
}

// covers: AO-157
#[test]
fn a_backup_is_made_online_and_a_restore_never_touches_a_live_folder() {
    let (world, run) = with_run();
    let made = world.expect(0, &["backup", "create", "copy", "--json"]);
    assert_eq!(json(&made.out)["artifacts"], 1);
    world.expect(0, &["backup", "verify", "copy", "--json"]);
    let folder = data(&world);
    let refused = world.expect(1, &["backup", "restore", "copy"]);
    assert!(refused.err.contains("process") && refused.err.contains("hale down"), "{}", refused.err);
    let refused = world.expect(1, &["backup", "restore", "copy", "--set-aside"]);
    assert!(refused.err.contains("hale down"), "{}", refused.err);
    assert!(!folder.join("restoring").exists());
    world.expect(0, &["runs", "show", &run]);
    world.expect(0, &["down"]);
    let refused = world.expect(1, &["backup", "restore", "copy"]);
    assert!(refused.err.contains("--set-aside"), "{}", refused.err);
    let back = json(&world.expect(0, &["backup", "restore", "copy", "--set-aside", "--json"]).out);
    assert!(back["aside"].is_string() && back["runs"] == 1, "{back}");
    world.up();
    world.expect(0, &["runs", "show", &run]);
    world.expect(0, &["artifacts", "verify"]);
    world.expect(1, &["backup", "create", "copy"]);
    std::fs::write(world.cwd().join("copy/hale.db"), b"no database").unwrap();
    world.expect(1, &["backup", "verify", "copy"]);
    world.expect(1, &["backup", "restore", "copy", "--data", "fresh"]);
    assert!(!world.cwd().join("fresh/hale.db").exists());
}
