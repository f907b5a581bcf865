//! Answers for clients of the Ollama dialect.
//!
//! Guarantees: tool calls are written whole, in their order, before the line that is done; durations nobody measured
//! are zero.
//! Read next: [`crate::dialect::writer`].

use crate::dialect::answer::{Answer, Call};
use crate::dialect::event::{Event, Stop};
use crate::dialect::frame;
use crate::dialect::writer::Told;
use crate::dialect::{About, Dialect};
use hale_core::time::Timestamp;
use serde_json::{Map, Value, json};

pub(in crate::dialect) fn event(dialect: Dialect, told: &Told, event: &Event, out: &mut Vec<u8>) {
    let said = match event {
        Event::Text(text) | Event::Refusal(text) if !text.is_empty() => Said { text, ..Said::default() },
        Event::Reasoning(thinking) if !thinking.is_empty() => Said { thinking, ..Said::default() },
        _ => return,
    };
    frame::line(&line(dialect, &told.about, said), out);
}

pub(in crate::dialect) fn finish(dialect: Dialect, told: &Told, out: &mut Vec<u8>) {
    let calls = calls(&told.answer);
    if !calls.is_empty() {
        frame::line(&line(dialect, &told.about, Said { calls, ..Said::default() }), out);
    }
    let mut last = line(dialect, &told.about, Said::default());
    end(&told.answer, &mut last);
    frame::line(&last, out);
}

pub(in crate::dialect) fn whole(dialect: Dialect, about: &About, answer: &Answer) -> Value {
    let (text, thinking) = (answer.words(), answer.reasoning());
    let said = Said { text: &text, thinking: &thinking, calls: calls(answer) };
    let mut line = line(dialect, about, said);
    end(answer, &mut line);
    line
}

#[derive(Debug, Default)]
struct Said<'a> {
    text: &'a str,
    thinking: &'a str,
    calls: Vec<Value>,
}

fn line(dialect: Dialect, about: &About, said: Said<'_>) -> Value {
    let created_at = Timestamp(about.created_s.saturating_mul(1000)).rfc3339();
    let mut line = json!({"model": about.model, "created_at": created_at});
    if dialect == Dialect::OllamaGenerate {
        line["response"] = json!(said.text);
        if !said.thinking.is_empty() {
            line["thinking"] = json!(said.thinking);
        }
    } else {
        let mut message = Map::new();
        message.insert("role".into(), json!("assistant"));
        message.insert("content".into(), json!(said.text));
        if !said.thinking.is_empty() {
            message.insert("thinking".into(), json!(said.thinking));
        }
        if !said.calls.is_empty() {
            message.insert("tool_calls".into(), Value::Array(said.calls));
        }
        line["message"] = Value::Object(message);
    }
    line["done"] = json!(false);
    line
}

/// A call that was cut off at the limit of tokens is dropped; the reason to stop says so.
fn calls(answer: &Answer) -> Vec<Value> {
    let whole = |(at, call): (usize, &Call)| {
        let function = json!({"index": at, "name": call.name, "arguments": call.arguments()?});
        Some(json!({"id": call.id, "function": function}))
    };
    answer.calls().enumerate().filter_map(whole).collect()
}

fn end(answer: &Answer, line: &mut Value) {
    let reason = match &answer.stop {
        Some(Stop::Length) => "length",
        Some(Stop::Other(reason)) if reason == "load" || reason == "unload" => reason,
        _ => "stop",
    };
    line["done"] = json!(true);
    line["done_reason"] = json!(reason);
    for key in ["total_duration", "load_duration"] {
        line[key] = json!(0);
    }
    line["prompt_eval_count"] = json!(answer.usage.input_tokens);
    line["prompt_eval_duration"] = json!(0);
    line["eval_count"] = json!(answer.usage.output_tokens);
    line["eval_duration"] = json!(0);
}
