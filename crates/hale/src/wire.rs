//! The public shapes: what the HTTP door answers and the CLI reads. A field here is a promise.
//!
//! Spans are milliseconds with the unit in the name, moments are RFC 3339. Every document names its schema.
//! Read next: [`crate::http`], which fills them.

pub mod arms;
pub mod artifacts;
pub mod audit;
pub mod backtests;
pub mod bulk;
pub mod capability;
pub mod dlq;
pub mod jobs;
pub mod killswitch;
pub mod models;
pub mod notices;
pub mod packs;
pub mod queues;
pub mod schedules;
pub mod stats;
pub mod tasks;
pub mod waits;
pub mod workers;

use hale_core::failure::Failure;
use hale_core::routing::Decision;
use hale_core::run::event::{Artifact, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `POST /api/v1/runs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    pub pack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default)]
    pub input: Value,
    /// `high`, `normal` or `low`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// A span such as `90s`; never above the pack's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Not to begin before this moment, RFC 3339; a moment that is past means now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Not to begin before this span has passed, such as `10m`; not together with `due`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
}

/// One run as every door shows it (AO-101 to AO-106).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// `hale.run/1`
    pub schema: String,
    pub id: String,
    /// One of the eight names.
    pub state: String,
    /// What the run waits for: `worker`, `retry`, `approval`, or the component that its present step waits on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_on: Option<String>,
    /// Longer in this state than is normal.
    pub overdue: bool,
    pub pack: String,
    pub version: String,
    pub priority: String,
    /// Where it waits its turn.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub queue: String,
    /// For whom, where the caller's key says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Not to begin before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    pub trigger: String,
    pub correlation_id: String,
    pub submitted_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// From submission to the end, or to now.
    pub duration_ms: u64,
    pub timeout_ms: u64,
    /// Worker incarnation that holds the lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    pub epoch: u64,
    pub steps: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// The run that this one is a step of, and which step, 0 first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_index: Option<u32>,
    /// What exactly a waiting run waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<waits::WaitView>,
    /// Runs that are steps of this one; only when one run is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<waits::ChildView>,
    /// Known from the first failed try on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::http::openapi::FailureShape>")]
    pub error: Option<Failure>,
    /// Only when one run is asked for, and it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<crate::http::openapi::ArtifactShape>")]
    pub artifacts: Vec<Artifact>,
}

/// A page of a list; `next` goes into `after` of the next request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub schema: String,
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /api/v1/runs/{id}/history`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct History {
    pub schema: String,
    pub run: String,
    #[schemars(with = "Vec<crate::http::openapi::RecordShape>")]
    pub records: Vec<Record>,
}

/// One server-sent event of `/events`. `id:` is `seq` for durable ones and `seq.offset` for live ones.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LiveEvent {
    /// A line of the journal: durable, replayed on resume.
    Record {
        #[schemars(with = "crate::http::openapi::RecordShape")]
        record: Box<Record>,
    },
    /// A step has begun; not durable.
    StepStarted { index: u32, attempt: u32, kind: String, name: String },
    /// Text of the model as it comes; not durable. `offset` counts bytes within (step, attempt).
    Chunk { index: u32, attempt: u32, offset: u64, text: String },
    /// A line of a job's output, as it comes; not durable. `stream` is `stdout` or `stderr`.
    Line { index: u32, attempt: u32, stream: String, text: String },
    /// Where a step stands, in its own words; not durable.
    Note { index: u32, attempt: u32, text: String },
    /// The reader was too slow or came late: live parts before this are gone, the journal is complete.
    Gap,
    /// The run as it ended; the stream closes.
    End { run: Box<RunView> },
}

/// `POST /api/v1/runs/{id}/cancel`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRun {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /api/v1/runs/{id}/retry`: a new run of the same pack version; `input` replaces the old input.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRun {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// `POST /api/v1/runs/{id}/resolve`: what became of a parked step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRun {
    /// `retry` repeats the step; `fail` ends the run.
    pub r#as: String,
}

/// One pack, or one version of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PackView {
    pub schema: String,
    pub name: String,
    pub version: String,
    pub current: bool,
    pub enabled: bool,
    pub kind: String,
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default)]
    pub fallback: Vec<String>,
    pub tools: Vec<String>,
    /// Folders granted: `/var/log:ro`.
    pub files: Vec<String>,
    /// Where on the web it may call: `example.com`, `10.0.0.7:8080`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub web: Vec<String>,
    pub timeout_ms: u64,
    pub deployed_at: String,
    pub deployed_by: String,
    pub digest: String,
    /// What was kept but not used, and what is absent: shown at deploy.
    pub warnings: Vec<String>,
    /// `deployed`, `unchanged`, `would deploy`; empty in lists.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Other versions, newest first; only when one pack is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Value>,
    /// The last reload that was refused while this version kept running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload_error: Option<String>,
}

