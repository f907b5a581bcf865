//! What a signal can say: a closed set of values and their static types.
//!
//! Guarantees: one wire form that round-trips exactly, one human form (`1m 32s`, `512 MiB`, `12 %`).
//! Leaves to others: where values come from ([`crate::evidence`]), what they mean ([`crate::signal`]).
//! Read next: [`crate::signal`].

use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The value of one reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    Bool(bool),
    Int(i64),
    Num(f64),
    Text(String),
    #[serde(rename = "duration_ms")]
    Duration(Millis),
    Bytes(u64),
}

/// The static type of a signal or an expression, unit included: a duration never meets a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Bool,
    Int,
    Num,
    /// A share of a whole. Its own type, because `disk.free_ratio < 10` is a slip for `10%`.
    Ratio,
    Text,
    Duration,
    Bytes,
}

impl Type {
    pub fn admits(self, value: &Value) -> bool {
        match value {
            Value::Bool(_) => self == Type::Bool,
            Value::Int(_) => self == Type::Int,
            Value::Num(number) => matches!(self, Type::Num | Type::Ratio) && number.is_finite(),
            Value::Text(_) => self == Type::Text,
            Value::Duration(_) => self == Type::Duration,
            Value::Bytes(_) => self == Type::Bytes,
        }
    }

    /// How a literal of this type is written; for error messages.
    pub fn example(self) -> &'static str {
        match self {
            Type::Bool => "true",
            Type::Int => "10",
            Type::Num => "1.5",
            Type::Ratio => "15%",
            Type::Text => "\"text\"",
            Type::Duration => "60s",
            Type::Bytes => "512MiB",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Bool => "true or false",
            Type::Int => "whole number",
            Type::Num => "number",
            Type::Ratio => "ratio",
            Type::Text => "text",
            Type::Duration => "duration",
            Type::Bytes => "size in bytes",
        })
    }
}

impl Value {
    /// The type that the value has by itself; a ratio is a number until a signal says otherwise.
    pub fn own_type(&self) -> Type {
        match self {
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Num(_) => Type::Num,
            Value::Text(_) => Type::Text,
            Value::Duration(_) => Type::Duration,
            Value::Bytes(_) => Type::Bytes,
        }
    }

    /// As people write it. Control characters of foreign text are replaced: a finding is shown on terminals.
    pub fn human(&self, ty: Type) -> String {
        match self {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Num(value) if ty == Type::Ratio => percent(*value),
            Value::Num(value) => trimmed(*value, 2),
            Value::Text(value) => printable(value),
            Value::Duration(value) => value.to_string(),
            Value::Bytes(value) => bytes(*value),
        }
    }

    /// As a command line takes it: exact, without blanks.
    pub fn wire(&self, ty: Type) -> String {
        match self {
            Value::Duration(Millis(ms)) if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
            Value::Duration(Millis(ms)) => format!("{ms}ms"),
            Value::Bytes(value) => format!("{value}B"),
            Value::Num(value) if ty == Type::Ratio => format!("{}%", value * 100.0),
            Value::Num(value) => value.to_string(),
            Value::Bool(_) | Value::Int(_) | Value::Text(_) => self.human(ty),
        }
    }
}

/// Longest text shown in a sentence; more is noise, and the raw reading is in the evidence.
const SHOWN_CHARS: usize = 200;

fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() || is_bidi(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters that reorder what stands around them on a terminal.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let places = usize::from(percent.abs() < 10.0);
    format!("{} %", trimmed(percent, places))
}

fn trimmed(number: f64, places: usize) -> String {
    let text = format!("{number:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut amount = count as f64 / 1024.0;
    let mut unit = 0;
    // At 1023.95 the rounded form would read 1024 of the smaller unit.
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{} {}", trimmed(amount, 1), UNITS[unit])
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Num(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<Millis> for Value {
    fn from(value: Millis) -> Self {
        Value::Duration(value)
    }
}
