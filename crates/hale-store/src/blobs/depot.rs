//! The artifact store in the data folder, a second one beside it, and a spool for what the active one did not take.
//!
//! Guarantees: a content whose put was answered is durable, in the active store or in the spool; a read looks
//! everywhere, so a fail-over hides nothing; a spooled content goes away only when the active store has it; a second
//! folder is ours alone while we use it.
//! Leaves to others: when the spool is tried again (`hale-engine/src/stores.rs`), why it is so (docs/decisions).
//! Read next: `blobs/file.rs`.

use super::{BACKUP, Blobs, FsBlobs, Hash, PRIMARY, Place, Pushed, Spooled};
use crate::disk::{Disk, Sync};
use crate::store::now;
use crate::{Error, Folder};
use hale_core::fault::Handle;
use hale_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In the data folder: where the second store is, for those who read the folder without its server.
const POINTER: &str = "secondary";

/// What a depot is opened with.
#[derive(Clone)]
pub struct Terms {
    pub disk: Arc<dyn Disk>,
    pub faults: Handle,
    pub floor: u64,
    /// The second store's folder.
    pub secondary: Option<PathBuf>,
}

/// All places of one data folder's artifacts.
pub struct Depot {
    primary: FsBlobs,
    secondary: Option<Second>,
    /// The second store is the active one.
    turned: AtomicBool,
    spool: FsBlobs,
    /// The spool's folders are made; only once, since that clears up what is half written.
    ready: Mutex<bool>,
    /// Bytes that were put into the spool or found there, so that an empty spool is never walked.
    waiting: AtomicU64,
    refused: Mutex<Option<String>>,
}

struct Second {
    dir: PathBuf,
    blobs: FsBlobs,
    held: Mutex<Option<Folder>>,
}

impl Depot {
    /// Opens the artifacts of a data folder that this process has locked. A second store or a spool that cannot be
    /// opened keeps nobody from starting: it is tried again when it is needed, and probes tell.
    ///
    /// # Errors
    /// A file error of the data folder's own store, or a second folder that another process holds.
    pub fn open(data: &Path, terms: Terms) -> Result<Self, Error> {
        let Terms { disk, faults, floor, secondary } = terms;
        let primary = FsBlobs::open(data, disk.clone(), faults.clone(), floor)?;
        note(data, &disk, secondary.as_deref())?;
        let second = secondary.map(|dir| Second::at(dir, disk.clone()));
        if let Some(second) = &second
            && let Err(error @ Error::Locked { .. }) = second.prepare()
        {
            return Err(error);
        }
        let spool = FsBlobs::spool(data, disk, faults, floor);
        // A folder that is not there is empty; what is wrong with it otherwise is told when it is needed.
        let found = spool.list().unwrap_or_default();
        let depot = Self::of(primary, second, spool);
        depot.waiting.store(found.iter().map(|(_, bytes)| bytes.max(&1)).sum(), Ordering::Release);
        Ok(depot)
    }

    /// Looks at the artifacts of a folder that another process may hold; for reading only.
    pub fn look(data: &Path, disk: Arc<dyn Disk>) -> Self {
        let named = disk.read(&data.join(POINTER)).ok().and_then(|text| String::from_utf8(text).ok());
        let second = named.map(|dir| Second::at(PathBuf::from(dir.trim()), disk.clone()));
        let spool = FsBlobs::spool(data, disk.clone(), Handle::default(), 0);
        Self::of(FsBlobs::look(data, disk), second, spool)
    }

    fn of(primary: FsBlobs, secondary: Option<Second>, spool: FsBlobs) -> Self {
        let (turned, waiting) = (AtomicBool::new(false), AtomicU64::new(0));
        Self {
            primary,
            secondary,
            turned,
            spool,
            ready: Mutex::default(),
            waiting,
            refused: Mutex::default(),
        }
    }

    fn second(&self) -> Option<&FsBlobs> {
        self.secondary.as_ref().map(|second| &second.blobs)
    }

    fn active(&self) -> &FsBlobs {
        match self.second() {
            Some(second) if self.turned.load(Ordering::Acquire) => second,
            _ => &self.primary,
        }
    }

    /// Everywhere a content may be, the likeliest place first.
    fn everywhere(&self) -> impl Iterator<Item = &FsBlobs> {
        let turned = self.turned.load(Ordering::Acquire);
        let first = if turned { self.second() } else { None };
        let last = if turned { None } else { self.second() };
        first.into_iter().chain([&self.primary]).chain(last).chain([&self.spool])
    }

    /// Bytes in the data folder.
    ///
    /// # Errors
    /// A file error.
    pub fn bytes(&self) -> Result<u64, Error> {
        Ok(self.primary.bytes()? + self.waiting.load(Ordering::Acquire))
    }

