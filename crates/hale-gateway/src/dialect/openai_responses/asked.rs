//! A client's responses request, read.
//!
//! Guarantees: items of one side that follow each other are one turn; fields that only tell the provider what to keep
//! are tolerated, those that count on something kept are refused.
//! Read next: [`super::writing`].

use crate::dialect::ask::{Ask, BadAsk, Format, Image, Part, Role, ToolChoice, arguments_of};
use crate::dialect::fields::Fields;
use serde_json::Value;

pub(in crate::dialect) fn read(body: &Value) -> Result<Ask, BadAsk> {
    let fields = Fields::of(body, "")?;
    refuse(&fields)?;
    let mut ask = Ask {
        model: fields.needed_text("model")?.to_owned(),
        system: fields.owned("instructions")?.into_iter().collect(),
        tool_choice: tool_choice(&fields)?,
        parallel_tools: fields.flag("parallel_tool_calls")?,
        max_tokens: fields.count("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        format: format(&fields)?,
        user: fields.owned("user")?.or(fields.owned("safety_identifier")?),
        stream: fields.flag("stream")?.unwrap_or(false),
        include_usage: true,
        ..Ask::default()
    };
    if let Some(reasoning) = fields.object("reasoning")? {
        ask.reasoning_effort = reasoning.owned("effort")?;
    }
    for tool in fields.objects("tools")? {
        match tool.needed_text("type")? {
            "function" => ask.tools.push(tool.tool("parameters")?),
            kind => {
                let message =
                    format!("{kind} is run by its provider and not taken; send tools of type function");
                return Err(tool.bad("type", message));
            }
        }
    }
    match fields.get("input") {
        None => return Err(fields.bad("input", "is required")),
        Some(Value::String(text)) => ask.push(Role::User, vec![Part::text(text.as_str())]),
        Some(_) => {
            for item in fields.objects("input")? {
                take(&item, &mut ask)?;
            }
        }
    }
    Ok(ask)
}

fn refuse(fields: &Fields<'_>) -> Result<(), BadAsk> {
    const HINT: &str =
        "is not taken: hale keeps no conversation on the server; send the whole conversation as `input`";
    for key in ["previous_response_id", "conversation"] {
        if fields.get(key).is_some() {
            return Err(fields.bad(key, HINT));
        }
    }
    if fields.get("prompt").is_some() {
        return Err(
            fields.bad("prompt", "is kept by OpenAI and not known here; send `instructions` and `input`")
        );
    }
    if fields.flag("background")? == Some(true) {
        return Err(fields.bad("background", "must be false: nothing is kept to fetch later; stream instead"));
    }
    Ok(())
}

fn tool_choice(fields: &Fields<'_>) -> Result<ToolChoice, BadAsk> {
    const HINT: &str = "must be auto, none, required or {\"type\": \"function\", \"name\": ..}";
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
            match choice.needed_text("type")? {
                "function" => Ok(ToolChoice::Named(choice.needed_text("name")?.to_owned())),
                _ => Err(fields.bad("tool_choice", HINT)),
            }
        }
    }
}

fn format(fields: &Fields<'_>) -> Result<Format, BadAsk> {
    let Some(text) = fields.object("text")? else { return Ok(Format::Text) };
    let Some(format) = text.object("format")? else { return Ok(Format::Text) };
    match format.needed_text("type")? {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => Ok(Format::JsonSchema {
            name: format.needed_text("name")?.to_owned(),
            schema: format.needed_object("schema")?.verbatim(),
            strict: format.flag("strict")?,
        }),
        _ => Err(format.bad("type", "must be text, json_object or json_schema")),
    }
}

fn take(item: &Fields<'_>, ask: &mut Ask) -> Result<(), BadAsk> {
    match item.text("type")?.unwrap_or("message") {
        "message" => message(item, ask),
        "function_call" => {
            let call = Part::ToolUse {
                id: item.needed_text("call_id")?.to_owned(),
                name: item.needed_text("name")?.to_owned(),
                arguments: arguments_of(item.text("arguments")?.unwrap_or_default()),
            };
            ask.push(Role::Assistant, vec![call]);
            Ok(())
        }
        "function_call_output" => {
            let id = item.needed_text("call_id")?.to_owned();
            let result = Part::ToolResult { id, parts: content(item, "output")?, is_error: false };
            ask.push(Role::User, vec![result]);
            Ok(())
        }
        // Only the provider that wrote it could read it.
        "reasoning" => Ok(()),
        "item_reference" => {
            Err(item.bad("type", "item_reference is not taken: hale keeps no items; send the item itself"))
        }
        kind => Err(item.bad(
            "type",
            format!("{kind} is not taken; send items of type message, function_call or function_call_output"),
        )),
    }
}

fn message(item: &Fields<'_>, ask: &mut Ask) -> Result<(), BadAsk> {
    let parts = content(item, "content")?;
    match item.needed_text("role")? {
        "system" | "developer" => {
            for part in parts {
                match part {
                    Part::Text(text) => ask.system.push(text),
                    _ => return Err(item.bad("content", "of a system message must be text")),
                }
            }
        }
        "user" => ask.push(Role::User, parts),
        "assistant" => ask.push(Role::Assistant, parts),
        _ => return Err(item.bad("role", "must be system, developer, user or assistant")),
    }
    Ok(())
}

/// A string, or parts.
fn content(item: &Fields<'_>, key: &str) -> Result<Vec<Part>, BadAsk> {
    match item.get(key) {
        None => Err(item.bad(key, "is required")),
        Some(Value::String(text)) => Ok(vec![Part::text(text.as_str())]),
        Some(Value::Array(_)) => item.objects(key)?.iter().map(part).collect(),
        Some(_) => Err(item.bad(key, "must be a string or an array of parts")),
    }
}

fn part(part: &Fields<'_>) -> Result<Part, BadAsk> {
    match part.needed_text("type")? {
        "input_text" | "output_text" | "text" => Ok(Part::text(part.needed_text("text")?)),
        "refusal" => Ok(Part::text(part.needed_text("refusal")?)),
        "input_image" => match part.text("image_url")? {
            Some(url) => Ok(Part::Image(Image::of_url(url).map_err(|why| part.bad("image_url", why))?)),
            None => Err(part.bad("image_url", "is required: files kept by OpenAI are not known here")),
        },
        kind => Err(part.bad("type", format!("{kind} is not taken; send input_text or input_image"))),
    }
}
