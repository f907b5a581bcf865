//! Where a value comes from, and `hale.toml` as a list of values with their lines.
//!
//! Guarantees: every value of a file is there once, under its dotted key, with the line and column where it stands.
//! Leaves to others: whether the key exists and the value fits ([`super::load`]).
//! Read next: [`super::value`].

use super::check::Problem;
use super::value::Raw;
use std::fmt;
use toml_edit::{Document, Item, TableLike, Value};

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    /// A default that depends on something else that is set.
    Because(&'static str),
    File {
        file: String,
        line: usize,
        column: usize,
    },
    /// `guide` marks a name of the operators' guides, kept as an alias.
    Env {
        name: String,
        guide: Option<&'static str>,
    },
    Flag(&'static str),
    /// Found without being named, such as the data folder.
    Found(&'static str),
}

impl Source {
    /// Somebody set it, on purpose.
    pub fn is_explicit(&self) -> bool {
        !matches!(self, Self::Default | Self::Because(_) | Self::Found(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Because(why) => write!(f, "default, because {why}"),
            Self::File { file, line, .. } => write!(f, "{file}:{line}"),
            Self::Env { name, guide: None } => write!(f, "env {name}"),
            Self::Env { name, guide: Some(own) } => write!(f, "env {name} (alias of {own})"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Found(how) => f.write_str(how),
        }
    }
}

/// One value of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub raw: Raw,
    pub source: Source,
}

/// Reads a file's text; `file` is its name as the operator knows it.
///
/// # Errors
/// What the TOML parser says, with its place.
pub fn read(file: &str, text: &str) -> Result<Vec<Entry>, Problem> {
    let reader = Reader { file, text };
    let document = Document::parse(text).map_err(|error| Problem {
        place: reader.place(error.span().map_or(0, |span| span.start)).to_place(),
        message: format!("read {file} as TOML: {}", error.message().lines().collect::<Vec<_>>().join(", ")),
        hint: "strings stand in quotes, lists in brackets: run = { timeout = \"60s\" }".to_owned(),
    })?;
    let mut entries = Vec::new();
    reader.walk("", document.as_table(), &mut entries);
    Ok(entries)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn walk(&self, above: &str, table: &dyn TableLike, entries: &mut Vec<Entry>) {
        for (name, item) in table.iter() {
            let key = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            // The key's place, not the value's: a value of several lines is looked for where it begins.
            let at = table.key(name).and_then(|key| key.span()).map_or(0, |span| span.start);
            match item.as_table_like() {
                Some(below) if below.is_empty() => {
                    entries.push(Entry { key, raw: Raw::Other("an empty table"), source: self.place(at) })
                }
                Some(below) => self.walk(&key, below, entries),
                None => entries.push(Entry { key, raw: raw(item), source: self.place(at) }),
            }
        }
    }

    fn place(&self, offset: usize) -> Source {
        let before = &self.text[..self.text.floor_char_boundary(offset.min(self.text.len()))];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Source::File {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Source {
    /// As compilers write it: `hale.toml:12:3`; for other sources as `Display` has it.
    pub fn to_place(&self) -> String {
        match self {
            Self::File { file, line, column } => format!("{file}:{line}:{column}"),
            other => other.to_string(),
        }
    }
}

fn raw(item: &Item) -> Raw {
    match item.as_value() {
        Some(value) => raw_value(value),
        None => Raw::Other("a list of tables"),
    }
}

fn raw_value(value: &Value) -> Raw {
    match value {
        Value::String(text) => Raw::Text(text.value().clone()),
        Value::Integer(number) => Raw::Text(number.value().to_string()),
        Value::Float(number) => Raw::Text(number.value().to_string()),
        Value::Boolean(flag) => Raw::Text(flag.value().to_string()),
        Value::Datetime(_) => Raw::Other("a date"),
        Value::InlineTable(_) => Raw::Other("a table"),
        Value::Array(list) => Raw::List(
            list.iter()
                .map(|item| match raw_value(item) {
                    Raw::Text(text) => text,
                    Raw::List(_) | Raw::Other(_) => item.to_string().trim().to_owned(),
                })
                .collect(),
        ),
    }
}
