//! Tasks on the wire: a goal with constraints, and what became of it.
//!
//! Read next: `hale-core/src/routing/contract.rs`.

use super::RunView;
use hale_core::failure::Failure;
use hale_core::routing::{Constraint, Decision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /api/v1/tasks`, and `POST /api/v1/tasks/route`, which only says who would take it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartTask {
    /// What is to be done; required.
    #[serde(default)]
    pub goal: String,
    /// Texts, or objects with `key` and `value`; each is required unless it says `"required": false`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Value>")]
    pub constraints: Vec<Constraint>,
    /// `high`, `normal` (or `medium`) or `low`; the pack's own if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// For the arm to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// More fields for the arm.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// A span such as `90s`; never above the pack's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// One task: its run, and why this arm.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TaskView {
    /// `hale.task/1`
    pub schema: String,
    /// The run's id.
    pub id: String,
    /// The same, under the guides' name.
    pub task_id: String,
    pub goal: String,
    /// The run's state in small letters.
    pub status: String,
    pub arm: String,
    /// Why this arm, in one sentence.
    pub says: String,
    pub created_at: String,
    pub updated_at: String,
    #[schemars(with = "super::arms::DecisionShape")]
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::http::openapi::FailureShape>")]
    pub error: Option<Failure>,
    pub run: RunView,
}

/// `POST /api/v1/tasks/route`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteView {
    /// `hale.route/1`
    pub schema: String,
    pub arm: String,
    /// Why this arm, in one sentence.
    pub says: String,
    #[schemars(with = "super::arms::DecisionShape")]
    pub decision: Decision,
}
