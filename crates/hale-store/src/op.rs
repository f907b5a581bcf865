//! Everything that can be written.
//!
//! An op is plain data; a batch of them is one commit. A transition is decided by `hale_core::run::apply` before it
//! comes here, except a [`Op::Claim`], where the store finds the runs and asks core for each.
//! Read next: [`crate::row`], what can be read.

use crate::row::{AuditRow, KeyRow, PackRow, WorkerRow};
use crate::{BulkRow, BulkState, Error, Hash, ItemState};
use hale_core::id::{OperationId, RunId, WorkerId};
pub use hale_core::queue::Line;
use hale_core::run::event::Artifact;
use hale_core::run::{Effect, Event, Record, Run};
use hale_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A new run. It may already be leased, or even ended: all its records are one commit.
    /// Answers `Done`, `Duplicate`, `Full`, or `Conflict` when the id exists.
    Insert(Box<Insert>),
    /// A run moves on. Answers `Done`, `Early`, or `Conflict` with the stored sequence number.
    Update(Box<Update>),
    /// A run moves on to wait for a new run, its child: both or neither. Answers as an `Update`, then as an `Insert`.
    Delegate { update: Box<Update>, child: Box<Insert> },
    /// Leases the oldest pending runs of one queue, key and class to a worker and initialises them. Answers
    /// `Claimed`.
    Claim { from: Line, n: u32, worker: WorkerId, at: Timestamp },
    /// Lets delayed runs whose time has come wait for their turn, at most `n`. Answers `Ripened`.
    Ripen { n: u32, at: Timestamp },
    /// What became of a dead letter that waits; none puts back one that does not. `Conflict` when there is no such
    /// letter, or it is otherwise already.
    DeadResolve { run: RunId, resolution: Option<String>, by: String, at: Timestamp },
    /// A worker as it now is: the whole row.
    Worker(WorkerRow),
    /// A pack version. The same version with the same digest is `Done` again, with another one `Conflict`.
    /// Refused as `Full` on a full disk.
    PackDeploy(Box<PackRow>),
    /// Forgets a version that nothing needs any more; `Done` when it is not there. `Conflict` while it is the current
    /// one, while a run of it has not ended, and while more than [`FORGET_LOOK`] runs of the pack have not ended.
    /// Refused as `Full` on a full disk, like the deploy that it makes room for.
    PackForget { name: Arc<str>, version: Arc<str> },
    /// Which version new runs take; `Conflict` when there is no such version.
    PackCurrent { name: Arc<str>, version: Arc<str> },
    /// Whether new runs are taken; `Conflict` when there is no such pack.
    PackEnabled { name: Arc<str>, enabled: bool },
    /// Sets a value, or removes it.
    Setting { key: String, value: Option<String> },
    /// An intent before a deed, or its outcome.
    Audit(Box<AuditRow>),
    /// Cuts the oldest rows of the audit trail from before a moment; `row` becomes the one that vouches for them.
    /// `Conflict` when there is nothing to cut.
    AuditCut { before: Timestamp, row: Box<AuditRow> },
    /// An API key as it now is: the whole row.
    KeyPut(Box<KeyRow>),
    /// Ops that belong together: each is `Done`, or nothing of any is done and the first other answer is the answer.
    Together(Vec<Op>),
    /// A new operation over many runs. `Conflict` when the id is known, or when another one takes the same operation
    /// back.
    BulkPut(Box<BulkRow>),
    /// More runs for an operation. `Conflict` unless it runs and is not gathered yet.
    BulkGather(Box<Gathered>),
    /// `Conflict` unless the operation is in one of the states `from`.
    BulkMove { bulk: OperationId, from: Vec<BulkState>, to: BulkState, at: Timestamp },
    /// What came of one run of an operation. `Conflict` unless the item waits.
    BulkItem { bulk: OperationId, run: RunId, state: ItemState, detail: String },
}

/// Unfinished runs of one pack that are looked at before one of its versions is forgotten: some milliseconds of the
/// writer's time. Behind a longer queue the version stays until a later deploy.
pub const FORGET_LOOK: usize = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    pub run: Run,
    /// JSON text.
    pub input: Arc<str>,
    /// From 1 to `run.seq`, dense.
    pub records: Vec<Record>,
    /// JSON text, for a run that is born ended.
    pub output: Option<Arc<str>>,
    pub idempotency: Option<Idempotency>,
}