    /// Removes a content everywhere; answers the bytes that this freed.
    ///
    /// # Errors
    /// A file error of the data folder.
    pub fn forget(&self, hash: Hash) -> Result<u64, Error> {
        let mut freed = 0;
        for place in self.everywhere() {
            let Some(bytes) = place.length(hash) else { continue };
            match place.remove(hash) {
                Ok(()) if place.length(hash).is_none() => freed += bytes,
                Ok(()) => {}
                // A second store that is away keeps its copy until the next sweep.
                Err(_) if self.second().is_some_and(|second| std::ptr::eq(second, place)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(freed)
    }

    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_spool(&self) -> Result<(), Error> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !*ready {
            self.spool.prepare()?;
            *ready = true;
        }
        Ok(())
    }

    /// Keeps what the active store did not take; the store's own error if the spool does not take it either.
    fn put_aside(&self, content: &[u8], failed: Error) -> Result<Hash, Error> {
        let put = self.make_spool().and_then(|()| self.spool.put(content));
        let Ok(hash) = put else { return Err(failed) };
        self.waiting.fetch_add((content.len() as u64).max(1), Ordering::AcqRel);
        *self.refused() = Some(told(&failed));
        Ok(hash)
    }

    fn push_one(&self, hash: Hash) -> Result<u64, Error> {
        let content = self.spool.get(hash)?;
        self.active().put(&content)?;
        self.spool.remove_copy(hash)?;
        Ok(content.len() as u64)
    }
}

impl Second {
    fn at(dir: PathBuf, disk: Arc<dyn Disk>) -> Self {
        Self { blobs: FsBlobs::look(&dir, disk), dir, held: Mutex::new(None) }
    }

    /// Makes the folder ours, and its folders ready.
    fn prepare(&self) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(Folder::lock(&self.dir)?);
            self.blobs.prepare()?;
        }
        Ok(())
    }
}

/// Leaves word where the second store is.
fn note(data: &Path, disk: &Arc<dyn Disk>, secondary: Option<&Path>) -> Result<(), Error> {
    let path = data.join(POINTER);
    let Some(dir) = secondary else {
        return match disk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &path, error))
            }
            _ => Ok(()),
        };
    };
    let text = dir.display().to_string();
    if disk.read(&path).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(());
    }
    let _ = disk.remove(&path);
    disk.write_new(&path, text.as_bytes(), Sync::Now).map_err(|source| Error::file("write", &path, source))
}

fn told(error: &Error) -> String {
    hale_core::failure::chain(error).collect::<Vec<_>>().join(": ")
}

impl Blobs for Depot {
    fn put(&self, content: &[u8]) -> Result<Hash, Error> {
        match self.active().put(content) {
            Err(error) if !matches!(error, Error::Injected { .. }) => self.put_aside(content, error),
            answer => answer,
        }
    }

    fn get(&self, hash: Hash) -> Result<Vec<u8>, Error> {
        let mut worst = Error::BlobMissing { hash: hash.to_string() };
        for place in self.everywhere() {
            match place.get(hash) {
                Ok(content) => return Ok(content),
                Err(Error::BlobMissing { .. }) => {}
                Err(error) => worst = error,
            }
        }
        Err(worst)
    }

    /// What stands in the stores. Contents in the spool wait for one, and are not listed.
    fn list(&self) -> Result<Vec<(Hash, u64)>, Error> {
        let mut all = self.primary.list()?;
        // A second store that is away has nothing to list now.
        all.extend(self.second().and_then(|second| second.list().ok()).unwrap_or_default());
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn remove(&self, hash: Hash) -> Result<(), Error> {
        self.forget(hash).map(|_| ())
    }

    fn places(&self) -> Vec<Place> {
        let turned = self.secondary.is_some() && self.turned.load(Ordering::Acquire);
        let primary = Place { name: PRIMARY, path: Some(self.primary.root().to_owned()), active: !turned };
        let second = self.second().map(|second| Place {
            name: BACKUP,
            path: Some(second.root().to_owned()),
            active: turned,
        });
        std::iter::once(primary).chain(second).collect()
    }

    fn turn_to(&self, name: &str) -> Result<(), Error> {
        match (name, &self.secondary) {
            (PRIMARY, _) => self.turned.store(false, Ordering::Release),
            (BACKUP, Some(_)) => self.turned.store(true, Ordering::Release),
            _ => return Err(Error::NoStore { name: name.to_owned() }),
        }
        Ok(())
    }

    fn probe(&self, name: &str) -> Result<(), Error> {
        match (name, &self.secondary) {
            (PRIMARY, _) => self.primary.try_out(),
            (BACKUP, Some(second)) => second.prepare().and_then(|()| second.blobs.try_out()),
            _ => Err(Error::NoStore { name: name.to_owned() }),
        }
    }

    fn spooled(&self) -> Spooled {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return Spooled::default();
        }
        let found = self.spool.list().unwrap_or_default();
        let oldest = found.iter().filter_map(|(hash, _)| at(&self.spool, *hash)).min();
        Spooled {
            contents: found.len() as u64,
            bytes: found.iter().map(|(_, bytes)| bytes).sum(),
            oldest,
            error: self.refused().clone(),
        }
    }

    fn push(&self, since: Option<Timestamp>) -> Result<Pushed, Error> {
        let mut pushed = Pushed::default();
        if self.waiting.load(Ordering::Acquire) == 0 {
            return Ok(pushed);
        }
        // What is put meanwhile is counted again by itself.
        let before = self.waiting.load(Ordering::Acquire);
        let mut left = 0;
        for (hash, bytes) in self.spool.list()? {
            if since.is_some_and(|since| at(&self.spool, hash).is_some_and(|at| at < since)) {
                left += bytes.max(1);
                continue;
            }
            match self.push_one(hash) {
                Ok(bytes) => {
                    pushed.stored += 1;
                    pushed.bytes += bytes;
                }
                Err(error) => {
                    left += bytes.max(1);
                    pushed.left += 1;
                    pushed.error.get_or_insert_with(|| told(&error));
                }
            }
        }
        let _ = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            Some(now.saturating_sub(before).saturating_add(left))
        });
        self.refused().clone_from(&pushed.error);
        Ok(pushed)
    }
}

/// Since when a content waits.
fn at(spool: &FsBlobs, hash: Hash) -> Option<Timestamp> {
    let since = spool.since(hash)?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since.as_millis()).unwrap_or_else(|_| now().0)))
}
