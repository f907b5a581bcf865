//! Operations over many runs on the wire.
//!
//! Read next: [`crate::http::bulk`], which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /api/v1/runs/cancel`, `/runs/retry`, `/dlq/redrive`, `/dlq/discard`: a filter or ids. An empty filter is
/// refused unless `all`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    #[serde(default)]
    pub filter: String,
    /// Ids instead of a filter, at most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    #[serde(default)]
    pub all: bool,
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What an operation over many runs would do, does, or did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkView {
    /// `hale.bulk/2`
    pub schema: String,
    /// None in a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `runs.cancel`, `runs.retry`, `dlq.redrive`, `dlq.discard` and what takes them back.
    pub kind: String,
    pub dry_run: bool,
    /// `preview`, `running`, `paused`, `done` or `aborted`.
    pub state: String,
    pub filter: String,
    /// Runs that match.
    pub matched: u64,
    /// Runs that are meant: those that match and whose state takes the deed.
    pub meant: u64,
    pub done: u64,
    /// Meant, and left alone since they had moved on.
    pub left: u64,
    pub failed: u64,
    /// Not acted on yet.
    pub waiting: u64,
    /// Of a preview: what matches, by state; dead letters by cause.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, u64>,
    /// Runs that match and are not meant, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub excluded: BTreeMap<String, u64>,
    /// Why runs were left or failed, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<BulkReasonView>,
    /// There are more than one operation acts on, or than a preview counts.
    pub capped: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The operation that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The command that takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// Why some runs were left or failed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkReasonView {
    /// `left` or `failed`.
    pub outcome: String,
    pub reason: String,
    pub count: u64,
    pub example: String,
}

/// One run of an operation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BulkItemView {
    pub n: u64,
    pub run: String,
    /// `waiting`, `done`, `left` or `failed`.
    pub state: String,
    /// The new run, or why nothing was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// `GET /api/v1/operations/{id}`: the line of the audit trail, and how far it has come if it is over many runs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperationShow {
    /// `hale.operation/1`
    pub schema: String,
    pub operation: super::OperationView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<BulkView>,
}
