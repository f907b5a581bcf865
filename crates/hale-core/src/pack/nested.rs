//! The keys with something in them: `limits`, `input`, `retry`, `grants`.
//!
//! Guarantees: numbers without a unit are refused where a unit would be a guess; every value is within
//! [`crate::limits`].
//! Read next: [`super::schema`].

use super::Limits;
use super::job_keys::JOB_LIMIT_KEYS;
use super::keys::Reader;
use super::schema::{Field, FieldType, InputSchema};
use super::tree::{Entry, Node, Value, clipped};
use crate::limiter::{self, Rate};
use crate::limits;
use crate::retry::Policy;
use crate::time::Millis;
use crate::web::{self, Site};
use std::ops::RangeInclusive;

const LIMIT_KEYS: [&str; 7] =
    ["timeout", "memory", "max_turns", "max_tokens", "budget_usd", "concurrency", "rate"];
const FIELD_KEYS: [&str; 4] = ["type", "default", "optional", "description"];
const RETRY_KEYS: [&str; 3] = ["max", "backoff", "jitter"];
const GRANT_KEYS: [&str; 2] = ["files", "web"];

impl Reader {
    pub(super) fn map<'a>(&mut self, node: &'a Node, key: &str, example: &str) -> &'a [Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            _ => {
                let _: Option<()> = self.misfit(node, key, "keys with values", example);
                &[]
            }
        }
    }

    pub(super) fn limits(&mut self, node: &Node) -> Limits {
        let mut all = Limits::default();
        for entry in self.map(node, "limits", "limits: { timeout: 60s, max_turns: 12 }") {
            let node = &entry.node;
            match entry.key.as_str() {
                "timeout" => {
                    let span = self.span(node, "limits.timeout", "timeout: 60s");
                    all.timeout = span.unwrap_or(all.timeout);
                }
                "memory" => all.memory = self.bytes(node, ("limits.memory", "memory: 256MB")),
                "max_turns" => {
                    let turns = self.whole(node, "limits.max_turns", 1..=u64::from(limits::TURNS_MAX));
                    all.max_turns =
                        turns.and_then(|turns| u32::try_from(turns).ok()).unwrap_or(all.max_turns);
                }
                "max_tokens" => {
                    let tokens = self.whole(node, "limits.max_tokens", 1..=limits::PACK_TOKENS_MAX);
                    all.max_tokens = tokens.unwrap_or(all.max_tokens);
                }
                "budget_usd" => all.budget_usd = self.number(node, "limits.budget_usd", 0.0..=1e6),
                "concurrency" => {
                    let most = u64::from(limiter::CONCURRENCY_MAX);
                    let runs = self.whole(node, "limits.concurrency", 1..=most);
                    all.concurrency = runs.and_then(|runs| u32::try_from(runs).ok());
                }
                "rate" => all.rate = self.rate(node),
                _ if self.job_limit(entry) => {}
                _ => {
                    let known: Vec<&str> = LIMIT_KEYS.into_iter().chain(JOB_LIMIT_KEYS).collect();
                    self.unknown_in(entry, &known, " in `limits`");
                }
            }
        }
        all
    }

    /// `rate: 10/s`.
    fn rate(&mut self, node: &Node) -> Option<Rate> {
        let read = match &node.value {
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        read.or_else(|| self.misfit(node, "limits.rate", "a rate such as 10/s, 100/m or 5/h", "rate: 10/s"))
    }

    /// A span of time with its unit, above nothing and within a day.
    pub(super) fn span(&mut self, node: &Node, key: &str, example: &str) -> Option<Millis> {
        let Value::Text(text) = &node.value else {
            return self.misfit(node, key, "a number with its unit", example);
        };
        match text.parse::<Millis>() {
            Ok(Millis(0)) | Err(_) => {
                self.misfit(node, key, "a span of time such as 250ms, 60s, 5m or 2h", example)
            }
            Ok(span) if span > limits::RUN_TIMEOUT_MAX => {
                let message = format!("`{key}` is {span}, the most is {}", hours(limits::RUN_TIMEOUT_MAX));
                let help = "split work that takes longer than a day into several runs".to_owned();
                self.flaw(&node.at, message, "too long", help);
                None
            }
            Ok(span) => Some(span),
        }
    }

    pub(super) fn bytes(&mut self, node: &Node, (key, example): (&str, &str)) -> Option<u64> {
        let expected = "a size such as 256MB or 1GiB";
        match &node.value {
            Value::Text(text) => match size(text) {
                Some(bytes) => Some(bytes),
                None => self.misfit(node, key, expected, example),
            },
            _ => self.misfit(node, key, "a number with its unit", example),
        }
    }

    pub(super) fn whole(&mut self, node: &Node, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let expected = match *range.end() {
            u64::MAX => format!("a whole number from {}", range.start()),
            end => format!("a whole number from {} to {end}", range.start()),
        };
        let example = format!("{}: {}", key.rsplit('.').next().unwrap_or(key), (*range.start()).max(10));
        match &node.value {
            Value::Int(number) => match u64::try_from(*number).ok().filter(|number| range.contains(number)) {
                Some(number) => Some(number),
                None => self.misfit(node, key, &expected, &example),
            },
            _ => self.misfit(node, key, &expected, &example),
        }
    }

    pub(super) fn number(&mut self, node: &Node, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match &node.value {
            Value::Float(number) => *number,
            // Numbers of a pack are small: nothing is lost.
            Value::Int(number) => *number as f64,
            _ => f64::NAN,
        };
        if range.contains(&number) {
            return Some(number);
        }
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.misfit(node, key, &expected, &format!("{}: 0.5", key.rsplit('.').next().unwrap_or(key)))
    }

    /// `{ max: 3, backoff: 1s..4s, jitter: 500ms }`; what is left out is as for tools.
    pub(super) fn retry(&mut self, node: &Node) -> Option<Policy> {
        let example = "retry: { max: 3, backoff: 1s..4s }";
        let mut policy = crate::retry::RetryClass::Tool.policy();
        for entry in self.map(node, "retry", example) {
            let node = &entry.node;
            match entry.key.as_str() {
                "max" => {
                    let retries = self.whole(node, "retry.max", 0..=u64::from(limits::PACK_RETRIES_MAX));
                    policy.retries_max =
                        retries.and_then(|n| u32::try_from(n).ok()).unwrap_or(policy.retries_max);
                }
                "backoff" => {
                    let waits = self.backoff(node);
                    (policy.wait_min, policy.wait_max) = waits.unwrap_or((policy.wait_min, policy.wait_max));
                }
                "jitter" => {
                    let jitter = self.span(node, "retry.jitter", "jitter: 500ms");
                    policy.jitter_max = jitter.unwrap_or(policy.jitter_max);
                }
                _ => self.unknown_in(entry, &RETRY_KEYS, " in `retry`"),
            }
        }
        Some(policy)
    }

    fn backoff(&mut self, node: &Node) -> Option<(Millis, Millis)> {
        let (key, example) = ("retry.backoff", "backoff: 1s..4s");
        let text = self.text(node, key)?;
        let (from, to) = text.split_once("..").unwrap_or((&text, &text));
        let part = |text: &str| Node { at: node.at.clone(), value: Value::Text(text.trim().to_owned()) };
        let (from, to) = (self.span(&part(from), key, example)?, self.span(&part(to), key, example)?);
        if from > to {
            let message = format!("`{key}` goes from {from} down to {to}");
            self.flaw(&node.at, message, "the wrong way round", format!("write `backoff: {to}..{from}`"));
            return None;
        }
        Some((from, to))
    }

    /// `{ files: ["/var/log:ro"], web: ["example.com"] }`: folders and sites.
    pub(super) fn grants(&mut self, node: &Node) -> (Vec<String>, Vec<String>) {
        let (mut folders, mut sites) = (Vec::new(), Vec::new());
        for entry in self.map(node, "grants", "grants: { files: [\"/var/log:ro\"] }") {
            match entry.key.as_str() {
                "files" => folders = self.folders(&entry.node),
                "web" => sites = self.sites(&entry.node),
                _ => self.unknown_in(entry, &GRANT_KEYS, " in `grants`"),
            }
        }
        (folders, sites)
    }

    fn folders(&mut self, node: &Node) -> Vec<String> {
        let mut folders: Vec<String> = Vec::new();
        for node in self.list(node, "files") {
            let Some(text) = self.text(node, "grants.files") else { continue };
            match granted(&text) {
                Ok(folder) if folders.contains(&folder) => {}
                Ok(folder) => folders.push(folder),
                Err(problem) => {
                    let message =
                        format!("grant {:?} is not a folder with a mode: {problem}", clipped(&text));
                    let help = "write an absolute folder and a mode, for example \"/var/log:ro\"".to_owned();
                    self.flaw(&node.at, message, problem, help);
                }
            }
        }
        folders
    }

    fn sites(&mut self, node: &Node) -> Vec<String> {
        let mut sites: Vec<String> = Vec::new();
        for node in self.list(node, "web") {
            let Some(text) = self.text(node, "grants.web") else { continue };
            match text.parse::<Site>() {
                Ok(site) if sites.contains(&site.to_string()) => {}
                Ok(site) => sites.push(site.to_string()),
                Err(web::Error { problem, .. }) => {
                    let message = format!("grant {:?} is not a host: {problem}", clipped(&text));
                    let help = "write a name, *.name or an address, perhaps with a port, for example \
                                \"example.com\" or \"10.0.0.7:8080\"";
                    self.flaw(&node.at, message, problem, help.to_owned());
                }
            }
        }
        sites
    }

    pub(super) fn input(&mut self, node: &Node) -> Option<InputSchema> {
        let mut schema = InputSchema { fields: Vec::new(), open: false };
        for entry in self.map(node, "input", "input: { question: string, path: string? }") {
            if !is_field(&entry.key) {
                let message = format!("{:?} is not a name for a field", clipped(&entry.key));
                let help =
                    format!("use 1 to {} letters, digits, `_` and `-`, a letter first", limits::NAME_CHARS);
                self.flaw(&entry.at, message, "not a name", help);
                continue;
            }
            schema.fields.extend(self.field(entry));
        }
        Some(schema)
    }

    fn field(&mut self, entry: &Entry) -> Option<Field> {
        let (name, node) = (entry.key.clone(), &entry.node);
        let entries = match &node.value {
            Value::Map(entries) => entries,
            _ => {
                let (kind, required) = self.field_type(node, &name)?;
                return Some(Field { name, kind, required, default: None, description: None });
            }
        };
        let mut field =
            Field { name, kind: FieldType::Any, required: true, default: None, description: None };
        let mut typed = false;
        for part in entries {
            match part.key.as_str() {
                "type" => {
                    let (kind, required) = self.field_type(&part.node, &field.name)?;
                    (field.kind, typed) = (kind, true);
                    field.required &= required;
                }
                "default" => (field.default, field.required) = (part.node.value.json(), false),
                "optional" => match part.node.value {
                    Value::Bool(optional) => field.required &= !optional,
                    _ => return self.misfit(&part.node, "optional", "true or false", "optional: true"),
                },
                "description" => field.description = self.text(&part.node, "description"),
                _ => self.unknown_in(part, &FIELD_KEYS, &format!(" in the input field `{}`", field.name)),
            }
        }
        if !typed {
            let message = format!("input field `{}` has no type", field.name);
            self.flaw(&entry.at, message, "add `type`", format!("write one of: {}", type_names().join(", ")));
        }
        match field.default.as_ref().filter(|default| !field.kind.takes(default)) {
            Some(default) => {
                let message =
                    format!("the default {default} of `{}` is not of type {}", field.name, field.kind);
                self.flaw(&node.at, message, "type and default differ", "change one of the two".to_owned());
                None
            }
            None => Some(field),
        }
    }

    /// `string`, or `string?` for what may be left out.
    fn field_type(&mut self, node: &Node, name: &str) -> Option<(FieldType, bool)> {
        let example = format!("{name}: string");
        let Value::Text(text) = &node.value else {
            return self.misfit(node, name, "a type", &example);
        };
        let (bare, required) = text.strip_suffix('?').map_or((text.as_str(), true), |bare| (bare, false));
        if let Ok(kind) = bare.parse() {
            return Some((kind, required));
        }
        let label = match crate::nearest::nearest(bare, type_names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no such type".to_owned(),
        };
        let message = format!("input field `{name}` has the unknown type `{}`", clipped(text));
        let help =
            format!("write one of: {}; `?` behind it makes the field optional", type_names().join(", "));
        self.flaw(&node.at, message, &label, help);
        None
    }
}

