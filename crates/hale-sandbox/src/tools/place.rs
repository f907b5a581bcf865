//! From a path that a model wrote to a granted folder and a path below it.
//!
//! Decides by the text alone and touches no file: what lies outside is refused before anything is looked up, so that
//! a refusal does not tell whether it exists. What links do later is [`crate::folder`]'s work.
//! Names are taken literally: `%2e%2e`, `~` and `file:` are names like any others.

use crate::error::{Error, shown};
use crate::folder::{Folder, Links, Node};
use crate::limits::PATH_BYTES;
use std::path::{Component, Path, PathBuf};

/// A path inside a granted folder.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Folder,
    /// Relative to the folder's root, empty for the root itself.
    pub(super) below: PathBuf,
}

impl Place<'_> {
    pub(super) fn open(&self) -> Result<Node, Error> {
        self.folder.node(&self.below, Links::Follow)
    }

    /// In full: to open again and for errors.
    pub(super) fn path(&self) -> String {
        self.folder.shown(&self.below)
    }

    /// Shortened, as results repeat it.
    pub(super) fn shown(&self) -> String {
        shown(&self.path())
    }
}

pub(super) fn locate<'a>(folders: &'a [Folder], path: &str) -> Result<Place<'a>, Error> {
    if path.len() > PATH_BYTES {
        return Err(Error::argument(
            "path",
            format!("it has {} bytes; at most {PATH_BYTES} are possible", path.len()),
        ));
    }
    if path.contains('\0') {
        return Err(Error::argument("path", "it holds a NUL byte"));
    }
    let asked = Path::new(path);
    let (folder, below) = if asked.is_absolute() {
        holding(folders, asked).ok_or_else(|| outside(folders, path))?
    } else {
        let [folder] = folders else { return Err(ambiguous(folders)) };
        (folder, asked)
    };
    if leaves(below) {
        return Err(outside(folders, path));
    }
    let below: PathBuf = below.components().filter(|part| *part != Component::CurDir).collect();
    Ok(Place { folder, below })
}

/// The innermost granted folder whose root begins this path.
fn holding<'a, 'p>(folders: &'a [Folder], asked: &'p Path) -> Option<(&'a Folder, &'p Path)> {
    let roots = folders.iter().flat_map(|folder| [(folder, folder.root()), (folder, folder.real())]);
    let matching = roots.filter_map(|(folder, root)| Some((folder, asked.strip_prefix(root).ok()?)));
    matching.min_by_key(|(_, below)| below.components().count())
}

/// Whether the text alone climbs above its start.
fn leaves(below: &Path) -> bool {
    let mut depth = 0i64;
    below.components().any(|part| {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => depth = -1,
        }
        depth < 0
    })
}

fn outside(folders: &[Folder], path: &str) -> Error {
    Error::Outside { path: shown(path), granted: granted(folders) }
}

fn ambiguous(folders: &[Folder]) -> Error {
    if folders.is_empty() {
        return Error::Outside { path: ".".to_owned(), granted: granted(folders) };
    }
    Error::argument(
        "path",
        format!("several folders are granted; begin the path with one of {}", granted(folders)),
    )
}

pub(super) fn granted(folders: &[Folder]) -> String {
    if folders.is_empty() {
        return "none; the pack asks for folders with `files: [\"/var/log:ro\"]`".to_owned();
    }
    shown(&folders.iter().map(|folder| folder.root().display().to_string()).collect::<Vec<_>>().join(", "))
}
