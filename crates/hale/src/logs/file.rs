//! The log's file: `DIR/logs/hale.jsonl`, turned over by size.
//!
//! Guarantees: a line is one write at the end of the file; at most [`KEPT`] files of [`BYTES_MAX`] each are kept.
//! Logging never fails its caller: a full disk loses lines, and the count of lost lines is the first line after.
//! Leaves to others: reading ([`crate::cli::logs`]).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub const NAME: &str = "hale.jsonl";
/// Large enough for hours of trouble, small enough to be read in a second.
pub const BYTES_MAX: u64 = 64 << 20;
/// The present file and two before it.
pub const KEPT: usize = 3;

/// The file that is written now.
#[derive(Debug)]
pub struct Rotating {
    dir: PathBuf,
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    bytes: u64,
    lost: u64,
}

/// The files of a log folder, oldest first, whether they exist or not.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    (0..KEPT).rev().map(|place| path(dir, place)).collect()
}

/// The present file is `hale.jsonl`, the ones before it `hale.jsonl.1` and so on.
fn path(dir: &Path, place: usize) -> PathBuf {
    if place == 0 { dir.join(NAME) } else { dir.join(format!("{NAME}.{place}")) }
}

fn open(dir: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path(dir, 0))?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

impl Rotating {
    /// Opens the log in `dir`, which is made if need be.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::with_size(dir, BYTES_MAX)
    }

    /// As [`Self::open`], turned over at `most` bytes.
    ///
    /// # Errors
    /// What the file system says.
    pub fn with_size(dir: &Path, most: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let (file, bytes) = open(dir)?;
        Ok(Self { dir: dir.to_owned(), most, state: Mutex::new(State { file, bytes, lost: 0 }) })
    }

    /// Appends a line that ends with a line end.
    pub fn write(&self, line: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.bytes > 0 && state.bytes + line.len() as u64 > self.most {
            // When this fails the present file grows on: too long is better than nothing.
            let _ = self.turn_over(&mut state);
        }
        if state.lost > 0 {
            let note = format!(
                "{{\"level\":\"warn\",\"msg\":\"{} log lines were lost before this one\"}}\n",
                state.lost
            );
            if state.file.write_all(note.as_bytes()).is_ok() {
                state.bytes += note.len() as u64;
                state.lost = 0;
            }
        }
        match state.file.write_all(line.as_bytes()) {
            Ok(()) => state.bytes += line.len() as u64,
            Err(_) => state.lost += 1,
        }
    }

    fn turn_over(&self, state: &mut State) -> io::Result<()> {
        for place in (0..KEPT - 1).rev() {
            match std::fs::rename(path(&self.dir, place), path(&self.dir, place + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (state.file, state.bytes) = open(&self.dir)?;
        Ok(())
    }
}
