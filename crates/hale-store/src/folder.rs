//! The data folder: one process at a time.
//!
//! Guarantees: while a [`Folder`] lives, no other process gets one for the same directory; who is refused learns the
//! holder's pid. The kernel lets go when the process dies, however it dies.
//! Read next: [`crate::error`].

use crate::Error;
use hale_core::time::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK: &str = "lock";
/// A lock whose named holder has it no more is given this long to come free: one that was killed while it started a
/// child leaves the lock to the child, until that has become its program.
const LET_GO: Duration = Duration::from_secs(10);
/// Before the lock is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// A locked data folder.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    lock: File,
}

/// Who holds a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub since: Timestamp,
}

impl Folder {
    /// Makes the folder if need be (readable for its owner only) and locks it.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's pid, or a file error.
    pub fn lock(dir: &Path) -> Result<Self, Error> {
        let file = |what: &'static str| move |source| Error::file(what, dir, source);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("make the data folder"))?;
        let dir = dir.canonicalize().map_err(file("find the data folder"))?;
        let path = dir.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| Error::file("open the lock", &path, source))?;
        match flock_soon(&mut lock, &path, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let Holder { pid, since } = read_holder(&mut lock).unwrap_or(UNKNOWN);
                return Err(Error::Locked { dir, pid, since });
            }
            Err(errno) => return Err(Error::file("lock", &path, errno.into())),
        }
        write_holder(&mut lock).map_err(|source| Error::file("write the lock", &path, source))?;
        Ok(Self { dir, lock })
    }

    /// Who holds the folder now, if anybody does. What a holder that ended left behind is waited for, as in
    /// [`Folder::lock`].
    ///
    /// # Errors
    /// A file error; a folder without a lock file is free.
    pub fn holder(dir: &Path) -> Result<Option<Holder>, Error> {
        let path = match dir.canonicalize() {
            Ok(dir) => dir.join(LOCK),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("find the data folder", dir, source)),
        };
        let mut lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("open the lock", &path, source)),
        };
        match flock_soon(&mut lock, &path, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(read_holder(&mut lock).unwrap_or(UNKNOWN))),
            Err(errno) => Err(Error::file("lock", &path, errno.into())),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing alone would not do: a child between its fork and its exec still has the file open.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// A holder that died between taking the lock and writing its name cannot be seen; one that is about to write can.
const UNKNOWN: Holder = Holder { pid: 0, since: Timestamp(0) };

/// Takes the lock, or says that another has it; waits only for what a holder that ended left behind. `path` is
/// canonical.
fn flock_soon(lock: &mut File, path: &Path, how: FlockOperation) -> Result<(), rustix::io::Errno> {
    let until = Instant::now() + LET_GO;
    loop {
        match flock(&*lock, how) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until && !is_held(lock, path) => {
                std::thread::sleep(TRY_AGAIN);
            }
            answer => return answer,
        }
    }
}

/// Whether the process that the lock names has it open; where that cannot be seen, it is believed.
fn is_held(lock: &mut File, path: &Path) -> bool {
    let Some(holder) = read_holder(lock) else { return false };
    match std::fs::read_dir(format!("/proc/{}/fd", holder.pid)) {
        Ok(files) => files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == path)),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn read_holder(lock: &mut File) -> Option<Holder> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(128).read_to_string(&mut text).ok()?;
    let (pid, since) = text.trim().split_once(' ')?;
    Some(Holder { pid: pid.parse().ok()?, since: Timestamp(since.parse().ok()?) })
}

fn write_holder(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{} {}", std::process::id(), crate::store::now().0)
}
