//! Owner and mode of the pack files in the watched folder: what they are, what they should be, and setting them.
//!
//! Judged by owner and mode bits, never by reads that fail: root reads everything, and would find nothing wrong.
//! Guarantees: only regular files that stand in the folder itself under one name are looked at or touched, never what
//! a link leads to; a file that is not as it was when it was looked at is left alone; a change that fails half way is
//! taken back.
//! Read next: `hale-engine/src/evidence/pack_facts.rs`, which reads it, and `remedy/deeds.rs`, which mends it.

use super::is_pack_file;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::Permissions;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Readable by all, writable by its owner: a pack file holds no secret, and nobody else may say what agents do.
pub const MODE: u32 = 0o644;
/// Entries of the folder that are looked at; the watched folder takes no more files.
const ENTRIES_MAX: usize = 10_000;

/// Who owns a file, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mode {:04o}, owner {}:{}", self.mode, self.uid, self.gid)
    }
}

/// For whom it is judged: the server's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl User {
    /// The user of this process.
    pub fn present() -> Self {
        let groups = rustix::process::getgroups().unwrap_or_default();
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: groups.into_iter().map(|group| group.as_raw()).collect(),
        }
    }

    fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// What is wrong with a file's owner or mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The server's user may not read it.
    Unreadable,
    /// Somebody else than the server's user, root and the folder's owner may change it.
    Open,
}

impl Wrong {
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "unreadable" => Some(Wrong::Unreadable),
            "open" => Some(Wrong::Open),
            _ => None,
        }
    }
}

/// A pack file of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub standing: Standing,
}

/// The folder with its pack files, as they stood at one moment.
#[derive(Clone, Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub standing: Standing,
    pub files: Vec<File>,
}

/// One file that goes from one standing to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub name: String,
    pub before: Standing,
    pub after: Standing,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, before, after } = self;
        write!(f, "{name}: mode {:04o} -> {:04o}", before.mode, after.mode)?;
        if (before.uid, before.gid) != (after.uid, after.gid) {
            write!(f, ", owner {}:{} -> {}:{}", before.uid, before.gid, after.uid, after.gid)?;
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("look at the folder of packs {}", path.display())]
    Look {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("set {change} in {}", path.display())]
    Set {
        path: PathBuf,
        change: Change,
        #[source]
        source: std::io::Error,
    },
    #[error("set {change} in {}: it is not as it was, but {found}", path.display())]
    Moved { path: PathBuf, change: Change, found: String },
}

impl Folder {
    /// Looks at every pack file of the folder.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn look(path: &Path) -> Result<Self, Error> {
        let failed = |source: Errno| Error::Look { path: path.to_owned(), source: source.into() };
        let fd = open(path).map_err(failed)?;
        let standing = standing(&rustix::fs::fstat(&fd).map_err(failed)?);
        let mut files = Vec::new();
        for entry in rustix::fs::Dir::read_from(&fd).map_err(failed)?.take(ENTRIES_MAX) {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !is_pack_file(Path::new(name)) {
                continue;
            }
            // Gone since it was listed: there is nothing to judge.
            let Ok(stat) = rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if is_ours(&stat) {
                files.push(File { name: name.to_owned(), standing: self::standing(&stat) });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { path: path.to_owned(), standing, files })
    }

