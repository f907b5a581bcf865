//! Shapes of back-tests: a job with stages, metrics and an equity curve.
//!
//! Read next: `http/backtests.rs`, which fills them.

use hale_core::failure::Failure;
use hale_core::run::event::Artifact;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /api/v1/backtests`. What is left out is as the pack says.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBacktest {
    /// The prices themselves: CSV with timestamp,open,high,low,close,volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// A file on the server instead, in a folder that the pack is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `ma-cross` or `breakout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Bars of the fast and the slow average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<u64>,
    /// Bars of the high to pass and of the low to undercut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capital: Option<f64>,
    /// `50%` of the cash, or an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_bps: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slippage_bps: Option<f64>,
    /// First and last bar: a date or RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `refuse` or `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gaps: Option<String>,
}

/// One back-test: a run of the pack `backtest`, in the words of back-tests.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BacktestView {
    /// `hale.backtest/1`
    pub schema: String,
    /// `bt-` and the 26 letters of the run's id, in lower case.
    pub id: String,
    pub run_id: String,
    /// `queued`, `running`, `completed`, `failed`, `timeout` or `cancelled`.
    pub status: String,
    /// The run's state.
    pub state: String,
    /// The stage that is under way, in the program's words: `simulation 38/750`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// From submission to the end; only when one is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageView>,
    pub version: String,
    pub correlation_id: String,
    pub submitted_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    pub duration_ms: u64,
    pub timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// What was asked for; inline prices are told by their size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// `oom`, `data_error`, `strategy_error`, `usage_error`, `no_result`, `hang`, `timeout`, `limit`, `engine_error`,
    /// `engine_crash`, `killed`, `not_started`, `cancelled` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_class: Option<String>,
    /// What to change, most promising first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::http::openapi::FailureShape>")]
    pub error: Option<Failure>,
    /// `metrics` of backtest-result.json; only when one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<crate::http::openapi::ArtifactShape>")]
    pub results: Vec<Artifact>,
}

/// One stage of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageView {
    /// `submitted`, `claimed`, `launched`, the program's own stages, `results`, `ended`.
    pub name: String,
    /// `done`, `running`, `waiting` or `failed`.
    pub state: String,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// `GET /api/v1/backtests/{id}/equity`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EquityView {
    /// `hale.equity/1`
    pub schema: String,
    pub id: String,
    pub initial_amount: f64,
    pub final_amount: f64,
    /// Evenly chosen from all bars, first and last among them.
    pub points: Vec<EquityPoint>,
    pub bars_count: u64,
    /// Of all bars, also those between the points: 0.2 is a fifth below an earlier peak.
    pub max_drawdown_fraction: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EquityPoint {
    pub at: String,
    pub equity_amount: f64,
    pub drawdown_fraction: f64,
}
