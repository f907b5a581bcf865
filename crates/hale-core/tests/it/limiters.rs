//! Rates: how they are written, and that no span holds more starts than they say.

use hale_core::limiter::{Limit, Rate, Window};
use hale_core::time::{Millis, Timestamp};

#[test]
fn a_rate_reads_as_people_write_it() {
    for (text, n, ms, shown) in [
        ("10/s", 10, 1000, "10/s"),
        ("100/m", 100, 60_000, "100/m"),
        ("5/h", 5, 3_600_000, "5/h"),
        ("1/30s", 1, 30_000, "1/30s"),
        (" 2 / 250ms ", 2, 250, "2/250ms"),
    ] {
        let rate: Rate = text.parse().unwrap();
        assert_eq!((rate, rate.to_string().as_str()), (Rate { n, per: Millis(ms) }, shown));
    }
    for bad in ["", "10", "0/s", "10/0s", "10/y", "-1/s", "10/2d", "10001/s", "a/s"] {
        let error = bad.parse::<Rate>().unwrap_err().to_string();
        assert!(error.contains("write for example 10/s"), "{bad}: {error}");
    }
    let limit: Limit = serde_json::from_str(r#"{"concurrency":3,"rate":"10/s"}"#).unwrap();
    assert_eq!(limit.to_string(), "3 at a time, 10/s");
}

#[test]
fn no_span_holds_more_starts_than_the_rate_says() {
    let rate: Rate = "3/s".parse().unwrap();
    let (mut window, mut now, mut starts) = (Window::default(), Timestamp(1000), Vec::new());
    while now < Timestamp(20_000) {
        if window.next_at(rate, now) <= now {
            window.started(now);
            starts.push(now);
        }
        now = now + Millis(if starts.len() % 2 == 0 { 7 } else { 113 });
    }
    assert!(starts.len() > 30, "it does let through: {}", starts.len());
    for four in starts.windows(4) {
        assert!(four[3].since(four[0]) >= Millis(1000), "{four:?}");
    }
    let asked = window.next_at(rate, now);
    assert!(asked >= now);
}
