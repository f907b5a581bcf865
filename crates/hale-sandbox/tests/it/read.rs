//! `files.read`: parts, cuts, encodings.

use crate::place::{Place, refusal};
use hale_sandbox::limits::{RESULT_BYTES, TEXT_BYTES};
use serde_json::{Value, json};

fn read(place: &Place, args: Value) -> Value {
    let answer = place.call("files.read", args).unwrap();
    assert!(answer.to_string().len() <= RESULT_BYTES);
    answer
}

fn check(place: &Place, args: Value, expected: (&str, u64, u64, bool)) {
    let answer = read(place, args.clone());
    let (text, from, to, truncated) = expected;
    assert_eq!(answer["text"], text, "{args}");
    assert_eq!((&answer["from"], &answer["to"]), (&json!(from), &json!(to)), "{args}");
    assert_eq!(answer["truncated"], truncated, "{args}");
}

#[test]
fn parts_of_a_file_say_which_part_they_are() {
    let place = Place::new();
    let file = |rest: Value| {
        let mut args = json!({"path": "a.txt"});
        args.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        args
    };
    check(&place, file(json!({})), ("first\nsecond\nthird\n", 0, 19, false));
    check(&place, file(json!({"offset": 6})), ("second\nthird\n", 6, 19, true));
    check(&place, file(json!({"offset": 6, "max_bytes": 6})), ("second", 6, 12, true));
    check(&place, file(json!({"offset": 19})), ("", 19, 19, true));
    check(&place, file(json!({"head": 1})), ("first\n", 0, 6, true));
    check(&place, file(json!({"head": 3})), ("first\nsecond\nthird\n", 0, 19, false));
    check(&place, file(json!({"head": 99})), ("first\nsecond\nthird\n", 0, 19, false));
    check(&place, file(json!({"tail": 1})), ("third\n", 13, 19, true));
    check(&place, file(json!({"tail": 2.0})), ("second\nthird\n", 6, 19, true));
    check(&place, file(json!({"tail": 99})), ("first\nsecond\nthird\n", 0, 19, false));
    check(&place, file(json!({"tail": 3, "max_bytes": 9})), ("nd\nthird\n", 10, 19, true));
    check(&place, file(json!({"head": null})), ("first\nsecond\nthird\n", 0, 19, false));
    place.write("empty", "");
    check(&place, json!({"path": "empty"}), ("", 0, 0, false));
    check(&place, json!({"path": "empty", "tail": 5}), ("", 0, 0, false));
}

#[test]
fn a_bound_is_named_only_when_it_and_not_the_caller_left_something_out() {
    let place = Place::new();
    let limits = |args: Value| read(&place, args)["limits_reached"].clone();
    assert_eq!(limits(json!({"path": "a.txt", "head": 1})), json!([]));
    assert_eq!(limits(json!({"path": "a.txt", "tail": 1})), json!([]));
    assert_eq!(limits(json!({"path": "a.txt", "max_bytes": 3})), json!(["max_bytes"]));
    assert_eq!(limits(json!({"path": "a.txt", "tail": 3, "max_bytes": 3})), json!(["max_bytes"]));
    place.write("control", "\u{1}".repeat(TEXT_BYTES));
    assert_eq!(limits(json!({"path": "control"})), json!(["result_bytes"]));
    assert_eq!(limits(json!({"path": "control", "tail": 1})), json!(["result_bytes"]));
}

#[test]
fn parts_continue_where_the_last_ended_and_never_split_a_character() {
    let place = Place::new();
    let whole: String = "aä€😀\n".repeat(40_000);
    place.write("long", &whole);
    let (mut joined, mut offset) = (String::new(), 0);
    loop {
        let answer = read(&place, json!({"path": "long", "offset": offset, "max_bytes": 50_001}));
        assert_eq!(answer["note"], Value::Null);
        joined += answer["text"].as_str().unwrap();
        let Some(next) = answer["next_offset"].as_u64() else { break };
        assert!(next > offset);
        offset = next;
    }
    assert!(joined == whole);
    let tail = read(&place, json!({"path": "long", "tail": 30_000}));
    assert!(whole.ends_with(tail["text"].as_str().unwrap()));
    assert_eq!((&tail["note"], &tail["to"]), (&Value::Null, &json!(whole.len())));
    // A window smaller than a character moves on all the same.
    let part = read(&place, json!({"path": "long", "offset": 6, "max_bytes": 1}));
    assert_eq!(part["next_offset"], 7);
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_and_counted() {
    let place = Place::new();
    place.write("latin", b"caf\xe9 \xff\xfe ok\n");
    let answer = read(&place, json!({"path": "latin"}));
    assert_eq!(answer["text"], "caf\u{fffd} \u{fffd}\u{fffd} ok\n");
    assert!(answer["note"].as_str().unwrap().starts_with("3 sequences are not UTF-8"), "{answer}");
    assert_eq!((&answer["from"], &answer["to"]), (&json!(0), &json!(11)));
}

#[test]
fn a_binary_file_is_named_and_not_shown() {
    let place = Place::new();
    place.write("bin", b"\x7fELF\0\0\0");
    let answer = read(&place, json!({"path": "bin"}));
    assert_eq!(
        (&answer["binary"], &answer["text"], &answer["truncated"]),
        (&json!(true), &Value::Null, &json!(true))
    );
}

#[test]
fn bad_arguments_name_the_field() {
    let place = Place::new();
    for (args, field) in [
        (json!({}), "path"),
        (json!(null), "path"),
        (json!({"path": ""}), "path"),
        (json!({"path": 7}), "path"),
        (json!({"path": "sub"}), "path"),
        (json!({"path": "a.txt", "offset": -1}), "offset"),
        (json!({"path": "a.txt", "offset": 1.5}), "offset"),
        (json!({"path": "a.txt", "offset": 20}), "offset"),
        (json!({"path": "a.txt", "offset": "3"}), "offset"),
        (json!({"path": "a.txt", "max_bytes": 0}), "max_bytes"),
        (json!({"path": "a.txt", "max_bytes": TEXT_BYTES + 1}), "max_bytes"),
        (json!({"path": "a.txt", "head": 1, "tail": 1}), "head"),
        (json!({"path": "a.txt", "tail": 1, "offset": 0}), "tail"),
        (json!({"path": "a.txt", "limit": 3}), "limit"),
        (json!(["a.txt"]), "arguments"),
    ] {
        let failure = place.call("files.read", args.clone()).unwrap_err();
        assert_eq!(failure.cause, "tool.bad_arguments", "{args}");
        assert_eq!(failure.origin, "tool:files.read");
        assert!(failure.message.contains(&format!("`{field}`")), "{args}: {failure}");
    }
    assert_eq!(refusal(place.call("files.read", json!({"path": "nothing"}))), "E010 tool.not_found");
    assert_eq!(refusal(place.call("files.write", json!({}))), "E013 tool.refused");
}
