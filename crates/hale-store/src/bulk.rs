//! Operations over many runs, as they are kept: the order, its items, what came of each.
//!
//! An item's result is written in the commit of its deed ([`crate::Op::Together`]), so that an operation that a crash
//! interrupts goes on where it stood and does nothing twice.
//! Leaves to others: what the deeds are (`hale-engine/src/bulk.rs`).
//! Read next: `sqlite/bulk.rs`.

use hale_core::id::{OperationId, RunId};
use hale_core::time::Timestamp;
use std::collections::BTreeMap;

/// Ended operations of which the items are kept, the newest ones; the audit trail keeps what they did in all.
pub const BULK_KEPT: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BulkState {
    Running,
    Paused,
    Done,
    Aborted,
}

impl BulkState {
    pub const ALL: [BulkState; 4] =
        [BulkState::Running, BulkState::Paused, BulkState::Done, BulkState::Aborted];

    pub const fn name(self) -> &'static str {
        match self {
            BulkState::Running => "running",
            BulkState::Paused => "paused",
            BulkState::Done => "done",
            BulkState::Aborted => "aborted",
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, BulkState::Done | BulkState::Aborted)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemState {
    Waiting,
    Done,
    /// Not done, since the run had moved on.
    Left,
    Failed,
}

impl ItemState {
    pub const ALL: [ItemState; 4] = [ItemState::Waiting, ItemState::Done, ItemState::Left, ItemState::Failed];
}

/// One operation over many runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRow {
    pub id: OperationId,
    pub at: Timestamp,
    /// Name of a declared operation: `runs.cancel`.
    pub kind: String,
    /// As it was written; spans in it count back from `at`.
    pub filter: String,
    pub actor: String,
    pub correlation: String,
    pub reason: Option<String>,
    pub state: BulkState,
    /// All its items are known.
    pub gathered: bool,
    /// How far the gathering has come; set after its end when there would have been more.
    pub cursor: Option<String>,
    /// Runs that matched and were never meant, by reason.
    pub excluded: BTreeMap<String, u64>,
    /// The operation that this one takes back.
    pub undoes: Option<OperationId>,
    pub ended_at: Option<Timestamp>,
}

/// One run of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkItem {
    /// Its place, 1 first.
    pub n: u64,
    pub run: RunId,
    pub state: ItemState,
    /// The new run, or why nothing was done.
    pub detail: String,
}

/// Which items to read; the default takes all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    pub state: Option<ItemState>,
    /// Only items after this place.
    pub after: u64,
}

/// How far an operation has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkCounts {
    pub by_state: BTreeMap<ItemState, u64>,
    /// Why items were left or failed, the most frequent first, at most 20.
    pub reasons: Vec<BulkReason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkReason {
    pub state: ItemState,
    pub detail: String,
    pub count: u64,
    pub example: RunId,
}

/// Reasons that [`BulkCounts`] holds at most.
pub(crate) const REASONS_MAX: usize = 20;
