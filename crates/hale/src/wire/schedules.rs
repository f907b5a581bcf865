//! Schedules as the doors show them.
//!
//! Read next: `http/schedules.rs`, which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /api/v1/schedules`; an existing one of the name is changed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    pub name: String,
    pub pack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default)]
    pub input: Value,
    /// `high`, `normal` or `low`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// Five fields or a nickname: `0 3 * * *`, `@daily`.
    pub cron: String,
    /// A name of the time zone database; `UTC` unless named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// Missed firings that are made up after a downtime: 1 unless named, at most 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<u32>,
    /// When the run before is active still: `skip` (unless named) or `queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
}

/// One schedule and what it has done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// `hale.schedule/1`
    pub schema: String,
    pub name: String,
    pub pack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub input: Value,
    pub cron: String,
    pub tz: String,
    pub catch_up: u32,
    pub overlap: String,
    pub paused: bool,
    pub by: String,
    /// The next firings; none while it is paused.
    pub next: Vec<String>,
    /// The last moment that was dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// The run of the last firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    pub fired: u64,
    pub skipped: u64,
    pub missed: u64,
    /// Why the last firing started nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The operation that changed it just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The command that takes that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}
