//! Agent files of other systems, made ours: Claude Code and Caxton.
//!
//! A file is recognised by what only that system writes (see `docs/packs.md`). Known foreign keys are kept in the
//! file and listed as ignored; tools that have no match here are absent, never granted; each loss is a warning.
//! Read next: [`super::keys`](../keys/index.html), which reads the adapted keys like any others.

use super::Env;
use super::error::Flaw;
use super::keys::{KEYS, is_model};
use super::tree::{Entry, Node, Value, clipped};
use super::{TOOLS, WEB_FETCH};
use crate::time::Millis;

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Native,
    ClaudeCode,
    Caxton,
}

/// Keys with which nobody but Claude Code would write an agent.
const CLAUDE_MARKS: [&str; 6] =
    ["color", "permissionMode", "disallowedTools", "maxTurns", "mcpServers", "allowed-tools"];
/// Its further keys; alone they prove nothing.
const CLAUDE_KEYS: [&str; 14] = [
    "color",
    "permissionMode",
    "disallowedTools",
    "maxTurns",
    "mcpServers",
    "allowed-tools",
    "skills",
    "hooks",
    "memory",
    "background",
    "isolation",
    "effort",
    "initialPrompt",
    "argument-hint",
];
const CLAUDE_TOOLS: [&str; 14] = [
    "Read",
    "Write",
    "Edit",
    "MultiEdit",
    "Glob",
    "Grep",
    "LS",
    "Bash",
    "Task",
    "Agent",
    "WebFetch",
    "WebSearch",
    "TodoWrite",
    "NotebookEdit",
];
const CLAUDE_MODELS: [&str; 6] = ["sonnet", "opus", "haiku", "inherit", "opusplan", "default"];

/// Keys with which nobody but Caxton would write an agent.
const CAXTON_MARKS: [&str; 12] = [
    "user_prompt_template",
    "tool_config",
    "conversation",
    "performance",
    "parameters",
    "requires",
    "llm",
    "permissions",
    "schedule",
    "audit",
    "monitoring",
    "development",
];
/// Keys of a Caxton agent that others use too.
const CAXTON_SHARED_KEYS: [&str; 7] =
    ["memory", "author", "license", "tags", "created", "updated", "metadata"];

/// A file in our own words, with what was lost on the way.
pub(super) struct Adapted {
    pub entries: Vec<Entry>,
    pub format: Format,
    pub warnings: Vec<Flaw>,
    pub ignored: Vec<String>,
}

pub(super) fn adapt(entries: Vec<Entry>, env: &Env) -> Adapted {
    let format = recognised(&entries);
    let mut adapted = Adapted { entries: Vec::new(), format, warnings: Vec::new(), ignored: Vec::new() };
    if format == Format::Native {
        adapted.entries = entries;
        return adapted;
    }
    let has_limits = entries.iter().any(|entry| entry.key == "limits");
    let mut own_limits = Vec::new();
    for entry in entries {
        if !has_limits {
            own_limits.extend(limits_of(&entry));
        }
        match entry.key.as_str() {
            "tools" => adapted.tools(entry),
            "model" => adapted.model(entry, env),
            // An empty key says nothing in either system.
            _ if matches!(entry.node.value, Value::Null) => {}
            // It became a limit of ours.
            "maxTurns" if !has_limits && !limits_of(&entry).is_empty() => {}
            key if format.has_key(key) => adapted.ignored.push(entry.key),
            _ => adapted.entries.push(entry),
        }
    }
    if let Some(first) = own_limits.first() {
        let at = first.at.clone();
        let node = Node { at: at.clone(), value: Value::Map(own_limits) };
        adapted.entries.push(Entry { key: "limits".to_owned(), at, node });
    }
    adapted
}

fn recognised(entries: &[Entry]) -> Format {
    let has = |marks: &[&str]| entries.iter().any(|entry| marks.contains(&entry.key.as_str()));
    let value = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node.value);
    let tools: Vec<String> = value("tools").map(tool_names).unwrap_or_default();
    let claude_model = match value("model") {
        Some(Value::Text(model)) => CLAUDE_MODELS.contains(&model.as_str()) || model.starts_with("claude-"),
        _ => false,
    };
    if has(&CLAUDE_MARKS) || claude_model || tools.iter().any(|tool| is_claude_tool(tool)) {
        Format::ClaudeCode
    } else if has(&CAXTON_MARKS)
        // Our tools have a dot in their names, Caxton's have none.
        || (has(&["system_prompt"]) && tools.iter().any(|tool| !tool.contains('.')))
    {
        Format::Caxton
    } else {
        Format::Native
    }
}

fn is_claude_tool(tool: &str) -> bool {
    let bare = tool.split('(').next().unwrap_or(tool);
    CLAUDE_TOOLS.contains(&bare) || bare.starts_with("mcp__")
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Native => "hale",
            Format::ClaudeCode => "Claude Code",
            Format::Caxton => "Caxton",
        }
    }

    /// Whether the key is a foreign one of this format, which we keep and do not use.
    fn has_key(self, key: &str) -> bool {
        match self {
            Format::Native => false,
            Format::ClaudeCode => CLAUDE_KEYS.contains(&key),
            Format::Caxton => CAXTON_MARKS.contains(&key) || CAXTON_SHARED_KEYS.contains(&key),
        }
    }
}

impl Adapted {
    fn warn(&mut self, entry: &Entry, message: String, help: String) {
        self.warnings.push(Flaw { at: entry.at.clone(), message, label: String::new(), help });
    }

