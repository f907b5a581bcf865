//! Frames of a stream: server-sent events and lines of JSON.
//!
//! Guarantees: JSON is written on one line, so that no text in it can end a frame.
//! Leaves to others: splitting what comes ([`crate::sse`]).
//! Read next: [`super::writer`].

use serde_json::Value;

/// An event without a name.
pub(super) fn data(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    json(value, out);
    out.extend_from_slice(b"\n\n");
}

/// An event with a name.
pub(super) fn named(name: &str, value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(value, out);
}

/// A line of its own.
pub(super) fn line(value: &Value, out: &mut Vec<u8>) {
    json(value, out);
    out.push(b'\n');
}

fn json(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("a value is JSON, and a vector takes all bytes");
}
