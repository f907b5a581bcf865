//! What the simulated model answers: a pure function of seed, model, messages and tools.
//!
//! Guarantees: the same question gives the same answer; it says that it is simulated; whatever it claims of a file it
//! counted from the tool results that it was given, and a tool that failed is reported as failed.
//! Leaves to others: misbehaving ([`super::control`]).
//! Read next: [`super::summary`].

use super::errand;
use super::summary::Summary;
use super::wire::{Answer, Asked, Call, Function};
use serde_json::{Map, Value, json};

/// What a look for trouble searches for.
const TROUBLE: &str = "(?i)error|fail|warn";
/// Parts of one file read before the summary; a longer file is summed up in part, and said so.
const PARTS_MAX: usize = 3;

/// The answer to a request.
pub(super) fn think(seed: u64, asked: &Asked) -> Answer {
    let talk = Talk::of(asked);
    if let Some((name, arguments)) = talk.errand(asked) {
        return with_call(seed, asked, &name, &arguments);
    }
    match talk.next_call(asked) {
        Some((name, arguments)) => with_call(seed, asked, name, &arguments),
        None => with_text(seed, asked, &talk.text(seed, asked)),
    }
}

/// The answer of a model that is caught in a loop: the same call, whatever came of the last one.
pub(super) fn think_in_a_loop(seed: u64, asked: &Asked) -> Answer {
    let talk = Talk::of(asked);
    let known = ["files_read", "files_search", "files_list"];
    let offered = || asked.tools.first().map_or("files_read", |tool| tool.function.name.as_str());
    let name = known.into_iter().find(|tool| asked.offers(tool)).unwrap_or_else(offered);
    let path = talk.path.clone().unwrap_or_else(|| "/".to_owned());
    let arguments = match name {
        "files_search" => json!({"path": path, "pattern": TROUBLE}),
        _ => json!({ "path": path }),
    };
    with_call(seed, asked, name, &arguments)
}

fn with_call(seed: u64, asked: &Asked, name: &str, arguments: &Value) -> Answer {
    // Calls of one conversation differ by its length, so their ids do too.
    let id = format!("call_{:012x}", hash(seed, asked) & 0xffff_ffff_ffff);
    let function = Function { name: name.to_owned(), arguments: arguments.to_string() };
    let output = function.name.len() + function.arguments.len();
    Answer { calls: vec![Call { id, function }], finish: "tool_calls", ..blank(seed, asked, output) }
}

fn with_text(seed: u64, asked: &Asked, text: &str) -> Answer {
    // Four characters count as a token, so a limit of tokens is a limit of characters.
    let most = asked.max_tokens.map_or(usize::MAX, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
    let end = text.char_indices().nth(most.saturating_mul(4)).map_or(text.len(), |(at, _)| at);
    let finish = if end < text.len() { "length" } else { "stop" };
    Answer { text: text[..end].to_owned(), finish, ..blank(seed, asked, end) }
}

fn blank(seed: u64, asked: &Asked, output: usize) -> Answer {
    let said = |turn: &super::wire::Turn| {
        turn.text().len() + turn.tool_calls.iter().map(|call| call.function.arguments.len()).sum::<usize>()
    };
    let input: usize = asked.messages.iter().map(said).sum();
    Answer {
        id: format!("chatcmpl-sim-{:016x}", hash(seed, asked)),
        model: asked.model.clone(),
        text: String::new(),
        calls: Vec::new(),
        finish: "stop",
        input_tokens: input.div_ceil(4) as u64,
        output_tokens: output.div_ceil(4) as u64,
    }
}

/// FNV-1a over all that the answer may depend on: small, and the same on every machine and in every version.
fn hash(seed: u64, asked: &Asked) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    eat(&seed.to_string());
    eat(&asked.model);
    for turn in &asked.messages {
        eat(&turn.role);
        eat(&turn.text());
        for call in &turn.tool_calls {
            eat(&call.id);
            eat(&call.function.name);
            eat(&call.function.arguments);
        }
    }
    state
}

/// A tool call that was answered.
struct Done {
    name: String,
    result: Value,
    failed: Option<String>,
}

/// A named step of the pack: `Step 2/3: analysis`.
struct Step {
    number: u32,
    of: u32,
    name: String,
}

/// What the conversation holds, as far as this model understands it.
struct Talk {
    /// The last message of the user.
    question: String,
    /// The first JSON object in it, or in the latest message before it that has one.
    input: Map<String, Value>,
    path: Option<String>,
    step: Option<Step>,
    done: Vec<Done>,
    /// What the model itself said before.
    said: Vec<String>,
}

