//! The audit trail from the command line: read, checked, exported; with the server up and down.

use crate::cli_world::World;
use serde_json::Value;

const PACK: &str = "---\nname: greet\nversion: 1.0.0\ndescription: Echoes.\nkind: echo\n---\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A server with a few deeds in its trail.
fn world() -> World {
    let world = World::new();
    world.up();
    world.write("greet.md", PACK);
    world.expect(0, &["packs", "deploy", "greet.md"]);
    world.expect(0, &["killswitch", "on", "pack:greet", "--reason", "ticket, \"812\""]);
    world.expect(0, &["killswitch", "off", "pack:greet", "--reason", "=mended"]);
    world
}

fn database(world: &World) -> std::path::PathBuf {
    let status = json(&world.expect(0, &["status", "--json"]).out);
    std::path::PathBuf::from(status["data"].as_str().unwrap()).join("hale.db")
}

fn change(database: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

// covers: AO-117, AO-148
#[test]
fn the_trail_is_read_checked_and_exported_with_the_server_up_and_down() {
    let world = world();
    let database = database(&world);
    let data = database.parent().unwrap().display().to_string();
    let up = world.expect(0, &["audit", "list", "operation:killswitch.on"]).out;
    assert!(up.contains("pack:greet") && up.contains("intent") && up.contains("812"), "{up}");
    let rows = json(&world.expect(0, &["audit", "list", "target:pack:greet", "actor:local", "--json"]).out);
    assert_eq!(rows["items"].as_array().unwrap().len(), 4, "{rows:#}");
    assert!(world.expect(0, &["audit", "list", "words that nobody wrote"]).err.contains("no such rows"));
    let odd = world.expect(6, &["audit", "list", "colour:red"]);
    assert!(odd.err.contains("there are operation, actor, target"), "{}", odd.err);
    let well = world.expect(0, &["audit", "verify"]);
    assert!(well.out.contains("and the chain holds"), "{}", well.out);
    let head =
        json(&world.expect(0, &["audit", "verify", "--json"]).out)["head"].as_str().unwrap().to_owned();
    world.expect(0, &["audit", "verify", "--head", &head]);
    world.expect(2, &["audit", "verify", "--head", "nonsense"]);
    assert!(world.expect(0, &["audit", "prune", "--dry-run"]).out.contains("no row is from before"));
    world.expect(2, &["audit", "prune"]);
    let all = world.expect(0, &["audit", "export"]).out;
    let lines: Vec<Value> = all.lines().map(json).collect();
    assert!(lines.len() >= 6);
    for (place, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], place as u64 + 1);
        assert!(place == 0 || line["prev"] == lines[place - 1]["hash"]);
    }
    world.expect(0, &["audit", "export", "--format", "csv", "--to", "trail.csv"]);
    let csv = std::fs::read_to_string(world.cwd().join("trail.csv")).unwrap();
    assert!(csv.starts_with("seq,at,id,actor,operation,target,phase,detail,undo,lab,prev,hash\n"), "{csv}");
    assert_eq!(csv.lines().count(), lines.len() + 1);
    assert!(csv.contains("\\\"\"812"), "quotes are doubled: {csv}");
    world.expect(1, &["audit", "export", "--to", "trail.csv"]);
    world.expect(0, &["down"]);
    // With nobody there the folder tells the same.
    let down = |args: &[&str], code| world.expect(code, &[args, &["--data", data.as_str()]].concat());
    assert_eq!(
        down(&["audit", "export"], 0).out.lines().take(lines.len()).map(json).collect::<Vec<_>>(),
        lines
    );
    let well = down(&["audit", "verify", "--head", &head], 0);
    assert!(well.err.contains("no server answers") && well.out.contains("the chain holds"), "{}", well.err);
    change(&database, "UPDATE audit SET actor = 'eve' WHERE n = 3");
    let broken = down(&["audit", "verify"], 1);
    assert!(broken.out.contains("row 3: it was changed"), "{}", broken.out);
    assert!(down(&["backup", "verify"], 1).out.contains("audit trail, row 3: it was changed"));
}

#[test]
fn a_server_finds_what_was_done_to_its_trail_while_it_runs() {
    let world = world();
    let database = database(&world);
    change(&database, "DELETE FROM audit WHERE n = 4");
    let broken = world.expect(1, &["audit", "verify", "--json"]);
    let check = json(&broken.out);
    assert_eq!((&check["well"], &check["broken"]["seq"]), (&false.into(), &4.into()), "{check:#}");
    assert!(broken.err.contains("from row 4 on the trail proves nothing"), "{}", broken.err);
}
