//! Fault points: a closed list of places where the lab may make hale fail.
//!
//! The list is closed so that a test can prove that each was reached. A [`Handle`] without a lab does nothing and
//! is in release builds too: one atomic load at each point.
//! Read next: `hale-lab`, which arms them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A place in the code where a fault may be made to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Point {
    /// The writer is about to commit a batch.
    BeforeCommit,
    /// The batch is durable, nobody knows yet.
    AfterCommit,
    /// A blob is written, not yet named by a commit.
    AfterBlob,
    /// The artifact store is about to write.
    BlobWrite,
    /// What the artifact store did not take is about to be spooled.
    SpoolWrite,
}

pub const ALL: [Point; 5] =
    [Point::BeforeCommit, Point::AfterCommit, Point::AfterBlob, Point::BlobWrite, Point::SpoolWrite];

/// What an armed point does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Deed {
    Nothing = 0,
    /// End the process without unwinding.
    Abort = 1,
    /// Return an error.
    Fail = 2,
    /// Skip what stands behind the point (for planted bugs in tests).
    Skip = 3,
}

#[derive(Debug, Default)]
struct Cell {
    deed: AtomicU8,
    hits: AtomicU64,
}

/// The switchboard; clones share their state. The default arms nothing.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    cells: Arc<[Cell; ALL.len()]>,
}

impl Handle {
    /// Arms a point; the count of hits starts again.
    pub fn arm(&self, point: Point, deed: Deed) {
        self.cells[point as usize].hits.store(0, Ordering::Relaxed);
        self.cells[point as usize].deed.store(deed as u8, Ordering::Release);
    }

    /// Passes a point: says what to do there and counts it when armed.
    pub fn pass(&self, point: Point) -> Deed {
        let cell = &self.cells[point as usize];
        let deed = match cell.deed.load(Ordering::Acquire) {
            0 => return Deed::Nothing,
            1 => Deed::Abort,
            2 => Deed::Fail,
            _ => Deed::Skip,
        };
        cell.hits.fetch_add(1, Ordering::Relaxed);
        deed
    }

    /// How often an armed point was passed: a test of a fault fails when this is zero.
    pub fn hits(&self, point: Point) -> u64 {
        self.cells[point as usize].hits.load(Ordering::Relaxed)
    }
}