impl Talk {
    fn of(asked: &Asked) -> Self {
        let users: Vec<String> =
            asked.messages.iter().filter(|turn| turn.role == "user").map(|turn| turn.text()).collect();
        let question = users.last().cloned().unwrap_or_default();
        let input = users.iter().rev().find_map(|text| object_in(text)).unwrap_or_default();
        let named = input.get("path").and_then(Value::as_str).map(str::to_owned);
        let path = named.or_else(|| users.iter().rev().find_map(|text| path_in(text)));
        let said = asked.messages.iter().filter(|turn| turn.role == "assistant").map(|turn| turn.text());
        Self {
            step: step_in(&question),
            done: done(asked),
            said: said.filter(|text| !text.is_empty()).collect(),
            question,
            input,
            path,
        }
    }

    fn times(&self, tool: &str) -> usize {
        self.done.iter().filter(|done| done.name == tool).count()
    }

    /// What is given to somebody else, or waited for, before the own work; each once.
    fn errand(&self, asked: &Asked) -> Option<(String, Value)> {
        let fresh = asked.tools.iter().filter(|tool| self.times(&tool.function.name) == 0);
        fresh.map(|tool| &tool.function).find_map(|tool| {
            errand::arguments(tool, (&self.input, &self.question))
                .map(|arguments| (tool.name.clone(), arguments))
        })
    }

    /// The tool that would help next: read the file, its next part, look for trouble in it; list what is a folder.
    fn next_call(&self, asked: &Asked) -> Option<(&'static str, Value)> {
        let path = self.path.as_ref()?;
        let can = |tool: &str, most: usize| asked.offers(tool) && self.times(tool) < most;
        let search = || Some(("files_search", json!({"path": path, "pattern": TROUBLE})));
        let Some(last) = self.done.last() else {
            return match () {
                () if asked.offers("files_read") => Some(("files_read", json!({ "path": path }))),
                () if asked.offers("files_search") => search(),
                () if asked.offers("files_list") => Some(("files_list", json!({ "path": path }))),
                () => None,
            };
        };
        if let Some(failed) = &last.failed {
            let is_folder = ["folder", "directory"].iter().any(|word| failed.contains(word));
            let lists = last.name == "files_read" && is_folder && can("files_list", 1);
            return lists.then(|| ("files_list", json!({ "path": path })));
        }
        if last.name == "files_read" {
            if let Some(offset) = last.result.get("next_offset").filter(|_| can("files_read", PARTS_MAX)) {
                return Some(("files_read", json!({"path": path, "offset": offset})));
            }
            if can("files_search", 1) {
                return search();
            }
        }
        None
    }

    fn text(&self, seed: u64, asked: &Asked) -> String {
        let model = &asked.model;
        let patterns_max = if model == "large" { 3 } else { 1 };
        let found = self.findings(patterns_max);
        let mut text = match (&self.step, found) {
            (Some(step), found) => self.tell_step(step, found),
            (None, Some(found)) => found,
            (None, None) => self.tell_input(seed, asked),
        };
        text.push_str(&format!(" (Simulated answer of sim/{model}: computed, not thought.)"));
        text
    }

    fn tell_step(&self, step: &Step, found: Option<String>) -> String {
        let Step { number, of, name } = step;
        let mut told = format!("Step {number}/{of}, {name}: ");
        if let Some(before) = self.said.last() {
            let words = before.split_whitespace().count();
            told.push_str(&format!("builds on {words} words of before, \"{}\"; ", short(before, 80)));
        }
        match found {
            Some(found) => told.push_str(&found),
            None if self.input.is_empty() => told.push_str("there is no input."),
            None => told.push_str(&format!("the input has {}.", fields(&self.input))),
        }
        told
    }

    fn tell_input(&self, seed: u64, asked: &Asked) -> String {
        let name = self.input.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        if let Some(name) = name {
            let wishes =
                ["Nice to meet you.", "Good to see you.", "Welcome.", "I hope the day treats you well."];
            let wish = wishes[usize::try_from(hash(seed, asked) % 4).unwrap_or(0)];
            return format!("Hello, {}. {wish}", short(name, 80));
        }
        if !self.input.is_empty() {
            return format!("The input has {}.", fields(&self.input));
        }
        let words = self.question.split_whitespace().count();
        format!("You wrote {words} words: \"{}\".", short(&self.question, 120))
    }

