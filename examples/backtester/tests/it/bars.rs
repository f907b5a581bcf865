//! Files that cannot be right are refused with their line, and files that only look odd are not.

use crate::world::Place;
use hale_backtester::bars::{Gaps, Range, Series, moment, reading};
use hale_backtester::failure::{Class, Failure};

const HEAD: &str = "timestamp,open,high,low,close,volume\n";

fn read(text: &str, gaps: Gaps) -> Result<Series, Failure> {
    reading::read(&Place::new().file(text), gaps)
}

/// The message after the path, `line: what`.
fn refusal(text: &str) -> String {
    let failure = read(text, Gaps::Refuse).unwrap_err();
    assert_eq!(failure.class, Class::DataError);
    assert!(!failure.fix.is_empty());
    failure.message.split_once("prices.csv:").unwrap().1.to_owned()
}

fn row(text: &str) -> String {
    refusal(&format!("{HEAD}2024-01-01,1,2,0.5,1,0\n{text}\n2024-01-03,1,2,0.5,1,0\n"))
}

#[test]
fn numbers_that_cannot_be_are_refused_with_their_line() {
    let cases = [
        ("2024-01-02,1,2,3,1,0", "3: high 2 is below low 3"),
        ("2024-01-02,9,2,1,1,0", "3: open 9 is outside low 1 to high 2"),
        ("2024-01-02,1,2,1,9,0", "3: close 9 is outside low 1 to high 2"),
        ("2024-01-02,1,2,1,-1,0", "3: close is -1, a price is above 0 and at most 1e12"),
        ("2024-01-02,0,2,1,1,0", "3: open is 0, a price is above 0 and at most 1e12"),
        ("2024-01-02,1,2e12,1,1,0", "3: high is 2000000000000, a price is above 0 and at most 1e12"),
        ("2024-01-02,1,NaN,1,1,0", "3: high is `NaN`, which is no number"),
        ("2024-01-02,1,inf,1,1,0", "3: high is `inf`, which is no number"),
        ("2024-01-02,1,,1,1,0", "3: high is empty"),
        ("2024-01-02,1,two,1,1,0", "3: high `two` is no number"),
        ("2024-01-02,1,2,1,1,-5", "3: volume is -5, it cannot be negative"),
        ("2024-01-02,1,2,1,1", "3: the row has 5 fields, the header 6"),
        ("2024-01-02,\"1,000\",2,1,1,0", "3: open `1,000` is no number"),
    ];
    for (text, expected) in cases {
        assert_eq!(row(text), expected, "{text}");
    }
}

#[test]
fn times_must_be_whole_and_in_order() {
    let form = "is neither a date (2024-01-31) nor RFC 3339 (2024-01-31T09:30:00Z)";
    let cases = [
        ("2024-01-01,1,2,1,1,0", "3: the time 2024-01-01T00:00:00Z is already on line 2".to_owned()),
        (
            "2023-12-31,1,2,1,1,0",
            "3: the time 2023-12-31T00:00:00Z is before 2024-01-01T00:00:00Z on line 2".to_owned(),
        ),
        ("1704153600,1,2,1,1,0", format!("3: timestamp `1704153600` {form}: it is a bare number")),
        (
            "2024-01-02 00:00:00,1,2,1,1,0",
            format!("3: timestamp `2024-01-02 00:00:00` {form}: it has no time zone"),
        ),
        ("2024-02-30,1,2,1,1,0", format!("3: timestamp `2024-02-30` {form}")),
        (",1,2,1,1,0", format!("3: timestamp `` {form}")),
    ];
    for (text, expected) in cases {
        assert_eq!(row(text), expected, "{text}");
    }
}

