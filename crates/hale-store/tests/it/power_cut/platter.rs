//! A disk in memory that remembers what was synced, and can be cut off at any moment.
//!
//! It serves SQLite through [`super::vfs`] and the rest of the store as a [`Disk`]. Everything that happens to it is
//! logged in order; [`Cutter`] makes images of what a disk may hold after a power cut: all that was synced, and of the
//! rest any sectors of 512 bytes in any order.

use hale_store::disk::{Disk, Entry, Kind, Room, Sync};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub type FileId = usize;

/// One thing that happened to the disk.
#[derive(Clone, Debug)]
pub enum Deed {
    Name {
        path: PathBuf,
        id: FileId,
    },
    Dir {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        id: FileId,
    },
    Remove {
        path: PathBuf,
    },
    Write {
        id: FileId,
        at: usize,
        data: Vec<u8>,
    },
    Truncate {
        id: FileId,
        len: usize,
    },
    Sync {
        id: FileId,
    },
    SyncDir {
        dir: PathBuf,
    },
    /// The test was told something: from here on it must hold.
    Told(usize),
}

#[derive(Default)]
pub struct State {
    pub names: BTreeMap<PathBuf, FileId>,
    pub dirs: BTreeSet<PathBuf>,
    pub files: HashMap<FileId, Vec<u8>>,
    next: FileId,
    pub log: Vec<Deed>,
    /// Bytes that all files together may take.
    pub quota: Option<usize>,
    /// Every sync fails from now on; counts how many did.
    pub syncs_fail: bool,
    pub syncs_failed: usize,
}

#[derive(Default)]
pub struct Platter {
    state: Mutex<State>,
}

/// Platters by the directory that they stand in for.
fn mounted() -> &'static Mutex<HashMap<PathBuf, Arc<Platter>>> {
    static MOUNTED: OnceLock<Mutex<HashMap<PathBuf, Arc<Platter>>>> = OnceLock::new();
    MOUNTED.get_or_init(Mutex::default)
}

/// The platter below a path.
pub fn at(path: &Path) -> Option<Arc<Platter>> {
    mounted().lock().unwrap().get(path.parent()?).cloned()
}

/// A platter in the place of a directory, until it is dropped.
pub struct Mount {
    pub platter: Arc<Platter>,
    pub dir: PathBuf,
}

impl Mount {
    pub fn new(dir: &Path, platter: Platter) -> Self {
        let dir = dir.canonicalize().unwrap();
        let platter = Arc::new(platter);
        platter.state().dirs.insert(dir.clone());
        mounted().lock().unwrap().insert(dir.clone(), platter.clone());
        Self { platter, dir }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        mounted().lock().unwrap().remove(&self.dir);
    }
}

impl State {
    pub fn create(&mut self, path: &Path) -> FileId {
        let id = self.anonymous();
        self.names.insert(path.to_owned(), id);
        self.log.push(Deed::Name { path: path.to_owned(), id });
        id
    }

    /// A file without a name, which no power cut needs to keep.
    pub fn anonymous(&mut self) -> FileId {
        self.next += 1;
        self.files.insert(self.next, Vec::new());
        self.next
    }

    pub fn write(&mut self, id: FileId, at: usize, data: &[u8]) -> io::Result<()> {
        let used = self.used();
        let file = self.files.get_mut(&id).unwrap();
        let end = at + data.len();
        let growth = end.saturating_sub(file.len());
        if self.quota.is_some_and(|quota| used + growth > quota) && growth > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if file.len() < end {
            file.resize(end, 0);
        }
        file[at..end].copy_from_slice(data);
        self.log.push(Deed::Write { id, at, data: data.to_owned() });
        Ok(())
    }

    pub fn truncate(&mut self, id: FileId, len: usize) {
        self.files.get_mut(&id).unwrap().resize(len, 0);
        self.log.push(Deed::Truncate { id, len });
    }

