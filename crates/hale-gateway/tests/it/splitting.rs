//! Events out of bytes.

use hale_gateway::sse::{Event, Splitter, TooLong};
use proptest::prelude::*;

/// All events of these chunks.
fn split(chunks: &[&[u8]]) -> Result<Vec<Event>, TooLong> {
    let mut splitter = Splitter::new(1000);
    let mut events = Vec::new();
    for chunk in chunks {
        splitter.push(chunk, |event| events.push(event))?;
    }
    events.extend(splitter.finish());
    Ok(events)
}

fn data(text: &str) -> Vec<String> {
    let events = split(&[text.as_bytes()]).unwrap();
    events.into_iter().map(|event| String::from_utf8(event.data).unwrap()).collect()
}

#[test]
fn lines_end_in_three_ways() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["data: a", "", "data: b", "data: c", "", ""].join(end);
        assert_eq!(data(&text), ["a", "b\nc"], "{end:?}");
    }
}

#[test]
fn fields_are_read_as_the_standard_has_them() {
    assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
    assert_eq!(data(": comment\ndata:a\nid: 1\nretry: 5\nunknown: x\n\n"), ["a"]);
    assert_eq!(data("data:  two spaces\n\n"), [" two spaces"]);
    assert_eq!(data("data\n\ndata:\n\n"), ["", ""]);
    assert_eq!(data("event: only\n\n\n\n"), [""; 0]);
    let named = split(&[b"event: error\ndata: x\n\ndata: y\n\n"]).unwrap();
    assert_eq!((named[0].name.as_slice(), named[1].name.as_slice()), (&b"error"[..], &b""[..]));
}

#[test]
fn the_last_event_needs_no_blank_line() {
    assert_eq!(data("data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
    assert_eq!(data("data: a\n\ndata: [DONE]\n"), ["a", "[DONE]"]);
}

#[test]
fn a_line_and_an_event_are_bounded() {
    let long = format!("data: {}", "x".repeat(1000));
    assert_eq!(split(&[long.as_bytes()]), Err(TooLong { bytes_max: 1000 }));
    let lines = "data: 0123456789\n".repeat(100);
    assert_eq!(split(&[lines.as_bytes()]), Err(TooLong { bytes_max: 1000 }));
    let comments = format!(":{}\n", "x".repeat(900)).repeat(100);
    assert_eq!(split(&[comments.as_bytes()]), Ok(vec![]));
}

/// Streams full of what matters, and cuts anywhere in them.
fn stream_and_cuts() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    const PARTS: &[&str] =
        &["data: ", "data", ":", "event: e", "\n", "\r", "\r\n", "\n\n", "\u{feff}", "é", "[DONE]", " ", "x"];
    let text = prop::collection::vec(prop::sample::select(PARTS), 0..40).prop_map(|parts| parts.concat());
    (text, prop::collection::vec(0usize..200, 0..20)).prop_map(|(text, cuts)| (text.into_bytes(), cuts))
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_events((bytes, mut cuts) in stream_and_cuts()) {
        cuts.retain(|cut| *cut <= bytes.len());
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = split(&[&bytes]);
        prop_assert_eq!(&split(&chunks), &whole);
        prop_assert_eq!(&split(&single), &whole);
    }
}
