//! The keys of packs that can be routed to: `endpoint`, `domains`, `keywords`, `properties`, `idempotent`.
//!
//! Guarantees: an endpoint is a plain `http` or `https` address, without user, query or fragment; a pack of
//! `kind: arm` has one, any other has none.
//! Leaves to others: whether that address may be called (`hale-gateway/src/egress.rs`).
//! Read next: [`crate::routing`].

use super::keys::Reader;
use super::tree::{Entry, Node, Value, clipped};
use super::{Kind, Manifest};
use std::collections::BTreeMap;

/// Letters of an endpoint; longer ones are no addresses of services.
const ENDPOINT_CHARS: usize = 2000;

impl Reader {
    pub(super) fn endpoint(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "endpoint")?;
        match flaw_of(&text) {
            None => Some(text.trim_end_matches('/').to_owned()),
            Some(problem) => {
                let message = format!("`endpoint` is {:?}: {problem}", clipped(&text));
                let help =
                    "write the base address of the service, for example http://127.0.0.1:8102".to_owned();
                self.flaw(&node.at, message, "not the address of a service", help);
                None
            }
        }
    }

    pub(super) fn truth(&mut self, node: &Node, key: &str) -> Option<bool> {
        match node.value {
            Value::Bool(truth) => Some(truth),
            _ => self.misfit(node, key, "true or false", &format!("{key}: true")),
        }
    }

    pub(super) fn properties(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for entry in self.map(node, "properties", "properties: { network: none }") {
            let key = format!("properties.{}", clipped(&entry.key));
            if let Some(value) = self.text(&entry.node, &key) {
                all.insert(entry.key.clone(), value);
            }
        }
        all
    }

    /// An arm has an endpoint, and nothing else has.
    pub(super) fn check_endpoint(&mut self, entries: &[Entry], manifest: &Manifest) {
        let place = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.at.clone());
        match (manifest.kind == Kind::Arm, self.seen("endpoint")) {
            (true, false) => {
                let help =
                    "add the base address of the service, for example `endpoint: \"http://127.0.0.1:8102\"`";
                let at = place("kind").unwrap_or(0..0);
                self.flaw(
                    &at,
                    "the arm has no `endpoint`".to_owned(),
                    "it answers elsewhere",
                    help.to_owned(),
                );
            }
            (false, true) => {
                let help = "add `kind: arm`, or remove the endpoint: other packs run here".to_owned();
                let at = place("endpoint").unwrap_or(0..0);
                self.flaw(&at, "only an arm has an `endpoint`".to_owned(), "no use for it", help);
            }
            _ => {}
        }
    }
}

fn flaw_of(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return Some("it does not begin with http:// or https://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() {
        Some("it names no host")
    } else if host.contains('@') {
        Some("a name or password in it would end up in logs")
    } else if text.contains(['?', '#']) {
        Some("a base address has neither query nor fragment")
    } else if text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        Some("it holds blanks")
    } else if text.len() > ENDPOINT_CHARS {
        Some("it is too long")
    } else {
        None
    }
}
