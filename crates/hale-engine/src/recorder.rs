//! The flight recorder: the last signals, waits and bad log lines in a file of fixed size that survives SIGKILL.
//!
//! A ring of fixed slots, written in place through the page cache: what was written before the process died is
//! there afterwards. It is evidence, not truth: the journal is the truth, so nothing is synced here.
//! Read next: `hale/src/cli/doctor.rs`, which reads it when the server is down.

use hale_core::time::Timestamp;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a slot; a longer line is cut.
const SLOT: usize = 512;
/// Slots of the ring: half an hour of signals beside a burst of errors.
const SLOTS: u64 = 2048;
/// Sequence number and moment before the text.
const HEAD: usize = 16;

/// Writes into the ring; clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    file: Arc<File>,
    next: Arc<AtomicU64>,
}

/// One line that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub at: Timestamp,
    /// `health`, `log`, `start`, `end`.
    pub kind: String,
    pub text: String,
}

/// Where the ring of a data folder lies.
pub fn path(data: &Path) -> PathBuf {
    data.join("flight")
}

impl Recorder {
    /// Opens the ring of a data folder, going on where the former process stopped.
    ///
    /// # Errors
    /// What kept the file from being opened or sized.
    pub fn open(data: &Path) -> io::Result<Self> {
        let path = path(data);
        let last = read(&path).ok().and_then(|entries| entries.last().map(|entry| entry.seq));
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.set_len(SLOTS * SLOT as u64)?;
        let next = last.map_or(1, |seq| seq + 1);
        Ok(Self { file: Arc::new(file), next: Arc::new(AtomicU64::new(next)) })
    }

    /// Records a line. A full disk or a lost file costs the line, never the caller.
    pub fn note(&self, at: Timestamp, kind: &str, text: &str) {
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let mut slot = [0u8; SLOT];
        slot[..8].copy_from_slice(&seq.to_le_bytes());
        slot[8..HEAD].copy_from_slice(&at.0.to_le_bytes());
        let line = format!("{kind}\t{}", text.replace(['\n', '\0'], " "));
        let end = line.floor_char_boundary(SLOT - HEAD);
        slot[HEAD..HEAD + end].copy_from_slice(&line.as_bytes()[..end]);
        let _ = self.file.write_all_at(&slot, (seq % SLOTS) * SLOT as u64);
    }
}

/// The ring's lines, oldest first; torn slots are left out.
///
/// # Errors
/// What kept the file from being read.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let bytes = std::fs::read(path)?;
    let mut entries: Vec<Entry> = bytes.chunks_exact(SLOT).filter_map(entry).collect();
    entries.sort_by_key(|entry| entry.seq);
    Ok(entries)
}

fn entry(slot: &[u8]) -> Option<Entry> {
    let seq = u64::from_le_bytes(slot[..8].try_into().ok()?);
    let at = Timestamp(i64::from_le_bytes(slot[8..HEAD].try_into().ok()?));
    let text = &slot[HEAD..];
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let (kind, text) = std::str::from_utf8(&text[..end]).ok()?.split_once('\t')?;
    (seq > 0).then(|| Entry { seq, at, kind: kind.to_owned(), text: text.to_owned() })
}
