//! The files that a job has left in its results folder.
//!
//! The folder was the job's, so nothing in it is believed: links are listed as refused and never followed, files with
//! a second name elsewhere are refused, devices and pipes too; count, depth, size and time are bounded. A file is read
//! through the descriptor that was judged.
//! Leaves to others: storing them as artifacts (`hale-engine`).
//! Read next: [`crate::folder`].

use super::limits::{RESULT_BYTES, RESULT_DEPTH, RESULT_ENTRIES, RESULT_FILES, RESULT_TIME};
use crate::control::Control;
use crate::error::Error as ToolError;
use crate::folder::{Folder, Links, Node, OpenError, kind_of};
use crate::grant::{Grant, Mode};
use crate::tools::tree::{Bounds, Flow, walk};
use hale_core::limits::ARTIFACT_BYTES;
use rustix::fs::{FileType, Stat};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What was found.
#[derive(Debug)]
pub struct Results {
    pub files: Vec<ResultFile>,
    pub refused: Vec<Refused>,
    /// Whether a bound on count or time ended the search.
    pub cut: bool,
    folder: Folder,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFile {
    /// Relative to the folder.
    pub path: PathBuf,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub path: PathBuf,
    pub why: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the results folder")]
    Open(#[from] OpenError),
    #[error("read the results folder")]
    Read(#[from] ToolError),
}

impl Results {
    /// Looks through the folder. Nothing is there if the job never made it.
    ///
    /// # Errors
    /// When the folder is there but cannot be read.
    pub fn of(path: &Path) -> Result<Option<Self>, Error> {
        // A link in the place of the folder would lead wherever the job likes.
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(found) if !found.is_dir() => {
                return Err(
                    ToolError::Special { path: path.display().to_string(), kind: "link or file" }.into()
                );
            }
            _ => {}
        }
        let folder = Folder::open(&Grant { root: path.to_owned(), mode: Mode::Ro })?;
        let mut results = Self { files: Vec::new(), refused: Vec::new(), cut: false, folder };
        let bounds = Bounds { depth: RESULT_DEPTH, entries: RESULT_ENTRIES };
        let control = Control::until(Instant::now() + RESULT_TIME.duration());
        let (mut files, mut refused, mut total, mut cut) = (Vec::new(), Vec::new(), 0, false);
        let left = walk((&results.folder, Path::new("")), bounds, &control, &mut |entry| {
            let bytes = u64::try_from(entry.stat.st_size).unwrap_or(0);
            match judge(&entry.stat, bytes) {
                _ if kind_of(&entry.stat) == FileType::Directory => {}
                Ok(()) if files.len() == RESULT_FILES => {
                    cut = true;
                    return Ok(Flow::Enough);
                }
                Ok(()) if total + bytes > RESULT_BYTES => {
                    let why = "with it the results would be larger than 1 GiB";
                    refused.push(Refused { path: entry.below.clone(), why });
                }
                Ok(()) => {
                    total += bytes;
                    files.push(ResultFile { path: entry.below.clone(), bytes });
                }
                Err(why) => refused.push(Refused { path: entry.below.clone(), why }),
            }
            Ok(Flow::On)
        })?;
        (results.files, results.refused) = (files, refused);
        results.cut = cut || left.cut || left.deeper > 0 || left.unreadable > 0;
        Ok(Some(results))
    }

    /// Opens one of them; what lies there now is judged again.
    ///
    /// # Errors
    /// When it is gone, or is no plain file any more.
    pub fn open(&self, file: &ResultFile) -> Result<File, Error> {
        let path = file.path.display().to_string();
        match self.folder.node(&file.path, Links::Refuse)? {
            Node::File(opened, stat) if judge(&stat, 0).is_ok() => Ok(opened),
            Node::File(..) => Err(ToolError::Special { path, kind: "file with a second name" }.into()),
            Node::Dir(_) => Err(ToolError::Special { path, kind: "folder" }.into()),
        }
    }
}

fn judge(stat: &Stat, bytes: u64) -> Result<(), &'static str> {
    match kind_of(stat) {
        FileType::Symlink => Err("it is a link"),
        FileType::RegularFile if stat.st_nlink > 1 => Err("it has a second name, which may lie outside"),
        FileType::RegularFile if bytes > ARTIFACT_BYTES => Err("it is larger than an artifact may be"),
        FileType::RegularFile => Ok(()),
        _ => Err("it is no plain file"),
    }
}
