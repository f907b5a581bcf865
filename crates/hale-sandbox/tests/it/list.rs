//! `files.list`: what it shows, in which order, and what it leaves out.

use crate::place::{Place, RESOLVERS, plenty, text};
use hale_sandbox::limits::RESULT_BYTES;
use hale_sandbox::{Folder, Resolver, call};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

fn paths(answer: &Value) -> Vec<&str> {
    answer["entries"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect()
}

#[test]
fn entries_come_sorted_with_type_size_and_time_and_links_are_not_followed() {
    let place = Place::new();
    for resolver in RESOLVERS {
        let answer = place.call_by(resolver, "files.list", json!({"path": "sub", "depth": 2})).unwrap();
        assert_eq!(paths(&answer), ["b.txt", "deep", "deep/c.txt", "link-secret", "link-up-in", "parent"]);
        let kinds: Vec<&Value> =
            answer["entries"].as_array().unwrap().iter().map(|entry| &entry["type"]).collect();
        assert_eq!(kinds, ["file", "folder", "file", "link", "link", "link"]);
        assert_eq!(answer["entries"][0]["bytes"], 14);
        assert!(answer["entries"][0]["modified"].as_str().unwrap().starts_with("20"), "{answer}");
        assert_eq!(answer["truncated"], false);
        let shallow =
            place.call_by(resolver, "files.list", json!({"path": text(&place.inside("sub"))})).unwrap();
        assert_eq!((paths(&shallow).len(), &shallow["folders_not_entered"]), (5, &json!(1)));
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let place = Place::new();
    fs::create_dir(place.inside("many")).unwrap();
    for number in 0..1200 {
        place.write(&format!("many/{number:04}-{}", "\u{1}".repeat(40)), "");
    }
    let few = place.call("files.list", json!({"path": "many", "max_entries": 3})).unwrap();
    assert_eq!((&few["returned"], &few["seen"]), (&json!(3), &json!(1200)));
    assert_eq!((&few["truncated"], &few["limits_reached"]), (&json!(true), &json!(["max_entries"])));
    let all = place.call("files.list", json!({"path": "many", "max_entries": 1000})).unwrap();
    assert_eq!(all["limits_reached"], json!(["result_bytes"]));
    assert!(all.to_string().len() <= RESULT_BYTES, "{}", all.to_string().len());
    assert!(all["returned"].as_u64().unwrap() > 100);
}

#[test]
fn names_that_are_not_utf8_are_marked() {
    let place = Place::new();
    fs::write(place.inside("sub/deep").join(OsStr::from_bytes(b"bad-\xff")), "needle\n").unwrap();
    let answer = place.call("files.list", json!({"path": "sub/deep"})).unwrap();
    assert_eq!(paths(&answer), ["bad-\u{fffd}", "c.txt"]);
    assert_eq!(answer["entries"][0]["not_utf8"], true);
    let found = place.call("files.search", json!({"path": "sub/deep", "pattern": "needle"})).unwrap();
    assert_eq!(found["returned"], 2, "{found}");
}

#[test]
fn without_a_path_several_folders_list_themselves() {
    let place = Place::new();
    let mut other = place.grant();
    other.root = place.inside("sub/deep");
    let folders = [place.folder(Resolver::Kernel), Folder::open(&other).unwrap()];
    let answer = call("files.list", &json!({}), &folders, &plenty()).unwrap();
    assert_eq!(paths(&answer), [text(&place.inside("")).as_str(), text(&other.root).as_str()]);
    let one = place.call("files.list", json!(null)).unwrap();
    assert!(paths(&one).contains(&"a.txt"), "{one}");
}

#[test]
fn a_file_and_a_depth_out_of_bounds_are_bad_arguments() {
    let place = Place::new();
    for args in
        [json!({"path": "a.txt"}), json!({"depth": 6}), json!({"depth": 0}), json!({"max_entries": 1001})]
    {
        assert_eq!(place.call("files.list", args.clone()).unwrap_err().cause, "tool.bad_arguments", "{args}");
    }
}
