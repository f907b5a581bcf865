//! The body for a provider that speaks the chat dialect.
//!
//! Guarantees: a stream is always asked to tell its usage; one system message at most, since the templates of some
//! models take no second.
//! Read next: [`super::reading`], what comes back.

use crate::dialect::Dialect;
use crate::dialect::ask::{
    Ask, BadAsk, Format, Native, Part, Role, Thinking, Tool, ToolChoice, Turn, arguments_text,
};
use serde_json::{Map, Value, json};

pub(in crate::dialect) fn write(
    ask: &Ask,
    model: &str,
    dropped: &mut Vec<&'static str>,
) -> Result<Value, BadAsk> {
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    let mut messages = Vec::new();
    if !ask.system.is_empty() {
        let parts: Vec<Part> = ask.system.iter().map(Part::text).collect();
        messages.push(json!({"role": "system", "content": content(&parts)?}));
    }
    for turn in &ask.turns {
        match turn.role {
            Role::User => user(turn, &mut messages, dropped)?,
            Role::Assistant => messages.push(assistant(turn, dropped)?),
        }
    }
    body.insert("messages".into(), Value::Array(messages));
    tools(ask, &mut body)?;
    options(ask, model, &mut body, dropped);
    if ask.stream {
        body.insert("stream".into(), json!(true));
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    dropped.sort_unstable();
    dropped.dedup();
    Ok(Value::Object(body))
}

fn options(ask: &Ask, model: &str, body: &mut Map<String, Value>, dropped: &mut Vec<&'static str>) {
    let mut optional = |key: &str, value: Option<Value>| value.map(|value| body.insert(key.into(), value));
    optional(limit_key(model), ask.max_tokens.map(Value::from));
    optional("temperature", ask.temperature.map(Value::from));
    optional("top_p", ask.top_p.map(Value::from));
    optional("stop", (!ask.stop.is_empty()).then(|| json!(ask.stop)));
    optional("seed", ask.seed.map(Value::from));
    optional("user", ask.user.as_deref().map(Value::from));
    optional("response_format", format(&ask.format));
    optional("reasoning_effort", effort(ask).map(Value::from));
    if ask.top_k.is_some() {
        dropped.push("top_k");
    }
    if ask.thinking != Thinking::Unsaid {
        dropped.push("thinking");
    }
}

/// OpenAI's own newer models insist on the new name; compatible servers may know the old one only.
fn limit_key(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let digit = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    let reasons = name.strip_prefix('o').is_some_and(digit);
    let newer = name.strip_prefix("gpt-").is_some_and(|rest| digit(rest) && !rest.starts_with(['3', '4']));
    if reasons || newer { "max_completion_tokens" } else { "max_tokens" }
}

/// What the client said, else what its budget of thinking comes to.
fn effort(ask: &Ask) -> Option<&str> {
    let budgeted = match ask.thinking {
        Thinking::Budget(0..=2048) => Some("low"),
        Thinking::Budget(2049..=8192) => Some("medium"),
        Thinking::Budget(_) => Some("high"),
        _ => None,
    };
    ask.reasoning_effort.as_deref().or(budgeted)
}

fn format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::JsonObject => Some(json!({"type": "json_object"})),
        Format::JsonSchema { name, schema, strict } => {
            let mut named = json!({"name": name, "schema": schema});
            if let Some(strict) = strict {
                named["strict"] = json!(strict);
            }
            Some(json!({"type": "json_schema", "json_schema": named}))
        }
    }
}

fn tools(ask: &Ask, body: &mut Map<String, Value>) -> Result<(), BadAsk> {
    let mut tools: Vec<Value> = ask.tools.iter().map(tool).collect();
    for native in &ask.native_tools {
        tools.push(own(native, "tools")?);
    }
    if tools.is_empty() {
        // Without tools, a choice among them is refused by the provider.
        return Ok(());
    }
    body.insert("tools".into(), Value::Array(tools));
    let choice = match &ask.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    };
    choice.map(|choice| body.insert("tool_choice".into(), choice));
    ask.parallel_tools.map(|parallel| body.insert("parallel_tool_calls".into(), json!(parallel)));
    Ok(())
}

fn tool(tool: &Tool) -> Value {
    let mut function = Map::new();
    function.insert("name".into(), json!(tool.name));
    tool.description.as_ref().map(|text| function.insert("description".into(), json!(text)));
    function.insert("parameters".into(), tool.parameters.clone());
    tool.strict.map(|strict| function.insert("strict".into(), json!(strict)));
    json!({"type": "function", "function": function})
}

/// Results go first, a message each, since they must follow the calls; images in them follow as words of the user.
fn user(turn: &Turn, messages: &mut Vec<Value>, dropped: &mut Vec<&'static str>) -> Result<(), BadAsk> {
    let (mut images, mut words) = (Vec::new(), Vec::new());
    for part in &turn.parts {
        let Part::ToolResult { id, parts, is_error } = part else {
            words.push(part.clone());
            continue;
        };
        if *is_error {
            dropped.push("is_error");
        }
        let (shown, text): (Vec<Part>, Vec<Part>) =
            parts.iter().cloned().partition(|part| matches!(part, Part::Image(_)));
        images.extend(shown);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": content(&text)?}));
    }
    images.append(&mut words);
    if !images.is_empty() {
        messages.push(json!({"role": "user", "content": content(&images)?}));
    }
    Ok(())
}

fn assistant(turn: &Turn, dropped: &mut Vec<&'static str>) -> Result<Value, BadAsk> {
    let (mut said, mut calls) = (Vec::new(), Vec::new());
    for part in &turn.parts {
        match part {
            Part::ToolUse { id, name, arguments } => {
                let function = json!({"name": name, "arguments": arguments_text(arguments)});
                calls.push(json!({"id": id, "type": "function", "function": function}));
            }
            Part::Native(native) => calls.push(own(native, "messages")?),
            Part::Reasoning { .. } | Part::Redacted(_) => dropped.push("reasoning"),
            part => said.push(part.clone()),
        }
    }
    let content = if said.is_empty() && !calls.is_empty() { Value::Null } else { content(&said)? };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    Ok(message)
}

/// One text is a string, which all servers know.
fn content(parts: &[Part]) -> Result<Value, BadAsk> {
    match parts {
        [] => Ok(json!("")),
        [Part::Text(text)] => Ok(json!(text)),
        parts => parts.iter().map(part).collect(),
    }
}

fn part(part: &Part) -> Result<Value, BadAsk> {
    match part {
        Part::Text(text) => Ok(json!({"type": "text", "text": text})),
        Part::Image(image) => Ok(json!({"type": "image_url", "image_url": {"url": image.to_url()}})),
        Part::Native(native) => own(native, "messages"),
        Part::ToolUse { .. } | Part::ToolResult { .. } | Part::Reasoning { .. } | Part::Redacted(_) => Err(
            BadAsk::at("messages", "a tool call, a tool result or reasoning stands where only content can"),
        ),
    }
}

fn own(native: &Native, field: &str) -> Result<Value, BadAsk> {
    if native.dialect == Dialect::OpenAiChat {
        return Ok(native.value.clone());
    }
    let kind = native.value.get("type").and_then(Value::as_str).unwrap_or("one part");
    let message =
        format!("{kind} cannot be said to a provider of the OpenAI chat dialect; ask a model of its own");
    Err(BadAsk::at(field, message))
}
