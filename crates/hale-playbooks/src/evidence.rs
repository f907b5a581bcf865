//! Evidence: an immutable set of readings, each with its source and moment, or unknown with the reason.
//!
//! Guarantees: what is written to a bundle and read back is equal, so a verdict can be had again offline; only signals
//! of the catalogue get in, with the right type; a reading past its signal's maximum age is unknown, not old news.
//! Leaves to others: taking the readings (`hale-engine`).
//! Read next: [`crate::expr`], which asks it questions.

use crate::signal::{self, Signal};
use crate::value::Value;
use hale_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

pub const SCHEMA: &str = "hale.evidence/1";
/// Bytes of a bundle that we read: the promise is that a bundle stays below this.
pub const BUNDLE_BYTES: usize = 5 << 20;
/// Readings of one evidence; the catalogue has a tenth of this, the rest is room for newer versions.
pub const READINGS_MAX: usize = 1024;
/// Bytes of one text or raw reading; longer is cut, since a diagnosis needs a name, not a log.
pub const TEXT_BYTES: usize = 4096;
/// Characters of a run's id. It appears in commands, so only letters, digits, `_` and `-` are let in.
const ID_CHARS: usize = 64;

/// Who or what the evidence is about; `system` or `run:ID` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    System,
    Run(String),
}

impl Subject {
    /// The run's id, if a run is the subject.
    pub fn run_id(&self) -> Option<&str> {
        match self {
            Subject::System => None,
            Subject::Run(id) => Some(id),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::System => f.write_str("system"),
            Subject::Run(id) => write!(f, "run:{id}"),
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

impl TryFrom<String> for Subject {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        let good = |id: &str| {
            (1..=ID_CHARS).contains(&id.len())
                && !id.starts_with('-')
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        match text.strip_prefix("run:") {
            None if text == "system" => Ok(Subject::System),
            Some(id) if good(id) => Ok(Subject::Run(id.to_owned())),
            _ => Err(Error::Subject { text }),
        }
    }
}

/// One thing that was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    pub value: Value,
    /// As the source had it, before it became a value.
    pub raw: String,
    pub at: Timestamp,
    /// Which part of hale or of the machine said so: `store`, `gateway`, `statvfs`.
    pub source: String,
}

/// One thing that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unknown {
    pub reason: Reason,
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Missing,
    Stale,
    TimedOut,
    Forbidden,
    ServerDown,
    /// The source gave a value of another type than the signal has.
    Mistyped,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Missing => "missing",
            Reason::Stale => "stale",
            Reason::TimedOut => "timed out",
            Reason::Forbidden => "forbidden",
            Reason::ServerDown => "server down",
            Reason::Mistyped => "of the wrong type",
        })
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.as_str() {
            "" => write!(f, "{}", self.reason),
            detail => write!(f, "{} ({detail})", self.reason),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Known(Reading),
    Unknown(Unknown),
}

