//! A bounded walk below a granted folder, sorted by name.
//!
//! Every folder is opened anew from the root by [`crate::folder`], without following any link, so that a swap during
//! the walk leads nowhere. Each folder's names are read whole, sorted, then visited: the same tree gives the same
//! answer. Leaves to others: what to do with an entry.

use crate::control::Control;
use crate::error::Error;
use crate::folder::{Folder, Links, Node, kind_of};
use crate::limits::CHECK_EVERY;
use rustix::fs::{AtFlags, FileType, Stat};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(crate) struct Entry {
    /// Relative to the granted folder's root.
    pub(crate) below: PathBuf,
    /// 1 directly in the folder that is walked.
    pub(crate) depth: u64,
    /// Of the entry itself: links are not followed.
    pub(crate) stat: Stat,
}

#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) depth: u64,
    pub(crate) entries: u64,
}

/// What the walk left out.
#[derive(Clone, Copy, Default)]
pub(crate) struct Left {
    /// Entries seen.
    pub(crate) seen: u64,
    /// Folders that could not be opened or read, or are hidden.
    pub(crate) unreadable: u64,
    /// Folders at the depth bound, not entered.
    pub(crate) deeper: u64,
    /// Whether the bound on entries ended the walk.
    pub(crate) cut: bool,
}

/// Whether the visitor wants more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    On,
    Enough,
}

/// Walks in depth-first order. `start` must be a folder; failing to read it is an error, failing below is counted.
pub(crate) fn walk(
    (folder, start): (&Folder, &Path),
    bounds: Bounds,
    ctl: &Control,
    visit: &mut dyn FnMut(&Entry) -> Result<Flow, Error>,
) -> Result<Left, Error> {
    let mut left = Left::default();
    let top = Level { below: start, depth: 1, links: Links::Follow };
    let mut stack = vec![read(folder, &top, (bounds, ctl), &mut left)?.into_iter()];
    while let Some(level) = stack.last_mut() {
        let Some(entry) = level.next() else {
            stack.pop();
            continue;
        };
        ctl.check()?;
        if visit(&entry)? == Flow::Enough {
            return Ok(left);
        }
        if kind_of(&entry.stat) != FileType::Directory {
            continue;
        }
        if entry.depth >= bounds.depth {
            left.deeper += 1;
            continue;
        }
        let inner = Level { below: &entry.below, depth: entry.depth + 1, links: Links::Refuse };
        match read(folder, &inner, (bounds, ctl), &mut left) {
            Ok(entries) => stack.push(entries.into_iter()),
            Err(stop @ (Error::TimedOut | Error::Cancelled)) => return Err(stop),
            Err(_) => left.unreadable += 1,
        }
    }
    Ok(left)
}

struct Level<'a> {
    below: &'a Path,
    depth: u64,
    links: Links,
}

fn read(
    folder: &Folder,
    level: &Level<'_>,
    (bounds, ctl): (Bounds, &Control),
    left: &mut Left,
) -> Result<Vec<Entry>, Error> {
    let path = folder.shown(level.below);
    let failed = |errno: rustix::io::Errno| Error::io("read the folder", &path, errno);
    let Node::Dir(fd) = folder.node(level.below, level.links)? else {
        return Err(Error::argument("path", "it is a file, not a folder; use files.read"));
    };
    let mut entries = Vec::new();
    let mut names = rustix::fs::Dir::read_from(&fd).map_err(failed)?;
    while let Some(name) = names.read() {
        let name = name.map_err(failed)?;
        let name = name.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if left.seen.is_multiple_of(CHECK_EVERY) {
            ctl.check()?;
        }
        if left.seen >= bounds.entries {
            left.cut = true;
            break;
        }
        // One component, its link not followed: this cannot leave the open folder. A name that is gone by now is gone.
        let Ok(stat) = rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        left.seen += 1;
        entries.push(Entry { below: level.below.join(OsStr::from_bytes(name)), depth: level.depth, stat });
    }
    entries.sort_unstable_by(|one, other| one.below.cmp(&other.below));
    Ok(entries)
}
