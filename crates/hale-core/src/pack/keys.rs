//! What each key of the front matter means.
//!
//! Guarantees: goes through the whole file and collects every flaw; an unknown key is one, with the key that was
//! probably meant. Keys that begin with `x-` are free.
//! Read next: [`super::nested`](../nested/index.html) for `limits`, `input`, `retry` and `grants`.

use super::error::{Flaw, Span};
use super::import::Format;
use super::job_keys::{Draft, JOB_KEYS};
use super::tree::{Entry, Node, Value, clipped};
use super::{Kind, Manifest, WEB_FETCH};
use crate::limits;
use crate::nearest::nearest;

/// All keys of a pack.
pub(super) const KEYS: [&str; 37] = [
    "name",
    "version",
    "description",
    "kind",
    "model",
    "fallback",
    "capabilities",
    "domains",
    "keywords",
    "properties",
    "endpoint",
    "idempotent",
    "tools",
    "approve",
    "approval_timeout",
    "grants",
    "guard",
    "limits",
    "input",
    "steps",
    "retry",
    "temperature",
    "seed",
    "critical",
    "queue",
    "priority",
    "system_prompt",
    "documentation",
    "run",
    "workdir",
    "env",
    "files",
    "results",
    "expects",
    "network",
    "require",
    "exits",
];

/// Reads keys and collects what is wrong with them.
pub(super) struct Reader {
    pub flaws: Vec<Flaw>,
    pub warnings: Vec<Flaw>,
    pub syntax: Syntax,
    pub(super) job: Draft,
    pub(super) format: Format,
    seen: Vec<String>,
}

/// How the file writes its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Yaml,
    Toml,
}

impl Syntax {
    /// `timeout: 60s` as this syntax writes it.
    fn example(self, yaml: &str) -> String {
        match (self, yaml.split_once(": ")) {
            (Syntax::Toml, Some((key, value))) => {
                let bare = value.contains(['{', '[', '"']) || value.parse::<f64>().is_ok();
                if bare { format!("{key} = {value}") } else { format!("{key} = \"{value}\"") }
            }
            _ => yaml.to_owned(),
        }
    }
}

impl Reader {
    pub fn new(syntax: Syntax, format: Format) -> Self {
        Self {
            flaws: Vec::new(),
            warnings: Vec::new(),
            syntax,
            job: Draft::default(),
            format,
            seen: Vec::new(),
        }
    }

    /// Whether the file has this key, well or badly filled.
    pub fn seen(&self, key: &str) -> bool {
        self.seen.iter().any(|seen| seen == key)
    }

