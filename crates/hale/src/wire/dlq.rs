//! Dead letters, quarantine and replay on the wire.
//!
//! Read next: [`crate::http::dlq`], which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One dead letter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LetterView {
    pub run: String,
    pub at: String,
    pub cause: String,
    pub pack: String,
    pub queue: String,
    /// What became of it; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
}

/// Waiting dead letters of one cause.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LetterGroup {
    pub cause: String,
    pub count: u64,
    pub first: String,
    pub last: String,
    /// The command to type next.
    pub next: String,
}

/// `GET /api/v1/dlq/groups`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LetterGroups {
    /// `hale.dlq_groups/1`
    pub schema: String,
    pub items: Vec<LetterGroup>,
    /// Waiting letters in all groups.
    pub total: u64,
    /// There are more letters than were counted.
    pub capped: bool,
}

/// `GET /api/v1/dlq/{run}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LetterShow {
    /// `hale.dead_letter/1`
    pub schema: String,
    pub letter: LetterView,
    pub run: super::RunView,
}

/// `POST /api/v1/runs/{id}/replay`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRun {
    /// So many first steps are kept; the next one is the first to be executed.
    #[serde(default)]
    pub from_step: u32,
    /// Replaces the old input; kept steps saw the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Another version of the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The new run, and what to know about it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReplayView {
    /// `hale.replay/1`
    pub schema: String,
    pub run: super::RunView,
    pub kept_steps: u32,
    /// Steps of the old run.
    pub of_steps: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A pack that is held back because its runs ended their workers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineView {
    /// `hale.quarantine/1`
    pub schema: String,
    pub pack: String,
    pub since: String,
    pub reason: String,
    pub evidence: Vec<KillView>,
    /// The command that lets it go again.
    pub release: String,
}

/// A worker that died while it executed a run of the pack.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KillView {
    pub run: String,
    pub worker: String,
    pub at: String,
    pub why: String,
}
