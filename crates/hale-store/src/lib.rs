//! The store: journal, queue, packs, audit, settings, keys, workers and artifacts, durable on one disk.
//!
//! Guarantees: a batch that [`Store::apply`] answered is on disk and survives power loss; a batch that it did not
//! answer is there whole or not at all; a blob is synced before the commit that names it. Two stores pass one
//! conformance suite: [`Sqlite`], and [`Memory`], the plain model that says what is right.
//! Leaves to others: deciding what to write (`hale-engine`) and every transition (`hale_core::run::apply`).
//! Read next: [`store`], the trait; then [`op`], what can be written; then `sqlite/writer.rs`, how.

pub mod audit;
pub mod backup;
pub mod blobs;
pub mod bulk;
mod claim;
pub mod disk;
pub mod error;
pub mod folder;
pub mod memory;
pub mod op;
pub mod row;
pub mod sqlite;
pub mod store;
pub mod verify;

pub use blobs::{Blobs, Depot, FsBlobs, Hash, MemoryBlobs, Pushed, Spooled};
pub use bulk::{BulkCounts, BulkItem, BulkReason, BulkRow, BulkState, ItemFilter, ItemState};
pub use disk::{Disk, OsDisk};
pub use error::Error;
pub use folder::Folder;
pub use memory::Memory;
pub use op::{Claimed, Gathered, Idempotency, Insert, Line, Op, OpResult, Update};
pub use row::{
    ArtifactCursor, ArtifactPage, ArtifactRow, AuditFilter, AuditRow, Counts, Cursor, DeadFilter, DeadGroup,
    DeadRow, Delayed, KeyRow, ListFilter, PackHead, PackRow, Page, Phase, Pruned, QueueRow, Space, StoredRun,
    WorkerKind, WorkerRow,
};
pub use sqlite::{Options, Sqlite};
pub use store::Store;
