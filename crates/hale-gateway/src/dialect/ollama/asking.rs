//! The body for a provider that speaks Ollama's chat dialect.
//!
//! Guarantees: `stream` is always said, since its default is true; results of tools carry the name of their tool.
//! Read next: [`super::reading`], what comes back.

use crate::dialect::Dialect;
use crate::dialect::ask::{Ask, BadAsk, Format, Image, Part, Role, Thinking, ToolChoice, Turn};
use serde_json::{Map, Value, json};

pub(in crate::dialect) fn write(
    ask: &Ask,
    model: &str,
    dropped: &mut Vec<&'static str>,
) -> Result<Value, BadAsk> {
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    let mut messages: Vec<Value> =
        ask.system.iter().map(|text| json!({"role": "system", "content": text})).collect();
    for turn in &ask.turns {
        match turn.role {
            Role::User => user(ask, turn, &mut messages, dropped)?,
            Role::Assistant => messages.push(assistant(turn, dropped)?),
        }
    }
    body.insert("messages".into(), Value::Array(messages));
    tools(ask, &mut body, dropped)?;
    match &ask.format {
        Format::Text => {}
        Format::JsonObject => drop(body.insert("format".into(), json!("json"))),
        Format::JsonSchema { schema, .. } => drop(body.insert("format".into(), schema.clone())),
    }
    if let Some(think) = think(ask) {
        body.insert("think".into(), think);
    }
    let options = options(ask);
    if !options.is_empty() {
        body.insert("options".into(), Value::Object(options));
    }
    body.insert("stream".into(), json!(ask.stream));
    if ask.user.is_some() {
        dropped.push("user");
    }
    dropped.sort_unstable();
    dropped.dedup();
    Ok(Value::Object(body))
}

fn think(ask: &Ask) -> Option<Value> {
    match (ask.reasoning_effort.as_deref(), ask.thinking) {
        (Some("none"), _) | (None, Thinking::Off) => Some(json!(false)),
        (Some("minimal"), _) => Some(json!("low")),
        (Some(effort), _) => Some(json!(effort)),
        (None, Thinking::On | Thinking::Budget(_)) => Some(json!(true)),
        (None, Thinking::Unsaid) => None,
    }
}

fn options(ask: &Ask) -> Map<String, Value> {
    let mut options = Map::new();
    let mut optional = |key: &str, value: Option<Value>| value.map(|value| options.insert(key.into(), value));
    optional("temperature", ask.temperature.map(Value::from));
    optional("top_p", ask.top_p.map(Value::from));
    optional("top_k", ask.top_k.map(Value::from));
    optional("stop", (!ask.stop.is_empty()).then(|| json!(ask.stop)));
    optional("seed", ask.seed.map(Value::from));
    optional("num_predict", ask.max_tokens.map(Value::from));
    options
}

fn tools(ask: &Ask, body: &mut Map<String, Value>, dropped: &mut Vec<&'static str>) -> Result<(), BadAsk> {
    if !ask.native_tools.is_empty() {
        return Err(BadAsk::at(
            "tools",
            "of the provider's own cannot be said to Ollama; ask a model of its own",
        ));
    }
    if ask.tools.is_empty() {
        return Ok(());
    }
    match &ask.tool_choice {
        ToolChoice::Auto => {}
        // No choice is as good as no tools.
        ToolChoice::None => return Ok(()),
        ToolChoice::Required | ToolChoice::Named(_) => {
            return Err(BadAsk::at("tool_choice", "cannot be forced on Ollama; send auto or none"));
        }
    }
    if ask.parallel_tools == Some(false) {
        dropped.push("parallel_tools");
    }
    let tools = ask.tools.iter().map(|tool| {
        let mut function = json!({"name": tool.name, "parameters": tool.parameters});
        if let Some(text) = &tool.description {
            function["description"] = json!(text);
        }
        json!({"type": "function", "function": function})
    });
    body.insert("tools".into(), tools.collect());
    if ask.tools.iter().any(|tool| tool.strict == Some(true)) {
        dropped.push("strict");
    }
    Ok(())
}

fn user(
    ask: &Ask,
    turn: &Turn,
    messages: &mut Vec<Value>,
    dropped: &mut Vec<&'static str>,
) -> Result<(), BadAsk> {
    let mut words = Vec::new();
    for part in &turn.parts {
        let Part::ToolResult { id, parts, is_error } = part else {
            words.push(part);
            continue;
        };
        if *is_error {
            dropped.push("is_error");
        }
        let mut message = message("tool", &parts.iter().collect::<Vec<_>>())?;
        if let Some(name) = ask.tool_name(id) {
            message.insert("tool_name".into(), json!(name));
        }
        message.insert("tool_call_id".into(), json!(id));
        messages.push(Value::Object(message));
    }
    if !words.is_empty() {
        messages.push(Value::Object(message("user", &words)?));
    }
    Ok(())
}

fn assistant(turn: &Turn, dropped: &mut Vec<&'static str>) -> Result<Value, BadAsk> {
    let (mut said, mut thought, mut calls) = (Vec::new(), String::new(), Vec::new());
    for part in &turn.parts {
        match part {
            Part::ToolUse { id, name, arguments } if arguments.is_object() => {
                calls.push(json!({"id": id, "function": {"name": name, "arguments": arguments}}));
            }
            Part::ToolUse { name, .. } => {
                let message =
                    format!("the arguments of the call of {name} are no JSON object, which Ollama needs");
                return Err(BadAsk::at("messages", message));
            }
            Part::Reasoning { text, signature } => {
                thought.push_str(text);
                if signature.is_some() {
                    dropped.push("reasoning");
                }
            }
            Part::Redacted(_) => dropped.push("reasoning"),
            part => said.push(part),
        }
    }
    let mut message = message("assistant", &said)?;
    if !thought.is_empty() {
        message.insert("thinking".into(), json!(thought));
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), Value::Array(calls));
    }
    Ok(Value::Object(message))
}

/// A message is one text and a list of images.
fn message(role: &str, parts: &[&Part]) -> Result<Map<String, Value>, BadAsk> {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text.as_str()),
            Part::Image(Image::Data { base64, .. }) => images.push(json!(base64)),
            Part::Image(Image::Url(_)) => {
                let message = "an image by its address cannot be said to Ollama; send it as a data: URL";
                return Err(BadAsk::at("messages", message));
            }
            Part::Native(native) => {
                let kind = native.value.get("type").and_then(Value::as_str).unwrap_or("one part");
                let (dialect, message) = (Dialect::OllamaChat, "ask a model of its own");
                return Err(BadAsk::at(
                    "messages",
                    format!("{kind} cannot be said in {dialect:?}; {message}"),
                ));
            }
            Part::ToolUse { .. } | Part::ToolResult { .. } | Part::Reasoning { .. } | Part::Redacted(_) => {
                let message = "a tool call, a tool result or reasoning stands where only content can";
                return Err(BadAsk::at("messages", message));
            }
        }
    }
    let mut message = Map::new();
    message.insert("role".into(), json!(role));
    message.insert("content".into(), json!(texts.join("\n")));
    if !images.is_empty() {
        message.insert("images".into(), Value::Array(images));
    }
    Ok(message)
}
