//! A client's chat or generate request, read.
//!
//! Guarantees: a stream is the default, as in this dialect it is; every result of a tool belongs to a call.
//! Read next: [`super::asking`], the way back.

use crate::dialect::ask::{Ask, BadAsk, Format, Image, Part, SCHEMA_NAME, Thinking, Turn, arguments_of};
use crate::dialect::fields::Fields;
use serde_json::Value;

pub(in crate::dialect) fn read_chat(body: &Value) -> Result<Ask, BadAsk> {
    let fields = Fields::of(body, "")?;
    let mut ask = settings(&fields)?;
    for tool in fields.objects("tools")? {
        ask.tools.push(tool.needed_object("function")?.tool("parameters")?);
    }
    let mut calls = Calls::default();
    for message in fields.objects("messages")? {
        take(&message, &mut calls, &mut ask)?;
    }
    Ok(ask)
}

pub(in crate::dialect) fn read_generate(body: &Value) -> Result<Ask, BadAsk> {
    let fields = Fields::of(body, "")?;
    for key in ["suffix", "template"] {
        if fields.text(key)?.is_some_and(|text| !text.is_empty()) {
            return Err(
                fields.bad(key, "is not taken: it needs the bare model; send `prompt` and `system` only")
            );
        }
    }
    if fields.flag("raw")? == Some(true) {
        return Err(
            fields.bad("raw", "is not taken: it needs the bare model; send `prompt` and `system` only")
        );
    }
    if fields.list("context")?.is_some_and(|tokens| !tokens.is_empty()) {
        return Err(
            fields.bad("context", "is not taken: tokens mean nothing to another model; use /api/chat")
        );
    }
    let mut ask = settings(&fields)?;
    ask.system.extend(fields.owned("system")?.filter(|text| !text.is_empty()));
    let mut parts = images(&fields)?;
    parts.extend(fields.text("prompt")?.filter(|text| !text.is_empty()).map(Part::text));
    // Without a prompt a client only wants the model to be there.
    if !parts.is_empty() {
        ask.turns.push(Turn::user(parts));
    }
    Ok(ask)
}

fn settings(fields: &Fields<'_>) -> Result<Ask, BadAsk> {
    let mut ask = Ask {
        model: fields.needed_text("model")?.to_owned(),
        format: format(fields)?,
        stream: fields.flag("stream")?.unwrap_or(true),
        include_usage: true,
        ..Ask::default()
    };
    match fields.get("think") {
        None => {}
        Some(Value::Bool(true)) => ask.thinking = Thinking::On,
        Some(Value::Bool(false)) => ask.thinking = Thinking::Off,
        Some(Value::String(effort)) => ask.reasoning_effort = Some(effort.clone()),
        Some(_) => return Err(fields.bad("think", "must be true, false, or low, medium or high")),
    }
    if let Some(options) = fields.object("options")? {
        // Zero and less mean no limit in this dialect.
        let positive =
            |key: &str| Ok(options.integer(key)?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0));
        ask.max_tokens = positive("num_predict")?;
        ask.top_k = positive("top_k")?;
        ask.temperature = options.number("temperature")?;
        ask.top_p = options.number("top_p")?;
        ask.stop = options.texts("stop")?;
        ask.seed = options.integer("seed")?;
    }
    Ok(ask)
}

fn format(fields: &Fields<'_>) -> Result<Format, BadAsk> {
    match fields.get("format") {
        None => Ok(Format::Text),
        Some(Value::String(word)) if word.is_empty() => Ok(Format::Text),
        Some(Value::String(word)) if word == "json" => Ok(Format::JsonObject),
        Some(schema @ Value::Object(_)) => {
            Ok(Format::JsonSchema { name: SCHEMA_NAME.to_owned(), schema: schema.clone(), strict: None })
        }
        Some(_) => Err(fields.bad("format", "must be json or a JSON schema")),
    }
}

/// Calls that wait for their results.
#[derive(Debug, Default)]
struct Calls {
    messages: usize,
    /// Id and name.
    waiting: Vec<(String, String)>,
}

impl Calls {
    /// The id of the call that this result is of: by id, by the name of the tool, else the oldest.
    fn answered(&mut self, message: &Fields<'_>) -> Result<String, BadAsk> {
        let name = message.text("tool_name")?.or(message.text("name")?);
        let at = match (message.text("tool_call_id")?.filter(|id| !id.is_empty()), name) {
            (Some(id), _) => self.waiting.iter().position(|(waiting, _)| waiting == id),
            (None, Some(name)) => self.waiting.iter().position(|(_, waiting)| waiting == name),
            (None, None) => (!self.waiting.is_empty()).then_some(0),
        };
        let at =
            at.ok_or_else(|| message.bad("role", "is tool, but no call before it waits for this result"))?;
        Ok(self.waiting.remove(at).0)
    }
}

fn take(message: &Fields<'_>, calls: &mut Calls, ask: &mut Ask) -> Result<(), BadAsk> {
    let text = message.text("content")?.unwrap_or_default();
    let mut parts = Vec::new();
    match message.needed_text("role")? {
        "system" => ask.system.push(text.to_owned()),
        "user" => {
            parts.extend(images(message)?);
            parts.extend((!text.is_empty() || parts.is_empty()).then(|| Part::text(text)));
            ask.turns.push(Turn::user(parts));
        }
        "assistant" => {
            let thinking = message.text("thinking")?.filter(|text| !text.is_empty());
            parts.extend(thinking.map(|text| Part::Reasoning { text: text.to_owned(), signature: None }));
            parts.extend((!text.is_empty()).then(|| Part::text(text)));
            parts.extend(tool_calls(message, calls)?);
            ask.turns.push(Turn::assistant(parts));
        }
        "tool" => {
            let id = calls.answered(message)?;
            parts.push(Part::text(text));
            parts.extend(images(message)?);
            let result = Part::ToolResult { id, parts, is_error: false };
            let results = |turn: &&mut Turn| matches!(turn.parts.last(), Some(Part::ToolResult { .. }));
            match ask.turns.last_mut().filter(results) {
                Some(turn) => turn.parts.push(result),
                None => ask.turns.push(Turn::user(vec![result])),
            }
        }
        _ => return Err(message.bad("role", "must be system, user, assistant or tool")),
    }
    calls.messages += 1;
    Ok(())
}

fn tool_calls(message: &Fields<'_>, calls: &mut Calls) -> Result<Vec<Part>, BadAsk> {
    let mut parts = Vec::new();
    for (at, call) in message.objects("tool_calls")?.iter().enumerate() {
        let function = call.needed_object("function")?;
        let name = function.needed_text("name")?.to_owned();
        let id = call.text("id")?.filter(|id| !id.is_empty()).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("call_{}_{at}", calls.messages));
        let arguments = match function.get("arguments") {
            None => arguments_of(""),
            Some(Value::String(text)) => arguments_of(text),
            Some(value @ Value::Object(_)) => value.clone(),
            Some(_) => return Err(function.bad("arguments", "must be an object")),
        };
        calls.waiting.push((id.clone(), name.clone()));
        parts.push(Part::ToolUse { id, name, arguments });
    }
    Ok(parts)
}

fn images(fields: &Fields<'_>) -> Result<Vec<Part>, BadAsk> {
    let images = fields.texts("images")?;
    Ok(images.iter().map(|base64| Part::Image(Image::of_base64(base64))).collect())
}
