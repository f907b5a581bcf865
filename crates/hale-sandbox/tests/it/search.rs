//! `files.search`: lines, context, and what is passed over.

use crate::place::{Place, RESOLVERS, text};
use hale_sandbox::limits::{RESULT_BYTES, SEARCH_PIECE_BYTES};
use hale_sandbox::specs;
use serde_json::{Value, json};

fn search(place: &Place, args: Value) -> Value {
    let answer = place.call("files.search", args).unwrap();
    assert!(answer.to_string().len() <= RESULT_BYTES, "{}", answer.to_string().len());
    answer
}

fn lines(answer: &Value) -> Vec<(u64, &str)> {
    let matches = answer["matches"].as_array().unwrap().iter();
    matches.map(|found| (found["line"].as_u64().unwrap(), found["text"].as_str().unwrap())).collect()
}

#[test]
fn matching_lines_come_with_path_number_and_context() {
    let place = Place::new();
    for resolver in RESOLVERS {
        let found = place.call_by(resolver, "files.search", json!({"pattern": "^needle"})).unwrap();
        assert_eq!(lines(&found), [(1, "needle in sub"), (1, "needle in deep")]);
        assert_eq!(found["matches"][1]["path"], text(&place.inside("sub/deep/c.txt")));
        assert_eq!((&found["truncated"], &found["limits_reached"]), (&json!(false), &json!([])));
        assert_eq!(found["files_searched"], 3, "links are not followed: {found}");
    }
    let found = search(&place, json!({"path": "a.txt", "pattern": "(?i)SECOND$", "context_lines": 1}));
    assert_eq!(found["matches"][0]["before"], json!(["first"]));
    assert_eq!(found["matches"][0]["after"], json!(["third"]));
    assert_eq!(lines(&search(&place, json!({"path": "link-in", "pattern": "in"}))), [(1, "needle in sub")]);
    assert_eq!(lines(&search(&place, json!({"pattern": "nothing like it"}))), []);
}

#[test]
fn truncated_is_said_only_when_a_match_was_left_out() {
    let place = Place::new();
    let three = search(&place, json!({"path": "a.txt", "pattern": ".", "max_matches": 3}));
    assert_eq!((&three["returned"], &three["truncated"]), (&json!(3), &json!(false)));
    let two = search(&place, json!({"path": "a.txt", "pattern": ".", "max_matches": 2, "context_lines": 1}));
    assert_eq!((&two["returned"], &two["limits_reached"]), (&json!(2), &json!(["max_matches"])));
    place.write("huge-lines", format!("{}\n", "\u{1}x".repeat(400)).repeat(500));
    let bytes = search(
        &place,
        json!({"path": "huge-lines", "pattern": "x", "max_matches": 1000, "context_lines": 3}),
    );
    assert_eq!(bytes["limits_reached"], json!(["result_bytes"]));
}

#[test]
fn binary_files_are_passed_over_and_counted() {
    let place = Place::new();
    place.write("bin", b"\0needle\n");
    place.write("utf16", b"\xff\xfen\0e\0e\0d\0l\0e\0\n\0");
    let found = search(&place, json!({"pattern": "needle"}));
    assert_eq!((&found["returned"], &found["files_binary"]), (&json!(3), &json!(1)), "{found}");
}

#[test]
fn a_long_line_is_shown_around_its_match_and_searched_in_part() {
    let place = Place::new();
    place.write("long", format!("{}needle{}\nneedle\n", "ä".repeat(1000), "b".repeat(90_000)));
    let found = search(&place, json!({"path": "long", "pattern": "needle"}));
    let (line, shown) = lines(&found)[0];
    assert_eq!((line, shown.contains("needle"), shown.len() < 600), (1, true, true), "{shown}");
    assert_eq!(found["matches"][0]["part_of_line"], true);
    assert_eq!(lines(&found)[1], (2, "needle"));
    place.write("late", format!("{}needle\nneedle\n", "a".repeat(SEARCH_PIECE_BYTES)));
    let late = search(&place, json!({"path": "late", "pattern": "needle"}));
    assert_eq!(lines(&late), [(2, "needle")]);
    assert_eq!(
        (&late["limits_reached"], &late["long_lines_searched_in_part"]),
        (&json!(["line_part"]), &json!(1))
    );
}

#[test]
fn anchors_hold_across_the_pieces_of_a_file() {
    let place = Place::new();
    // Lines of every length around the piece, so that pieces end at every place of a line.
    let mut content = String::new();
    let mut expected = Vec::new();
    for number in 0..2000u64 {
        let hit = number % 11 == 0;
        content +=
            &format!("{}{}{}\n", if hit { "" } else { "x" }, "ab".repeat((number % 61) as usize), "end");
        if hit {
            expected.push(number + 1);
        }
    }
    place.write("pieces", &content);
    let found = search(&place, json!({"path": "pieces", "pattern": "^(ab)*end$", "max_matches": 1000}));
    let numbers: Vec<u64> = lines(&found).iter().map(|(line, _)| *line).collect();
    assert_eq!(numbers, expected);
    // A pattern without literals goes another way through the searcher.
    let found = search(&place, json!({"path": "pieces", "pattern": "^[a-w]{3,}$", "max_matches": 1000}));
    let numbers: Vec<u64> = lines(&found).iter().map(|(line, _)| *line).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn a_wrong_pattern_names_its_field_and_the_reason() {
    let place = Place::new();
    for pattern in ["(", "a{2", "[z-a]", "(?<=a)b", "a\\nb", "", "\\", &"(".repeat(500), &"a".repeat(1025)] {
        let failure = place.call("files.search", json!({"pattern": pattern})).unwrap_err();
        assert_eq!(failure.cause, "tool.bad_arguments", "{pattern}");
        assert!(failure.message.starts_with("read argument `pattern`: "), "{failure}");
    }
    let missing = place.call("files.search", json!({"path": "a.txt"})).unwrap_err();
    assert!(missing.message.contains("`pattern`"), "{missing}");
}

#[test]
fn every_tool_has_a_closed_schema_and_may_be_repeated() {
    let specs = specs();
    assert_eq!(
        specs.iter().map(|spec| spec.name).collect::<Vec<_>>(),
        ["files.list", "files.read", "files.search"]
    );
    let place = Place::new();
    for spec in specs {
        assert!(spec.idempotent);
        assert_eq!(spec.parameters["additionalProperties"], false);
        // Every argument in the schema is known to the tool, and with its default or least value accepted.
        for (name, shape) in spec.parameters["properties"].as_object().unwrap() {
            let mut args = json!({});
            if spec.name != "files.list" {
                args["path"] = json!("a.txt");
            }
            if spec.name == "files.search" {
                args["pattern"] = json!("x");
            }
            if shape["type"] == "integer" {
                args[name] = shape.get("default").unwrap_or(&shape["minimum"]).clone();
            }
            assert!(place.call(spec.name, args.clone()).is_ok(), "{} {args}", spec.name);
        }
    }
}
