//! Servers by name: added, used, forgotten; and runs of two of them side by side.

use crate::cli_world::World;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

const PACK: &str = "---\nname: greet\nversion: 1.0.0\ndescription: Echoes.\nkind: echo\n---\n";
const NEWER: &str = "---\nname: greet\nversion: 1.1.0\ndescription: Echoes.\nkind: echo\n---\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn address(world: &World) -> String {
    json(&world.expect(0, &["status", "--json"]).out)["address"].as_str().unwrap().to_owned()
}

/// Starts a run there and waits for it; its id.
fn ran(world: &World, more: &[&str]) -> String {
    let args = [&["run", "greet", "--input", "name=Ada", "-o", "json"], more].concat();
    json(&world.expect(0, &args).out)["id"].as_str().unwrap().to_owned()
}

// covers: AO-113, AO-114, AO-115
#[test]
fn runs_of_two_servers_are_compared_by_the_names_of_their_contexts() {
    let (prod, staging) = (World::new(), World::new());
    prod.up();
    staging.up();
    prod.write("greet.md", PACK);
    prod.write("newer.md", NEWER);
    prod.expect(0, &["packs", "deploy", "greet.md"]);
    let (here, there) = (address(&prod), address(&staging));
    prod.expect(0, &["contexts", "add", "prod", "--url", &here]);
    prod.expect(0, &["contexts", "add", "staging", "--url", &there]);
    // AO-113, AO-114: a version goes to the other environment, and a run is started there.
    prod.expect(0, &["packs", "deploy", "newer.md", "--context", "staging"]);
    let a = ran(&prod, &[]);
    let b = ran(&prod, &["--context", "staging"]);
    prod.expect(3, &["runs", "show", &b]);
    let compared =
        prod.expect(1, &["runs", "compare", &format!("prod/{a}"), &format!("staging/{b}"), "--json"]);
    let compared = json(&compared.out);
    assert_eq!((compared["same"].as_bool(), &compared["input"]), (Some(false), &Value::Array(Vec::new())));
    let version = compared["facts"].as_array().unwrap().iter().find(|fact| fact["same"] == false).unwrap();
    assert!(
        version["a"].as_str().unwrap().contains("1.0.0") && version["b"].as_str().unwrap().contains("1.1.0")
    );
    prod.expect(0, &["runs", "compare", &a, &format!("prod/{a}")]);
    let swapped = prod.expect(3, &["runs", "compare", &format!("staging/{a}"), &b]);
    assert!(swapped.err.contains("asking the context staging"), "{}", swapped.err);
    let unknown = prod.expect(3, &["runs", "compare", &format!("stagin/{a}"), &b]);
    assert!(unknown.err.contains("did you mean staging?"), "{}", unknown.err);
}

#[test]
fn a_context_is_used_where_nothing_nearer_names_a_server() {
    let (near, far) = (World::new(), World::new());
    far.up();
    let there = address(&far);
    let asked = |args: &[&str]| {
        let did = near.expect(0, &[&["status", "--json"], args].concat());
        json(&did.out)["address"].as_str().unwrap().to_owned()
    };
    near.expect(69, &["status"]);
    near.expect(0, &["contexts", "add", "far", "--url", &there]);
    assert_eq!(asked(&[]), there, "the first context is the one in use");
    near.expect(0, &["up", "--detach", "--data", ".hale"]);
    let here = asked(&[]);
    assert_ne!(here, there, "a server of this folder is nearer");
    assert_eq!(asked(&["--context", "far"]), there);
    let by_variable =
        near.program(crate::cli_world::HALE).env("HALE_CONTEXT", "far").args(["status", "--json"]).output();
    assert!(String::from_utf8(by_variable.unwrap().stdout).unwrap().contains(&there));
    let both = near
        .program(crate::cli_world::HALE)
        .env("HALE_CONTEXT", "far")
        .env("HALE_URL", &here)
        .args(["status", "--json"])
        .output();
    assert!(String::from_utf8(both.unwrap().stdout).unwrap().contains(&here));
    near.expect(2, &["status", "--context", "far", "--url", &here]);
    near.expect(0, &["contexts", "use", "--none"]);
    near.expect(3, &["contexts", "use", "fra"]);
    near.expect(0, &["contexts", "use", "far"]);
    near.expect(0, &["contexts", "remove", "far"]);
    assert!(near.expect(0, &["contexts", "list"]).err.contains("no contexts"));
}

#[test]
fn a_key_is_named_and_never_kept_or_shown() {
    let world = World::new();
    world.write("key", "hale_verysecret\n");
    world.expect(2, &["contexts", "add", "prod"]);
    world.expect(2, &["contexts", "add", "Prod", "--url", "http://127.0.0.1:1"]);
    world.expect(2, &["contexts", "add", "prod", "--url", "http://me:word@127.0.0.1:1"]);
    world.expect(3, &["contexts", "add", "prod", "--url", "http://127.0.0.1:1", "--key-file", "nope"]);
    world.expect(0, &["contexts", "add", "prod", "--url", "http://127.0.0.1:1", "--key-file", "key"]);
    world.expect(5, &["contexts", "add", "prod", "--url", "http://127.0.0.1:2"]);
    world.expect(0, &["contexts", "add", "other", "--url", "http://127.0.0.1:1", "--key-env", "OTHER_KEY"]);
    let listed = world.expect(0, &["contexts", "list"]).out;
    assert!(listed.contains("$OTHER_KEY") && listed.contains("/key"), "{listed}");
    let path = world.cwd().join("../home/.config/hale/contexts.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("verysecret") && !listed.contains("verysecret"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A key that is not there is told before anything is sent.
    let unset = world.expect(4, &["status", "--context", "other"]);
    assert!(unset.err.contains("take the key from OTHER_KEY: it is not set"), "{}", unset.err);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let open = world.expect(4, &["contexts", "list"]);
    assert!(open.err.contains("others may write the file") && open.err.contains("chmod 600"), "{}", open.err);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "{").unwrap();
    world.expect(6, &["contexts", "list"]);
}
