//! Waits on the wire: what a run waits for, its children, what people are asked.
//!
//! Read next: [`crate::http::approvals`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a waiting run waits for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaitView {
    /// Place of the step in the run, 0 first.
    pub index: u32,
    /// `timer`, `child`, `approval` or `parked`.
    pub kind: String,
    /// The tool: `time.sleep`, `pack:NAME`.
    pub name: String,
    pub since: String,
    /// The longest: then the timer fires, the question counts as denied, or the run times out.
    pub until: String,
    /// The child that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<String>,
    /// What a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// The exact deed that a yes allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Value>,
}

/// A run that is a step of another.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChildView {
    pub id: String,
    /// The parent's step, 0 first.
    pub index: u32,
    pub pack: String,
    pub version: String,
    pub state: String,
}

/// One run that waits for a person's word: `GET /api/v1/approvals`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    /// `hale.approval/1`
    pub schema: String,
    pub run: String,
    pub pack: String,
    pub version: String,
    /// `approval` for a deed, `parked` for a step that was in flight at a crash.
    pub kind: String,
    /// The step that asks, 0 first: said in the decision, it is for this question and no other.
    pub index: u32,
    pub tool: String,
    /// One line.
    pub question: String,
    /// The exact call; none for a parked step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Value>,
    pub since: String,
    pub waits_ms: u64,
    /// Without a word until then it counts as denied; a parked step times its run out.
    pub until: String,
    /// It waits for longer than an hour.
    pub stalled: bool,
}

/// `POST /api/v1/runs/{id}/approve` and `/deny`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// For the journal and the audit; the model reads why it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The step that was seen asking: refused when another one asks by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
}