/// An immutable set of readings about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    schema: String,
    taken_at: Timestamp,
    subject: Subject,
    readings: BTreeMap<String, Entry>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {text:?} as a subject: it is `system` or `run:` with a run's id")]
    Subject { text: String },
    #[error("read evidence: it is not valid JSON of schema {SCHEMA}")]
    Json(#[source] serde_json::Error),
    #[error("read evidence: its schema is {found:?}, this hale reads {SCHEMA:?}")]
    Schema { found: String },
    #[error("read evidence: {found} {what} are more than the {most} allowed")]
    TooMuch { what: &'static str, found: usize, most: usize },
    #[error("gather evidence: the signal catalogue has no {names:?}")]
    NoSuchSignal { names: Vec<String> },
}

impl Evidence {
    pub fn builder(subject: Subject, taken_at: Timestamp) -> Builder {
        Builder {
            evidence: Evidence { schema: SCHEMA.to_owned(), taken_at, subject, readings: BTreeMap::new() },
            strangers: Vec::new(),
        }
    }

    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    pub fn readings(&self) -> &BTreeMap<String, Entry> {
        &self.readings
    }

    /// The reading of a signal, or why there is none. Judges age and type here, so that no caller can forget to.
    pub fn look(&self, signal: &Signal) -> Result<&Reading, Unknown> {
        let unknown = |reason, detail: String| Err(Unknown { reason, detail });
        let reading = match self.readings.get(signal.name) {
            None => return unknown(Reason::Missing, String::new()),
            Some(Entry::Unknown(why)) => return Err(why.clone()),
            Some(Entry::Known(reading)) => reading,
        };
        if !signal.ty.admits(&reading.value) {
            let detail = format!("expected {}, got {}", signal.ty, reading.value.own_type());
            return unknown(Reason::Mistyped, detail);
        }
        match signal.age_max {
            Some(most) if self.age(reading) > most => {
                unknown(Reason::Stale, format!("read {} ago, {most} is the most", self.age(reading)))
            }
            _ => Ok(reading),
        }
    }

    /// How old a reading was when the evidence was taken.
    pub fn age(&self, reading: &Reading) -> Millis {
        self.taken_at.since(reading.at)
    }

    /// The bundle form: pretty JSON, signals in the order of their names, a newline at the end.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("maps have text keys and numbers are finite");
        text.push('\n');
        text
    }

    /// Reads a bundle. Signals that this version does not know are kept, and no expression can ask for them.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        if text.len() > BUNDLE_BYTES {
            return Err(Error::TooMuch { what: "bytes", found: text.len(), most: BUNDLE_BYTES });
        }
        let evidence: Evidence = serde_json::from_str(text).map_err(Error::Json)?;
        if evidence.schema != SCHEMA {
            return Err(Error::Schema { found: evidence.schema });
        }
        if evidence.readings.len() > READINGS_MAX {
            let found = evidence.readings.len();
            return Err(Error::TooMuch { what: "readings", found, most: READINGS_MAX });
        }
        Ok(evidence)
    }
}

/// Collects readings; what is not in the signal catalogue is an error when it is built.
#[derive(Clone, Debug)]
pub struct Builder {
    evidence: Evidence,
    strangers: Vec<String>,
}

impl Builder {
    /// A value read just now.
    pub fn known(self, name: &str, value: impl Into<Value>, source: &str) -> Self {
        let value = value.into();
        let ty = signal::find(name).map_or(value.own_type(), |signal| signal.ty);
        let raw = value.human(ty);
        let at = self.evidence.taken_at;
        self.reading(name, Reading { value, raw, at, source: source.to_owned() })
    }

    /// A value with its raw form and moment.
    pub fn reading(mut self, name: &str, mut reading: Reading) -> Self {
        cut(&mut reading.raw);
        cut(&mut reading.source);
        if let Value::Text(text) = &mut reading.value {
            cut(text);
        }
        // JSON has no form for these; a bundle must not lose what the verdict rested on.
        if let Value::Num(number) = reading.value
            && !number.is_finite()
        {
            return self.unknown(name, Reason::Mistyped, "not a finite number");
        }
        self.put(name, Entry::Known(reading));
        self
    }

    pub fn unknown(mut self, name: &str, reason: Reason, detail: &str) -> Self {
        let mut detail = detail.to_owned();
        cut(&mut detail);
        self.put(name, Entry::Unknown(Unknown { reason, detail }));
        self
    }

    fn put(&mut self, name: &str, entry: Entry) {
        if signal::find(name).is_none() {
            self.strangers.push(name.to_owned());
        }
        self.evidence.readings.insert(name.to_owned(), entry);
    }

    pub fn build(self) -> Result<Evidence, Error> {
        if self.strangers.is_empty() {
            Ok(self.evidence)
        } else {
            Err(Error::NoSuchSignal { names: self.strangers })
        }
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
    }
}
