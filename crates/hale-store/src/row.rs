//! Everything that can be read.
//!
//! Plain data with public fields; no row knows how it is stored.
//! Read next: [`crate::sqlite`](crate), the store itself.

use hale_core::code::Code;
use hale_core::id::{KeyId, OperationId, RunId, WorkerId};
use hale_core::queue::Line;
use hale_core::run::event::Artifact;
use hale_core::run::{Outcome, Priority, Run, State, StateName};
use hale_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A run with what it was given and what it made.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    pub run: Run,
    /// JSON text.
    pub input: Arc<str>,
    /// JSON text.
    pub output: Option<Arc<str>>,
    pub artifacts: Vec<Artifact>,
}

/// Which runs to list; an empty filter takes all. Several states are "any of them", the rest is "and".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub states: Vec<StateName>,
    /// The pack's name, exactly.
    pub pack: Option<String>,
    /// The queue's name, exactly.
    pub queue: Option<String>,
    pub priority: Option<Priority>,
    /// Submitted at or after; compared with the moment in the run's id.
    pub since: Option<Timestamp>,
    /// Submitted before; compared with the moment in the run's id.
    pub until: Option<Timestamp>,
    pub error_code: Option<Code>,
    pub correlation: Option<String>,
    /// The root cause, exactly: `llm.rate_limited`.
    pub cause: Option<String>,
    /// Found anywhere in the run's record (pack, key, correlation, failure), ignoring case of ASCII letters.
    pub text: Option<String>,
}

impl ListFilter {
    /// What no index and no column answers, only the run itself.
    pub(crate) fn beside(&self, run: &Run) -> bool {
        self.cause.as_ref().is_none_or(|cause| {
            error_code(run).is_some() && run.failure.as_ref().is_some_and(|failure| failure.cause == *cause)
        })
    }
}

/// Where the next page of a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub RunId);

/// Newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub runs: Vec<Run>,
    /// Set when there may be more.
    pub next: Option<Cursor>,
}

/// Waiting runs of one queue, key and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub line: Line,
    pub count: u64,
    /// Since when the run that is next waits for its turn.
    pub oldest: Option<Timestamp>,
}

/// Runs that wait for their time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delayed {
    pub count: u64,
    /// The moment at which the first of them is due.
    pub next: Option<Timestamp>,
}

/// A run that ended without success and by nobody's will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRow {
    pub run: RunId,
    pub at: Timestamp,
    pub cause: String,
    pub pack: Arc<str>,
    pub queue: Arc<str>,
    /// What became of it, by whom and when; none while it waits.
    pub resolution: Option<String>,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
}

/// Which dead letters to read; an empty filter takes all that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    pub cause: Option<String>,
    pub pack: Option<String>,
    pub since: Option<Timestamp>,
    /// Also those that were redriven or discarded.
    pub resolved: bool,
    /// Only letters after this one, in the order of their deaths.
    pub after: Option<RunId>,
}

/// Waiting dead letters of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadGroup {
    pub cause: String,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// States without a run are not in the maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs by state now.
    pub by_state: BTreeMap<StateName, u64>,
    /// Runs that ended since the moment asked for.
    pub ended_since: BTreeMap<StateName, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// Tasks of the server process.
    Embedded,
    /// A process of its own.
    Process,
}

/// One incarnation of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    pub id: WorkerId,
    pub kind: WorkerKind,
    pub host: String,
    pub pid: u32,
    pub slots: u32,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    pub draining: bool,
    /// How it ended, once it has.
    pub ended: Option<String>,
    /// What is known of its process's end, as JSON, where a server saw it.
    pub exit: Option<String>,
}

/// One immutable version of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRow {
    pub name: Arc<str>,
    pub version: Arc<str>,
    /// The file as it was deployed.
    pub source: Arc<str>,
    pub digest: [u8; 32],
    pub deployed_at: Timestamp,
    pub by: String,
    pub manifest_json: Arc<str>,
}

