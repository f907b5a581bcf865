//! The border of the store: one way to write, typed reads.
//!
//! Guarantees of every implementation: batches commit in the order of the calls to [`Store::apply`], each batch
//! whole or not at all, and its answer comes only when it is durable; a read sees every answered batch.
//! Reads block for well under a millisecond, except [`Store::list`] (up to 50 ms), [`Store::active`] and
//! [`Store::prune`], which belong on a blocking thread.
//! Read next: [`crate::op`].

use crate::audit::{Head, Sealed};
use crate::{
    ArtifactCursor, ArtifactPage, AuditFilter, AuditRow, BulkCounts, BulkItem, BulkRow, Counts, Cursor,
    DeadFilter, DeadGroup, DeadRow, Delayed, Error, ItemFilter, KeyRow, ListFilter, Op, OpResult, PackHead,
    PackRow, Page, Pruned, QueueRow, Space, StoredRun, WorkerRow,
};
use hale_core::filter::artifacts::Filter;
use hale_core::id::{OperationId, RunId};
use hale_core::port::Boxed;
use hale_core::queue::Line;
use hale_core::run::{Record, Run};
use hale_core::time::Timestamp;

pub trait Store: Send + Sync {
    /// Hands a batch over at once and answers, one result for each op, when it is durable. Dropping the future does
    /// not withdraw the batch.
    fn apply(&self, batch: Vec<Op>) -> Boxed<'static, Result<Vec<OpResult>, Error>>;

    /// One run with its input, output and artifacts.
    fn run(&self, id: RunId) -> Result<Option<StoredRun>, Error>;
    /// Records of a run from `from_seq` on, in order, at most `limit`.
    fn history(&self, id: RunId, from_seq: u64, limit: u32) -> Result<Vec<Record>, Error>;
    /// Runs newest first. A page looks at a bounded number of runs, so it may hold fewer than `limit` and still
    /// have a `next`.
    fn list(&self, filter: &ListFilter, after: Option<Cursor>, limit: u32) -> Result<Page, Error>;
    /// Runs that are leased or that wait in RUNNING, oldest first: what a new process takes over.
    fn active(&self) -> Result<Vec<StoredRun>, Error>;
    /// Waiting runs by key and class, from counters.
    fn queue(&self) -> Result<Vec<QueueRow>, Error>;
    /// Runs that wait for their time.
    fn delayed(&self) -> Result<Delayed, Error>;
    /// The oldest runs of one line, at most `limit`, without taking them.
    fn peek(&self, line: &Line, limit: u32) -> Result<Vec<Run>, Error>;
    /// The children of a run, oldest first.
    fn children(&self, parent: RunId) -> Result<Vec<Run>, Error>;
    /// Dead letters in the order of their deaths, at most `limit`.
    fn dead(&self, filter: &DeadFilter, limit: u32) -> Result<Vec<DeadRow>, Error>;
    /// Waiting dead letters by cause, the most frequent first.
    fn dead_groups(&self) -> Result<Vec<DeadGroup>, Error>;
    /// One dead letter, waiting or not.
    fn dead_letter(&self, run: RunId) -> Result<Option<DeadRow>, Error>;
    /// One operation over many runs.
    fn bulk(&self, id: OperationId) -> Result<Option<BulkRow>, Error>;
    /// Operations over many runs, newest first.
    fn bulks(&self, limit: u32) -> Result<Vec<BulkRow>, Error>;
    /// Those that are running or paused, oldest first.
    fn bulks_open(&self) -> Result<Vec<BulkRow>, Error>;
    /// Those that a run is an item of, newest first.
    fn bulks_of(&self, run: RunId) -> Result<Vec<BulkRow>, Error>;
    /// Items in their order.
    fn bulk_items(&self, id: OperationId, filter: ItemFilter, limit: u32) -> Result<Vec<BulkItem>, Error>;
    /// How far it has come, from one part of an index.
    fn bulk_counts(&self, id: OperationId) -> Result<BulkCounts, Error>;
    /// Runs by state now, and runs that ended since a moment.
    fn counts(&self, since: Timestamp) -> Result<Counts, Error>;

    /// Every pack by name.
    fn packs(&self) -> Result<Vec<PackHead>, Error>;
    /// Versions of one pack, the latest deployed first.
    fn pack_versions(&self, name: &str) -> Result<Vec<PackRow>, Error>;
    /// One version of a pack; the current one when `version` is none.
    fn pack(&self, name: &str, version: Option<&str>) -> Result<Option<PackRow>, Error>;
    fn settings(&self) -> Result<Vec<(String, String)>, Error>;
    fn keys(&self) -> Result<Vec<KeyRow>, Error>;
    fn workers(&self) -> Result<Vec<WorkerRow>, Error>;
    /// Audit rows, newest first.
    fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, Error>;

    /// Rows of the audit trail with their places in the chain, newest first, below `before`.
    fn audit_newest(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Sealed>, Error>;
    /// The same without a filter, oldest first, behind `after`.
    fn audit_oldest(&self, after: u64, limit: u32) -> Result<Vec<Sealed>, Error>;
    /// The last row of the chain, as the store remembers it apart from the rows.
    fn audit_head(&self) -> Result<Option<Head>, Error>;
    /// Rows that an [`Op::AuditCut`] would cut.
    fn audit_cuttable(&self, before: Timestamp) -> Result<u64, Error>;

    /// What the store takes and what the disk still has.
    fn space(&self) -> Result<Space, Error>;
    /// What [`Store::prune`] would free, without freeing it.
    fn freeable(&self, before: Timestamp) -> Result<Pruned, Error>;
    /// Forgets up to `runs_max` runs that ended before the moment, oldest first: row, journal, input, output, and
    /// the blobs that no run names any more.
    /// A run whose dead letter waits, and a child whose parent has not ended, stay.
    fn prune(&self, before: Timestamp, runs_max: u64) -> Result<Pruned, Error>;

    /// Artifacts of runs, the newest run first. A page looks at a bounded number of them, so it may hold fewer than
    /// `limit` and still have a `next`.
    fn artifacts(
        &self,
        filter: &Filter,
        after: Option<&ArtifactCursor>,
        limit: u32,
    ) -> Result<ArtifactPage, Error>;
    /// What [`Store::expire`] would free.
    fn expirable(&self, before: Timestamp) -> Result<Pruned, Error>;
    /// Forgets the contents of up to `artifacts_max` artifacts of runs that ended before the moment, unless another
    /// run names them; the runs and the names stay. What [`Store::prune`] leaves stays whole.
    fn expire(&self, before: Timestamp, artifacts_max: u64) -> Result<Pruned, Error>;
}

/// The wall clock, for what the store notes about itself (lock, disk); runs bring their own times.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
