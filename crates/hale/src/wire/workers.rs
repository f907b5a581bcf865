//! Workers, the processes that a server keeps, and their levers, as the doors show them.
//!
//! Read next: `http/workers.rs`, which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/workers`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Workers {
    /// `hale.workers/1`
    pub schema: String,
    pub items: Vec<WorkerView>,
    /// Worker processes that the server is told to keep.
    pub wanted: u32,
    /// Where that number comes from: `set` by an operator, or `config`.
    pub wanted_by: String,
    /// The places of those processes.
    pub seats: Vec<SeatView>,
    /// Starts and ends of workers, the last first, at most ten.
    #[serde(default)]
    pub events: Vec<WorkerEvent>,
}

/// A worker came or went.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerEvent {
    pub at: String,
    pub worker: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
    /// `started`, or why it ended.
    pub what: String,
    /// Whether a person should look.
    #[serde(default)]
    pub alarming: bool,
}

/// One worker incarnation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WorkerView {
    pub id: String,
    /// `embedded` or `process`.
    pub kind: String,
    pub pid: u32,
    pub host: String,
    /// `live`, `draining` or `ended`.
    pub status: String,
    pub slots: u32,
    pub busy: u32,
    pub started_at: String,
    /// Resident memory of its process, where that runs on the server's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// CPU time of its process since its start, there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Since its last heartbeat.
    pub seen_ms_ago: u64,
    /// Since the run of it that has stood still for longest made progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_ms_ago: Option<u64>,
    /// Its place among the processes that the server keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
    /// The queues that it takes from; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    pub runs: Vec<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndView>,
}

/// How a worker ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EndView {
    pub at: String,
    pub reason: String,
    /// The exit code, or 128 and the signal; none where nobody saw its process end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What that means, and how far it can be relied on: `proved`, `likely`, `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// Whether a person should look.
    #[serde(default)]
    pub alarming: bool,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What the meaning rests on, its last words among it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// The place of a worker process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SeatView {
    pub seat: u32,
    /// `starting`, `taken`, `ending`, `waiting` for its restart, or `open`: its breaker is, after a restart loop.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When the process started or the breaker opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When the next process starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_in_ms: Option<u64>,
    /// Restarts that nobody ordered, since the server began.
    pub restarts: u64,
    /// Ends of the last five minutes that nobody ordered; the fifth opens the breaker.
    pub ends_5m: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_end: Option<EndView>,
}

/// `POST /api/v1/workers/scale`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleWorkers {
    /// 0 to 64; without it and without `by`, back to what is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// So many more than are kept now, or fewer: -64 to 64. Not beside `processes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i32>,
}

/// `POST /api/v1/workers/{id}/limits`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitWorker {
    /// 1 to 1024; without it, back to what the worker asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
}

/// `POST /api/v1/workers/{id}/restart`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartWorker {
    /// How long its runs may go on before it is told to end, such as `60s`, at most an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}
