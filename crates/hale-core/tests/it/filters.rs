//! The filter language.
//!
//! Read next: `crates/hale-core/src/filter.rs`.

use hale_core::code::Code;
use hale_core::filter::{Error, Filter, parse};
use hale_core::run::{Priority, StateName};
use hale_core::time::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn read(text: &str) -> Filter {
    parse(text, NOW).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> Error {
    parse(text, NOW).expect_err(text)
}

#[test]
fn every_word_narrows() {
    let filter = read(
        "status:failed since:1h until:2027-01-15T07:59:00Z pack:hello code:e006 correlation:abc priority:high queue:gpu cause:llm.timeout no route",
    );
    let expected = Filter {
        states: vec![StateName::Failed],
        pack: Some("hello".to_owned()),
        queue: Some("gpu".to_owned()),
        since: Some(Timestamp(NOW.0 - 3_600_000)),
        until: Some(Timestamp(NOW.0 - 60_000)),
        code: Some(Code::E006),
        cause: Some("llm.timeout".to_owned()),
        correlation: Some("abc".to_owned()),
        priority: Some(Priority::High),
        text: Some("no route".to_owned()),
    };
    assert_eq!(filter, expected);
    assert!(!filter.is_empty());
}

#[test]
fn nothing_means_everything_and_is_known_as_such() {
    for text in ["", "   ", "\t\n"] {
        assert!(read(text).is_empty(), "{text:?}");
    }
    assert!(!read("x").is_empty() && !read("status:active").is_empty());
}

#[test]
fn states_have_aliases_and_groups() {
    assert_eq!(read("status:active").states, StateName::ALL[..4]);
    assert_eq!(read("status:ended").states, StateName::ALL[4..]);
    assert_eq!(read("status:queued,done").states, [StateName::Pending, StateName::Completed]);
    assert_eq!(
        read("status:FAILED status:timeout status:failed").states,
        [StateName::Failed, StateName::Timeout]
    );
    assert_eq!(read("state:failed"), read("status:failed"));
}

#[test]
fn quotes_keep_blanks_and_colons_together() {
    assert_eq!(read("\"http://x y\" z").text.as_deref(), Some("http://x y z"));
    assert_eq!(read("pack:\"my pack\"").pack.as_deref(), Some("my pack"));
    assert_eq!(
        read("127.0.0.1:80").text.as_deref(),
        Some("127.0.0.1:80"),
        "only letters make a word with a colon"
    );
}

#[test]
fn what_is_not_understood_has_a_place_and_often_a_suggestion() {
    for (text, position, problem, suggestion) in [
        (
            "a statis:failed",
            3,
            "unknown word `statis:`, did you mean `status:failed`?",
            Some("status:failed"),
        ),
        (
            "status:faild",
            1,
            "`status:` does not know \"faild\", did you mean `status:failed`?",
            Some("status:failed"),
        ),
        ("x y code:E06", 5, "`code:` does not know \"E06\", did you mean `code:E006`?", Some("code:E006")),
        (
            "priority:hihg",
            1,
            "`priority:` does not know \"hihg\", did you mean `priority:high`?",
            Some("priority:high"),
        ),
        ("status:", 1, "`status:` has no value", None),
        ("since:yesterday", 1, "\"yesterday\" is no time", None),
        ("since:60", 1, "\"60\" is no time", None),
        ("pack:a pack:b", 8, "`pack:` stands twice", None),
        ("é \"open", 3, "a quote is not closed", None),
        ("http://x", 1, "unknown word `http:`", None),
        (
            "since:1h until:2h",
            1,
            "since (2027-01-15T07:00:00.000Z) is not before until (2027-01-15T06:00:00.000Z), so no run can match",
            None,
        ),
    ] {
        let error = refused(text);
        assert_eq!((error.position, error.problem.as_str()), (position, problem), "{text}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{text}");
        assert!(!error.expected.is_empty(), "{text}");
    }
    assert_eq!(refused(&"x".repeat(1001)).position, 1001);
}

#[test]
fn a_suggestion_is_a_filter_that_reads() {
    for text in ["statis:failed", "status:faild", "code:E06", "priority:hihg", "packs:hello", "sinc:1h"] {
        let suggestion = refused(text).suggestion.expect(text);
        read(&suggestion);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "(status:|since:|code:|\"|[a-z]{0,3}|\\PC| |,|:){0,12}") {
        if let Err(error) = parse(&text, NOW) {
            prop_assert!(error.position >= 1 && error.position <= text.chars().count().max(1));
        }
    }
}