    pub fn sync(&mut self, id: FileId) -> io::Result<()> {
        if self.syncs_fail {
            self.syncs_failed += 1;
            return Err(io::Error::from_raw_os_error(5));
        }
        self.log.push(Deed::Sync { id });
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        self.log.push(Deed::Remove { path: path.to_owned() });
        Ok(())
    }

    /// Bytes of all files that have a name.
    pub fn used(&self) -> usize {
        if self.quota.is_none() {
            return 0;
        }
        self.names.values().map(|id| self.files[id].len()).sum()
    }
}

impl Platter {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the test now counts on something.
    pub fn told(&self, what: usize) {
        self.state().log.push(Deed::Told(what));
    }

    pub fn take_log(&self) -> Vec<Deed> {
        std::mem::take(&mut self.state().log)
    }
}

impl Disk for Platter {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.dirs.insert(dir.to_owned()) {
            state.log.push(Deed::Dir { path: dir.to_owned() });
        }
        Ok(())
    }

    fn write_new(&self, path: &Path, content: &[u8], sync: Sync) -> io::Result<()> {
        let mut state = self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.create(path);
        state.write(id, 0, content)?;
        match sync {
            Sync::Now => state.sync(id),
            Sync::Skipped => Ok(()),
        }
    }

    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        self.write_new(path, &vec![0; bytes as usize], Sync::Now)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().log.push(Deed::SyncDir { dir: dir.to_owned() });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let id = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), id);
        state.log.push(Deed::Rename { from: from.to_owned(), to: to.to_owned(), id });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().remove(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let id = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.files[id].clone())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = |path: &Path| path.parent() == Some(dir);
        let dirs = state.dirs.iter().filter(|path| here(path));
        let dirs = dirs.map(|path| Entry { path: path.clone(), bytes: 0, kind: Kind::Dir });
        let files = state.names.iter().filter(|(path, _)| here(path));
        let files = files.map(|(path, id)| Entry {
            path: path.clone(),
            bytes: state.files[id].len() as u64,
            kind: Kind::File,
        });
        Ok(dirs.chain(files).collect())
    }

    fn length(&self, path: &Path) -> Option<u64> {
        let state = self.state();
        state.names.get(path).map(|id| state.files[id].len() as u64)
    }

    fn room(&self, _: &Path) -> io::Result<Room> {
        let state = self.state();
        let total = state.quota.unwrap_or(1 << 40) as u64;
        Ok(Room { free: total.saturating_sub(state.used() as u64), total })
    }
}

/// Cheap random numbers that a seed repeats.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    fn keeps(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }
}

const SECTOR: usize = 512;

/// Follows a log and knows at each place what is durable and what is not.
pub struct Cutter<'a> {
    log: &'a [Deed],
    at: usize,
    root: PathBuf,
    files: HashMap<FileId, Vec<u8>>,
    names: BTreeMap<PathBuf, FileId>,
    dirs: BTreeSet<PathBuf>,
    /// Writes and truncations since the last sync of their file.
    pending: BTreeMap<FileId, Vec<&'a Deed>>,
    /// Changes of names since the last sync of their directory.
    renaming: Vec<&'a Deed>,
    /// What the test was told by then.
    pub told: Vec<usize>,
}

