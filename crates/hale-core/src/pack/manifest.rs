//! What a pack says of itself, as the store keeps it and the workers get it.
//!
//! Guarantees: made by [`super::parse`] only, so every value is within its bounds; on the wire every number carries
//! its unit in its name. Leaves checking a run's input to [`super::schema`].
//! Read next: [`super::schema`].

use super::job::Job;
use super::schema::{InputError, InputSchema};
use crate::guard::Rules;
use crate::limiter::{Limit, Rate};
use crate::limits;
use crate::retry;
use crate::run::{PackRef, Priority};
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A model with tools, turn by turn.
    #[default]
    Agent,
    /// Answers with its input; needs no model.
    Echo,
    /// A program behind walls.
    Job,
    /// A service elsewhere, which is sent the task over HTTP.
    Arm,
}

/// What a run of the pack may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Time of the whole run, `timeout: 60s`.
    #[serde(rename = "timeout_ms")]
    pub timeout: Millis,
    /// Memory of processes that the run starts, `memory: 256MB`.
    #[serde(rename = "memory_bytes", default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Model turns.
    pub max_turns: u32,
    /// Tokens in and out, all turns together.
    pub max_tokens: u64,
    /// Cost of all model calls together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
    /// Runs of the pack that execute at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Runs of the pack that start in a span of time, `rate: 10/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Limits {
    /// How much of the pack may go.
    pub fn flow(&self) -> Limit {
        Limit { concurrency: self.concurrency, rate: self.rate }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: limits::RUN_TIMEOUT,
            memory: None,
            max_turns: limits::TURNS,
            max_tokens: limits::TOKENS,
            budget_usd: None,
            concurrency: None,
            rate: None,
        }
    }
}

/// The front matter, read and checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default)]
    pub kind: Kind,
    /// `provider/model`; none means the server's default model at the time of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Models to try, in this order, when the first one fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Fields of work; one that stands in a task's goal speaks for this pack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Words that speak for this pack when they stand in a task's goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// What it says of itself, for the constraints of tasks: `network: none`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Of an arm: the base address of its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Of an arm: a request may be sent twice under one key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// Its kill switch wants a word more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Tools that the agent may call; empty means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Tools whose calls wait for a person's consent; `all` for every one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approve: Vec<String>,
    /// How long such a question stands before it counts as denied.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "approval_timeout_ms")]
    pub approval_timeout: Option<Millis>,
    /// Folders that the file tools may touch, each with its mode: `/var/log:ro`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Where `web.fetch` may call: `example.com`, `*.rust-lang.org`, `10.0.0.7:8080`; see [`crate::web`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web: Vec<String>,
    /// What is done with secrets and personal data that pass; where it says nothing, the server's default holds.
    #[serde(default, skip_serializing_if = "Rules::is_none")]
    pub guard: Rules,
    pub limits: Limits,
    #[serde(default)]
    pub input: InputSchema,
    /// Named stages that the agent works through in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// How failed steps are tried again; none means by the class of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<retry::Policy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The named queue in which its runs wait; none means `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The class of its runs unless the caller says otherwise.
    #[serde(default)]
    pub priority: Priority,
    /// What a pack of kind `job` runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Box<Job>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system_prompt: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub documentation: String,
    /// Keys of other systems that stand in the file and have no effect here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
}

impl Manifest {
    pub fn pack_ref(&self) -> PackRef {
        PackRef { name: self.name.as_str().into(), version: self.version.as_str().into() }
    }

    /// Whether a call of this tool waits for a person's consent.
    pub fn asks(&self, tool: &str) -> bool {
        self.approve.iter().any(|named| named == tool || named == super::APPROVE_ALL)
    }

    /// How long a question to a person stands.
    pub fn approval_timeout(&self) -> Millis {
        self.approval_timeout.unwrap_or(limits::APPROVAL_TIMEOUT)
    }

    /// Checks a run's input against `input:` and fills in the defaults.
    ///
    /// # Errors
    /// The first field that does not fit, with what was expected (E002).
    pub fn check_input(&self, input: &Value) -> Result<Value, InputError> {
        self.input.check(input)
    }
}
