//! The keys about what an agent may do: `tools`, and which of them wait for a person: `approve`.
//!
//! Guarantees: a tool is one of ours or a pack by its name, each pack once; a pack is no tool of itself; what needs
//! consent is among the tools. Whether a named pack exists is known at deploy, not here.
//! Read next: [`super::nested`](../nested/index.html).

use super::keys::{Reader, is_name, is_version};
use super::tree::{Entry, Node, Value, clipped};
use super::{APPROVE_ALL, CHILD_PREFIX, Manifest, TOOLS, child_of};
use crate::limits;
use crate::nearest::nearest;
use crate::time::Millis;

impl Reader {
    pub(super) fn tools(&mut self, node: &Node) -> Vec<String> {
        let mut tools: Vec<String> = Vec::new();
        for node in self.list(node, "tools") {
            let Some(tool) = self.text(node, "tools") else { continue };
            let known = match child_of(&tool) {
                Some(child) => self.child(node, (&tool, child), &tools),
                None => self.known(node, &tool),
            };
            if known && !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        tools
    }

    fn known(&mut self, node: &Node, tool: &str) -> bool {
        if TOOLS.contains(&tool) {
            return true;
        }
        let label = match nearest(tool, TOOLS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "no such tool".to_owned(),
        };
        let message = format!("unknown tool `{}`", clipped(tool));
        let help =
            format!("the tools are: {}; a pack is one by its name, `{CHILD_PREFIX}NAME`", TOOLS.join(", "));
        self.flaw(&node.at, message, &label, help);
        false
    }

    /// `pack:NAME` or `pack:NAME@VERSION`.
    fn child(
        &mut self,
        node: &Node,
        (tool, (name, version)): (&str, (&str, Option<&str>)),
        before: &[String],
    ) -> bool {
        if !is_name(name) || version.is_some_and(|version| !is_version(version)) {
            let message = format!("`{}` names no pack", clipped(tool));
            let help = format!("write `{CHILD_PREFIX}NAME` or `{CHILD_PREFIX}NAME@1.2.3`");
            self.flaw(&node.at, message, "not a name with a version", help);
            return false;
        }
        let twice = |other: &String| other != tool && child_of(other).is_some_and(|(other, _)| other == name);
        if before.iter().any(twice) {
            let message = format!("the pack `{name}` stands twice in `tools`");
            self.flaw(&node.at, message, "the second one", "keep the version that is meant".to_owned());
            return false;
        }
        true
    }

    /// `[files.read, pack:publish]`, or the word `all`.
    pub(super) fn approve(&mut self, node: &Node) -> Vec<String> {
        if let Value::Text(text) = &node.value
            && text == APPROVE_ALL
        {
            return vec![APPROVE_ALL.to_owned()];
        }
        let mut tools = Vec::new();
        for node in self.list(node, "approve") {
            tools.extend(self.text(node, "approve"));
        }
        tools
    }

    /// How long a question stands: above nothing and within a month.
    pub(super) fn approval_timeout(&mut self, node: &Node) -> Option<Millis> {
        let (key, example) = ("approval_timeout", "approval_timeout: 8h");
        let Value::Text(text) = &node.value else {
            return self.misfit(node, key, "a number with its unit", example);
        };
        match text.parse::<Millis>() {
            Ok(span) if span > Millis(0) && span <= limits::APPROVAL_TIMEOUT_MAX => Some(span),
            _ => self.misfit(node, key, "a span of time such as 30m, 8h or 48h, at most 720h", example),
        }
    }

    /// A pack that is a tool of itself, and consent to what is no tool.
    pub(super) fn check_tools(&mut self, entries: &[Entry], manifest: &Manifest) {
        let place =
            |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.node.at.clone());
        let itself = |tool: &&String| child_of(tool).is_some_and(|(name, _)| name == manifest.name);
        if let Some(tool) = manifest.tools.iter().find(itself) {
            let message = format!("the pack is a tool of itself: `{tool}`");
            let help = "an agent repeats work in its own turns; remove the tool".to_owned();
            self.flaw(&place("tools").unwrap_or(0..0), message, "would call itself without an end", help);
        }
        let known = |named: &String| named == APPROVE_ALL || manifest.tools.contains(named);
        if let Some(named) = manifest.approve.iter().find(|named| !known(named)) {
            let label = match nearest(named, manifest.tools.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "not among the tools".to_owned(),
            };
            let message = format!("`approve` names `{}`, which is no tool of the pack", clipped(named));
            let help = if manifest.tools.is_empty() {
                "the pack has no tools, so there is nothing to ask about; remove `approve`".to_owned()
            } else {
                format!("its tools are: {}; for every one write `approve: all`", manifest.tools.join(", "))
            };
            self.flaw(&place("approve").unwrap_or(0..0), message, &label, help);
        }
    }
}