    pub fn manifest(&mut self, entries: &[Entry]) -> Manifest {
        let mut manifest = Manifest::default();
        for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
            self.seen.push(entry.key.clone());
            if matches!(entry.node.value, Value::Null) && KEYS.contains(&entry.key.as_str()) {
                let help = format!("write a value, or remove the key `{}`", entry.key);
                self.flaw(&entry.at, format!("`{}` has no value", entry.key), "nothing follows", help);
            } else {
                self.key(entry, &mut manifest);
            }
        }
        if !self.seen("name") {
            let at = entries.first().map_or(0..0, |entry| entry.at.start..entry.at.start);
            let help = format!("add a line `{}`", self.syntax.example("name: my-pack"));
            self.flaw(&at, "`name` is missing".to_owned(), "expected among these keys", help);
        }
        self.place_job(entries, &mut manifest);
        self.check_grants(entries, &manifest);
        self.check_tools(entries, &manifest);
        self.check_guard(entries, &manifest);
        self.check_endpoint(entries, &manifest);
        manifest
    }

    fn key(&mut self, entry: &Entry, manifest: &mut Manifest) {
        let node = &entry.node;
        match entry.key.as_str() {
            "name" => put(&mut manifest.name, self.name(node, "name")),
            "version" => put(&mut manifest.version, self.version(node)),
            "description" => put(&mut manifest.description, self.line(node, "description")),
            "kind" => put(&mut manifest.kind, self.kind(node)),
            "model" => manifest.model = self.model(node, "model"),
            "fallback" => {
                let models = self.list(node, "fallback");
                manifest.fallback = models.iter().filter_map(|node| self.model(node, "fallback")).collect();
            }
            "capabilities" => manifest.capabilities = self.words(node, "capabilities"),
            "domains" => manifest.domains = self.words(node, "domains"),
            "keywords" => manifest.keywords = self.words(node, "keywords"),
            "properties" => manifest.properties = self.properties(node),
            "endpoint" => manifest.endpoint = self.endpoint(node),
            "idempotent" => put(&mut manifest.idempotent, self.truth(node, "idempotent")),
            "tools" => manifest.tools = self.tools(node),
            "approve" => manifest.approve = self.approve(node),
            "approval_timeout" => manifest.approval_timeout = self.approval_timeout(node),
            "grants" => (manifest.files, manifest.web) = self.grants(node),
            "guard" => manifest.guard = self.guard(node),
            "limits" => manifest.limits = self.limits(node),
            "input" => put(&mut manifest.input, self.input(node)),
            "steps" => manifest.steps = self.steps(node),
            "retry" => manifest.retry = self.retry(node),
            "temperature" => manifest.temperature = self.number(node, "temperature", 0.0..=2.0),
            "seed" => manifest.seed = self.whole(node, "seed", 0..=u64::MAX),
            "critical" => put(&mut manifest.critical, self.truth(node, "critical")),
            "queue" => manifest.queue = self.name(node, "queue"),
            "priority" => {
                put(&mut manifest.priority, self.one_of(node, "priority", &["high", "normal", "low"]))
            }
            "system_prompt" => put(&mut manifest.system_prompt, self.text(node, "system_prompt")),
            "documentation" => put(&mut manifest.documentation, self.text(node, "documentation")),
            key if JOB_KEYS.contains(&key) => self.job_key(entry),
            _ => self.unknown(entry, &KEYS, manifest),
        }
    }

    /// A key of nobody: an error, but in a foreign file only if it looks like one of ours.
    fn unknown(&mut self, entry: &Entry, known: &[&str], manifest: &mut Manifest) {
        let meant = nearest(&entry.key, known.iter().copied());
        if self.format != Format::Native && meant.is_none() {
            let message = format!("key `{}` is not known and has no effect", clipped(&entry.key));
            self.warnings.push(Flaw {
                at: entry.at.clone(),
                message,
                label: String::new(),
                help: "remove it, or begin its name with `x-`".to_owned(),
            });
            manifest.ignored.push(entry.key.clone());
        } else {
            self.unknown_in(entry, known, "");
        }
    }

    /// A key that does not exist; `place` is empty or ends with a space: `in limits `.
    pub(super) fn unknown_in(&mut self, entry: &Entry, known: &[&str], place: &str) {
        let key = clipped(&entry.key);
        let message = format!("unknown key `{key}`{place}");
        let listed = known.join(", ");
        match nearest(&entry.key, known.iter().copied()) {
            Some(meant) => {
                let help = format!("write `{meant}`; the keys are: {listed}");
                self.flaw(&entry.at, message, &format!("did you mean `{meant}`?"), help);
            }
            None => {
                let help = format!("the keys are: {listed}; a key of your own begins with `x-`");
                self.flaw(&entry.at, message, "not a key of a pack", help);
            }
        }
    }

    pub fn ignored(&mut self, keys: Vec<String>, manifest: &mut Manifest) {
        manifest.ignored.extend(keys);
        manifest.ignored.sort();
    }

    pub(super) fn flaw(&mut self, at: &Span, message: String, label: &str, help: String) {
        self.flaws.push(Flaw { at: at.clone(), message, label: label.to_owned(), help });
    }

    /// The usual flaw: `key` is this, and should be that.
    pub(super) fn misfit<T>(&mut self, node: &Node, key: &str, expected: &str, example: &str) -> Option<T> {
        let message = format!("`{key}` is {}, expected {expected}", node.value.described());
        self.flaw(
            &node.at,
            message,
            &format!("expected {expected}"),
            format!("write for example `{}`", self.syntax.example(example)),
        );
        None
    }

    pub(super) fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => self.misfit(node, key, "text", &format!("{key}: \"some text\"")),
        }
    }

    /// Text that ends up on terminals: no control characters but line ends.
    fn line(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            let message = format!("`{key}` holds control characters");
            self.flaw(&node.at, message, "here", "write plain text, without escapes such as \\e".to_owned());
            return None;
        }
        Some(text.trim().to_owned())
    }

    /// A name: of a pack, a step, a queue, a capability.
    pub(super) fn name(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        if is_name(&text) {
            return Some(text);
        }
        let message = format!("`{key}` is {:?}, which is not a name", clipped(&text));
        let help = format!(
            "use 1 to {} of a-z, 0-9, `-` and `_`, a letter first{}",
            limits::NAME_CHARS,
            mended(&text).map(|name| format!(", for example `{name}`")).unwrap_or_default()
        );
        self.flaw(&node.at, message, "not a name", help);
        None
    }

    fn version(&mut self, node: &Node) -> Option<String> {
        let expected = "three numbers as in 1.2.3";
        match &node.value {
            Value::Text(text) if is_version(text) => Some(text.clone()),
            _ => self.misfit(node, "version", expected, "version: 1.2.3"),
        }
    }

    pub(super) fn truth(&mut self, node: &Node, key: &str) -> Option<bool> {
        match node.value {
            Value::Bool(truth) => Some(truth),
            _ => self.misfit(node, key, "true or false", &format!("{key}: true")),
        }
    }

    fn kind(&mut self, node: &Node) -> Option<Kind> {
        self.one_of(node, "kind", &["agent", "arm", "echo", "job"])
    }

    /// A word of a closed list, read by the type's own wire form.
    pub(super) fn one_of<T: serde::de::DeserializeOwned>(
        &mut self,
        node: &Node,
        key: &str,
        words: &[&str],
    ) -> Option<T> {
        let text = self.text(node, key)?;
        if words.contains(&text.as_str()) {
            return serde_json::from_value(serde_json::Value::String(text)).ok();
        }
        let label = match nearest(&text, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "not one of them".to_owned(),
        };
        let message = format!("`{key}` is {:?}, which does not exist", clipped(&text));
        self.flaw(&node.at, message, &label, format!("write one of: {}", words.join(", ")));
        None
    }

    fn model(&mut self, node: &Node, key: &str) -> Option<String> {
        let text = self.text(node, key)?;
        if is_model(&text) {
            return Some(text);
        }
        let message = format!("`{key}` names the model {:?} without its provider", clipped(&text));
        let help = "write `provider/model`, for example `sim/small`, or leave `model` out for the default"
            .to_owned();
        self.flaw(&node.at, message, "expected provider/model", help);
        None
    }

    pub(super) fn list<'a>(&mut self, node: &'a Node, key: &str) -> &'a [Node] {
        match &node.value {
            Value::List(nodes) => nodes,
            Value::Text(text) => {
                let message = format!("`{key}` is text, expected a list");
                let help = format!("write `{key}: [{}]`", clipped(text));
                self.flaw(&node.at, message, "expected a list", help);
                &[]
            }
            _ => {
                let _: Option<()> = self.misfit(node, key, "a list", &format!("{key}: [one, two]"));
                &[]
            }
        }
    }

    fn words(&mut self, node: &Node, key: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for node in self.list(node, key) {
            if let Some(word) = self.line(node, key).filter(|word| !words.contains(word)) {
                words.push(word);
            }
        }
        words
    }

    fn steps(&mut self, node: &Node) -> Vec<String> {
        let nodes = self.list(node, "steps");
        if nodes.len() > limits::PACK_STEPS_MAX {
            let message = format!("`steps` has {} names, at most {}", nodes.len(), limits::PACK_STEPS_MAX);
            self.flaw(&node.at, message, "too many", "join steps that belong together".to_owned());
            return Vec::new();
        }
        let mut steps: Vec<String> = Vec::new();
        for node in nodes {
            let Some(step) = self.name(node, "steps") else { continue };
            if steps.contains(&step) {
                let message = format!("step `{step}` stands twice");
                self.flaw(&node.at, message, "the second one", "give each step a name of its own".to_owned());
            } else {
                steps.push(step);
            }
        }
        steps
    }

    /// Tools without a folder, and folders and hosts without a tool.
    fn check_grants(&mut self, entries: &[Entry], manifest: &Manifest) {
        if !manifest.web.is_empty() && !manifest.tools.iter().any(|tool| tool == WEB_FETCH) {
            let at =
                entries.iter().find(|entry| entry.key == "grants").map_or(0..0, |entry| entry.at.clone());
            let message = "hosts are granted, but no tool may call them".to_owned();
            let help = format!("add `tools: [{WEB_FETCH}]`, or remove `web` from `grants`");
            self.warnings.push(Flaw { at, message, label: String::new(), help });
        }
        let place = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.at.clone());
        let uses_files = manifest.tools.iter().any(|tool| tool.starts_with("files."));
        let (at, message, help) = match (uses_files, manifest.files.is_empty()) {
            (true, true) if !self.seen("grants") => (
                place("tools"),
                "the file tools are granted no folder, so every call will be refused",
                "add for example `grants: { files: [\"/var/log:ro\"] }`",
            ),
            (false, false) if manifest.kind != Kind::Job => (
                place("grants"),
                "folders are granted, but no tool may use them",
                "add `tools: [files.read, files.list, files.search]`, or remove `grants`",
            ),
            _ => return,
        };
        let at = at.unwrap_or(0..0);
        self.warnings.push(Flaw {
            at,
            message: message.to_owned(),
            label: String::new(),
            help: help.to_owned(),
        });
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Whether a text is a name: of a pack, a step, a queue, a schedule.
pub fn is_name(text: &str) -> bool {
    text.len() <= limits::NAME_CHARS
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// The nearest name to a text, if there is one: `Code Reviewer` gives `code-reviewer`.
fn mended(text: &str) -> Option<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    let name =
        name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).chars().take(limits::NAME_CHARS).collect();
    Some(name).filter(|name: &String| is_name(name))
}

/// `x.y.z`, then perhaps `-pre` and `+build`.
pub(super) fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number =
        |part: &&str| part.len() <= 9 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let tag =
        |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    text.len() <= limits::NAME_CHARS
        && parts.len() == 3
        && parts.iter().all(number)
        && pre.is_none_or(tag)
        && build.is_none_or(tag)
}

/// `provider/model`; the model may hold further slashes.
pub(super) fn is_model(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/@".contains(&byte);
    text.len() <= 200
        && text.bytes().all(letters)
        && text.split_once('/').is_some_and(|(provider, model)| is_name(provider) && !model.is_empty())
}
