//! What the simulated model gives to others: packs that are its tools, waits, and pages to fetch.
//!
//! Guarantees: a pack gets what its schema asks for, from the input's fields of the same name; what the input lacks is
//! the question for a text, else left out, so that a wrong call is refused and not guessed.
//! Read next: [`super::mind`].

use super::wire::Named;
use serde_json::{Map, Value, json};

/// What a pack's tool begins with on the wire.
const PACK: &str = "pack_";
/// Letters of a question that is handed on.
const QUESTION_CHARS: usize = 500;

/// The arguments of a call that this tool is good for; none for a tool that is not of this kind.
pub(super) fn arguments(tool: &Named, (input, question): (&Map<String, Value>, &str)) -> Option<Value> {
    if tool.name == "time_sleep" {
        let given = |name: &str| Some(json!({ name: input.get(name)? }));
        return given("seconds").or_else(|| given("until"));
    }
    if tool.name == "web_fetch" {
        return Some(json!({ "url": input.get("url")? }));
    }
    let fields = tool.name.starts_with(PACK).then(|| tool.parameters.get("properties")?.as_object())??;
    let required = tool.parameters.get("required").and_then(Value::as_array);
    let needed = |name: &str| required.is_some_and(|names| names.iter().any(|needed| needed == name));
    let text = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("string");
    let mut arguments = Map::new();
    for (name, schema) in fields {
        if let Some(value) = input.get(name) {
            arguments.insert(name.clone(), value.clone());
        } else if needed(name) && text(schema) {
            let question: String = question.chars().take(QUESTION_CHARS).collect();
            arguments.insert(name.clone(), Value::String(question));
        }
    }
    Some(Value::Object(arguments))
}
