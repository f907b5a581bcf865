//! Blobs as files: `blobs/ab/cdef…`, named by their hash.
//!
//! Guarantees: content and name are synced before [`Blobs::put`] answers, so a commit may name the blob; a half
//! written blob never has a name; a blob put in the last hour is not removed, because its commit may be on its way.
//! Read next: [`super`].

use super::{Blobs, Hash};
use crate::Error;
use crate::disk::{Disk, Kind, Sync};
use hale_core::fault::{Deed, Handle, Point};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Longer than any commit can be under way after its blobs are written.
const FRESH: Duration = Duration::from_secs(3600);
/// Fresh blobs remembered before the old ones among them are swept.
const FRESH_SWEEP: usize = 1024;
const DIR: &str = "blobs";
const SPOOL: &str = "spool";
const TEMP: &str = "tmp";
/// What a probe writes, reads and removes.
const PROBE: &[u8] = b"hale probes this artifact store";
/// The byte count before the first walk.
const UNCOUNTED: i64 = -1;

/// Blobs below one data folder.
pub struct FsBlobs {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    faults: Handle,
    /// What is passed before a write.
    point: Point,
    /// Free space that blobs leave to the database.
    floor: u64,
    state: Mutex<State>,
    temp_next: AtomicU64,
    bytes: AtomicI64,
}

struct State {
    /// When each blob was put last; those may be named by a commit that is under way.
    fresh: HashMap<Hash, Instant>,
    /// Directories of the first byte whose names are known to be synced.
    synced: [bool; 256],
}

impl FsBlobs {
    /// Opens the blobs of a data folder that this process has locked.
    ///
    /// # Errors
    /// A file error.
    pub fn open(data: &Path, disk: Arc<dyn Disk>, faults: Handle, floor: u64) -> Result<Self, Error> {
        let blobs = Self::at(data.join(DIR), disk, (faults, Point::BlobWrite), floor);
        blobs.prepare()?;
        Ok(blobs)
    }

    /// The place of a data folder where contents wait until the artifact store takes them; not made yet.
    pub(super) fn spool(data: &Path, disk: Arc<dyn Disk>, faults: Handle, floor: u64) -> Self {
        Self::at(data.join(SPOOL), disk, (faults, Point::SpoolWrite), floor)
    }

    /// Looks at the blobs of a folder that another process may hold, or that is not made yet.
    pub fn look(data: &Path, disk: Arc<dyn Disk>) -> Self {
        Self::at(data.join(DIR), disk, (Handle::default(), Point::BlobWrite), 0)
    }

