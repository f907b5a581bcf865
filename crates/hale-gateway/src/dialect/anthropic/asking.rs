//! The body for a provider that speaks the Anthropic dialect.
//!
//! Guarantees: turns alternate, results of tools stand first in theirs, no text block is blank, ids have only the
//! characters that the provider takes, and what the version refuses is left out by name.
//! Read next: [`super::reading`], what comes back.

use crate::dialect::ask::{Ask, BadAsk, Format, Image, Native, Part, Role, Thinking, Tool, ToolChoice};
use crate::dialect::{Dialect, Version};
use serde_json::{Map, Value, json};

/// The dialect wants a limit; this is what clients without an opinion get.
const MAX_TOKENS_DEFAULT: u64 = 4096;

pub(in crate::dialect) fn write(
    ask: &Ask,
    (model, version): (&str, Version),
    dropped: &mut Vec<&'static str>,
) -> Result<Value, BadAsk> {
    let mut body = Map::new();
    body.insert("model".into(), json!(model));
    body.insert("max_tokens".into(), json!(ask.max_tokens.unwrap_or(MAX_TOKENS_DEFAULT)));
    let system: Vec<&String> = ask.system.iter().filter(|text| !text.trim().is_empty()).collect();
    match system.as_slice() {
        [] => {}
        [text] => drop(body.insert("system".into(), json!(text))),
        texts => drop(body.insert("system".into(), texts.iter().map(|text| text_block(text)).collect())),
    }
    body.insert("messages".into(), messages(ask, dropped)?);
    tools(ask, &mut body, dropped)?;
    sampling(ask, version, &mut body, dropped);
    thinking(ask, &mut body, dropped)?;
    if !ask.stop.is_empty() {
        body.insert("stop_sequences".into(), json!(ask.stop));
    }
    if let Some(user) = &ask.user {
        body.insert("metadata".into(), json!({"user_id": user}));
    }
    if ask.seed.is_some() {
        dropped.push("seed");
    }
    if ask.stream {
        body.insert("stream".into(), json!(true));
    }
    dropped.sort_unstable();
    dropped.dedup();
    Ok(Value::Object(body))
}

fn messages(ask: &Ask, dropped: &mut Vec<&'static str>) -> Result<Value, BadAsk> {
    let mut messages: Vec<(Role, Vec<Value>)> = Vec::new();
    for turn in &ask.turns {
        let mut blocks = Vec::new();
        for part in &turn.parts {
            blocks.extend(block(part, dropped)?);
        }
        match messages.last_mut() {
            // A turn of which nothing is left must not part two others.
            _ if blocks.is_empty() => {}
            Some((role, known)) if *role == turn.role => known.extend(blocks),
            _ => messages.push((turn.role, blocks)),
        }
    }
    if messages.is_empty() {
        return Err(BadAsk::at("messages", "hold nothing to answer: at least one message needs content"));
    }
    let message = |(role, mut blocks): (Role, Vec<Value>)| {
        // The sort is stable: what is of one kind keeps its order.
        blocks.sort_by_key(|block| block["type"] != "tool_result");
        let role = if role == Role::User { "user" } else { "assistant" };
        json!({"role": role, "content": blocks})
    };
    Ok(messages.into_iter().map(message).collect())
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// None for what says nothing.
fn block(part: &Part, dropped: &mut Vec<&'static str>) -> Result<Option<Value>, BadAsk> {
    Ok(Some(match part {
        Part::Text(text) if text.trim().is_empty() => return Ok(None),
        Part::Text(text) => text_block(text),
        Part::Image(Image::Url(url)) => json!({"type": "image", "source": {"type": "url", "url": url}}),
        Part::Image(Image::Data { media_type, base64 }) => {
            let source = json!({"type": "base64", "media_type": media_type, "data": base64});
            json!({"type": "image", "source": source})
        }
        Part::ToolUse { id, name, arguments } if arguments.is_object() => {
            json!({"type": "tool_use", "id": plain(id), "name": name, "input": arguments})
        }
        Part::ToolUse { name, .. } => {
            let message =
                format!("the arguments of the call of {name} are no JSON object, which Anthropic needs");
            return Err(BadAsk::at("messages", message));
        }
        Part::ToolResult { id, parts, is_error } => {
            let mut inner = Vec::new();
            for part in parts {
                inner.extend(block(part, dropped)?);
            }
            let mut result = json!({"type": "tool_result", "tool_use_id": plain(id), "content": inner});
            if *is_error {
                result["is_error"] = json!(true);
            }
            result
        }
        Part::Reasoning { text, signature: Some(signature) } => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        // The provider takes back only what it has signed.
        Part::Reasoning { signature: None, .. } => {
            dropped.push("reasoning");
            return Ok(None);
        }
        Part::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
        Part::Native(native) => own(native, "messages")?,
    }))
}

/// Some models make ids like `functions.f:0`.
fn plain(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    id.chars().map(plain).collect()
}

fn own(native: &Native, field: &str) -> Result<Value, BadAsk> {
    if native.dialect == Dialect::Anthropic {
        return Ok(native.value.clone());
    }
    let kind = native.value.get("type").and_then(Value::as_str).unwrap_or("one part");
    let message =
        format!("{kind} cannot be said to a provider of the Anthropic dialect; ask a model of its own");
    Err(BadAsk::at(field, message))
}

fn tools(ask: &Ask, body: &mut Map<String, Value>, dropped: &mut Vec<&'static str>) -> Result<(), BadAsk> {
    let mut tools: Vec<Value> = ask.tools.iter().map(tool).collect();
    for native in &ask.native_tools {
        tools.push(own(native, "tools")?);
    }
    if tools.is_empty() {
        return Ok(());
    }
    body.insert("tools".into(), Value::Array(tools));
    let mut choice = match &ask.tool_choice {
        ToolChoice::Auto if ask.parallel_tools.is_none() => return Ok(()),
        ToolChoice::Auto => json!({"type": "auto"}),
        ToolChoice::None => json!({"type": "none"}),
        ToolChoice::Required => json!({"type": "any"}),
        ToolChoice::Named(name) => json!({"type": "tool", "name": name}),
    };
    match ask.parallel_tools {
        Some(_) if ask.tool_choice == ToolChoice::None => dropped.push("parallel_tools"),
        Some(parallel) => choice["disable_parallel_tool_use"] = json!(!parallel),
        None => {}
    }
    body.insert("tool_choice".into(), choice);
    Ok(())
}

fn tool(tool: &Tool) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), json!(tool.name));
    tool.description.as_ref().map(|text| map.insert("description".into(), json!(text)));
    map.insert("input_schema".into(), tool.parameters.clone());
    tool.strict.map(|strict| map.insert("strict".into(), json!(strict)));
    Value::Object(map)
}

