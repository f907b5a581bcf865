//! A client's message request, read.
//!
//! Guarantees: what the version of the client refuses is refused; blocks that only this dialect knows are kept as
//! they are.
//! Read next: [`super::asking`], the way back.

use crate::dialect::ask::{
    Ask, BadAsk, Format, Image, Native, Part, Role, SCHEMA_NAME, Thinking, ToolChoice, Turn,
};
use crate::dialect::fields::Fields;
use crate::dialect::{Dialect, Version};
use serde_json::Value;

pub(in crate::dialect) fn read(body: &Value, version: Version) -> Result<Ask, BadAsk> {
    let fields = Fields::of(body, "")?;
    if version == Version::V2026_10_21 {
        refuse_sampling(&fields)?;
    }
    let mut ask = Ask {
        model: fields.needed_text("model")?.to_owned(),
        system: system(&fields, "system")?,
        max_tokens: fields.count("max_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: fields.count("top_k")?,
        stop: fields.texts("stop_sequences")?,
        thinking: thinking(&fields)?,
        stream: fields.flag("stream")?.unwrap_or(false),
        include_usage: true,
        ..Ask::default()
    };
    if ask.max_tokens.is_none() {
        return Err(fields.bad("max_tokens", "is required: the most tokens that the answer may have"));
    }
    if let Some(metadata) = fields.object("metadata")? {
        ask.user = metadata.owned("user_id")?;
    }
    if let Some(config) = fields.object("output_config")? {
        ask.reasoning_effort = config.owned("effort")?;
        ask.format = format(&config)?;
    }
    for tool in fields.objects("tools")? {
        match tool.text("type")? {
            None | Some("custom") => ask.tools.push(tool.tool("input_schema")?),
            Some(_) => ask.native_tools.push(native(tool.verbatim())),
        }
    }
    tool_choice(&fields, &mut ask)?;
    fields.list("messages")?.ok_or_else(|| fields.bad("messages", "is required"))?;
    for message in fields.objects("messages")? {
        take(&message, version, &mut ask)?;
    }
    Ok(ask)
}

fn native(value: Value) -> Native {
    Native { dialect: Dialect::Anthropic, value }
}

fn refuse_sampling(fields: &Fields<'_>) -> Result<(), BadAsk> {
    for key in ["temperature", "top_p", "top_k"] {
        if fields.get(key).is_some() {
            let message =
                "is not part of version 2026-10-21; leave it out, or send anthropic-version 2023-06-01";
            return Err(fields.bad(key, message));
        }
    }
    Ok(())
}

/// A string, or blocks of text.
fn system(fields: &Fields<'_>, key: &str) -> Result<Vec<String>, BadAsk> {
    match fields.get(key) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(_) => fields
            .objects(key)?
            .iter()
            .map(|block| match block.needed_text("type")? {
                "text" => Ok(block.needed_text("text")?.to_owned()),
                _ => Err(block.bad("type", "must be text")),
            })
            .collect(),
    }
}

fn thinking(fields: &Fields<'_>) -> Result<Thinking, BadAsk> {
    let Some(thinking) = fields.object("thinking")? else { return Ok(Thinking::Unsaid) };
    match thinking.needed_text("type")? {
        "disabled" => Ok(Thinking::Off),
        "enabled" => {
            let budget = thinking.count("budget_tokens")?;
            budget.map(Thinking::Budget).ok_or_else(|| thinking.bad("budget_tokens", "is required"))
        }
        // Kinds of later days let the model choose, too.
        _ => Ok(Thinking::On),
    }
}

fn format(config: &Fields<'_>) -> Result<Format, BadAsk> {
    let Some(format) = config.object("format")? else { return Ok(Format::Text) };
    match format.needed_text("type")? {
        "json_schema" => {
            let schema = format.needed_object("schema")?.verbatim();
            Ok(Format::JsonSchema { name: SCHEMA_NAME.to_owned(), schema, strict: None })
        }
        _ => Err(format.bad("type", "must be json_schema")),
    }
}

fn tool_choice(fields: &Fields<'_>, ask: &mut Ask) -> Result<(), BadAsk> {
    let Some(choice) = fields.object("tool_choice")? else { return Ok(()) };
    ask.tool_choice = match choice.needed_text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.needed_text("name")?.to_owned()),
        _ => return Err(choice.bad("type", "must be auto, any, tool or none")),
    };
    ask.parallel_tools = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    Ok(())
}

fn take(message: &Fields<'_>, version: Version, ask: &mut Ask) -> Result<(), BadAsk> {
    let role = match message.needed_text("role")? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => {
            ask.system.extend(system(message, "content")?);
            return Ok(());
        }
        _ => return Err(message.bad("role", "must be user or assistant")),
    };
    let parts = match message.get("content") {
        None => return Err(message.bad("content", "is required")),
        Some(Value::String(text)) => vec![Part::text(text.as_str())],
        Some(Value::Array(_)) => {
            let blocks = message.objects("content")?;
            blocks.iter().map(|block| part(block, role, version)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(message.bad("content", "must be a string or an array of blocks")),
    };
    ask.turns.push(Turn { role, parts });
    Ok(())
}

fn part(block: &Fields<'_>, role: Role, version: Version) -> Result<Part, BadAsk> {
    let strict = version == Version::V2026_10_21;
    match block.needed_text("type")? {
        "text" => {
            let cited = block.list("citations")?.is_some_and(|list| !list.is_empty());
            if strict && cited && role == Role::User {
                return Err(block.bad("citations", "of the user must be empty in version 2026-10-21"));
            }
            Ok(Part::text(block.needed_text("text")?))
        }
        "document" if strict && role == Role::Assistant => Err(block
            .bad("type", "a document of the assistant is not part of version 2026-10-21; send it as user")),
        "image" => image(block),
        "tool_use" => Ok(Part::ToolUse {
            id: block.needed_text("id")?.to_owned(),
            name: block.needed_text("name")?.to_owned(),
            arguments: block.needed_object("input")?.verbatim(),
        }),
        "tool_result" => result(block, role, version),
        "thinking" => Ok(Part::Reasoning {
            text: block.needed_text("thinking")?.to_owned(),
            signature: block.owned("signature")?,
        }),
        "redacted_thinking" => Ok(Part::Redacted(block.needed_text("data")?.to_owned())),
        _ => Ok(Part::Native(native(block.verbatim()))),
    }
}

fn image(block: &Fields<'_>) -> Result<Part, BadAsk> {
    let source = block.needed_object("source")?;
    match source.needed_text("type")? {
        "url" => Ok(Part::Image(Image::Url(source.needed_text("url")?.to_owned()))),
        "base64" => Ok(Part::Image(Image::Data {
            media_type: source.needed_text("media_type")?.to_owned(),
            base64: source.needed_text("data")?.to_owned(),
        })),
        _ => Ok(Part::Native(native(block.verbatim()))),
    }
}

fn result(block: &Fields<'_>, role: Role, version: Version) -> Result<Part, BadAsk> {
    let parts = match block.get("content") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![Part::text(text.as_str())],
        Some(_) => {
            let inner = block.objects("content")?;
            inner.iter().map(|inner| part(inner, role, version)).collect::<Result<_, _>>()?
        }
    };
    let id = block.needed_text("tool_use_id")?.to_owned();
    Ok(Part::ToolResult { id, parts, is_error: block.flag("is_error")?.unwrap_or(false) })
}