    /// What the tools found, or why they found nothing; None if none was called.
    fn findings(&self, patterns_max: usize) -> Option<String> {
        let path = self.path.as_deref().unwrap_or("the file");
        let mut told = Vec::new();
        let parts: Vec<&Done> =
            self.done.iter().filter(|done| done.name == "files_read" && done.failed.is_none()).collect();
        if let Some(last) = parts.last() {
            let text: String = parts.iter().map(|part| content(&part.result)).collect();
            let scope = match last.result.get("next_offset") {
                Some(offset) => format!("{path}, its first {offset} bytes"),
                None => path.to_owned(),
            };
            told.push(format!("{scope}: {}", Summary::of(&text).tell(patterns_max)));
        }
        for done in &self.done {
            match (&done.failed, done.name.as_str()) {
                (Some(why), name) => told.push(format!("The tool {name} failed: {}.", short(why, 200))),
                (None, "files_read") => {}
                (None, "files_search") => told.push(matches(&done.result)),
                (None, "files_list") => told.push(entries(path, &done.result)),
                (None, name) => {
                    told.push(format!("{name} answered: {}.", short(&content(&done.result), 120)))
                }
            }
        }
        (!told.is_empty()).then(|| told.join(" "))
    }
}

fn done(asked: &Asked) -> Vec<Done> {
    let calls: Vec<&Call> = asked.messages.iter().flat_map(|turn| &turn.tool_calls).collect();
    let result = |turn: &super::wire::Turn| {
        let id = turn.tool_call_id.as_deref()?;
        let call = calls.iter().rev().find(|call| call.id == id)?;
        let text = turn.text();
        let result = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Done { name: call.function.name.clone(), failed: failure(&result), result })
    };
    asked.messages.iter().filter(|turn| turn.role == "tool").filter_map(result).collect()
}

/// Why a tool failed: an `error` field, or a text that begins with the word.
fn failure(result: &Value) -> Option<String> {
    match (result.get("error"), result.as_str()) {
        (Some(Value::Null), _) => None,
        (Some(Value::String(why)), _) => Some(why.clone()),
        (Some(why), _) => {
            Some(why.get("message").and_then(Value::as_str).map_or(why.to_string(), str::to_owned))
        }
        (None, Some(text)) => text.to_lowercase().starts_with("error").then(|| text.to_owned()),
        (None, None) => None,
    }
}

/// The text of a result, whatever field holds it.
fn content(result: &Value) -> String {
    let text = ["text", "content"].iter().find_map(|key| result.get(key)?.as_str());
    text.or(result.as_str()).map_or_else(|| result.to_string(), str::to_owned)
}

fn matches(result: &Value) -> String {
    let Some(found) = result.get("matches").and_then(Value::as_array) else {
        return format!("The search answered: {}.", short(&content(result), 120));
    };
    let first = found.first().and_then(|first| {
        let text = first.get("text").and_then(Value::as_str).or(first.as_str())?;
        let line = first.get("line").map_or(String::new(), |line| format!("line {line}, "));
        Some(format!(", the first: {line}\"{}\"", short(text, 120)))
    });
    let more = if result.get("truncated") == Some(&Value::Bool(true)) { " or more" } else { "" };
    let first = first.unwrap_or_default();
    format!("A search for error, fail or warn found {}{more} lines{first}.", found.len())
}

fn entries(path: &str, result: &Value) -> String {
    let entries = result.get("entries").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let name = |entry: &Value| {
        ["name", "path"].iter().find_map(|key| entry.get(key)?.as_str()).or(entry.as_str()).map(str::to_owned)
    };
    let names: Vec<String> = entries.iter().filter_map(name).take(5).collect();
    format!("{path} is a folder with {} entries: {}.", entries.len(), names.join(", "))
}

fn fields(input: &Map<String, Value>) -> String {
    let shown: Vec<String> = input
        .iter()
        .take(5)
        .map(|(key, value)| format!("{key} = {}", short(&value.to_string(), 60)))
        .collect();
    let plural = if input.len() == 1 { "field" } else { "fields" };
    format!("{} {plural}: {}", input.len(), shown.join(", "))
}

/// The first JSON object in a text.
fn object_in(text: &str) -> Option<Map<String, Value>> {
    // Sixteen tries: a text full of braces is no JSON, and each try may read it to its end.
    text.match_indices('{').take(16).find_map(|(at, _)| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Map<String, Value>>();
        values.next()?.ok()
    })
}

/// The first word that looks like an absolute path.
fn path_in(text: &str) -> Option<String> {
    let bare = |word: &str| word.trim_matches(['"', '\'', '`', ',', '.', ';', '(', ')']).to_owned();
    text.split_whitespace().map(bare).find(|word| word.len() > 1 && word.starts_with('/'))
}

fn step_in(text: &str) -> Option<Step> {
    text.match_indices("Step ").find_map(|(at, found)| {
        let (count, rest) = text[at + found.len()..].split_once(':')?;
        let (number, of) = count.split_once('/')?;
        let name = rest.lines().next().unwrap_or_default().trim();
        Some(Step { number: number.trim().parse().ok()?, of: of.trim().parse().ok()?, name: name.to_owned() })
    })
}

/// The beginning of a text on one line.
fn short(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars_max) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
