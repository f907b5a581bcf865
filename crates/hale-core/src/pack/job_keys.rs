//! The keys of packs of kind `job`: read, checked against each other, refused with their place.
//!
//! Guarantees: a key of a job in another kind of pack is a flaw; every input that a template names is declared, and one
//! that may be missing stands where it can be left out.
//! Read next: [`super::job`].

use super::error::{Flaw, Span};
use super::import::Format;
use super::job::{Job, JobLimits, Part, Piece, WALL_ALIASES, WALLS, pieces};
use super::keys::Reader;
use super::tree::{Entry, Node, Value, clipped};
use super::{Kind, Manifest};
use crate::limits;
use crate::nearest::nearest;

/// The keys that only a job has.
pub(super) const JOB_KEYS: [&str; 9] =
    ["run", "workdir", "env", "files", "results", "expects", "network", "require", "exits"];
/// The limits that only a job has.
pub(super) const JOB_LIMIT_KEYS: [&str; 8] =
    ["cpu", "wall", "silence", "grace", "file_size", "disk", "output", "processes"];
/// Words that an exit code may not mean: they are causes that hale measures itself.
const TAKEN: [&str; 12] = [
    "oom",
    "oom_likely",
    "limit",
    "timeout",
    "killed",
    "crashed",
    "exit",
    "hang",
    "no_result",
    "refused",
    "not_started",
    "unavailable",
];

/// What was read of a job so far, with the places of what must be checked once all is known.
#[derive(Default)]
pub(super) struct Draft {
    job: Job,
    /// Every template with its key, place, and whether it can be left out.
    templates: Vec<(&'static str, Span, String, Lack)>,
    keys: Vec<(String, Span)>,
}

/// What becomes of a template whose input is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Refused,
    LeftOut,
}

impl Reader {
    /// Reads a key of a job; the rest is checked in [`Reader::place_job`].
    pub(super) fn job_key(&mut self, entry: &Entry) {
        let node = &entry.node;
        self.job.keys.push((entry.key.clone(), entry.at.clone()));
        match entry.key.as_str() {
            "run" => self.run(node),
            "workdir" => self.job.job.workdir = self.below(node, "workdir"),
            "results" => self.job.job.results = self.below(node, "results"),
            "env" => self.job.job.env = self.texts(node, "env", is_variable),
            "files" => self.job.job.files = self.texts(node, "files", is_below),
            "expects" => {
                let nodes = self.list(node, "expects");
                self.job.job.expects = nodes.iter().filter_map(|node| self.below(node, "expects")).collect();
            }
            "network" => self.job.job.network = self.truth(node, "network").unwrap_or(false),
            "require" => self.require(node),
            _ => self.exits(node),
        }
    }

    /// Reads a limit of a job; false when it is none.
    pub(super) fn job_limit(&mut self, entry: &Entry) -> bool {
        let node = &entry.node;
        let Some(key) = JOB_LIMIT_KEYS.into_iter().find(|key| *key == entry.key) else { return false };
        self.job.keys.push((format!("limits.{key}"), entry.at.clone()));
        let name = format!("limits.{key}");
        let (spans, sizes) = (format!("{key}: 30s"), format!("{key}: 10MiB"));
        let mut all: JobLimits = self.job.job.limits;
        match key {
            "cpu" => all.cpu = self.span(node, &name, &spans),
            "wall" => all.wall = self.span(node, &name, &spans),
            "silence" => all.silence = self.span(node, &name, &spans),
            "grace" => all.grace = self.span(node, &name, &spans),
            "file_size" => all.file_size = self.bytes(node, (&name, &sizes)),
            "disk" => all.disk = self.bytes(node, (&name, &sizes)),
            "output" => all.output = self.bytes(node, (&name, &sizes)),
            _ => all.processes = self.whole(node, &name, 1..=limits::JOB_PROCESSES_MAX),
        }
        self.job.job.limits = all;
        true
    }

