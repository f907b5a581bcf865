//! Bytes of a file as text that fits into a result.
//!
//! Cuts between characters, counts what JSON will make of each one, and replaces what is not UTF-8 by U+FFFD, counted.
//! Read next: [`super::read`].

use crate::limits::BINARY_PROBE_BYTES;

/// Part of a text, and which bytes of the input it stands for.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Sequences that were not UTF-8.
    pub(super) replaced: usize,
}

struct Char {
    ch: char,
    from: usize,
    to: usize,
    valid: bool,
}

pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().take(BINARY_PROBE_BYTES).any(|byte| *byte == 0)
}

/// The longest beginning of `bytes` that JSON writes in at most `budget` bytes.
pub(super) fn beginning(bytes: &[u8], budget: usize) -> Text {
    let chars = decode(bytes);
    let fitting = fitting(chars.iter(), budget);
    join(&chars[..fitting])
}

/// The longest end of `bytes` that JSON writes in at most `budget` bytes.
pub(super) fn end(bytes: &[u8], budget: usize) -> Text {
    let chars = decode(bytes);
    let fitting = fitting(chars.iter().rev(), budget);
    let mut text = join(&chars[chars.len() - fitting..]);
    if fitting == 0 {
        (text.from, text.to) = (bytes.len(), bytes.len());
    }
    text
}

/// Bytes at the end that only begin a character, because the file was cut there.
pub(super) fn begun(bytes: &[u8]) -> usize {
    let last = bytes.len().min(3);
    for back in 1..=last {
        let needed = match bytes[bytes.len() - back] {
            0b1000_0000..=0b1011_1111 => continue,
            0b1100_0000..=0b1101_1111 => 2,
            0b1110_0000..=0b1110_1111 => 3,
            0b1111_0000..=0b1111_0111 => 4,
            _ => return 0,
        };
        return if needed > back { back } else { 0 };
    }
    0
}

/// What JSON makes of a text, without its quotes.
pub(super) fn json_bytes(text: &str) -> usize {
    text.chars().map(cost).sum()
}

fn cost(ch: char) -> usize {
    match ch {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => ch.len_utf8(),
    }
}

fn fitting<'c>(chars: impl Iterator<Item = &'c Char>, budget: usize) -> usize {
    let mut left = budget;
    chars
        .take_while(|char| match left.checked_sub(cost(char.ch)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .count()
}

fn join(chars: &[Char]) -> Text {
    Text {
        text: chars.iter().map(|char| char.ch).collect(),
        from: chars.first().map_or(0, |char| char.from),
        to: chars.last().map_or(0, |char| char.to),
        replaced: chars.iter().filter(|char| !char.valid).count(),
    }
}

fn decode(bytes: &[u8]) -> Vec<Char> {
    let mut chars = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for ch in chunk.valid().chars() {
            let to = at + ch.len_utf8();
            chars.push(Char { ch, from: at, to, valid: true });
            at = to;
        }
        if !chunk.invalid().is_empty() {
            let to = at + chunk.invalid().len();
            chars.push(Char { ch: char::REPLACEMENT_CHARACTER, from: at, to, valid: false });
            at = to;
        }
    }
    chars
}
