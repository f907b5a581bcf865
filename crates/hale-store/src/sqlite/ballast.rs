//! The ballast: a file that is given up when the disk is full, so that work in progress can still be written.
//!
//! Whether the disk is full is measured (`statvfs`), never guessed from an error: a full disk shows as "disk I/O
//! error", "database is full" or nothing at all, depending on which file it struck.
//! Guarantees: new work is refused below the floor; it is taken again only when the ballast is back in place.
//! Read next: `sqlite/writer.rs`, which asks before every commit.

use super::open::Options;
use crate::Error;
use crate::disk::Disk;
use crate::store::now;
use hale_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(super) const FILE: &str = "ballast";

/// What others may know of the writer's condition.
#[derive(Debug)]
pub(super) struct Health {
    full_since: AtomicI64,
    last_write_ok_at: AtomicI64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) full_since: Option<Timestamp>,
    pub(super) last_write_ok_at: Option<Timestamp>,
}

/// No moment.
const NEVER: i64 = i64::MIN;

impl Default for Health {
    fn default() -> Self {
        Self { full_since: AtomicI64::new(NEVER), last_write_ok_at: AtomicI64::new(NEVER) }
    }
}

impl Health {
    pub(super) fn seen(&self) -> Seen {
        let moment =
            |cell: &AtomicI64| Some(cell.load(Ordering::Acquire)).filter(|at| *at != NEVER).map(Timestamp);
        Seen { full_since: moment(&self.full_since), last_write_ok_at: moment(&self.last_write_ok_at) }
    }

    pub(super) fn wrote(&self, at: Timestamp) {
        self.last_write_ok_at.store(at.0, Ordering::Release);
    }
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    Open,
    Full,
}

pub(super) struct Ballast {
    dir: PathBuf,
    path: PathBuf,
    disk: Arc<dyn Disk>,
    floor: u64,
    bytes: u64,
    intake: Intake,
    health: Arc<Health>,
}

impl Ballast {
    /// Puts the ballast in place if there is room for it; otherwise the store starts full.
    pub(super) fn open(dir: &Path, options: &Options, health: Arc<Health>) -> Result<Self, Error> {
        let mut ballast = Self {
            dir: dir.to_owned(),
            path: dir.join(FILE),
            disk: options.disk.clone(),
            floor: options.floor_bytes,
            bytes: options.ballast_bytes,
            intake: Intake::Open,
            health,
        };
        if ballast.in_place() {
            ballast.look();
        } else {
            ballast.full();
            ballast.recover();
        }
        Ok(ballast)
    }

    pub(super) fn wrote(&self, at: Timestamp) {
        self.health.wrote(at);
    }

    pub(super) fn intake(&self) -> Intake {
        self.intake
    }

    /// Measures the disk: gives the ballast up, or puts it back. Cheap enough for every commit.
    pub(super) fn look(&mut self) -> Intake {
        match self.intake {
            Intake::Open => {
                if self.free().is_some_and(|free| free < self.floor) {
                    self.full();
                }
            }
            Intake::Full => self.recover(),
        }
        self.intake
    }

    /// Says that an error was the full disk's, if it is full by measure.
    pub(super) fn blame(&self, error: Error) -> Error {
        match self.free() {
            Some(free) if free < self.floor => {
                Error::Full { path: self.dir.clone(), needed: self.bytes, free, floor: self.floor }
            }
            _ => error,
        }
    }

    fn free(&self) -> Option<u64> {
        self.disk.room(&self.dir).ok().map(|room| room.free)
    }

    fn in_place(&self) -> bool {
        self.disk.length(&self.path) == Some(self.bytes)
    }

    fn full(&mut self) {
        self.intake = Intake::Full;
        self.health.full_since.store(now().0, Ordering::Release);
        self.give_up();
    }

    fn give_up(&self) {
        // A ballast that cannot be removed leaves us no worse than before.
        let _ = self.disk.remove(&self.path);
    }

    /// Room for the ballast above the floor means that the disk is no longer full.
    fn recover(&mut self) {
        let room = self.free().is_some_and(|free| free >= self.floor.saturating_add(self.bytes));
        if !room {
            return;
        }
        self.give_up();
        let placed = self.disk.allocate(&self.path, self.bytes).and_then(|()| self.disk.sync_dir(&self.dir));
        match placed {
            Ok(()) => {
                self.intake = Intake::Open;
                self.health.full_since.store(NEVER, Ordering::Release);
            }
            // Somebody else took the room meanwhile.
            Err(_) => self.give_up(),
        }
    }
}
