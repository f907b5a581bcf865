//! Spans as operators say them: `1h`, `90 minutes`, `1 hour ago`.
//!
//! Guarantees: what is not understood is an error that quotes it; a number without a unit is refused.
//! Read next: [`crate::time`], the short forms.

use crate::time::{Error, Millis};

const UNITS: [(&str, &str); 8] = [
    ("milliseconds", "ms"),
    ("millisecond", "ms"),
    ("seconds", "s"),
    ("second", "s"),
    ("minutes", "m"),
    ("minute", "m"),
    ("hour", "h"),
    ("day", "d"),
];

/// Reads a span back from now.
///
/// # Errors
/// A text that is no span.
pub fn parse(text: &str) -> Result<Millis, Error> {
    let bad = || Error { text: text.to_owned() };
    let mut short = String::new();
    let words = text.trim().to_lowercase();
    let words = words.strip_suffix("ago").map_or(words.as_str(), str::trim_end);
    for word in words.split_whitespace() {
        let letters = word.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (number, unit) = word.split_at(word.len() - letters.len());
        let unit = match unit {
            "hours" => "h",
            "days" => "d",
            other => UNITS.iter().find(|(long, _)| *long == other).map_or(other, |(_, unit)| *unit),
        };
        short.push_str(number);
        short.push_str(unit);
    }
    short.parse().map_err(|_| bad())
}
