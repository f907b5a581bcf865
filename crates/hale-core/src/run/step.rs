//! A step: one journaled action of a run.
//!
//! Once its result is in the journal it is never executed again; a replay reads it.
//! Read next: [`super::event`].

use crate::failure::Failure;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A model turn.
    Model,
    /// A tool call.
    Tool,
    /// A step of an `echo` pack.
    Echo,
    /// A run of another pack.
    Child,
    /// A wait until a moment.
    Timer,
    /// A person's consent to a deed.
    Approval,
    /// A program of a `job` pack.
    Job,
    /// A call of a remote arm.
    Arm,
}

impl StepKind {
    pub const fn name(self) -> &'static str {
        match self {
            StepKind::Model => "model",
            StepKind::Tool => "tool",
            StepKind::Echo => "echo",
            StepKind::Child => "child",
            StepKind::Timer => "timer",
            StepKind::Approval => "approval",
            StepKind::Job => "job",
            StepKind::Arm => "arm",
        }
    }
}

/// What may happen to a step that was in flight at a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dispatch {
    /// Idempotent: executed again with the same idempotency key, no note before it.
    Idempotent,
    /// Not idempotent; executed again with the same key, after a durable note.
    Retry,
    /// Ask the tool what became of it, by the same key.
    Reconcile,
    /// Never again: a person decides.
    Park,
}

/// A step that is about to happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Place in the run, 0 first; the same at every replay.
    pub index: u32,
    pub kind: StepKind,
    /// Model or tool: `sim/small`, `files.read`.
    pub name: String,
    pub dispatch: Dispatch,
    /// What is asked: for people and for `why`, bounded by the caller.
    pub request: Value,
}

/// Tokens of a model call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

impl Usage {
    pub fn plus(self, more: Option<Usage>) -> Usage {
        let more = more.unwrap_or_default();
        Usage {
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
        }
    }

    pub fn total(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// A step with its result, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub index: u32,
    /// 1 for the first try.
    pub attempt: u32,
    pub kind: StepKind,
    pub name: String,
    pub request: Value,
    pub result: Value,
    /// Wall time of the try that succeeded.
    pub took: Millis,
    /// The component that this time was spent on: `provider:sim`, `tool:files.read`.
    pub waiting_on: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The tool answered with an error that the model may read; the run goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// The result of a step as the pack sees it.
pub type StepResult = Result<Value, Failure>;
