//! Artifacts, their stores and retention on the wire.
//!
//! Read next: [`crate::http::artifacts`](crate::http), which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One artifact of a run, or one content that was put as an input.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactView {
    /// None for an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    pub name: String,
    /// BLAKE3 of the content, 64 hexadecimal letters.
    pub hash: String,
    pub bytes: u64,
    pub media_type: String,
    /// When it was put, for an input; else when its run was submitted.
    pub at: String,
    /// Its content is past its retention and gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// What is wrong with its content, when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// `PUT /api/v1/artifacts`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PutView {
    /// `hale.artifact/1`
    pub schema: String,
    #[serde(flatten)]
    pub artifact: ArtifactView,
    /// How an input of a run names it.
    pub reference: serde_json::Value,
}

/// `POST /api/v1/artifacts/failover`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailoverRequest {
    /// `backup` or `primary`.
    pub to: String,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FailoverView {
    /// `hale.failover/1`
    pub schema: String,
    pub from: String,
    pub to: String,
    pub operation: String,
    /// The command that takes it back.
    pub undo: String,
}

/// `POST /api/v1/artifacts/retry`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryArtifacts {
    /// Only what failed within this span: `1h`, `1 hour ago`.
    pub failed_since: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetriedView {
    /// `hale.artifacts_retry/1`
    pub schema: String,
    pub stored: u64,
    pub bytes: u64,
    pub left: u64,
    /// Why the first one left was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Runs in COMPLETING that try again at once.
    pub runs: u64,
}

/// `POST /api/v1/prune`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PruneRequest {
    /// Only tell what would go; true unless it is said to be false.
    pub dry_run: bool,
}

impl Default for PruneRequest {
    fn default() -> Self {
        Self { dry_run: true }
    }
}

/// One kind of what goes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PruneKind {
    /// `runs`, `artifacts`, `inputs`, `log files`, `runs by size`.
    pub kind: String,
    pub count: u64,
    /// Those of runs are an estimate until they are gone.
    pub bytes: u64,
    /// Older than this; none for what goes by size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PruneView {
    /// `hale.prune/1`
    pub schema: String,
    pub dry_run: bool,
    pub kinds: Vec<PruneKind>,
    /// Bytes over `retention.max` that the oldest ended runs would make room for.
    pub over_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}
