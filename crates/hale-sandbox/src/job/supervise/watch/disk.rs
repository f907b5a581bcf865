//! How much the folders have grown that a job may write to.
//!
//! One look reads a bounded number of entries without following links, and takes a bounded share of the time: large
//! folders are looked at rarely. A file that was deleted while open is not seen; the limit of one file bounds it.

use crate::job::limits::{DISK_ENTRIES, WATCH_DISK, WATCH_DISK_SHARE};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

/// The unit of `st_blocks`, whatever the file system's blocks are.
const BLOCK_BYTES: u64 = 512;

pub(super) struct Disk {
    folders: Vec<PathBuf>,
    before: u64,
    next: Instant,
}

impl Disk {
    pub(super) fn new(folders: &[PathBuf], now: Instant) -> Self {
        // A folder below another would be counted twice.
        let inner = |path: &PathBuf| folders.iter().any(|other| path != other && path.starts_with(other));
        let mut folders: Vec<PathBuf> = folders.iter().filter(|path| !inner(path)).cloned().collect();
        folders.sort();
        folders.dedup();
        let before = bytes(&folders);
        Self { folders, before, next: now }
    }

    /// Growth since the start, if a look is due.
    pub(super) fn grown(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            return None;
        }
        let grown = bytes(&self.folders).saturating_sub(self.before);
        self.next = now + WATCH_DISK.duration().max(now.elapsed() * WATCH_DISK_SHARE);
        Some(grown)
    }
}

fn bytes(folders: &[PathBuf]) -> u64 {
    let mut ask = folders.to_vec();
    let (mut total, mut seen) = (0, 0);
    while let Some(folder) = ask.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            seen += 1;
            if seen > DISK_ENTRIES {
                return total;
            }
            // Of the entry itself: links are not followed.
            let Ok(found) = entry.metadata() else { continue };
            total += found.blocks() * BLOCK_BYTES;
            if found.is_dir() {
                ask.push(entry.path());
            }
        }
    }
    total
}