#[test]
fn a_header_must_name_every_column_once() {
    let cases = [
        ("", "1: no data: the file is empty"),
        ("timestamp,open,high,close\n", "1: the header lacks low, volume; it has: timestamp,open,high,close"),
        ("timestamp,open,high,low,close,volume,open\n", "1: the column `open` is there 2 times"),
        ("timestamp;open;high;low;close;volume\n", "1: the columns are not separated by commas"),
        (
            "2024-01-01,1,2,1,1,0\n",
            "1: the header lacks timestamp, open, high, low, close, volume; it has: 2024-01-01,1,2,1,1,0",
        ),
        (HEAD, "1: insufficient data: 0 bars below the header"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

fn days(numbers: &[u32]) -> String {
    let rows = numbers.iter().map(|day| format!("2024-01-{day:02},1,2,0.5,1,0\n"));
    HEAD.to_owned() + &rows.collect::<String>()
}

#[test]
fn missing_bars_are_named_unless_the_market_was_closed() {
    let text = days(&[1, 2, 3, 4, 5, 8, 9, 10, 14, 15]);
    assert_eq!(
        refusal(&text),
        "7: gap: 2 bars of 86400 s are missing between 2024-01-05T00:00:00Z and 2024-01-08T00:00:00Z (1 more gaps follow)"
    );
    assert_eq!(read(&text, Gaps::Allow).unwrap().gaps_count, 2);
    // Blank lines are no bars, but they count as lines.
    assert!(
        refusal(&days(&[1, 2, 3, 5]).replace("2024-01-05", "\n\n2024-01-05")).starts_with("7: gap: 1 bars")
    );
}

#[test]
fn bars_of_two_lengths_are_refused_even_with_gaps_allowed() {
    let text = days(&[1, 2, 3, 4]) + "2024-01-04T01:00:00Z,1,2,0.5,1,0\n";
    let failure = read(&text, Gaps::Allow).unwrap_err();
    assert!(
        failure.message.ends_with(":6: this bar comes 3600 s after the one before, most come after 86400 s"),
        "{failure}"
    );
}

#[test]
fn odd_but_sound_files_are_read() {
    // Other order and case, more columns, Windows line ends, a byte order mark, quotes, no last line end.
    let text = "\u{feff}Close, Symbol,\"Timestamp\",OPEN,High,Low,Volume\r\n1.5,X,2024-01-01T00:00:00+01:00,1,2,0.5,3\r\n\
        1.6,\"X,Y\",\"2024-01-02T00:00:00+01:00\",1,2,0.5,4";
    let series = read(text, Gaps::Refuse).unwrap();
    assert_eq!(series.bars[0].at, moment::parse("2023-12-31T23:00:00Z").unwrap());
    let bar = series.bars[1];
    assert_eq!([bar.open, bar.high, bar.low, bar.close, bar.volume], [1.0, 2.0, 0.5, 1.6, 4.0]);
    // A day of 23 hours in spring.
    let text = format!(
        "{HEAD}2024-03-30T00:00:00+01:00,1,2,1,1,0\n2024-03-31T00:00:00+01:00,1,2,1,1,0\n2024-04-01T00:00:00+02:00,1,2,1,1,0\n"
    );
    assert_eq!(read(&text, Gaps::Refuse).unwrap().bars.len(), 3);
}

#[test]
fn what_is_no_text_is_refused_without_reading_it_all() {
    let place = Place::new();
    let path = place.folder.path().join("prices.csv");
    std::fs::write(&path, vec![b'1'; 1 << 20]).unwrap();
    let failure = reading::read(&path, Gaps::Refuse).unwrap_err();
    assert!(failure.message.ends_with(":1: the line is longer than 4096 bytes"), "{failure}");
    std::fs::write(&path, b"timestamp,\xff\xfe\n").unwrap();
    let failure = reading::read(&path, Gaps::Refuse).unwrap_err();
    assert!(failure.message.ends_with(":1: the line is not UTF-8 text"), "{failure}");
    for missing in [place.folder.path().join("absent.csv"), place.folder.path().to_path_buf()] {
        assert_eq!(reading::read(&missing, Gaps::Refuse).unwrap_err().class, Class::DataError);
    }
}

#[test]
fn a_range_that_leaves_too_little_is_refused() {
    let series = || read(&days(&[1, 2, 3, 4, 5, 6]), Gaps::Refuse).unwrap();
    let range = |from: &str, to: &str| Range { from: moment::parse(from).ok(), to: moment::parse(to).ok() };
    let kept = series().within(range("2024-01-02", "2024-01-04"), 3).unwrap();
    assert_eq!(kept.bars.len(), 3);
    let failure = series().within(range("2024-01-02", "2024-01-04"), 4).unwrap_err();
    assert_eq!(
        failure.message,
        "prices.csv: insufficient data: 3 of 6 bars are in range, the strategy needs at least 4"
    );
    let failure = series().within(range("2025-01-02", "2025-01-04"), 4).unwrap_err();
    assert!(failure.message.starts_with("prices.csv: no data between --from and --to"), "{failure}");
}