fn sampling(ask: &Ask, version: Version, body: &mut Map<String, Value>, dropped: &mut Vec<&'static str>) {
    // The scale of temperatures ends at 1 here and at 2 elsewhere.
    let temperature = ask.temperature.map(|temperature| temperature.min(1.0));
    let fields = [
        ("temperature", temperature.map(Value::from)),
        ("top_p", ask.top_p.map(Value::from)),
        ("top_k", ask.top_k.map(Value::from)),
    ];
    for (name, value) in fields {
        match value {
            Some(_) if version == Version::V2026_10_21 => dropped.push(name),
            Some(value) => drop(body.insert(name.into(), value)),
            None => {}
        }
    }
    if temperature != ask.temperature {
        dropped.push("temperature");
    }
}

fn thinking(ask: &Ask, body: &mut Map<String, Value>, dropped: &mut Vec<&'static str>) -> Result<(), BadAsk> {
    let mut config = Map::new();
    let mut thinking = match ask.thinking {
        Thinking::Unsaid => None,
        Thinking::Off => Some(json!({"type": "disabled"})),
        Thinking::On => Some(json!({"type": "adaptive"})),
        Thinking::Budget(tokens) => Some(json!({"type": "enabled", "budget_tokens": tokens})),
    };
    match ask.reasoning_effort.as_deref() {
        None => {}
        Some(effort @ ("low" | "medium" | "high" | "xhigh" | "max")) => {
            config.insert("effort".into(), json!(effort));
        }
        Some("minimal") => drop(config.insert("effort".into(), json!("low"))),
        Some("none") => drop(thinking.get_or_insert_with(|| json!({"type": "disabled"}))),
        Some(_) => dropped.push("reasoning_effort"),
    }
    match &ask.format {
        Format::Text => {}
        Format::JsonSchema { schema, .. } => {
            config.insert("format".into(), json!({"type": "json_schema", "schema": schema}));
        }
        Format::JsonObject => {
            let message =
                "a JSON answer without a schema cannot be asked of this provider; send a json_schema";
            return Err(BadAsk::at("response_format", message));
        }
    }
    thinking.map(|thinking| body.insert("thinking".into(), thinking));
    if !config.is_empty() {
        body.insert("output_config".into(), Value::Object(config));
    }
    Ok(())
}
