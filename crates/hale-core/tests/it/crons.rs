//! Cron lines: what they mean, when they fire, and what the clocks do to them.

use hale_core::cron::{Cron, parse};
use hale_core::time::Timestamp;
use jiff::tz::TimeZone;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond())
}

/// The next `n` firings after a moment, in UTC.
fn firings(line: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
    let (cron, zone): (Cron, _) = (parse(line).expect("a cron line"), TimeZone::get(zone).expect("a zone"));
    let next = |from: &Timestamp| cron.next(&zone, *from);
    let times = std::iter::successors(next(&at(after)), next);
    times.take(n).map(|at| at.rfc3339().replace(":00.000Z", "Z")).collect()
}

fn check(line: &str, after: &str, expected: &[&str]) {
    assert_eq!(firings(line, "UTC", after, expected.len()), expected, "{line} after {after}");
}

#[test]
fn the_five_fields_mean_what_they_mean_everywhere() {
    // 2026-11-23 is a Monday.
    check("0 3 * * *", "2026-11-23T03:00:00Z", &["2026-11-24T03:00Z", "2026-11-25T03:00Z"]);
    check("0 3 * * *", "2026-11-23T02:59:59.999Z", &["2026-11-23T03:00Z"]);
    check("*/20 9-10 * * mon-fri", "2026-11-20T10:30:00Z", &["2026-11-20T10:40Z", "2026-11-23T09:00Z"]);
    check("5,10 0 1 jan,jul *", "2026-11-23T00:00:00Z", &["2027-01-01T00:05Z", "2027-01-01T00:10Z"]);
    check("0 12 13 * 5", "2026-11-01T00:00:00Z", &["2026-11-06T12:00Z", "2026-11-13T12:00Z"]);
    check("0 0 * * 7", "2026-11-23T00:00:00Z", &["2026-11-29T00:00Z"]);
    check(
        "30 6/6 * * *",
        "2026-11-23T06:30:00Z",
        &["2026-11-23T12:30Z", "2026-11-23T18:30Z", "2026-11-24T06:30Z"],
    );
    check("0 0 29 2 *", "2026-11-23T00:00:00Z", &["2028-02-29T00:00Z"]);
    check("@hourly", "2026-11-23T10:59:00Z", &["2026-11-23T11:00Z", "2026-11-23T12:00Z"]);
    check("@Weekly", "2026-11-23T10:59:00Z", &["2026-11-29T00:00Z"]);
    check("* * * * *", "2026-11-23T10:59:30Z", &["2026-11-23T11:00Z"]);
}

#[test]
fn where_the_clock_is_set_forward_a_time_that_does_not_exist_fires_as_much_later_and_once() {
    // Berlin, 2027-03-28: 02:00 becomes 03:00 at 01:00 UTC.
    let fired = firings("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", 3);
    assert_eq!(fired, ["2027-03-27T01:30Z", "2027-03-28T01:30Z", "2027-03-29T00:30Z"]);
    let from_within = firings("30 2 * * *", "Europe/Berlin", "2027-03-28T01:10:00Z", 1);
    assert_eq!(from_within, ["2027-03-28T01:30Z"]);
    let even = firings("*/30 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 4);
    assert_eq!(even, ["2027-03-28T00:30Z", "2027-03-28T01:00Z", "2027-03-28T01:30Z", "2027-03-28T02:00Z"]);
}

#[test]
fn where_the_clock_is_set_back_a_time_that_comes_twice_fires_once_and_every_hour_stays_every_hour() {
    // Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
    let fired = firings("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2);
    assert_eq!(fired, ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]);
    let from_within = firings("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1);
    assert_eq!(from_within, ["2026-10-26T01:30Z"], "the second half past two is not a second firing");
    let even = firings("15 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4);
    assert_eq!(even, ["2026-10-25T00:15Z", "2026-10-25T01:15Z", "2026-10-25T02:15Z", "2026-10-25T03:15Z"]);
    // Lord Howe sets its clocks by half an hour.
    let half = firings("0 * * * *", "Australia/Lord_Howe", "2027-04-03T13:30:00Z", 3);
    assert_eq!(half, ["2027-04-03T14:00Z", "2027-04-03T15:30Z", "2027-04-03T16:30Z"]);
}

#[test]
fn what_is_not_understood_is_told_with_its_field() {
    for (line, says) in [
        ("0 25 * * *", "\"25\" in field 2 (hour) is out of range; write *, 0 to 23"),
        ("0 3 * *", "it has 4 fields; write five fields"),
        ("x 3 * * *", "\"x\" in field 1 (minute) is not understood"),
        ("0 3 * * mon-funday", "field 5 (day of week)"),
        ("9-5 * * * *", "is a range that ends before it begins"),
        ("*/0 * * * *", "has a step that does not fit"),
        ("0 0 30 2 *", "no such day exists, so it never fires"),
        ("@dayly", "is no nickname; the nicknames are @yearly"),
        ("", "it has 0 fields"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("for example \"0 3 * * *\""), "{line}: {error}");
    }
    assert!(parse(&"1,".repeat(200)).unwrap_err().to_string().contains("more than 256 letters"));
}