    fn run(&mut self, node: &Node) {
        let mut parts = Vec::new();
        for (place, node) in self.list(node, "run").iter().enumerate() {
            match &node.value {
                Value::List(group) if place > 0 => {
                    let texts: Vec<String> =
                        group.iter().filter_map(|node| self.argument(node, Lack::LeftOut)).collect();
                    parts.push(Part::Group(texts));
                }
                _ => parts.extend(self.argument(node, Lack::Refused).map(Part::One)),
            }
        }
        match parts.first() {
            Some(Part::One(program)) if is_program(program) => self.job.job.run = parts,
            Some(Part::One(program)) => {
                let message = format!("`run` begins with {:?}, which is no program", clipped(program));
                let help = "write its name, looked for in `jobs.allow`, or its absolute path; the program is fixed, \
                            inputs go into its arguments"
                    .to_owned();
                self.flaw(&node.at, message, "the first entry is the program", help);
            }
            _ => {
                let help = "write the program and its arguments: `run: [report, \"--from={input.from}\"]`; no shell \
                            reads them"
                    .to_owned();
                self.flaw(&node.at, "`run` names no program".to_owned(), "expected a list", help);
            }
        }
    }

    /// A number in an argument is what it looks like.
    fn argument(&mut self, node: &Node, lack: Lack) -> Option<String> {
        let text = match &node.value {
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => self.text(node, "run")?,
        };
        self.job.templates.push(("run", node.at.clone(), text.clone(), lack));
        Some(text)
    }

    fn texts(
        &mut self,
        node: &Node,
        key: &'static str,
        fits: fn(&str) -> bool,
    ) -> std::collections::BTreeMap<String, String> {
        let mut texts = std::collections::BTreeMap::new();
        for entry in self.map(node, key, &format!("{key}: {{ NAME: \"a text\" }}")) {
            if !fits(&entry.key) {
                let message = format!("`{key}` has {:?}, which does not fit", clipped(&entry.key));
                let help = match key {
                    "env" => "write letters, digits and `_`; HALE_JOB is hale's own",
                    _ => "write a path below the working folder, without `..`",
                };
                self.flaw(&entry.at, message, "here", help.to_owned());
                continue;
            }
            let Some(text) = self.text(&entry.node, key) else { continue };
            self.job.templates.push((key, entry.node.at.clone(), text.clone(), Lack::LeftOut));
            texts.insert(entry.key.clone(), text);
        }
        texts
    }

    /// A path below the working folder.
    fn below(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        if is_below(&text) {
            return Some(text);
        }
        let message = format!("`{key}` is {:?}, which is no path below the working folder", clipped(&text));
        let help = format!("write for example `{key}: results`, without `/` in front and without `..`");
        self.flaw(&node.at, message, "not below it", help);
        None
    }

    fn require(&mut self, node: &Node) {
        for node in self.list(node, "require") {
            let Some(text) = self.text(node, "require") else { continue };
            let alias = WALL_ALIASES.into_iter().find(|(alias, _)| *alias == text);
            let name = alias.map_or(text.as_str(), |(_, name)| name);
            if WALLS.contains(&name) {
                self.job.job.require.push(name.to_owned());
                continue;
            }
            let known = || WALLS.into_iter().chain(WALL_ALIASES.into_iter().map(|(alias, _)| alias));
            let label = match nearest(&text, known()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "no such wall".to_owned(),
            };
            let help = format!("the walls are: {}", known().collect::<Vec<_>>().join(", "));
            self.flaw(&node.at, format!("unknown wall `{}`", clipped(&text)), &label, help);
        }
    }

    fn exits(&mut self, node: &Node) {
        for entry in self.map(node, "exits", "exits: { 3: data_error }") {
            let Some(word) = self.text(&entry.node, "exits") else { continue };
            let code = entry.key.parse::<u8>().ok().filter(|code| *code > 0);
            let plain = word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.len() <= limits::NAME_CHARS
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            match code {
                Some(code) if plain && !TAKEN.contains(&word.as_str()) => {
                    self.job.job.exits.insert(code, word);
                }
                _ => {
                    let message = format!("exit code {:?} means {:?}", clipped(&entry.key), clipped(&word));
                    let help = format!(
                        "write a code from 1 to 255 and a word such as data_error; hale's own are {}",
                        TAKEN.join(", ")
                    );
                    self.flaw(&entry.at, message, "does not fit", help);
                }
            }
        }
    }

