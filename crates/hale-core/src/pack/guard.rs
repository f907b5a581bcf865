//! `guard:` of a pack: which action holds for inputs, outputs, tools and kinds.
//!
//! Guarantees: every word is checked and the nearest one is suggested; a tool that the pack has not is a flaw.
//! Read next: [`crate::guard::rules`].

use super::Manifest;
use super::keys::Reader;
use super::tree::{Entry, Node, Value, clipped};
use crate::guard::{ACTIONS, Action, KINDS, Rules};
use crate::nearest::nearest;

const GUARD_KEYS: [&str; 4] = ["input", "output", "tools", "kinds"];
/// The tools that are not named.
const ALL: &str = "all";
const EXAMPLE: &str = "guard: { input: redact, output: block, tools: redact, kinds: { email: allow } }";

impl Reader {
    /// `{ input: redact, output: block, tools: { files.read: block, all: redact }, kinds: { email: allow } }`.
    pub(super) fn guard(&mut self, node: &Node) -> Rules {
        let mut rules = Rules::default();
        for entry in self.map(node, "guard", EXAMPLE) {
            let node = &entry.node;
            match entry.key.as_str() {
                "input" => rules.input = self.action(node, "guard.input"),
                "output" => rules.output = self.action(node, "guard.output"),
                "tools" => self.guarded_tools(node, &mut rules),
                "kinds" => self.guarded_kinds(node, &mut rules),
                _ => self.unknown_in(entry, &GUARD_KEYS, " in `guard`"),
            }
        }
        rules
    }

    fn action(&mut self, node: &Node, key: &str) -> Option<Action> {
        self.one_of(node, key, &ACTIONS.map(Action::name))
    }

    fn guarded_tools(&mut self, node: &Node, rules: &mut Rules) {
        let Value::Map(entries) = &node.value else {
            rules.tools = self.action(node, "guard.tools");
            return;
        };
        for entry in entries {
            let action = self.action(&entry.node, "guard.tools");
            match (entry.key.as_str(), action) {
                (ALL, action) => rules.tools = action,
                (_, Some(action)) => {
                    rules.tool.insert(entry.key.clone(), action);
                }
                (_, None) => {}
            }
        }
    }

    fn guarded_kinds(&mut self, node: &Node, rules: &mut Rules) {
        let names = KINDS.map(|kind| kind.name());
        for entry in self.map(node, "guard.kinds", "kinds: { email: allow }") {
            match KINDS.into_iter().find(|kind| kind.name() == entry.key) {
                Some(kind) => {
                    rules.kinds.extend(self.action(&entry.node, "guard.kinds").map(|action| (kind, action)));
                }
                None => self.unknown_in(entry, &names, " in `guard.kinds`"),
            }
        }
    }

    /// A tool's own action needs the tool.
    pub(super) fn check_guard(&mut self, entries: &[Entry], manifest: &Manifest) {
        let Some(entry) = entries.iter().find(|entry| entry.key == "guard") else { return };
        for name in manifest.guard.tool.keys().filter(|name| !manifest.tools.contains(name)) {
            let label = match nearest(name, manifest.tools.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "not in `tools`".to_owned(),
            };
            let message = format!("`guard.tools` names the tool `{}`, which the pack has not", clipped(name));
            let help =
                "name a tool of `tools`, or write `all` for those without an action of their own".to_owned();
            self.flaw(&entry.at, message, &label, help);
        }
    }
}