/// A pack as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackHead {
    pub name: Arc<str>,
    /// The version that new runs take; none between a first deploy and its `PackCurrent`.
    pub current: Option<Arc<str>>,
    pub enabled: bool,
    pub versions: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Committed before the deed.
    Intent,
    /// What became of it.
    Outcome,
}

/// Half of one operation's trace; both halves have the operation's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: OperationId,
    pub at: Timestamp,
    pub actor: String,
    pub operation: String,
    pub target: String,
    pub phase: Phase,
    /// JSON text.
    pub detail: String,
    /// What takes it back.
    pub undo: Option<String>,
    /// Done by the lab: never evidence.
    pub lab: bool,
}

/// Which audit rows to read; an empty filter takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub id: Option<OperationId>,
    pub operation: Option<String>,
    pub target: Option<String>,
    pub since: Option<Timestamp>,
    pub lab: Option<bool>,
    pub actor: Option<String>,
    pub until: Option<Timestamp>,
    /// Found in operation, target or detail, ignoring case of ASCII letters.
    pub text: Option<String>,
}

impl AuditFilter {
    /// Whether a row fits.
    pub(crate) fn takes(&self, row: &AuditRow) -> bool {
        let holds = |text: &String| {
            let told = format!("{} {} {}", row.operation, row.target, row.detail);
            told.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
        };
        self.id.is_none_or(|id| row.id == id)
            && self.operation.as_ref().is_none_or(|operation| row.operation == *operation)
            && self.target.as_ref().is_none_or(|target| row.target == *target)
            && self.since.is_none_or(|since| row.at >= since)
            && self.lab.is_none_or(|lab| row.lab == lab)
            && self.actor.as_ref().is_none_or(|actor| row.actor == *actor)
            && self.until.is_none_or(|until| row.at < until)
            && self.text.as_ref().is_none_or(holds)
    }
}

/// An API key; only the keyed hash of its secret is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    pub id: KeyId,
    pub name: String,
    pub tenant: String,
    pub hash: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// Bytes taken and left, by `statvfs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    pub db_bytes: u64,
    pub wal_bytes: u64,
    pub blobs_bytes: u64,
    /// Free for us on the file system of the data folder.
    pub free: u64,
    pub total: u64,
    /// The ballast file is in place.
    pub ballast: bool,
    /// Since when new work is refused for want of space.
    pub full_since: Option<Timestamp>,
    pub last_write_ok_at: Option<Timestamp>,
}

/// What was forgotten, or could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub runs: u64,
    /// Of everything, artifacts among it.
    pub bytes: u64,
    pub artifacts: u64,
    pub artifact_bytes: u64,
}

/// One artifact of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    pub run: RunId,
    pub pack: Arc<str>,
    pub artifact: Artifact,
    /// Its content was forgotten, because it is past its retention.
    pub expired: bool,
}

/// Where the next page of artifacts begins: behind this run's artifact of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactCursor {
    pub run: RunId,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactPage {
    pub rows: Vec<ArtifactRow>,
    /// Set when there may be more.
    pub next: Option<ArtifactCursor>,
}

/// The root error by which a run is found: of a run that failed or timed out, or that is retrying. A run that got
/// over its error, or was cancelled, is not found by it.
pub fn error_code(run: &Run) -> Option<Code> {
    match &run.state {
        State::Ended { outcome: Outcome::Completed | Outcome::Cancelled { .. }, .. } => None,
        _ => run.failure.as_ref().map(|failure| failure.code),
    }
}

/// When a run ended.
pub fn ended_at(run: &Run) -> Option<Timestamp> {
    match run.state {
        State::Ended { at, .. } => Some(at),
        _ => None,
    }
}

/// Whether a run's record holds a text, ignoring the case of ASCII letters.
pub(crate) fn holds_text(record: &str, text: &str) -> bool {
    let (record, text) = (record.as_bytes(), text.as_bytes());
    let Some(first) = text.first() else { return true };
    record
        .windows(text.len())
        .any(|part| part[0].eq_ignore_ascii_case(first) && part.eq_ignore_ascii_case(text))
}
