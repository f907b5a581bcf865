//! Sentences and commands with `{expression}` in them.
//!
//! Guarantees: placeholders are type-checked at load; what is unknown shows as such; in a command every text is quoted
//! for a POSIX shell, since names come from packs and providers and a person will paste the line.
//! Leaves to others: which sentences exist ([`crate::playbook`]).
//! Read next: [`crate::playbook`].

use crate::evidence::Evidence;
use crate::expr::{Error, Expr, Kind, Reach};
use crate::signal::Signal;
use crate::value::{Type, Value};

/// Bytes of one template; a sentence, not a page.
pub const BYTES_MAX: usize = 2_000;

/// A text with placeholders: `{signal or expression}`, `{run}` for the run's id; `{{` and `}}` are braces.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Value(Expr),
    RunId,
}

/// A command with its placeholders filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub line: String,
    /// Whether every placeholder was known; if not, the line shows `<what is missing>` and cannot be run as it stands.
    pub completeness: Completeness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    HasGaps,
}

impl Template {
    pub fn compile(text: &str, reach: Reach) -> Result<Self, Error> {
        if text.len() > BYTES_MAX {
            let message = format!("the text is {} bytes long, {BYTES_MAX} is the most", text.len());
            return Err(Error::at(text, 0..text.len(), message).kind(Kind::Bound));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            match c {
                '{' | '}' if text[at + 1..].starts_with(c) => {
                    literal.push(c);
                    at += 2;
                }
                '{' => {
                    let end = close(text, at)?;
                    parts.extend((!literal.is_empty()).then(|| Part::Text(std::mem::take(&mut literal))));
                    parts.push(placeholder(text, at + 1..end, reach)?);
                    at = end + 1;
                }
                '}' => return Err(Error::at(text, at..at + 1, "`}` without `{`; write `}}` for a brace")),
                _ => {
                    literal.push(c);
                    at += c.len_utf8();
                }
            }
        }
        parts.extend((!literal.is_empty()).then_some(Part::Text(literal)));
        Ok(Self { source: text.to_owned(), parts })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The signals that its placeholders ask for.
    pub fn signals(&self) -> impl Iterator<Item = &'static Signal> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Value(expr) => expr.signals(),
                Part::Text(_) | Part::RunId => &[],
            })
            .copied()
    }

    /// As a sentence for people.
    pub fn prose(&self, evidence: &Evidence) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::RunId => evidence.subject().run_id().unwrap_or("unknown").to_owned(),
            Part::Value(expr) => {
                expr.value(evidence).map_or_else(|| "unknown".to_owned(), |value| value.human(expr.ty()))
            }
        };
        self.parts.iter().map(part).collect()
    }

    /// As a line for a shell.
    pub fn command(&self, evidence: &Evidence) -> Command {
        let mut command = Command { line: String::new(), completeness: Completeness::Complete };
        for part in &self.parts {
            let (filled, name) = match part {
                Part::Text(text) => (Some(text.clone()), ""),
                Part::RunId => (evidence.subject().run_id().map(str::to_owned), "run"),
                Part::Value(expr) => {
                    (expr.value(evidence).and_then(|value| argument(&value, expr.ty())), expr.source())
                }
            };
            match filled {
                Some(text) => command.line.push_str(&text),
                None => {
                    command.line.push_str(&format!("<{name}>"));
                    command.completeness = Completeness::HasGaps;
                }
            }
        }
        command
    }
}

fn close(text: &str, open: usize) -> Result<usize, Error> {
    let mut quoted = false;
    for (offset, c) in text[open..].char_indices() {
        match c {
            '"' => quoted = !quoted,
            '}' if !quoted => return Ok(open + offset),
            _ => {}
        }
    }
    Err(Error::at(text, open..text.len(), "`{` is never closed; write `{{` for a brace"))
}

fn placeholder(text: &str, span: std::ops::Range<usize>, reach: Reach) -> Result<Part, Error> {
    let inner = &text[span.clone()];
    if inner.trim() == "run" {
        let message = "`{run}` is one run's id, but here the whole system is asked about";
        let system = Error::at(text, span, message).kind(Kind::Name);
        return if reach == Reach::Run { Ok(Part::RunId) } else { Err(system) };
    }
    let moved = |error: Error| {
        let inside = span.start + error.span.start..span.start + error.span.end;
        Error::at(text, inside, error.message).kind(error.kind).suggest(error.suggestion)
    };
    Expr::compile(inner, reach).map(Part::Value).map_err(moved)
}

/// `None` where no quoting makes the text a safe argument: empty, or read as an option.
fn argument(value: &Value, ty: Type) -> Option<String> {
    let Value::Text(text) = value else { return Some(value.wire(ty)) };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/:@+-".contains(c);
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        None
    } else if text.chars().all(plain) {
        Some(text.clone())
    } else {
        Some(format!("'{}'", text.replace('\'', "'\\''")))
    }
}
