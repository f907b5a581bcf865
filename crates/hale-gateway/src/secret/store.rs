//! Secrets as files: `DIR/secrets/NAME`, mode 0600.
//!
//! Guarantees: a reader sees the old content or the new, never a part and never none in between; a change is synced
//! before it is reported; the content before the last change stays in `NAME.prev` until the next one.
//! Leaves to others: two people changing one secret at the same time (the last one wins; the engine runs operations
//! one at a time).
//! Read next: [`super::resolve`].

use super::{BYTES_MAX, Error, Secret};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a change found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none of this name: to undo, [`remove_secret`].
    Absent,
    /// The content before is in `NAME.prev`: to undo, [`restore_secret`].
    Kept,
}

/// A name becomes a file name and a variable, so it is held to what both can carry.
///
/// # Errors
/// [`Error::Name`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    if fits { Ok(()) } else { Err(Error::Name { name: name.to_owned() }) }
}

fn previous(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.prev"))
}

/// Writes a secret; the one before it becomes `NAME.prev`.
///
/// # Errors
/// A bad name, or what the file system says.
pub fn store_secret(dir: &Path, name: &str, value: &Secret) -> Result<Before, Error> {
    check_name(name)?;
    let path = dir.join(name);
    let failed = |source| Error::Write { path: path.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let draft = dir.join(format!("{name}.new"));
    write_draft(&draft, value).map_err(failed)?;
    let before = keep_previous(dir, name).map_err(failed)?;
    fs::rename(&draft, &path).and_then(|()| sync_dir(dir)).map_err(failed)?;
    Ok(before)
}

/// Takes a secret away; it stays as `NAME.prev`.
///
/// # Errors
/// A bad name, or what the file system says.
pub fn remove_secret(dir: &Path, name: &str) -> Result<Before, Error> {
    check_name(name)?;
    let path = dir.join(name);
    match fs::rename(&path, previous(dir, name)) {
        Ok(()) => {
            sync_dir(dir).map_err(|source| Error::Write { path, source })?;
            Ok(Before::Kept)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Before::Absent),
        Err(source) => Err(Error::Write { path, source }),
    }
}

/// Puts `NAME.prev` back in place: the undo of a change or a removal. Done twice it changes nothing more.
///
/// # Errors
/// A bad name, or what the file system says.
pub fn restore_secret(dir: &Path, name: &str) -> Result<Before, Error> {
    check_name(name)?;
    let path = dir.join(name);
    match fs::rename(previous(dir, name), &path) {
        Ok(()) => {
            sync_dir(dir).map_err(|source| Error::Write { path, source })?;
            Ok(Before::Kept)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Before::Absent),
        Err(source) => Err(Error::Write { path, source }),
    }
}

/// The names of the stored secrets, sorted, without drafts and former ones.
///
/// # Errors
/// What the file system says; a folder that is not there has no secrets.
pub fn stored_names(dir: &Path) -> Result<Vec<String>, Error> {
    let failed = |source| Error::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        // A dot is in no valid name, so this leaves `.prev` and `.new` out.
        if check_name(&name).is_ok() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn write_draft(draft: &Path, value: &Secret) -> std::io::Result<()> {
    // A draft that a crash left behind would keep its own mode: away with it, so that ours is created with 0600.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(value.reveal().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// A second link, not a rename: the name must never be without content.
fn keep_previous(dir: &Path, name: &str) -> std::io::Result<Before> {
    let kept = previous(dir, name);
    match fs::remove_file(&kept) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(dir.join(name), kept) {
        Ok(()) => Ok(Before::Kept),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Before::Absent),
        Err(error) => Err(error),
    }
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Reads a file that must be there, whatever its mode.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    read_bounded(file, path)
}

/// Reads a file of our own folder: None if it is not there, an error if group or others may read it.
pub(super) fn read_closed(path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(source) => return Err(failed(source)),
    };
    // Asked of the open file, so that what is checked is what is read.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    read_bounded(file, path).map(Some)
}

fn read_bounded(file: File, path: &Path) -> Result<String, Error> {
    let mut content = String::new();
    file.take(BYTES_MAX + 1)
        .read_to_string(&mut content)
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if content.len() as u64 > BYTES_MAX {
        return Err(Error::Unusable { place: format!("file {}", path.display()), why: "it is too long" });
    }
    Ok(content)
}
