//! Matches as they are found, within the bounds on their number and bytes.
//!
//! Notices one match more than may be returned, so that `truncated` is said only when something was left out.

use super::matcher::Pattern;
use crate::error::shown;
use crate::limits::{MATCH_LEAD_BYTES, MATCH_TEXT_BYTES, TEXT_BYTES};
use crate::tools::text::{beginning, begun, json_bytes};
use grep_searcher::{Searcher, Sink, SinkContext, SinkContextKind, SinkFinish, SinkMatch};
use serde_json::{Value, json};
use std::io;

/// What a match costs in JSON beside its path and text: keys, line number, marks.
const MATCH_BYTES: usize = 96;
/// What a line of context costs in JSON beside its text.
const CONTEXT_BYTES: usize = 4;

struct Hit {
    path: String,
    line: u64,
    text: String,
    /// Whether `text` is only part of the line.
    part: bool,
    before: Vec<String>,
    after: Vec<String>,
}

pub(super) struct Found<'a> {
    pattern: &'a Pattern<'a>,
    most: u64,
    budget: usize,
    hits: Vec<Hit>,
    /// Context seen, not yet followed by its match.
    before: Vec<String>,
    path: String,
    binary: bool,
    full: Option<&'static str>,
}

impl<'a> Found<'a> {
    pub(super) fn new(pattern: &'a Pattern<'a>, most: u64) -> Self {
        let (hits, before, path) = (Vec::new(), Vec::new(), String::new());
        Self { pattern, most, budget: TEXT_BYTES, hits, before, path, binary: false, full: None }
    }

    /// Another file is searched.
    pub(super) fn begin(&mut self, path: String) {
        self.path = shown(&path);
        self.binary = false;
        self.before.clear();
    }

    pub(super) fn was_binary(&self) -> bool {
        self.binary
    }

    /// The bound that was reached, if one was.
    pub(super) fn full(&self) -> Option<&'static str> {
        self.full
    }

    pub(super) fn matches(&self) -> Vec<Value> {
        self.hits.iter().map(Hit::shape).collect()
    }

    /// Takes so many bytes of the result, or notes that it is full.
    fn pays(&mut self, bytes: usize) -> bool {
        match self.budget.checked_sub(bytes) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None => {
                self.full = Some("result_bytes");
                false
            }
        }
    }
}

impl Hit {
    fn shape(&self) -> Value {
        let mut shape = json!({"path": self.path, "line": self.line, "text": self.text});
        if self.part {
            shape["part_of_line"] = json!(true);
        }
        if !self.before.is_empty() {
            shape["before"] = json!(self.before);
        }
        if !self.after.is_empty() {
            shape["after"] = json!(self.after);
        }
        shape
    }
}

impl Sink for Found<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.hits.len() as u64 >= self.most {
            self.full = Some("max_matches");
            return Ok(false);
        }
        let line = trimmed(found.bytes());
        let start = self.pattern.place(line).map_or(0, |place| place.start());
        let (text, part) = excerpt(line, start);
        let before = std::mem::take(&mut self.before);
        if !self.pays(json_bytes(&self.path) + json_bytes(&text) + MATCH_BYTES) {
            return Ok(false);
        }
        let (path, line) = (self.path.clone(), found.line_number().unwrap_or(0));
        self.hits.push(Hit { path, line, text, part, before, after: Vec::new() });
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        let (text, _) = excerpt(trimmed(context.bytes()), 0);
        if !self.pays(json_bytes(&text) + CONTEXT_BYTES) {
            return Ok(false);
        }
        match (context.kind(), self.hits.last_mut()) {
            (SinkContextKind::After, Some(hit)) => hit.after.push(text),
            _ => self.before.push(text),
        }
        Ok(true)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> Result<(), io::Error> {
        self.binary = finish.binary_byte_offset().is_some();
        Ok(())
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The part of a line around `start`, and whether it is only a part.
fn excerpt(line: &[u8], start: usize) -> (String, bool) {
    if line.len() <= MATCH_TEXT_BYTES {
        let text = beginning(line, MATCH_TEXT_BYTES);
        let part = text.to < line.len();
        return (text.text, part);
    }
    let mut from = start.saturating_sub(MATCH_LEAD_BYTES);
    // Not in the middle of a character.
    from += line[from..].iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    let end = line.len().min(from + MATCH_TEXT_BYTES);
    let window = &line[from..end];
    (beginning(&window[..window.len() - begun(window)], MATCH_TEXT_BYTES).text, true)
}