impl<'a> Cutter<'a> {
    pub fn new(log: &'a [Deed], root: &Path) -> Self {
        Self {
            log,
            at: 0,
            root: root.to_owned(),
            files: HashMap::new(),
            names: BTreeMap::new(),
            dirs: BTreeSet::from([root.to_owned()]),
            pending: BTreeMap::new(),
            renaming: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Goes on to the place `to`, which must not be behind.
    pub fn go(&mut self, to: usize) {
        while self.at < to {
            let deed = &self.log[self.at];
            self.at += 1;
            match deed {
                Deed::Write { id, .. } | Deed::Truncate { id, .. } => {
                    self.pending.entry(*id).or_default().push(deed)
                }
                Deed::Sync { id } => {
                    for deed in self.pending.remove(id).unwrap_or_default() {
                        change(self.files.entry(*id).or_default(), deed);
                    }
                }
                Deed::SyncDir { dir } => {
                    let (now, later): (Vec<_>, Vec<_>) =
                        std::mem::take(&mut self.renaming).into_iter().partition(|deed| touches(deed, dir));
                    self.renaming = later;
                    now.iter().for_each(|deed| rename(&mut self.names, &mut self.dirs, deed));
                }
                Deed::Told(what) => self.told.push(*what),
                Deed::Name { .. } | Deed::Dir { .. } | Deed::Rename { .. } | Deed::Remove { .. } => {
                    self.renaming.push(deed);
                }
            }
        }
    }

    /// One disk that a cut here may leave.
    pub fn image(&self, dice: &mut Dice) -> Platter {
        // Nothing, little, half, nearly all or all of what was not synced.
        let percent = [0, 10, 50, 50, 90, 100][dice.below(6)];
        let reordered = dice.keeps(50);
        let (mut files, mut names, mut dirs) = (self.files.clone(), self.names.clone(), self.dirs.clone());
        for (id, deeds) in &self.pending {
            let mut pieces: Vec<Deed> = deeds.iter().flat_map(|deed| sectors(deed)).collect();
            pieces.retain(|_| dice.keeps(percent));
            if reordered {
                (1..pieces.len()).rev().for_each(|at| pieces.swap(at, dice.below(at + 1)));
            }
            let file = files.entry(*id).or_default();
            pieces.iter().for_each(|piece| change(file, piece));
        }
        for deed in &self.renaming {
            if dice.keeps(percent) {
                rename(&mut names, &mut dirs, deed);
            }
        }
        names.values().for_each(|id| {
            files.entry(*id).or_default();
        });
        // A file whose directory was lost cannot be reached.
        names.retain(|path, _| path.parent().is_some_and(|dir| dirs.contains(dir)));
        dirs.insert(self.root.clone());
        let next = files.keys().max().copied().unwrap_or(0);
        Platter { state: Mutex::new(State { names, dirs, files, next, ..State::default() }) }
    }
}

fn touches(deed: &Deed, dir: &Path) -> bool {
    let here = |path: &Path| path.parent() == Some(dir);
    match deed {
        Deed::Name { path, .. } | Deed::Dir { path } | Deed::Remove { path } => here(path),
        Deed::Rename { to, .. } => here(to),
        _ => false,
    }
}

fn rename(names: &mut BTreeMap<PathBuf, FileId>, dirs: &mut BTreeSet<PathBuf>, deed: &Deed) {
    match deed {
        Deed::Name { path, id } => {
            names.insert(path.clone(), *id);
        }
        Deed::Dir { path } => {
            dirs.insert(path.clone());
        }
        Deed::Rename { from, to, id } => {
            if names.get(from) == Some(id) {
                names.remove(from);
            }
            names.insert(to.clone(), *id);
        }
        Deed::Remove { path } => {
            names.remove(path);
        }
        _ => {}
    }
}

fn sectors(deed: &Deed) -> Vec<Deed> {
    let Deed::Write { id, at, data } = deed else { return vec![deed.clone()] };
    let (mut pieces, mut from) = (Vec::new(), 0);
    while from < data.len() {
        let here = at + from;
        let to = (from + SECTOR - here % SECTOR).min(data.len());
        pieces.push(Deed::Write { id: *id, at: here, data: data[from..to].to_owned() });
        from = to;
    }
    pieces
}

fn change(file: &mut Vec<u8>, deed: &Deed) {
    match deed {
        Deed::Write { at, data, .. } => {
            if file.len() < at + data.len() {
                file.resize(at + data.len(), 0);
            }
            file[*at..at + data.len()].copy_from_slice(data);
        }
        Deed::Truncate { len, .. } => file.resize(*len, 0),
        _ => {}
    }
}
