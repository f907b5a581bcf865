//! The end of the log, as it grows.
//!
//! Guarantees: every whole line once and in order, also over the turn of the file; a line that is still being written
//! waits for its end.
//! Leaves to others: which lines are wanted ([`super`]).

use crate::logs::file;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that is written now, read up to its end.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

impl Tail {
    /// At the beginning of the present file.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(file::NAME);
        Ok(Self { file: File::open(&path)?, path, begun: Vec::new() })
    }

    /// Whether this path is the very file that is read here.
    pub fn is_at(&self, path: &Path) -> bool {
        let id = |meta: io::Result<std::fs::Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
        let there = id(std::fs::metadata(path));
        there.is_some() && there == id(self.file.metadata())
    }

    /// The lines that were written since the last look.
    ///
    /// # Errors
    /// What the file system says.
    pub fn lines(&mut self) -> io::Result<Vec<String>> {
        // Asked first: what a turned file got until it was turned is read before the next one is begun.
        let turned = self.path.exists() && !self.is_at(&self.path);
        let mut lines = Vec::new();
        self.read(&mut lines)?;
        if turned {
            match File::open(&self.path) {
                Ok(next) => {
                    self.file = next;
                    self.begun.clear();
                    self.read(&mut lines)?;
                }
                // Between two names; the next look finds it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lines)
    }

    fn read(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        self.file.read_to_end(&mut self.begun)?;
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        let texts = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.extend(texts.map(|line| String::from_utf8_lossy(line).into_owned()));
        Ok(())
    }
}
