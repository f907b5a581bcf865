//! One line of the log.
//!
//! Guarantees: the keys stand in one order (`level ts caller msg request_id duration_ms error`, then ours, then the
//! rest as they came); the text form is exactly `LEVEL [run_id=…] message`.
//! Leaves to others: where the line goes.

use super::FIELD_BYTES;
use hale_core::time::Timestamp;
use serde_json::{Map, Value};
use std::fmt::{Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// Keys with a fixed place, after `level`, `ts`, `caller` and `msg`.
const ORDER: [&str; 9] =
    ["request_id", "duration_ms", "error", "run_id", "pack", "step", "correlation_id", "code", "event"];

/// Fields of a span or an event.
#[derive(Clone, Debug, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Takes over the fields of an outer span.
    pub fn take_over(&mut self, outer: &Fields) {
        for (key, value) in &outer.0 {
            self.0.insert(key.clone(), value.clone());
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        // `run = %id` reads well in code; outside it is `run_id` everywhere.
        let key = if field.name() == "run" { "run_id" } else { field.name() };
        self.0.insert(key.to_owned(), value);
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let mut text = text.to_owned();
        if text.len() > FIELD_BYTES {
            let dropped = text.len() - FIELD_BYTES;
            text.truncate(text.floor_char_boundary(FIELD_BYTES));
            let _ = write!(text, "… ({dropped} bytes more)");
        }
        self.put(field, Value::String(text));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let chain: Vec<String> = hale_core::failure::chain(value).collect();
        self.put_text(field, &chain.join(": "));
    }
}

/// A line with everything on it.
#[derive(Clone, Debug)]
pub struct Line {
    level: Level,
    at: Timestamp,
    caller: String,
    fields: Map<String, Value>,
}

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Line {
    pub fn new(metadata: &Metadata<'_>, fields: Fields, at: Timestamp) -> Self {
        let file = metadata.file().unwrap_or("unknown");
        let caller = format!("{file}:{}", metadata.line().unwrap_or(0));
        Self { level: *metadata.level(), at, caller, fields: fields.0 }
    }

    fn message(&self) -> &str {
        self.fields.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// The JSON form, with its line end.
    pub fn json(&self) -> String {
        let mut object = Map::new();
        object.insert("level".to_owned(), self.level.as_str().to_ascii_lowercase().into());
        object.insert("ts".to_owned(), self.at.rfc3339().into());
        object.insert("caller".to_owned(), self.caller.clone().into());
        object.insert("msg".to_owned(), self.message().into());
        for key in ORDER {
            if let Some(value) = self.fields.get(key) {
                object.insert(key.to_owned(), value.clone());
            }
        }
        for (key, value) in &self.fields {
            if key != "message" && !object.contains_key(key) {
                object.insert(key.clone(), value.clone());
            }
        }
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        line
    }

    /// The text form, with its line end.
    pub fn text(&self) -> String {
        let run = self.fields.get("run_id").map(plain);
        text_form(self.level.as_str(), run.as_deref(), self.message())
    }
}

/// `LEVEL [run_id=…] message`; a line that belongs to no run has no brackets.
pub fn text_form(level: &str, run: Option<&str>, message: &str) -> String {
    let mut line = level.to_owned();
    if let Some(run) = run {
        let _ = write!(line, " [run_id={}]", escaped(run));
    }
    let _ = writeln!(line, " {}", escaped(message));
    line
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Control characters would start lines of their own, or command the terminal.
pub fn escaped(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|letter| {
            if letter.is_control() {
                Escaped::Long(letter.escape_default())
            } else {
                Escaped::Plain(Some(letter))
            }
        })
        .collect()
}

enum Escaped {
    Long(std::char::EscapeDefault),
    Plain(Option<char>),
}

impl Iterator for Escaped {
    type Item = char;
    fn next(&mut self) -> Option<char> {
        match self {
            Escaped::Long(letters) => letters.next(),
            Escaped::Plain(letter) => letter.take(),
        }
    }
}
