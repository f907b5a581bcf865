//! The input of a run against what the pack declares.
//!
//! Read next: `crates/hale-core/src/pack/schema.rs`.

use crate::packs::read;
use hale_core::pack::{InputError, Manifest};
use serde_json::{Value, json};

fn manifest(input: &str) -> Manifest {
    read(&format!("---\nname: a\ninput: {input}\n---\nDo it.")).manifest
}

fn refused(manifest: &Manifest, input: Value) -> InputError {
    manifest.check_input(&input).expect_err("it does not fit")
}

#[test]
fn defaults_are_filled_in_and_optional_fields_stay_out() {
    let manifest = manifest("{ question: string, path: string?, n: {type: integer, default: 3} }");
    assert_eq!(manifest.check_input(&json!({"question": "why"})), Ok(json!({"question": "why", "n": 3})));
    let full = json!({"n": 5, "path": "/x", "question": "why"});
    assert_eq!(manifest.check_input(&full), Ok(json!({"question": "why", "path": "/x", "n": 5})));
    let null = json!({"question": "why", "path": null, "n": null});
    assert_eq!(manifest.check_input(&null), Ok(json!({"question": "why", "n": 3})), "null means left out");
}

// covers: AO-201
#[test]
fn the_error_names_the_field_and_what_is_expected() {
    let manifest = manifest("{ name: string, n: {type: integer, default: 3} }");
    let error = refused(&manifest, json!({}));
    assert_eq!(error.field, "name");
    assert_eq!(error.to_string(), "input lacks `name`; expected name (string)");
    let error = refused(&manifest, json!({"name": "a", "n": "x"}));
    assert_eq!(error.to_string(), "input `n` is the text \"x\"; expected n (integer, default 3)");
    let error = refused(&manifest, json!({"nmae": "a"}));
    assert_eq!((error.field.as_str(), error.suggestion.as_deref()), ("nmae", Some("name")));
    assert_eq!(
        error.to_string(),
        "input has an unknown field `nmae`, did you mean `name`?; expected an object with name (string), \
         n (integer, default 3)"
    );
    let error = refused(&manifest, json!({"name": "a", "zzzzzz": 1}));
    assert_eq!((error.field.as_str(), error.suggestion), ("zzzzzz", None));
    let error = refused(&manifest, json!([1]));
    assert_eq!(
        error.to_string(),
        "input is an array; expected an object with name (string), n (integer, default 3)"
    );
}

#[test]
fn every_type_takes_its_own_values_only() {
    let values = [
        json!("a"),
        json!(3),
        json!(3.5),
        json!(true),
        json!({"a": 1}),
        json!([1]),
        json!(3.0),
        json!(u64::MAX),
    ];
    let table = [
        ("string", [true, false, false, false, false, false, false, false]),
        ("integer", [false, true, false, false, false, false, true, true]),
        ("number", [false, true, true, false, false, false, true, true]),
        ("boolean", [false, false, false, true, false, false, false, false]),
        ("object", [false, false, false, false, true, false, false, false]),
        ("array", [false, false, false, false, false, true, false, false]),
        ("any", [true; 8]),
    ];
    for (kind, takes) in table {
        let manifest = manifest(&format!("{{ v: {kind} }}"));
        for (value, takes) in values.iter().zip(takes) {
            assert_eq!(manifest.check_input(&json!({"v": value})).is_ok(), takes, "{kind} {value}");
        }
    }
}

#[test]
fn no_input_key_takes_any_object_and_an_empty_one_takes_none() {
    let open = read("---\nname: a\n---\nDo it.").manifest;
    assert_eq!(open.check_input(&json!({"any": [1]})), Ok(json!({"any": [1]})));
    assert_eq!(open.check_input(&Value::Null), Ok(json!({})));
    assert_eq!(refused(&open, json!("text")).expected, "an object");
    let closed = manifest("{}");
    assert_eq!(closed.check_input(&Value::Null), Ok(json!({})));
    assert_eq!(refused(&closed, json!({"a": 1})).expected, "an object without fields");
}

#[test]
fn words_of_the_command_line_take_the_declared_type() {
    let schema =
        manifest("{ name: string, n: integer, x: number?, on: boolean?, list: array?, v: any? }").input;
    for (field, word, value) in [
        ("name", "7", json!("7")),
        ("n", "7", json!(7)),
        ("n", "seven", json!("seven")),
        ("x", "0.5", json!(0.5)),
        ("on", "true", json!(true)),
        ("on", "yes", json!("yes")),
        ("list", "[1,2]", json!([1, 2])),
        ("v", "7", json!(7)),
        ("v", "null", json!("null")),
        ("v", "plain words", json!("plain words")),
        ("unknown", "true", json!(true)),
    ] {
        assert_eq!(schema.typed(field, word), value, "{field}={word}");
    }
}