/// `GET /api/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub schema: String,
    pub version: String,
    pub address: String,
    pub data: String,
    pub pid: u32,
    pub started_at: String,
    pub uptime_ms: u64,
    pub draining: bool,
    /// `healthy`, `degraded` or `unhealthy`, derived from the probes below.
    pub health: String,
    pub components: Vec<Component>,
    /// Runs by state name: the queue and what is active now, and what ended in the last hour.
    pub runs: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pending_ms: Option<u64>,
    /// Runs that wait for a person, and how many of them for more than an hour.
    #[serde(default)]
    pub approvals: u64,
    #[serde(default)]
    pub approvals_stalled: u64,
    pub workers: Vec<workers::WorkerView>,
    /// None where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineView>,
    pub packs: u64,
    pub model: String,
    /// The default model is served by the simulated provider.
    pub simulated: bool,
    pub access: String,
    /// Faults injected now.
    pub faults: Vec<FaultView>,
    #[serde(default)]
    pub switches: killswitch::Switches,
}

/// The machine that the server runs on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MachineView {
    pub host: String,
    pub cpus: u64,
    /// Processes that ran or wanted to, averaged over a minute.
    pub load_1m: f64,
    pub memory_bytes: u64,
    /// What new programs could take without swapping.
    pub memory_available_bytes: u64,
    /// What the server itself has resident.
    pub server_memory_bytes: u64,
}

/// `GET /health` and its other paths; 503 unless `healthy` or `degraded`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `hale.health/1`
    pub schema: String,
    /// `healthy`, `degraded` or `unhealthy`, derived from the probes below.
    pub status: String,
    pub version: String,
    /// Without a key on a listener that wants one: names and states only.
    pub components: Vec<Component>,
}

/// One probed component. The age of its last probe is always told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Component {
    pub name: String,
    /// `healthy`, `degraded`, `unhealthy` or `unknown`.
    pub status: String,
    pub detail: String,
    pub probed_at: String,
    pub age_ms: u64,
    /// A hard dependency: the whole is unhealthy without it.
    pub hard: bool,
}

/// `GET /api/v1/runs/{id}/why` and `GET /api/v1/doctor`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    pub schema: String,
    /// `system` or the run's id.
    pub subject: String,
    /// The sentence to read first.
    pub says: String,
    /// For a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
    /// Who else could have taken a routed run, and why this arm did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<arms::DecisionShape>")]
    pub route: Option<Decision>,
    /// What was done with the time: queue, model, tools, other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub time_ms: BTreeMap<String, u64>,
    #[schemars(with = "crate::http::openapi::VerdictShape")]
    pub verdict: hale_playbooks::Verdict,
    /// The walls around jobs on the server's machine; for the system, once they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub walls: Vec<jobs::WallView>,
    /// How long gathering and deciding took.
    pub took_ms: u64,
}

/// `POST /api/v1/doctor/fix`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixRequest {
    /// A cause such as `llm.rate_limited`.
    pub cause: String,
    /// The run that showed it, where the cause needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default)]
    pub dry_run: bool,
    /// Values the fix takes, such as `model=sim/backup`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// `POST /api/v1/doctor/undo`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// A cause such as `llm.rate_limited`.
    pub cause: String,
}

/// What a fix did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FixReport {
    pub schema: String,
    pub cause: String,
    pub fix: String,
    pub risk: String,
    pub dry_run: bool,
    /// Each effect in one line.
    pub effects: Vec<String>,
    /// `would change`, `changed`, `nothing to do`, `advice`, `refused`.
    pub outcome: String,
    /// `verified`, `not verified`, `not run`.
    pub verified: String,
    pub verify_detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The command that takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// One line of the audit trail: an operation with its intent and outcome.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OperationView {
    pub id: String,
    pub at: String,
    pub actor: String,
    pub operation: String,
    pub target: String,
    pub outcome: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// `POST /api/v1/chaos`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectFault {
    /// `llm.rate_limit`, `llm.key_refuse`, `llm.slow`, `tool.loop`, `worker.kill_all`, `disk.fill`.
    pub fault: String,
    /// How long, a span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#for: Option<String>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// A fault that is injected now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    pub id: String,
    pub fault: String,
    pub target: String,
    pub since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Times that it took effect.
    pub hits: u64,
}

/// `POST /api/v1/keys`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    pub name: String,
    /// A span; none means that it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// Whose runs it starts: tenants have turns of their own in every queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// One API key; `secret` is there once, when it is made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    pub created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// One key of the configuration with where its value comes from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConfigEntry {
    pub key: String,
    pub value: String,
    /// `default`, `hale.toml:12`, `env HALE_LISTEN`, `flag --listen`, `set by op_…`.
    pub source: String,
    pub doc: String,
    /// Can change without a restart.
    pub hot: bool,
}

/// RFC 9457 problem document: every error of the HTTP door.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:hale:error:E003`
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    pub correlation_id: String,
    pub retryable: bool,
    /// The next command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
}
