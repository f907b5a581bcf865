//! Moments and spans as people write them.
//!
//! Read next: `crates/hale-core/src/time.rs`.

use hale_core::time::{Millis, Timestamp, human};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[test]
fn spans_read_as_people_write_them() {
    for (text, ms) in [
        ("250ms", 250),
        ("60s", 60_000),
        ("1.5s", 1_500),
        ("5m", 300_000),
        ("5 min", 300_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        (" 2 d ", 172_800_000),
        ("0s", 0),
    ] {
        assert_eq!(text.parse(), Ok(Millis(ms)), "{text}");
    }
}

#[test]
fn a_span_without_a_unit_or_sense_is_refused_with_examples() {
    for text in
        ["", " ", "60", "s", "-5s", "1e3s", "1..5s", "5 m 3", "10y", "99999999999d", "5s!", "∞s", "1h30"]
    {
        let error = text.parse::<Millis>().expect_err(text);
        assert!(error.to_string().contains("60s, 5m"), "{error}");
    }
}

#[test]
fn spans_print_as_people_write_them() {
    for (ms, text) in [
        (0, "0ms"),
        (250, "250ms"),
        (4_200, "4.2s"),
        // The guides speak of their one minute in seconds.
        (60_000, "60s"),
        (300_000, "5m"),
        (92_000, "1m 32s"),
        (7_500_000, "2h 05m"),
        (273_600_000, "3d 04h"),
    ] {
        assert_eq!(Millis(ms).to_string(), text);
    }
}

#[test]
fn moments_print_as_rfc_3339_in_utc() {
    assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    assert_eq!(Timestamp(1_795_316_700_123).to_string(), "2026-11-22T03:05:00.123Z");
}

/// A config value, as it is written to a file and read back.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Setting {
    #[serde(with = "human")]
    span: Millis,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_span_reads_back_within_its_last_digit(ms in 0u64..10_000_000_000) {
        let back: Millis = Millis(ms).to_string().parse().unwrap();
        let digit = match ms { 0..1000 => 1, 1000..60_000 => 100, 60_000..3_600_000 => 1000, 3_600_000..86_400_000 => 60_000, _ => 3_600_000 };
        prop_assert!(back.0 <= ms && ms - back.0 < digit, "{ms} {back:?}");
    }

    #[test]
    fn a_setting_is_written_without_loss(ms in 0u64..3_000_000_000_000) {
        let text = serde_json::to_string(&Setting { span: Millis(ms) }).unwrap();
        prop_assert_eq!(serde_json::from_str::<Setting>(&text).unwrap(), Setting { span: Millis(ms) }, "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,20}") {
        let _ = text.parse::<Millis>();
    }

    #[test]
    fn no_moment_makes_the_arithmetic_panic(a in any::<i64>(), b in any::<i64>(), span in any::<u64>()) {
        let (a, b, span) = (Timestamp(a), Timestamp(b), Millis(span));
        let _ = (a.rfc3339(), a.since(b), a + span, a - span, span + span);
        prop_assert!(a + span >= a && a - span <= a);
    }
}
