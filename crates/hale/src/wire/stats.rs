//! Statistics of runs on the wire.
//!
//! Read next: [`crate::http::stats`], which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/stats` and what is below it: one of the lists is filled.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StatsReport {
    /// `hale.stats/1`
    pub schema: String,
    pub filter: String,
    /// Runs that were looked at, the newest that fit.
    pub sampled_runs: u64,
    /// Journals that were read.
    pub sampled_journals: u64,
    /// More runs fit than were looked at.
    pub capped: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PackStatsView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageStatsView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorRateView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slow: Vec<SlowView>,
}

/// Percentiles by nearest rank, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SpreadView {
    pub n: u64,
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub p99_ms: u64,
    pub max_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PackStatsView {
    pub pack: String,
    pub runs: u64,
    pub by_state: BTreeMap<String, u64>,
    /// Completed of those that ended otherwise than by a cancellation, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_share: Option<f64>,
    /// From submission to the end.
    pub took: SpreadView,
    /// Runs of which the tokens were counted.
    pub counted_runs: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StageStatsView {
    pub pack: String,
    /// `total`, `queue`, `start`, `model`, `tool`, `waits`, …
    pub stage: String,
    pub took: SpreadView,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorRateView {
    pub pack: String,
    pub code: String,
    pub cause: String,
    /// Where it began: `provider:sim`, `tool:files.read`.
    pub origin: String,
    pub count: u64,
    /// Of the pack's runs in the sample, 0 to 1.
    pub share: f64,
    pub first: String,
    pub last: String,
    pub example: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SlowView {
    pub run: String,
    pub pack: String,
    pub state: String,
    pub took_ms: u64,
    /// Where the time went, by part.
    pub parts_ms: BTreeMap<String, u64>,
}