    fn tools(&mut self, mut entry: Entry) {
        let mut ours: Vec<Node> = Vec::new();
        let mut absent: Vec<String> = Vec::new();
        for name in tool_names(&entry.node.value) {
            match mapped(&name) {
                Some(tool) => {
                    ours.push(Node { at: entry.node.at.clone(), value: Value::Text(tool.to_owned()) })
                }
                None => absent.push(format!("`{}`", clipped(&name))),
            }
        }
        if !absent.is_empty() {
            let (word, are) = if absent.len() == 1 { ("tool", "has") } else { ("tools", "have") };
            let message =
                format!("{word} {} of {} {are} no match here", absent.join(", "), self.format.name());
            let help = format!("the agent runs without; the tools here are: {}", TOOLS.join(", "));
            self.warn(&entry, message, help);
        }
        entry.node.value = Value::List(ours);
        self.entries.push(entry);
    }

    fn model(&mut self, entry: Entry, env: &Env) {
        match &entry.node.value {
            Value::Text(model) if !is_model(model) => {
                let message = format!("model `{}` is a name of {}", clipped(model), self.format.name());
                let help = match env.default_model.as_str() {
                    "" => "the default model is used; write `model: provider/model` to choose".to_owned(),
                    model => format!(
                        "the default model `{model}` is used; write `model: provider/model` to choose"
                    ),
                };
                self.warn(&entry, message, help);
            }
            _ => self.entries.push(entry),
        }
    }
}

/// Limits that the other system has too, as entries of our `limits`. What does not fit ours stays ignored.
fn limits_of(entry: &Entry) -> Vec<Entry> {
    let renamed =
        |key: &str, node: &Node| Entry { key: key.to_owned(), at: node.at.clone(), node: node.clone() };
    match (entry.key.as_str(), &entry.node.value) {
        ("maxTurns", Value::Int(1..=1000)) => vec![renamed("max_turns", &entry.node)],
        ("performance", Value::Map(parts)) => {
            let fits = |part: &&Entry| match (&part.node.value, part.key.as_str()) {
                (Value::Text(text), "max_execution_time") => {
                    text.parse::<Millis>().is_ok_and(|span| span.0 > 0)
                }
                (Value::Text(text), "max_memory_usage") => text.ends_with("MB") || text.ends_with("GB"),
                _ => false,
            };
            let ours = |key: &str| if key == "max_execution_time" { "timeout" } else { "memory" };
            parts.iter().filter(fits).map(|part| renamed(ours(&part.key), &part.node)).collect()
        }
        _ => Vec::new(),
    }
}

fn mapped(tool: &str) -> Option<&'static str> {
    match tool.split('(').next().unwrap_or(tool) {
        "Read" => Some("files.read"),
        "Glob" | "LS" => Some("files.list"),
        "Grep" => Some("files.search"),
        "WebFetch" => Some(WEB_FETCH),
        other => TOOLS.into_iter().find(|ours| *ours == other),
    }
}

/// Names from a list, or from text with commas: `Read, Bash(git log:*), mcp__github`.
fn tool_names(value: &Value) -> Vec<String> {
    match value {
        Value::List(nodes) => nodes.iter().flat_map(|node| tool_names(&node.value)).collect(),
        Value::Text(text) => {
            let mut inside = 0u32;
            let names = text.split(move |c: char| {
                match c {
                    '(' => inside += 1,
                    ')' => inside = inside.saturating_sub(1),
                    _ => {}
                }
                inside == 0 && matches!(c, ',' | '\n')
            });
            let bare = |name: &str| name.trim().trim_matches(['[', ']', '-', '"', '\'', ' ']).to_owned();
            names.map(bare).filter(|name| !name.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// Front matter of a Claude Code agent that is not YAML, because its description holds `: `: one key a line, the rest
/// of the line its text, as Claude Code reads it. None if it is not such a file.
pub(super) fn forgiving(front: &str, base: usize) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = base;
    for line in front.split_inclusive('\n') {
        let from = at;
        at += line.len();
        let key = line.split_once(':').map(|(key, _)| key).filter(|key| is_claude_key(key));
        match (key, entries.last_mut()) {
            (Some(key), _) => {
                if entries.iter().any(|entry| entry.key == key) {
                    return None;
                }
                let text = line[key.len() + 1..].trim();
                let node =
                    Node { at: from + key.len() + 1..from + line.trim_end().len(), value: text_of(text) };
                entries.push(Entry { key: key.to_owned(), at: from..from + key.len(), node });
            }
            (None, Some(Entry { node: Node { value: Value::Text(text), .. }, .. })) => {
                text.push('\n');
                text.push_str(line.trim());
            }
            (None, None) if line.trim().is_empty() => {}
            (None, _) => return None,
        }
    }
    let has = |key: &str| entries.iter().any(|entry| entry.key == key);
    // Only the common form: anything with our own nested keys must be YAML.
    let plain = has("name") && has("description") && !has("limits") && !has("grants") && !has("input");
    (plain && recognised(&entries) == Format::ClaudeCode).then_some(entries)
}

fn is_claude_key(key: &str) -> bool {
    KEYS.contains(&key) || CLAUDE_KEYS.contains(&key)
}

fn text_of(text: &str) -> Value {
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
    Value::Text(quoted('"').or_else(|| quoted('\'')).unwrap_or(text).to_owned())
}

/// The parser's complaint as a warning, after the file was read in spite of it.
pub(super) fn forgiven(flaw: Flaw) -> Flaw {
    Flaw {
        message: "the front matter is not YAML; it was read line by line, as Claude Code does".to_owned(),
        help: "put the text of `description` in quotes".to_owned(),
        ..flaw
    }
}