/// Runs that an operation over many is to act on, and how far the gathering has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    pub bulk: OperationId,
    /// Each becomes an item, once.
    pub runs: Vec<RunId>,
    pub excluded: BTreeMap<String, u64>,
    pub cursor: Option<String>,
    pub gathered: bool,
}

/// A promise to answer the same request with the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Already scoped by the caller (tenant, route).
    pub key: String,
    /// Of the request's body, so that another body under the same key is told apart.
    pub digest: [u8; 32],
    /// From this moment on the key is free again; compared with the new run's `submitted_at`.
    pub expires: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub run: Run,
    /// The sequence number before: another one stored means that somebody else was faster.
    pub was: u64,
    /// From `was + 1` to `run.seq`, dense. The artifacts of a `Completing` event are named by this commit.
    pub records: Vec<Record>,
    /// JSON text.
    pub output: Option<Arc<str>>,
    /// Blobs that this commit names beside those of a `Completing` event: large results of steps.
    pub artifacts: Vec<Artifact>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum OpResult {
    Done,
    /// Done, to a run that still waited for its time and so stood in no line.
    Early,
    /// The idempotency key belongs to `run`; its request had `digest`.
    Duplicate {
        run: RunId,
        digest: [u8; 32],
    },
    /// The stored sequence number, or none when there is no such row.
    Conflict {
        seq: Option<u64>,
    },
    Claimed(Vec<Claimed>),
    /// How many runs joined which line, and when the next delayed run is due.
    Ripened {
        ready: Vec<(Line, u64)>,
        next: Option<Timestamp>,
    },
    /// The disk is full: new work is refused, work in progress is still written.
    Full,
}

/// A run under a fresh lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    pub run: Run,
    pub input: Arc<str>,
    /// The whole history when the run was leased before, else the records of this claim.
    pub records: Vec<Record>,
    /// Of this claim only.
    pub effects: Vec<Effect>,
}

impl Op {
    /// Refuses what no correct caller sends: a journal with gaps would be found only when it is needed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Op::Insert(insert) => {
                dense(&insert.run, 0, &insert.records)?;
                hashes(named(&insert.records, &[]))
            }
            Op::Update(update) => {
                dense(&update.run, update.was, &update.records)?;
                hashes(named(&update.records, &update.artifacts))
            }
            Op::Delegate { update, child } => {
                dense(&update.run, update.was, &update.records)?;
                hashes(named(&update.records, &update.artifacts))?;
                dense(&child.run, 0, &child.records)
            }
            Op::Together(ops) => ops.iter().try_for_each(Op::check),
            _ => Ok(()),
        }
    }
}

/// The most records a run may have: the journal's key leaves 24 bits for the place in a run.
pub(crate) const SEQ_MAX: u64 = (1 << 24) - 2;

fn dense(run: &Run, was: u64, records: &[Record]) -> Result<(), Error> {
    let expected = (was + 1)..=run.seq;
    let fits = !records.is_empty()
        && run.seq <= SEQ_MAX
        && records.iter().map(|record| record.seq).eq(expected.clone());
    if fits {
        return Ok(());
    }
    let found: Vec<u64> = records.iter().map(|record| record.seq).collect();
    let problem = format!("run {}: records {expected:?} were due, {found:?} came", run.id);
    Err(Error::Malformed { problem })
}

fn hashes<'a>(mut artifacts: impl Iterator<Item = &'a Artifact>) -> Result<(), Error> {
    match artifacts.find(|artifact| artifact.hash.parse::<Hash>().is_err()) {
        None => Ok(()),
        Some(Artifact { name, hash, .. }) => {
            Err(Error::Malformed { problem: format!("artifact {name}: {hash:?} is no BLAKE3 hash") })
        }
    }
}

/// Every artifact that a commit names, those of its `Completing` events and those beside them.
pub(crate) fn named<'a>(records: &'a [Record], beside: &'a [Artifact]) -> impl Iterator<Item = &'a Artifact> {
    let completing = records.iter().filter_map(|record| match &record.event {
        Event::Completing { artifacts } => Some(artifacts),
        _ => None,
    });
    completing.flatten().chain(beside)
}
