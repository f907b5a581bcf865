//! A client's chat request, read.
//!
//! Guarantees: whatever is refused is refused with its field and with what to send instead.
//! Read next: [`super::asking`], the way back.

use crate::dialect::Dialect;
use crate::dialect::ask::{Ask, BadAsk, Format, Image, Native, Part, Role, ToolChoice, Turn, arguments_of};
use crate::dialect::fields::Fields;
use serde_json::Value;

pub(in crate::dialect) fn read(body: &Value) -> Result<Ask, BadAsk> {
    let fields = Fields::of(body, "")?;
    refuse(&fields)?;
    let mut ask = Ask {
        model: fields.needed_text("model")?.to_owned(),
        tool_choice: tool_choice(&fields)?,
        parallel_tools: fields.flag("parallel_tool_calls")?,
        max_tokens: fields.count("max_completion_tokens")?.or(fields.count("max_tokens")?),
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        stop: fields.texts("stop")?,
        seed: fields.integer("seed")?,
        format: format(&fields)?,
        user: fields.owned("user")?,
        reasoning_effort: fields.owned("reasoning_effort")?,
        stream: fields.flag("stream")?.unwrap_or(false),
        ..Ask::default()
    };
    if let Some(options) = fields.object("stream_options")? {
        ask.include_usage = options.flag("include_usage")?.unwrap_or(false);
    }
    for tool in fields.objects("tools")? {
        match tool.text("type")?.unwrap_or("function") {
            "function" => ask.tools.push(tool.needed_object("function")?.tool("parameters")?),
            _ => ask.native_tools.push(native(tool.verbatim())),
        }
    }
    fields.list("messages")?.ok_or_else(|| fields.bad("messages", "is required"))?;
    for message in fields.objects("messages")? {
        take(&message, &mut ask)?;
    }
    Ok(ask)
}

fn native(value: Value) -> Native {
    Native { dialect: Dialect::OpenAiChat, value }
}

/// What would not mean the same without it.
fn refuse(fields: &Fields<'_>) -> Result<(), BadAsk> {
    if fields.count("n")?.is_some_and(|n| n > 1) {
        return Err(fields.bad("n", "must be 1: one answer a call; send the request n times instead"));
    }
    for (old, new) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.get(old).is_some() {
            return Err(fields.bad(old, format!("is deprecated and not taken; send `{new}` instead")));
        }
    }
    if fields.list("modalities")?.is_some_and(|list| list.iter().any(|kind| kind.as_str() != Some("text"))) {
        return Err(fields.bad("modalities", "must be [\"text\"]: audio is not translated"));
    }
    Ok(())
}

fn tool_choice(fields: &Fields<'_>) -> Result<ToolChoice, BadAsk> {
    const HINT: &str =
        "must be auto, none, required or {\"type\": \"function\", \"function\": {\"name\": ..}}";
    match fields.get("tool_choice") {
        None => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(fields.bad("tool_choice", HINT)),
        },
        Some(_) => {
            let choice = fields.needed_object("tool_choice")?;
            match choice.object("function")? {
                Some(function) => Ok(ToolChoice::Named(function.needed_text("name")?.to_owned())),
                None => Err(fields.bad("tool_choice", HINT)),
            }
        }
    }
}

fn format(fields: &Fields<'_>) -> Result<Format, BadAsk> {
    let Some(format) = fields.object("response_format")? else { return Ok(Format::Text) };
    match format.needed_text("type")? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let named = format.needed_object("json_schema")?;
            Ok(Format::JsonSchema {
                name: named.needed_text("name")?.to_owned(),
                schema: named.needed_object("schema")?.verbatim(),
                strict: named.flag("strict")?,
            })
        }
        _ => Err(format.bad("type", "must be text, json_object or json_schema")),
    }
}

fn take(message: &Fields<'_>, ask: &mut Ask) -> Result<(), BadAsk> {
    match message.needed_text("role")? {
        "system" | "developer" => {
            for part in content(message)? {
                match part {
                    Part::Text(text) => ask.system.push(text),
                    _ => return Err(message.bad("content", "of a system message must be text")),
                }
            }
        }
        "user" => ask.turns.push(Turn::user(content(message)?)),
        "assistant" => ask.turns.push(Turn::assistant(assistant(message)?)),
        "tool" => {
            let id = message.needed_text("tool_call_id")?.to_owned();
            let result = Part::ToolResult { id, parts: content(message)?, is_error: false };
            // Results of parallel calls come one message each and are one turn; words of the user are another.
            match ask.turns.last_mut().filter(|turn| is_results(turn)) {
                Some(turn) => turn.parts.push(result),
                None => ask.turns.push(Turn::user(vec![result])),
            }
        }
        "function" => return Err(message.bad("role", "function is deprecated; send a message of role tool")),
        _ => return Err(message.bad("role", "must be system, developer, user, assistant or tool")),
    }
    Ok(())
}

fn is_results(turn: &Turn) -> bool {
    turn.role == Role::User && turn.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }))
}

fn assistant(message: &Fields<'_>) -> Result<Vec<Part>, BadAsk> {
    if message.get("function_call").is_some() {
        return Err(message.bad("function_call", "is deprecated and not taken; send `tool_calls` instead"));
    }
    let mut parts = Vec::new();
    let reasoning = message.text("reasoning_content")?.filter(|text| !text.is_empty());
    parts.extend(reasoning.map(|text| Part::Reasoning { text: text.to_owned(), signature: None }));
    parts.extend(content(message)?.into_iter().filter(|part| *part != Part::Text(String::new())));
    parts.extend(message.text("refusal")?.map(Part::text));
    for call in message.objects("tool_calls")? {
        if call.text("type")?.is_some_and(|kind| kind != "function") {
            parts.push(Part::Native(native(call.verbatim())));
            continue;
        }
        let function = call.needed_object("function")?;
        parts.push(Part::ToolUse {
            id: call.needed_text("id")?.to_owned(),
            name: function.needed_text("name")?.to_owned(),
            arguments: arguments_of(function.text("arguments")?.unwrap_or_default()),
        });
    }
    Ok(parts)
}

/// A string, or parts.
fn content(message: &Fields<'_>) -> Result<Vec<Part>, BadAsk> {
    match message.get("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text.as_str())]),
        Some(Value::Array(_)) => message.objects("content")?.iter().map(part).collect(),
        Some(_) => Err(message.bad("content", "must be a string or an array of parts")),
    }
}

fn part(part: &Fields<'_>) -> Result<Part, BadAsk> {
    match part.needed_text("type")? {
        "text" => Ok(Part::text(part.needed_text("text")?)),
        "refusal" => Ok(Part::text(part.needed_text("refusal")?)),
        "image_url" => {
            let image = part.needed_object("image_url")?;
            let url = image.needed_text("url")?;
            Ok(Part::Image(Image::of_url(url).map_err(|why| image.bad("url", why))?))
        }
        "file" => Ok(Part::Native(native(part.verbatim()))),
        "input_audio" => Err(part.bad("type", "input_audio is not taken; send the words as text")),
        _ => Err(part.bad("type", "must be text or image_url")),
    }
}