fn type_names() -> [&'static str; 7] {
    FieldType::ALL.map(FieldType::name)
}

fn is_field(text: &str) -> bool {
    (1..=limits::NAME_CHARS).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// The grant in its one form, `/folder:mode`; whether the folder exists and is allowed is seen at deploy.
fn granted(text: &str) -> Result<String, &'static str> {
    let (folder, mode) = match text.rsplit_once(':') {
        Some((folder, mode @ ("ro" | "rw"))) => (folder, mode),
        Some((_, rest)) if !rest.contains('/') => return Err("the mode is neither ro nor rw"),
        _ => (text, "ro"),
    };
    if folder.chars().any(char::is_control) {
        return Err("it holds control characters");
    }
    if folder.starts_with('~') {
        return Err("`~` is not expanded");
    }
    if !folder.starts_with('/') {
        return Err("the folder is not absolute");
    }
    let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("`..` hides which folder is meant");
    }
    Ok(format!("/{}:{mode}", parts.join("/")))
}

/// Bytes as people write them: `256MB` is 256,000,000, `256MiB` is 268,435,456.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    let bytes = number * unit;
    // Below a page and above a tebibyte it is a slip of the keyboard.
    (4096.0..=1.1e12).contains(&bytes).then_some(bytes.round() as u64)
}

fn hours(span: Millis) -> String {
    format!("{}h", span.0 / 3_600_000)
}
