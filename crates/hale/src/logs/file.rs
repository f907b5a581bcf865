//! The log's file: `DIR/logs/hale.jsonl`, turned over by size.
//!
//! Guarantees: what is handed over at once is one write at the end of the file, unless the file turns over in it,
//! which happens between two lines; at most [`KEPT`] files of [`BYTES_MAX`] each are kept. Logging never fails its
//! caller: a full disk loses lines, and the count of lost lines is the first line after.
//! Leaves to others: gathering lines ([`super::sink`]), reading ([`crate::cli::logs`]).

use super::line;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
    file: File,
    bytes: u64,
    lost: u64,
    /// The file ends in the midst of a line that did not fit on the disk.
    torn: bool,
}

/// The files of a log folder, oldest first, whether they exist or not.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    (0..KEPT).rev().map(|place| path(dir, place)).collect()
}

/// The present file is `hale.jsonl`, the ones before it `hale.jsonl.1` and so on.
pub fn path(dir: &Path, place: usize) -> PathBuf {
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
        Ok(Self { dir: dir.to_owned(), most, file, bytes, lost: 0, torn: false })
    }

    /// Appends whole lines, each with its line end.
    pub fn append(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let mut piece = self.fitting(lines);
            if piece == 0 {
                if self.bytes > 0 && self.turn_over().is_ok() {
                    continue;
                }
                // One line larger than a file, or a file that cannot be turned over: too long is better than nothing.
                piece = line_end(lines);
            }
            let (now, then) = lines.split_at(piece);
            self.put(now);
            lines = then;
        }
    }

    /// Bytes of the lines from the first that fit into the present file.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = usize::try_from(self.most.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        match lines.get(..room) {
            Some(part) => part.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            None => lines.len(),
        }
    }

    fn put(&mut self, lines: &[u8]) {
        if self.lost > 0 {
            let end = if self.torn { "\n" } else { "" };
            let told = format!("{} log lines were lost before this one", self.lost);
            let note = format!("{end}{}", line::note("log_lines_lost", &told));
            if self.write_some(note.as_bytes()) < note.len() {
                self.lost += count(lines);
                return;
            }
            (self.lost, self.torn) = (0, false);
        }
        let done = self.write_some(lines);
        self.lost += count(&lines[done..]);
    }

    /// Writes as much as the disk takes.
    fn write_some(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.bytes += done as u64;
        if done > 0 {
            self.torn = bytes[done - 1] != b'\n';
        }
        done
    }

    fn turn_over(&mut self) -> io::Result<()> {
        for place in (0..KEPT - 1).rev() {
            match std::fs::rename(path(&self.dir, place), path(&self.dir, place + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (self.file, self.bytes) = open(&self.dir)?;
        self.torn = false;
        Ok(())
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn line_end(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1)
}

/// Takes everything that it is given: what the disk refuses is counted as lost.
impl Write for Rotating {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.append(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