    /// Makes the folders, and removes what a crash left half written.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        let (root, temp) = (&self.root, self.root.join(TEMP));
        let made = |dir: &Path| self.disk.make_dir(dir).map_err(|source| Error::file("make", dir, source));
        made(root)?;
        made(&temp)?;
        for entry in self.disk.list(&temp).map_err(|source| Error::file("list", &temp, source))? {
            // Left by a crash between write and rename: nobody knows it.
            self.disk.remove(&entry.path).map_err(|source| Error::file("remove", &entry.path, source))?;
        }
        self.disk.sync_dir(root).map_err(|source| Error::file("sync", root, source))?;
        match root.parent() {
            Some(data) => self.disk.sync_dir(data).map_err(|source| Error::file("sync", data, source)),
            None => Ok(()),
        }
    }

    fn at(root: PathBuf, disk: Arc<dyn Disk>, (faults, point): (Handle, Point), floor: u64) -> Self {
        Self {
            root,
            disk,
            faults,
            point,
            floor,
            state: Mutex::new(State { fresh: HashMap::new(), synced: [false; 256] }),
            temp_next: AtomicU64::new(0),
            bytes: AtomicI64::new(UNCOUNTED),
        }
    }

    pub fn path(&self, hash: Hash) -> PathBuf {
        let text = hash.to_string();
        self.root.join(&text[..2]).join(&text[2..])
    }

    /// Bytes of all blobs; walks them once, then counts along.
    ///
    /// # Errors
    /// A file error.
    pub fn bytes(&self) -> Result<u64, Error> {
        let known = self.bytes.load(Ordering::Acquire);
        if known >= 0 {
            return Ok(known as u64);
        }
        let total: u64 = self.list()?.iter().map(|(_, bytes)| bytes).sum();
        let signed = i64::try_from(total).unwrap_or(i64::MAX);
        // Who counted first wins: both saw the same files, give or take one that is being written.
        let _ = self.bytes.compare_exchange(UNCOUNTED, signed, Ordering::AcqRel, Ordering::Acquire);
        Ok(total)
    }

    fn count(&self, change: i64) {
        let _ = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, |bytes| {
            (bytes >= 0).then(|| (bytes + change).max(0))
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Both fields are whole after every statement, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark_fresh(&self, hash: Hash) {
        let mut state = self.state();
        if state.fresh.len() >= FRESH_SWEEP {
            state.fresh.retain(|_, put| put.elapsed() < FRESH);
        }
        state.fresh.insert(hash, Instant::now());
    }

    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let room = self.disk.room(&self.root).map_err(|source| Error::file("measure", &self.root, source))?;
        if room.free < bytes.saturating_add(self.floor) {
            let path = self.root.clone();
            return Err(Error::Full { path, needed: bytes, free: room.free, floor: self.floor });
        }
        Ok(())
    }

    /// Makes the directory of a first byte durable, once a process.
    fn make_prefix(&self, dir: &Path, first: u8) -> Result<(), Error> {
        if self.state().synced[first as usize] {
            return Ok(());
        }
        self.disk.make_dir(dir).map_err(|source| Error::file("make", dir, source))?;
        self.disk.sync_dir(&self.root).map_err(|source| Error::file("sync", &self.root, source))?;
        self.state().synced[first as usize] = true;
        Ok(())
    }

    fn temp(&self) -> PathBuf {
        self.root.join(TEMP).join(self.temp_next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// The lab makes a write fail as a disk does.
    fn check_fault(&self) -> Result<(), Error> {
        match self.faults.pass(self.point) {
            Deed::Abort => std::process::abort(),
            Deed::Fail => {
                let source = std::io::Error::other("made to fail by the lab");
                Err(Error::file("write to", &self.root, source))
            }
            Deed::Nothing | Deed::Skip => Ok(()),
        }
    }

    /// Writes, reads back and removes a small content.
    ///
    /// # Errors
    /// What failed of the three.
    pub(super) fn try_out(&self) -> Result<(), Error> {
        self.check_fault()?;
        self.check_room(PROBE.len() as u64)?;
        let temp = self.temp();
        let written = self.disk.write_new(&temp, PROBE, Sync::Now);
        let read = written
            .map_err(|source| Error::file("write", &temp, source))
            .and_then(|()| self.disk.read(&temp).map_err(|source| Error::file("read", &temp, source)));
        // A probe that could not be written may not be there.
        let removed = self.disk.remove(&temp).map_err(|source| Error::file("remove", &temp, source));
        let read = read?;
        removed?;
        if read == PROBE { Ok(()) } else { Err(Error::BlobDamaged { hash: Hash::of(PROBE).to_string() }) }
    }

    /// Bytes of one blob, if it is here.
    pub(super) fn length(&self, hash: Hash) -> Option<u64> {
        self.disk.length(&self.path(hash))
    }

    /// Since when a blob is here; none when the file system does not say.
    pub(super) fn since(&self, hash: Hash) -> Option<SystemTime> {
        std::fs::metadata(self.path(hash)).ok()?.modified().ok()
    }

    /// Removes a copy of what is kept elsewhere, however fresh.
    pub(super) fn remove_copy(&self, hash: Hash) -> Result<(), Error> {
        self.state().fresh.remove(&hash);
        self.remove(hash)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn write(&self, hash: Hash, content: &[u8]) -> Result<(), Error> {
        let path = self.path(hash);
        let dir = path.parent().unwrap_or(&self.root);
        self.check_fault()?;
        self.check_room(content.len() as u64)?;
        self.make_prefix(dir, hash.0[0])?;
        let temp = self.temp();
        let deed = self.faults.pass(Point::AfterBlob);
        let sync = if deed == Deed::Skip { Sync::Skipped } else { Sync::Now };
        let written = self
            .disk
            .write_new(&temp, content, sync)
            .map_err(|source| Error::file("write", &temp, source))
            .and_then(|()| {
                self.disk.rename(&temp, &path).map_err(|source| Error::file("name", &path, source))
            });
        if let Err(error) = written {
            // The next start sweeps it if this fails as well.
            let _ = self.disk.remove(&temp);
            return Err(error);
        }
        self.disk.sync_dir(dir).map_err(|source| Error::file("sync", dir, source))?;
        self.count(i64::try_from(content.len()).unwrap_or(i64::MAX));
        match deed {
            Deed::Abort => std::process::abort(),
            Deed::Fail => Err(Error::Injected { point: "after blob" }),
            Deed::Nothing | Deed::Skip => Ok(()),
        }
    }
}

impl Blobs for FsBlobs {
    fn put(&self, content: &[u8]) -> Result<Hash, Error> {
        let hash = Hash::of(content);
        // Before looking whether it is there, so that a removal cannot fall between the look and the commit.
        self.mark_fresh(hash);
        match self.get(hash) {
            Ok(_) => {
                // Its name may be another call's, which is not yet synced.
                let path = self.path(hash);
                let dir = path.parent().unwrap_or(&self.root);
                self.make_prefix(dir, hash.0[0])?;
                self.disk.sync_dir(dir).map_err(|source| Error::file("sync", dir, source))?;
            }
            // A damaged one is replaced: the content is at hand.
            Err(_) => self.write(hash, content)?,
        }
        Ok(hash)
    }

    fn get(&self, hash: Hash) -> Result<Vec<u8>, Error> {
        let path = self.path(hash);
        let content = match self.disk.read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::BlobMissing { hash: hash.to_string() });
            }
            Err(source) => return Err(Error::file("read", &path, source)),
        };
        if Hash::of(&content) == hash {
            Ok(content)
        } else {
            Err(Error::BlobDamaged { hash: hash.to_string() })
        }
    }

    fn list(&self) -> Result<Vec<(Hash, u64)>, Error> {
        let entries = |dir: &Path| match self.disk.list(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|source| Error::file("list", dir, source)),
        };
        let mut blobs = Vec::new();
        for dir in entries(&self.root)?.iter().filter(|dir| dir.kind == Kind::Dir) {
            for file in entries(&dir.path)? {
                let hash = blob_name(&dir.path, &file.path);
                blobs.extend(hash.map(|hash| (hash, file.bytes)));
            }
        }
        Ok(blobs)
    }

    fn remove(&self, hash: Hash) -> Result<(), Error> {
        let path = self.path(hash);
        // Held until the file is gone: a put that marks the blob fresh meanwhile will find it missing and write it.
        let state = self.state();
        if state.fresh.get(&hash).is_some_and(|put| put.elapsed() < FRESH) {
            return Ok(());
        }
        let bytes = self.disk.length(&path).unwrap_or(0);
        match self.disk.remove(&path) {
            Ok(()) => self.count(-i64::try_from(bytes).unwrap_or(0)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::file("remove", &path, source)),
        }
        drop(state);
        Ok(())
    }
}

fn blob_name(dir: &Path, file: &Path) -> Option<Hash> {
    let (dir, file) = (dir.file_name()?.to_str()?, file.file_name()?.to_str()?);
    if dir.len() == 2 { format!("{dir}{file}").parse().ok() } else { None }
}
