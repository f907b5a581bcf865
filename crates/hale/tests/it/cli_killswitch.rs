//! The emergency procedure from the command line: switch a pack off, clear what waits, look, and let it go again.

use crate::cli_world::World;
use serde_json::Value;

const PACK: &str = "---\nname: wild\nversion: 1.0.0\ndescription: Echoes.\nkind: echo\n---\n";
const CRITICAL: &str =
    "---\nname: money\nversion: 1.0.0\ndescription: Echoes.\nkind: echo\ncritical: true\n---\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// covers: AO-143, AO-144, AO-145, AO-147, AO-148
#[test]
fn the_emergency_procedure_runs_from_the_command_line() {
    let world = World::new();
    world.up();
    for (name, text) in [("wild.md", PACK), ("money.md", CRITICAL)] {
        world.write(name, text);
        world.expect(0, &["packs", "deploy", name]);
    }
    assert!(world.expect(0, &["killswitch", "list"]).err.contains("no kill switch is on"));
    world.expect(0, &["run", "wild", "--in", "1h", "--detach"]);
    let on = world.expect(0, &["killswitch", "on", "pack:wild", "--reason", "ticket 812"]);
    assert!(on.out.contains("pack:wild is switched off: nothing of it starts"), "{}", on.out);
    assert!(on.err.contains("next: hale killswitch off pack:wild --reason TEXT"), "{}", on.err);
    let refused = world.expect(5, &["run", "wild"]);
    for part in ["the kill switch pack:wild is on since", "by local: ticket 812", "hale killswitch list"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let status = world.expect(0, &["status"]).out;
    assert!(status.contains("kill switches are on") && status.contains("ticket 812"), "{status}");
    let list = json(&world.expect(0, &["killswitch", "status", "--json"]).out);
    assert_eq!(
        (&list["items"][0]["target"], &list["items"][0]["immediate"]),
        (&"pack:wild".into(), &false.into())
    );
    world.expect(0, &["queues", "purge", "--pack", "wild", "--confirm"]);
    world.expect(0, &["logs", "--pack", "wild", "--since", "1h"]);
    // What stops everything, or a pack that is critical, is said twice.
    let once = world.expect(6, &["killswitch", "on", "all", "--reason", "incident"]);
    assert!(once.err.contains("hale killswitch on all --reason TEXT --yes"), "{}", once.err);
    world.expect(6, &["killswitch", "on", "pack:money", "--reason", "incident"]);
    world.expect(0, &["killswitch", "on", "pack:money", "--reason", "incident", "--yes", "--immediate"]);
    world.expect(6, &["killswitch", "on", "pack:wild", "--reason", ""]);
    let odd = world.expect(6, &["killswitch", "on", "wild", "--reason", "x"]);
    assert!(odd.err.contains("write all, pack:NAME, tool:NAME or tenant:NAME"), "{}", odd.err);
    world.expect(3, &["killswitch", "on", "pack:nope", "--reason", "x"]);
    world.expect(5, &["killswitch", "off", "all", "--reason", "x"]);
    let off = world.expect(0, &["killswitch", "off", "pack:wild", "--reason", "mended"]);
    assert!(off.out.contains("pack:wild goes again"), "{}", off.out);
    world.expect(0, &["run", "wild"]);
    let trail = world.expect(0, &["operations", "list"]).out;
    assert!(trail.contains("killswitch.on") && trail.contains("killswitch.off"), "{trail}");
}

/// Runs of the pack in this state, as the list counts them.
fn count(world: &World, filter: &str) -> usize {
    json(&world.expect(0, &["runs", "list", filter, "--json"]).out)["items"].as_array().unwrap().len()
}

// covers: AO-143, AO-144, AO-145, AO-146, AO-147, AO-148
#[test]
fn procedure_3_a_pack_is_switched_off_cleared_told_looked_at_and_let_go_again() {
    let world = World::new();
    world.write("hale.toml", "[worker]\nconcurrency = 1\n");
    world.up();
    for (name, text) in [("wild.md", PACK), ("money.md", CRITICAL)] {
        world.write(name, text);
        world.expect(0, &["packs", "deploy", name]);
    }
    world.expect(0, &["run", "wild"]);
    for _ in 0..3 {
        world.expect(0, &["run", "wild", "--in", "1h", "--detach"]);
    }
    world.expect(0, &["run", "money", "--in", "1h", "--detach"]);
    // 1. Off: new work is refused at once.
    world.expect(0, &["killswitch", "on", "pack:wild", "--reason", "answers nonsense"]);
    world.expect(5, &["run", "wild"]);
    // 2. What waits of it goes, of others nothing; what went is not gone for good.
    let asked = world.expect(2, &["queues", "purge", "--pack", "wild"]);
    assert!(asked.err.contains("--confirm") || asked.err.contains("--yes"), "{}", asked.err);
    assert_eq!(count(&world, "pack:wild status:pending"), 3);
    world.expect(0, &["queues", "purge", "--pack", "wild", "--confirm"]);
    assert_eq!(
        (count(&world, "pack:wild status:pending"), count(&world, "pack:money status:pending")),
        (0, 1)
    );
    assert_eq!(count(&world, "pack:wild status:cancelled"), 3);
    // 3. People are told.
    let (url, heard) = crate::cli_notify::webhook(&[]);
    crate::cli_notify::channel(&world, "ops", &url);
    world.expect(0, &["notify", "--channel", "ops", "--message", "pack wild disabled: answers nonsense"]);
    assert_eq!(heard.lock().unwrap()[0].1["text"], "pack wild disabled: answers nonsense");
    // 4. What it did in the last hour.
    let logs = world.expect(0, &["logs", "--pack", "wild", "--since", "1h"]);
    assert!(logs.out.contains("Execution completed successfully"), "{}", logs.out);
    // 5. After the fix it goes again, and who did what and why is on record.
    world.expect(0, &["killswitch", "off", "pack:wild", "--reason", "version 1.0.1 is in place"]);
    world.expect(0, &["run", "wild"]);
    let trail = world.expect(0, &["audit", "list", "--json"]).out;
    for part in
        ["killswitch.on", "answers nonsense", "queues.purge", "notify.send", "killswitch.off", "1.0.1"]
    {
        assert!(trail.contains(part), "{part}: {trail}");
    }
    world.expect(0, &["audit", "verify"]);
    let back = json(&world.expect(0, &["runs", "list", "pack:wild status:cancelled", "--json"]).out);
    let purged = back["items"][0]["id"].as_str().unwrap();
    world.expect(0, &["runs", "retry", purged]);
}
