//! One line of the log.
//!
//! Guarantees: the keys stand in one order (`level ts caller msg request_id duration_ms error`, then ours, then the
//! rest as they came); the text form is exactly `LEVEL [run_id=…] message`; a field is put into its final form once,
//! and a line is written into a buffer that its thread uses again.
//! Leaves to others: where the line goes ([`super::sink`]).

use super::FIELD_BYTES;
use hale_core::time::Timestamp;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// Keys with a fixed place, after `level`, `ts`, `caller` and `msg`.
const ORDER: [&str; 9] =
    ["request_id", "duration_ms", "error", "run_id", "pack", "step", "correlation_id", "code", "event"];
/// How tracing calls the sentence of a line.
const MESSAGE: &str = "message";

/// Fields of a span or an event: one text that holds all values, and where each stands in it.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    values: String,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    key: &'static str,
    from: usize,
    to: usize,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A string, not escaped yet.
    Text,
    /// A number or a truth value, as JSON has it.
    Scalar,
}

impl Fields {
    pub fn clear(&mut self) {
        self.values.clear();
        self.places.clear();
    }

    /// Takes over the fields of an outer span.
    pub fn take_over(&mut self, outer: &Fields) {
        for place in &outer.places {
            let from = self.values.len();
            self.values.push_str(&outer.values[place.from..place.to]);
            self.put(place.key, from, place.form);
        }
    }

    /// What was written since `from` is the value of `key`.
    fn put(&mut self, key: &'static str, from: usize, form: Form) {
        if form == Form::Text && self.values.len() - from > FIELD_BYTES {
            let end = self.values.floor_char_boundary(from + FIELD_BYTES);
            let dropped = self.values.len() - end;
            self.values.truncate(end);
            let _ = write!(self.values, "… ({dropped} bytes more)");
        }
        let place = Place { key, from, to: self.values.len(), form };
        match self.places.iter_mut().find(|known| known.key == key) {
            Some(known) => *known = place,
            None => self.places.push(place),
        }
    }

    fn put_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        let from = self.values.len();
        write(&mut self.values);
        self.put(key(field), from, Form::Text);
    }

    fn put_scalar(&mut self, field: &Field, value: impl std::fmt::Display) {
        let from = self.values.len();
        let _ = write!(self.values, "{value}");
        self.put(key(field), from, Form::Scalar);
    }

    fn find(&self, key: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.key == key)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.find(key).map(|place| &self.values[place.from..place.to])
    }
}

/// `run = %id` reads well in code; outside it is `run_id` everywhere.
fn key(field: &Field) -> &'static str {
    if field.name() == "run" { "run_id" } else { field.name() }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, |to| {
            let _ = write!(to, "{value:?}");
        });
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, |to| to.push_str(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_scalar(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_scalar(field, value);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no infinity; and the shortest form that reads back is `{:?}`.
        if value.is_finite() {
            self.put_scalar(field, format_args!("{value:?}"));
        } else {
            self.put_scalar(field, "null");
        }
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_scalar(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put_text(field, |to| {
            for (place, error) in hale_core::failure::chain(value).enumerate() {
                let between = if place == 0 { "" } else { ": " };
                let _ = write!(to, "{between}{error}");
            }
        });
    }
}

/// A line with everything on it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    level: Level,
    at: Timestamp,
    caller: (&'a str, u32),
    fields: &'a Fields,
}

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl<'a> Line<'a> {
    pub fn new(metadata: &'a Metadata<'_>, fields: &'a Fields, at: Timestamp) -> Self {
        let caller = (metadata.file().unwrap_or("unknown"), metadata.line().unwrap_or(0));
        Self { level: *metadata.level(), at, caller, fields }
    }

    fn message(&self) -> &str {
        self.fields.text(MESSAGE).unwrap_or_default()
    }

    /// Appends the JSON form with its line end. Writing to memory cannot fail.
    pub fn json(&self, out: &mut Vec<u8>) {
        let (file, number) = self.caller;
        let _ = write!(out, r#"{{"level":"{}","ts":"{}","caller":"#, lower(self.level), self.at);
        quote(out, file);
        // Inside of the quotes.
        out.pop();
        let _ = write!(out, r#":{number}","msg":"#);
        quote(out, self.message());
        for key in ORDER {
            if let Some(place) = self.fields.find(key) {
                self.member(out, place);
            }
        }
        for place in &self.fields.places {
            if place.key != MESSAGE && !ORDER.contains(&place.key) && !FIXED.contains(&place.key) {
                self.member(out, place);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn member(&self, out: &mut Vec<u8>, place: &Place) {
        out.push(b',');
        quote(out, place.key);
        out.push(b':');
        let value = &self.fields.values[place.from..place.to];
        match place.form {
            Form::Text => quote(out, value),
            Form::Scalar => out.extend_from_slice(value.as_bytes()),
        }
    }

    /// The text form, with its line end.
    pub fn text(&self) -> String {
        text_form(self.level.as_str(), self.fields.text("run_id"), self.message())
    }
}

/// Keys that a line has of its own; a field of this name would stand there twice.
const FIXED: [&str; 4] = ["level", "ts", "caller", "msg"];

fn lower(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// A JSON string. Writing a string to memory cannot fail.
fn quote(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

/// A line of the log about the log itself, in JSON.
pub fn note(event: &str, message: &str) -> String {
    let at = now();
    format!(
        "{{\"level\":\"warn\",\"ts\":\"{at}\",\"caller\":\"{}\",\"msg\":\"{message}\",\"event\":\"{event}\"}}\n",
        concat!(file!(), ":", line!())
    )
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
