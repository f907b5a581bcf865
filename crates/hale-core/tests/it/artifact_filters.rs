//! Filters of artifacts, and spans as operators say them.

use hale_core::ago;
use hale_core::filter::artifacts::{Filter, parse};
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::time::{Millis, Timestamp};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn artifact(name: &str, bytes: u64) -> Artifact {
    Artifact { name: name.to_owned(), hash: "0".repeat(64), bytes, media_type: "text/plain".to_owned() }
}

fn takes(filter: &str, name: &str, bytes: u64) -> bool {
    parse(filter, NOW).expect("a filter").takes(RunId::mint(NOW, 7), "hello", &artifact(name, bytes))
}

#[test]
fn every_word_narrows() {
    assert_eq!(parse("", NOW).unwrap(), Filter::default());
    let run = RunId::mint(NOW, 7);
    for filter in [
        "",
        "report",
        "REPORT md",
        "pack:hello",
        "since:1h",
        "size:>10",
        "size:10",
        "size:<1KiB",
        "size:>10 size:<10",
        &format!("run:{run}"),
        "pack:hello since:1s size:<1MB report",
    ] {
        assert!(takes(filter, "Report md", 10), "{filter}");
    }
    for filter in
        ["other", "pack:other", "until:1s", "size:>11", "size:<9", "size:>1KiB", "since:2030-01-01T00:00:00Z"]
    {
        assert!(!takes(filter, "Report md", 10), "{filter}");
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_its_place() {
    for (filter, position, part) in [
        ("sise:1", 1, "did you mean `size:1`?"),
        ("pack:a size:much", 8, "is no size"),
        ("size:>9999999999999999999GiB", 1, "is no size"),
        ("run:run_1", 1, "is no id of a run"),
        ("pack:", 1, "has no value"),
        ("since:soon", 1, "is no time"),
        ("pack:a pack:b", 8, "stands twice"),
        ("\"open", 1, "not closed"),
    ] {
        let error = parse(filter, NOW).unwrap_err();
        assert!(error.position == position && error.to_string().contains(part), "{filter}: {error}");
    }
    assert_eq!(parse(&"x".repeat(1001), NOW).unwrap_err().position, 1001);
}

// covers: AO-160
#[test]
fn a_span_is_read_as_operators_say_it() {
    for (text, span) in [
        ("1h", Millis::seconds(3600)),
        ("1 hour ago", Millis::seconds(3600)),
        ("2 hours", Millis::seconds(7200)),
        ("90 minutes ago", Millis::seconds(5400)),
        ("1 day 2 hours ago", Millis::seconds(93_600)),
        ("30s ago", Millis::seconds(30)),
        (" 5 Minutes Ago ", Millis::seconds(300)),
    ] {
        assert_eq!(ago::parse(text), Ok(span), "{text}");
    }
    for text in ["", "ago", "1", "1 ago", "hour", "yesterday", "1 fortnight", "-1h"] {
        assert_eq!(ago::parse(text).unwrap_err().text, text);
    }
}