    /// Files with this fault.
    pub fn wrong<'a>(&'a self, wrong: Wrong, user: &'a User) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| self.is_wrong(file, wrong, user))
    }

    fn is_wrong(&self, file: &File, wrong: Wrong, user: &User) -> bool {
        match wrong {
            Wrong::Unreadable => !may_read(&file.standing, user) && !self.lets_in(file, user),
            Wrong::Open => self.is_open(&file.standing, user),
        }
    }

    /// An access list may allow what the mode denies. Root is not asked: it is let in everywhere.
    fn lets_in(&self, file: &File, user: &User) -> bool {
        let present = rustix::process::geteuid().as_raw();
        user.uid != 0
            && present == user.uid
            && open(&self.path).is_ok_and(|fd| {
                rustix::fs::accessat(&fd, &*file.name, rustix::fs::Access::READ_OK, AtFlags::empty()).is_ok()
            })
    }

    /// Whoever owns the folder can replace its files anyway, so the owner's own files open nothing more.
    fn is_trusted(&self, uid: u32, user: &User) -> bool {
        [0, user.uid, self.standing.uid].contains(&uid)
    }

    fn is_open(&self, file: &Standing, user: &User) -> bool {
        let by_group = file.mode & 0o020 != 0 && ![0, user.gid, self.standing.gid].contains(&file.gid);
        file.mode & 0o002 != 0 || by_group || !self.is_trusted(file.uid, user)
    }

    /// What mends a file: the usual mode, and the folder's owner for one that belongs to a stranger. None where the
    /// server's user may not do it.
    pub fn mended(&self, file: &File, user: &User) -> Option<Change> {
        let before = file.standing;
        let stranger = !self.is_trusted(before.uid, user);
        let (uid, gid) =
            if stranger { (self.standing.uid, self.standing.gid) } else { (before.uid, before.gid) };
        let may = user.uid == 0 || (user.uid == before.uid && !stranger);
        may.then(|| Change { name: file.name.clone(), before, after: Standing { mode: MODE, uid, gid } })
    }
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn standing(stat: &Stat) -> Standing {
    Standing { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }
}

/// A regular file under one name: a second name may stand anywhere, and would be changed with it.
fn is_ours(stat: &Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_nlink == 1
}

fn may_read(file: &Standing, user: &User) -> bool {
    let bit = if file.uid == user.uid {
        0o400
    } else if user.is_in(file.gid) {
        0o040
    } else {
        0o004
    };
    file.mode & bit != 0
}

/// Makes the changes, all of them or none.
///
/// # Errors
/// The first that could not be made.
pub fn set(path: &Path, changes: &[Change]) -> Result<(), Error> {
    for (done, change) in changes.iter().enumerate() {
        if let Err(error) = set_one(path, change) {
            for made in changes[..done].iter().rev() {
                // What cannot be taken back is told by the next look.
                let _ = set_one(path, &back(made));
            }
            return Err(error);
        }
    }
    Ok(())
}

/// The change that takes this one back.
pub fn back(change: &Change) -> Change {
    Change { name: change.name.clone(), before: change.after, after: change.before }
}

/// Files that do not stand any more as these changes left them.
pub fn moved_since(path: &Path, changes: &[Change]) -> Result<Vec<String>, Error> {
    let folder = Folder::look(path)?;
    let stands = |change: &&Change| {
        folder.files.iter().any(|file| file.name == change.name && file.standing == change.after)
    };
    Ok(changes.iter().filter(|change| !stands(change)).map(|change| change.name.clone()).collect())
}

fn set_one(path: &Path, change: &Change) -> Result<(), Error> {
    let failed =
        |source: std::io::Error| Error::Set { path: path.to_owned(), change: change.clone(), source };
    let moved = |found: String| Error::Moved { path: path.to_owned(), change: change.clone(), found };
    let dir = open(path).map_err(|error| failed(error.into()))?;
    // A handle to the very file: no link is followed, and whatever comes to stand under its name is not touched.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, &*change.name, flags, Mode::empty())
        .map_err(|error| failed(error.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
    if !is_ours(&stat) {
        return Err(moved("no regular file with one name".to_owned()));
    }
    if standing(&stat) != change.before {
        return Err(moved(standing(&stat).to_string()));
    }
    give(file.as_fd(), change).map_err(failed)?;
    let now = standing(&rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?);
    if now == change.after { Ok(()) } else { Err(moved(now.to_string())) }
}

fn give(file: std::os::fd::BorrowedFd<'_>, change: &Change) -> std::io::Result<()> {
    let Change { before, after, .. } = change;
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let (uid, gid) = (rustix::fs::Uid::from_raw(after.uid), rustix::fs::Gid::from_raw(after.gid));
        rustix::fs::chownat(file, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    // The mode of a file that may not be opened is set through its handle's own name.
    let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(handle, Permissions::from_mode(after.mode))
}
