//! What a pack of kind `job` runs, and how a run's input becomes its command line.
//!
//! Guarantees: the program is fixed by the pack, never by an input; every argument is rendered by itself and stays one
//! argument, whatever the input holds; a part whose optional input is missing is left out as a whole.
//! Leaves to others: whether the program may run here and under which walls (`hale-sandbox`, `hale-engine`).
//! Read next: [`super::template`](../template/index.html) writes packs; `job_keys.rs` reads these.

use crate::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Walls that a pack may require, by their names in the sandbox; a test of the engine holds the two lists equal.
pub const WALLS: [&str; 24] = [
    "subreaper",
    "cgroup-memory",
    "cgroup-tasks",
    "memory-watch",
    "task-watch",
    "cpu-watch",
    "disk-watch",
    "session",
    "parent-death",
    "no-new-privileges",
    "rlimit-data",
    "rlimit-cpu",
    "rlimit-file-size",
    "rlimit-open-files",
    "rlimit-core",
    "rlimit-tasks",
    "closed-files",
    "oom-score",
    "files",
    "scope",
    "tcp",
    "capabilities",
    "system-calls",
    "sockets",
];

/// Names by which people know some walls.
pub const WALL_ALIASES: [(&str, &str); 3] =
    [("landlock", "files"), ("seccomp", "system-calls"), ("cgroup", "cgroup-memory")];

/// One place of `run:`, an argument, or a list of arguments that goes only if all its inputs are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    One(String),
    Group(Vec<String>),
}

/// What the program may use; none means the server's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobLimits {
    /// CPU time of all its processes, `cpu: 60s`.
    #[serde(rename = "cpu_ms", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Millis>,
    /// Time of the program alone, `wall: 50s`; without it the run's own limit ends it.
    #[serde(rename = "wall_ms", skip_serializing_if = "Option::is_none")]
    pub wall: Option<Millis>,
    /// The longest time without a line of output, `silence: 20s`; longer is a hang.
    #[serde(rename = "silence_ms", skip_serializing_if = "Option::is_none")]
    pub silence: Option<Millis>,
    /// Between SIGTERM and SIGKILL, `grace: 5s`.
    #[serde(rename = "grace_ms", skip_serializing_if = "Option::is_none")]
    pub grace: Option<Millis>,
    /// One file, `file_size: 10MiB`.
    #[serde(rename = "file_size_bytes", skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Growth of all folders that it may write to, `disk: 100MiB`.
    #[serde(rename = "disk_bytes", skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
    /// Output that is read; more is counted and thrown away, `output: 1MiB`.
    #[serde(rename = "output_bytes", skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Processes and threads together, `processes: 32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

/// The keys of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The program, then its arguments.
    pub run: Vec<Part>,
    /// Where it starts, below the working folder that every try gets for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Its whole environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Files that are written into the working folder before it starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The folder whose files become artifacts, below the working folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<String>,
    /// Results without which the run fails although the program ended with 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expects: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Walls without which the run is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// What its exit codes mean: 3 means `data_error`, which gives the cause `job.data_error`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exits: BTreeMap<u8, String>,
    #[serde(default)]
    pub limits: JobLimits,
}

/// The folders of one try, for `{work}` and `{results}`.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    pub work: &'a str,
    pub results: &'a str,
}

/// What is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub program: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub files: Vec<(String, String)>,
}

/// An argument that cannot be made of this input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the argument {argument:?} needs the input `{input}`, which is not there")]
pub struct Missing {
    pub argument: String,
    pub input: String,
}

impl Job {
    /// The program as the pack names it.
    pub fn program(&self) -> &str {
        match self.run.first() {
            Some(Part::One(program)) => program,
            _ => "",
        }
    }

    /// The program's file name: how lines of the log and steps call it.
    pub fn name(&self) -> &str {
        self.program().rsplit('/').next().unwrap_or_default()
    }

    /// The command line, environment and files for this input.
    ///
    /// # Errors
    /// The first argument that needs an input which is not there.
    pub fn command(&self, input: &Value, places: Places<'_>) -> Result<Command, Missing> {
        let fill = |text: &str| filled(text, (input, places));
        let mut args = Vec::new();
        for part in self.run.iter().skip(1) {
            match part {
                Part::One(text) => {
                    let missing = |input| Missing { argument: text.clone(), input };
                    args.push(fill(text).map_err(missing)?);
                }
                Part::Group(texts) => {
                    let all: Result<Vec<String>, String> = texts.iter().map(|text| fill(text)).collect();
                    args.extend(all.unwrap_or_default());
                }
            }
        }
        let there = |pairs: &BTreeMap<String, String>| {
            pairs.iter().filter_map(|(name, text)| Some((name.clone(), fill(text).ok()?))).collect()
        };
        Ok(Command {
            program: self.program().to_owned(),
            args,
            env: there(&self.env),
            files: there(&self.files),
        })
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Input(String),
    Work,
    Results,
}

/// Takes `{input.name}`, `{work}` and `{results}` out of a text; `{{` and `}}` are braces.
///
/// # Errors
/// What stands in the braces, or that one has no partner.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let (brace, after) = (&rest[at..=at], &rest[at + 1..]);
        if let Some(after) = after.strip_prefix(brace) {
            plain.push_str(brace);
            rest = after;
            continue;
        }
        let end = after.find('}').filter(|_| brace == "{");
        let Some(end) = end else { return Err(format!("a lone `{brace}`")) };
        if !plain.is_empty() {
            found.push(Piece::Text(std::mem::take(&mut plain)));
        }
        found.push(match &after[..end] {
            "work" => Piece::Work,
            "results" => Piece::Results,
            name => match name.strip_prefix("input.") {
                Some(input) if !input.is_empty() => Piece::Input(input.to_owned()),
                _ => return Err(format!("`{{{name}}}`")),
            },
        });
        rest = &after[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Piece::Text(plain));
    }
    Ok(found)
}

/// The text with its places filled, or the input that is not there.
fn filled(text: &str, (input, places): (&Value, Places<'_>)) -> Result<String, String> {
    // The parser has accepted it; a manifest from elsewhere is taken as plain text.
    let Ok(pieces) = pieces(text) else { return Ok(text.to_owned()) };
    let mut whole = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => whole.push_str(&text),
            Piece::Work => whole.push_str(places.work),
            Piece::Results => whole.push_str(places.results),
            Piece::Input(name) => match input.get(&name) {
                None | Some(Value::Null) => return Err(name),
                Some(Value::String(text)) => whole.push_str(text),
                Some(other) => whole.push_str(&other.to_string()),
            },
        }
    }
    Ok(whole)
}
