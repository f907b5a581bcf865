//! The output of a response: its items, and the response around them.
//!
//! Guarantees: an item has the same place and id in the stream and in the whole response.
//! Read next: [`super::writing`].

use crate::dialect::About;
use crate::dialect::answer::{Answer, Block, Call};
use crate::dialect::event::{Stop, Usage};
use serde_json::{Value, json};

/// What stands in the output.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// Texts and refusals that follow each other.
    Message(Vec<&'a Block>),
    Reasoning(&'a str),
    Call(&'a Call),
}

pub(super) fn items(answer: &Answer) -> Vec<Item<'_>> {
    let (mut items, mut is_message) = (Vec::new(), false);
    for block in &answer.blocks {
        match block {
            Block::Text(_) | Block::Refusal(_) => match items.last_mut() {
                Some(Item::Message(blocks)) if is_message => blocks.push(block),
                _ => items.push(Item::Message(vec![block])),
            },
            Block::Reasoning { text, .. } if !text.is_empty() => items.push(Item::Reasoning(text)),
            Block::Call(call) => items.push(Item::Call(call)),
            // Without words; what follows is an item of its own.
            Block::Reasoning { .. } | Block::Redacted(_) => {}
        }
        is_message = matches!(block, Block::Text(_) | Block::Refusal(_));
    }
    items
}

/// What the ids of items have in common.
pub(super) fn stem(about: &About) -> String {
    about.id.strip_prefix("resp_").unwrap_or(&about.id).to_owned()
}

impl Item<'_> {
    pub(super) fn id(&self, stem: &str, at: usize) -> String {
        let prefix = match self {
            Self::Message(_) => "msg",
            Self::Reasoning(_) => "rs",
            Self::Call(_) => "fc",
        };
        format!("{prefix}_{stem}_{at}")
    }

    /// As it is when it is added: empty.
    pub(super) fn begun(&self, stem: &str, at: usize) -> Value {
        let id = self.id(stem, at);
        match self {
            Self::Message(_) => {
                json!({"id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": []})
            }
            Self::Reasoning(_) => json!({"id": id, "type": "reasoning", "summary": []}),
            Self::Call(call) => json!({
                "id": id, "type": "function_call", "status": "in_progress", "call_id": call.id, "name": call.name,
                "arguments": "",
            }),
        }
    }

    /// As it is at its end.
    pub(super) fn done(&self, stem: &str, at: usize, is_cut: bool) -> Value {
        let mut item = self.begun(stem, at);
        let status = if is_cut { "incomplete" } else { "completed" };
        match self {
            Self::Message(blocks) => item["content"] = blocks.iter().map(|block| part(block)).collect(),
            Self::Reasoning(text) => {
                item["summary"] = json!([{"type": "summary_text", "text": text}]);
                return item;
            }
            Self::Call(call) => item["arguments"] = json!(call.json_or_none()),
        }
        item["status"] = json!(status);
        item
    }
}

fn part(block: &Block) -> Value {
    match block {
        Block::Refusal(text) => json!({"type": "refusal", "refusal": text}),
        Block::Text(text) => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
        _ => Value::Null,
    }
}

/// Whether the model stopped before it had said all.
pub(super) fn is_cut(answer: &Answer) -> bool {
    matches!(answer.stop, Some(Stop::Length | Stop::ContentFilter | Stop::Refusal))
}

/// The response object; while it is in progress the answer is empty.
pub(super) fn response(about: &About, status: &str, answer: &Answer) -> Value {
    let items = items(answer);
    let cut = is_cut(answer) || status == "failed";
    // Only what came last can have been cut.
    let done = |(at, item): (usize, &Item<'_>)| item.done(&stem(about), at, cut && at + 1 == items.len());
    let output: Vec<Value> = items.iter().enumerate().map(done).collect();
    let incomplete = match &answer.stop {
        Some(Stop::Length) => json!({"reason": "max_output_tokens"}),
        Some(Stop::ContentFilter | Stop::Refusal) => json!({"reason": "content_filter"}),
        _ => Value::Null,
    };
    let usage = if status == "in_progress" { Value::Null } else { usage(&answer.usage) };
    json!({
        "id": about.id, "object": "response", "created_at": about.created_s, "status": status,
        "background": false, "error": null, "incomplete_details": incomplete, "instructions": null,
        "max_output_tokens": null, "model": about.model, "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": null, "summary": null}, "store": false,
        "temperature": null, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": null, "truncation": "disabled", "usage": usage, "user": null, "metadata": {},
    })
}

fn usage(usage: &Usage) -> Value {
    let Usage { input_tokens, output_tokens, cached_input_tokens } = *usage;
    json!({
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": cached_input_tokens.unwrap_or(0), "cache_write_tokens": 0},
        "output_tokens": output_tokens, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens.saturating_add(output_tokens),
    })
}
