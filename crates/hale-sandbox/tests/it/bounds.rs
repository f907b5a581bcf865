//! Bombs: huge files, deep trees, patterns made to explode.

use crate::place::Place;
use hale_sandbox::limits::{RESULT_BYTES, SEARCH_ENTRIES, SEARCH_FILE_BYTES};
use proptest::prelude::*;
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

#[test]
fn a_huge_file_costs_only_the_part_that_is_read() {
    let place = Place::new();
    let size = 1u64 << 40;
    let file = File::create(place.inside("huge")).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(b"last line\n", size - 10).unwrap();
    file.write_all_at(&b"x".repeat(100_000), 0).unwrap();
    let began = Instant::now();
    let head = place.call("files.read", json!({"path": "huge"})).unwrap();
    assert_eq!((&head["bytes_total"], &head["truncated"]), (&json!(size), &json!(true)));
    let tail = place.call("files.read", json!({"path": "huge", "tail": 1, "max_bytes": 10})).unwrap();
    assert_eq!((&tail["text"], &tail["from"]), (&json!("last line\n"), &json!(size - 10)));
    let found = place.call("files.search", json!({"path": "huge", "pattern": "last line"})).unwrap();
    assert_eq!(found["files_binary"], 1, "{found}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_search_stops_at_its_bytes_and_at_a_line_that_does_not_end() {
    let place = Place::new();
    let mut file = File::create(place.inside("big")).unwrap();
    let chunk = "some text that does not match\n".repeat(40_000);
    let chunks = SEARCH_FILE_BYTES / chunk.len() as u64 + 1;
    (0..chunks).for_each(|_| file.write_all(chunk.as_bytes()).unwrap());
    file.write_all(b"needle\n").unwrap();
    let found = place.call("files.search", json!({"path": "big", "pattern": "needle"})).unwrap();
    assert_eq!((&found["returned"], &found["limits_reached"]), (&json!(0), &json!(["file_bytes"])));
    assert_eq!(found["bytes_searched"], SEARCH_FILE_BYTES);
    place.write("line", "x".repeat(3 << 20));
    let found = place.call("files.search", json!({"path": "line", "pattern": "needle"})).unwrap();
    assert_eq!(found["limits_reached"], json!(["line_bytes"]), "{found}");
    assert!(found["bytes_searched"].as_u64().unwrap() <= 2 << 20, "{found}");
}

#[test]
fn deep_and_wide_trees_are_walked_only_so_far() {
    let place = Place::new();
    let mut deep = place.inside("deep-tree");
    (0..40).for_each(|_| deep = deep.join("d"));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("f"), "needle\n").unwrap();
    let found = place.call("files.search", json!({"path": "deep-tree", "pattern": "needle"})).unwrap();
    assert_eq!((&found["returned"], &found["limits_reached"]), (&json!(0), &json!(["depth"])));

    let wide = place.inside("wide");
    fs::create_dir(&wide).unwrap();
    // Hard links: names without the cost of files.
    fs::write(wide.join("0"), "").unwrap();
    for number in 1..=SEARCH_ENTRIES {
        fs::hard_link(wide.join("0"), wide.join(number.to_string()))
            .or_else(|_| fs::write(wide.join(number.to_string()), ""))
            .unwrap();
    }
    let found = place.call("files.search", json!({"path": "wide", "pattern": "needle"})).unwrap();
    assert_eq!(found["limits_reached"], json!(["entries", "files"]), "{found}");
    let listed = place.call("files.list", json!({"path": "wide"})).unwrap();
    assert_eq!(listed["limits_reached"], json!(["max_entries", "entries_seen"]), "{listed}");
}

#[test]
fn patterns_that_explode_when_compiled_are_refused_at_once() {
    let place = Place::new();
    let began = Instant::now();
    for pattern in [
        "(a{1000}){1000}",
        "((((a{100}){100}){100}){100}){100}",
        "\\pL{1000}",
        "(?i)[\\s\\S]{1000}\\w{1000}",
        &"(a|".repeat(340),
        &format!("{}a{}", "(".repeat(300), ")".repeat(300)),
        &"(?:a?){200}".repeat(90),
    ] {
        let failure = place.call("files.search", json!({"pattern": pattern})).unwrap_err();
        assert_eq!(failure.cause, "tool.bad_arguments", "{pattern}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn patterns_that_make_backtrackers_explode_take_linear_time() {
    let place = Place::new();
    place.write("as", format!("{}!\n", "a".repeat(5000)).repeat(20));
    let began = Instant::now();
    for pattern in ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        place.call("files.search", json!({"path": "as", "pattern": pattern})).unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_content_makes_a_result_larger_than_its_bound(
        seed in prop::collection::vec(any::<u8>(), 1..64),
        repeat in 1usize..4000,
        context in 0u64..=10,
    ) {
        let place = Place::new();
        place.write("any", seed.repeat(repeat));
        for (tool, args) in [
            ("files.read", json!({"path": "any"})),
            ("files.read", json!({"path": "any", "tail": 30_000})),
            ("files.search", json!({"path": "any", "pattern": "(?-u).", "max_matches": 1000, "context_lines": context})),
        ] {
            let answer = place.call(tool, args).unwrap();
            prop_assert!(answer.to_string().len() <= RESULT_BYTES, "{} bytes by {tool}", answer.to_string().len());
        }
    }
}