    /// Puts the job into its pack, once all keys are read.
    pub(super) fn place_job(&mut self, entries: &[Entry], manifest: &mut Manifest) {
        let draft = std::mem::take(&mut self.job);
        if manifest.kind != Kind::Job {
            for (key, at) in draft.keys {
                // Other systems have keys of these names; there they mean something else.
                if self.format != Format::Native {
                    let message = format!("key `{key}` has no effect here");
                    let help = "remove it, or begin its name with `x-`".to_owned();
                    self.warnings.push(Flaw { at, message, label: String::new(), help });
                    manifest.ignored.push(key);
                    continue;
                }
                let help = "write `kind: job`, or remove the key".to_owned();
                self.flaw(&at, format!("`{key}` is a key of jobs"), "this pack is none", help);
            }
            return;
        }
        if !self.seen("run") {
            let at = entries.iter().find(|entry| entry.key == "kind").map_or(0..0, |entry| entry.at.clone());
            let help =
                "write the program and its arguments: `run: [report, \"--from={input.from}\"]`".to_owned();
            self.flaw(&at, "the job has no `run`".to_owned(), "a job runs a program", help);
        }
        for (key, at, text, lack) in &draft.templates {
            self.check_template((key, at, *lack), text, manifest);
        }
        let needs_results = !draft.job.expects.is_empty()
            || draft.templates.iter().any(|(_, _, text, _)| text.contains("{results}"));
        if needs_results && draft.job.results.is_none() && !self.seen("results") {
            let at = draft.keys.first().map_or(0..0, |(_, at)| at.clone());
            let help = "add for example `results: results`".to_owned();
            self.flaw(&at, "results are expected, but `results` names no folder".to_owned(), "here", help);
        }
        manifest.job = Some(Box::new(draft.job));
    }

    fn check_template(&mut self, (key, at, lack): (&str, &Span, Lack), text: &str, manifest: &Manifest) {
        let help = "write {input.NAME}, {work} or {results}; a brace itself is written twice".to_owned();
        let found = match pieces(text) {
            Ok(found) => found,
            Err(what) => {
                return self.flaw(
                    at,
                    format!("`{key}` holds {what}, which stands for nothing"),
                    "here",
                    help,
                );
            }
        };
        if text.contains('\0') {
            return self.flaw(at, format!("`{key}` holds a NUL byte"), "here", "remove it".to_owned());
        }
        for piece in found {
            let Piece::Input(name) = piece else { continue };
            let field = manifest.input.fields.iter().find(|field| field.name == name);
            let Some(field) = field else {
                if manifest.input.open && !self.seen("input") {
                    let help = format!("declare it: `input: {{ {}: string }}`", clipped(&name));
                    let message =
                        format!("`{key}` uses the input `{}`, but the pack declares none", clipped(&name));
                    self.flaw(at, message, "not declared", help);
                } else if !self.seen("input") || self.flaws.is_empty() {
                    let known = manifest.input.fields.iter().map(|field| field.name.as_str());
                    let label = match nearest(&name, known.clone()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => "no such input".to_owned(),
                    };
                    let help = format!("the inputs are: {}", known.collect::<Vec<_>>().join(", "));
                    let message = format!("`{key}` uses the unknown input `{}`", clipped(&name));
                    self.flaw(at, message, &label, help);
                }
                continue;
            };
            if lack == Lack::Refused && !field.required && field.default.is_none() {
                let message = format!("the argument needs `{name}`, which may be left out");
                let help = format!(
                    "put the argument into a list, and it goes when `{name}` is missing: [{:?}]",
                    clipped(text)
                );
                self.flaw(at, message, "may be missing", help);
            }
        }
    }
}

/// A name without a path, or an absolute path; and no template.
fn is_program(text: &str) -> bool {
    let plain = !text.is_empty() && !text.contains(['{', '}', '\0']) && !text.chars().any(char::is_control);
    let absolute = text.starts_with('/') && !text.ends_with('/') && !text.split('/').any(|part| part == "..");
    plain && (absolute || (!text.contains('/') && text != "." && text != ".." && !text.contains(' ')))
}

fn is_below(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.chars().any(char::is_control)
        && !text.contains(['{', '}', '\\'])
        && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn is_variable(text: &str) -> bool {
    text != "HALE_JOB"
        && text.len() <= limits::NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
