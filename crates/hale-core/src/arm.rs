//! An arm that runs elsewhere: how it registers, and whether it is thought to be healthy.
//!
//! Guarantees: three failures in a row make it unhealthy, one success healthy; an arm of which nothing was heard for
//! its time to live is expired, until it registers again; an arm that was never heard of is not healthy.
//! Leaves to others: asking it (the engine, through the gateway), the choice among arms ([`crate::routing`]).
//! Read next: [`crate::routing`].

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Failures in a row after which an arm is unhealthy: one or two may be a restart.
pub const FAILURES_MAX: u32 = 3;
/// Without word for this long a registration is void, unless it names its own time.
pub const TTL: Millis = Millis::seconds(300);
/// Below it, one lost probe would void a registration.
pub const TTL_MIN: Millis = Millis::seconds(30);
/// A day: longer is a wish, not a lease.
pub const TTL_MAX: Millis = Millis::seconds(86_400);
/// Words that one arm may name; more would make it match everything.
pub const WORDS_MAX: usize = 200;
/// Arms that may be registered; each is probed and scored.
pub const ARMS_MAX: usize = 256;

/// What an arm says of itself when it registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub name: String,
    /// Where it answers: `http://127.0.0.1:8102`. None with nothing else means as it was registered before.
    #[serde(default)]
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// More domains than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// None means its domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// The same `Idempotency-Key` may be sent twice without harm.
    #[serde(default)]
    pub idempotent: bool,
    /// The longest task, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// Void after so many seconds without word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Registration {
    /// All domains, each once.
    pub fn all_domains(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for domain in self.domain.iter().chain(&self.domains) {
            if !all.contains(domain) {
                all.push(domain.clone());
            }
        }
        all
    }

    pub fn ttl(&self) -> Millis {
        self.ttl_seconds.map_or(TTL, Millis::seconds).clamp(TTL_MIN, TTL_MAX)
    }

    /// The pack file that it comes to: runs, versions and limits are then those of any pack.
    pub fn pack_source(&self) -> String {
        let list = |words: &[String]| serde_json::Value::from(words.to_vec()).to_string();
        let domains = self.all_domains();
        let capabilities = if self.capabilities.is_empty() { &domains } else { &self.capabilities };
        let mut lines = vec![
            "---".to_owned(),
            format!("name: {}", quoted(&self.name)),
            "version: 1.0.0".to_owned(),
            format!("description: {}", quoted(&self.description)),
            "kind: arm".to_owned(),
            format!("endpoint: {}", quoted(&self.url)),
            format!("capabilities: {}", list(capabilities)),
            format!("domains: {}", list(&domains)),
            format!("keywords: {}", list(&self.keywords)),
            format!("idempotent: {}", self.idempotent),
        ];
        if !self.properties.is_empty() {
            lines.push("properties:".to_owned());
            lines.extend(
                self.properties.iter().map(|(key, value)| format!("  {}: {}", quoted(key), quoted(value))),
            );
        }
        lines.extend(self.timeout_seconds.map(|seconds| format!("limits: {{ timeout: {seconds}s }}")));
        lines.push("---".to_owned());
        lines.push("Registered by the arm itself.\n".to_owned());
        lines.join("\n")
    }
}

/// A text in YAML: JSON's form is one of YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What was heard of an arm since the server began to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Since when it is listened for: registration, deploy, or start of the server.
    pub since: Timestamp,
    pub ok_at: Option<Timestamp>,
    pub asked_at: Option<Timestamp>,
    /// In a row.
    pub failures: u32,
    pub unhealthy: bool,
    /// What the last failure said.
    pub error: String,
}

/// Whether an arm may be given work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Unhealthy { why: String },
    Expired { why: String },
}

impl Heard {
    pub fn nothing(since: Timestamp) -> Self {
        Self { since, ok_at: None, asked_at: None, failures: 0, unhealthy: false, error: String::new() }
    }

    /// It answered.
    pub fn answered(&mut self, now: Timestamp) {
        (self.ok_at, self.asked_at) = (Some(now), Some(now));
        (self.failures, self.unhealthy) = (0, false);
        self.error.clear();
    }

    /// It did not answer as it should.
    pub fn failed(&mut self, error: &str, now: Timestamp) {
        self.asked_at = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.unhealthy |= self.failures >= FAILURES_MAX;
        error.clone_into(&mut self.error);
    }

    /// It registered, which is a sign of life and no proof that it can be reached.
    pub fn registered(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// The last sign of life.
    pub fn seen_at(&self) -> Timestamp {
        self.ok_at.map_or(self.since, |ok| ok.max(self.since))
    }

    /// `ttl` is none for arms that were deployed by hand: they do not expire.
    pub fn health(&self, ttl: Option<Millis>, now: Timestamp) -> Health {
        if let Some(ttl) = ttl.filter(|ttl| now.since(self.seen_at()) >= *ttl) {
            return Health::Expired { why: format!("nothing was heard of it for {}", ttl) };
        }
        match (self.ok_at, self.unhealthy) {
            (_, true) => {
                Health::Unhealthy { why: format!("{} failures in a row: {}", self.failures, self.error) }
            }
            (None, false) if self.asked_at.is_some() => {
                Health::Unhealthy { why: format!("it has not answered yet: {}", self.error) }
            }
            (None, false) => Health::Unhealthy { why: "it was not asked yet".to_owned() },
            (Some(_), false) => Health::Healthy,
        }
    }
}
