//! An open granted folder, and the only way to open what lies in it.
//!
//! The kernel resolves every path beneath the folder's descriptor (`openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_MAGICLINKS`), in one step: no check is followed by a second look-up that a swapped link could turn.
//! Links that stay beneath are followed, others refused. Where the kernel has no `openat2`, or a container forbids it,
//! every component is opened on its own and any link is refused.
//! What was opened is judged by its own descriptor and read from the same one. FIFOs, sockets, devices, and file
//! systems that are windows into the kernel (`/proc` would show this process's secrets) are refused without waiting.
//! Not defended: hard links, and files that a stranger moves out of the folder while they are open; both need write
//! access to the files themselves.
//! Read next: [`crate::tools`].

use crate::error::{Error, shown};
use crate::grant::{self, Grant, Mode};
use crate::limits::RESOLVE_TRIES;
use rustix::fs::{AtFlags, CWD, FileType, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// How paths are kept beneath the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// `openat2`.
    Kernel,
    /// One component at a time, without any link.
    Walk,
}

/// Whether a link beneath the folder may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// What lies at a path.
pub(crate) enum Node {
    File(File, Stat),
    Dir(OwnedFd),
}

/// An open granted folder.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    /// As the grant names it, and as models see it.
    root: PathBuf,
    /// With links resolved at the time of opening.
    real: PathBuf,
    mode: Mode,
    resolver: Resolver,
    hidden: Vec<PathBuf>,
}

/// Why a granted folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Grant(#[from] grant::Error),
    #[error("open the granted folder {}", root.display())]
    Open {
        root: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("open the granted folder {}: it is a window into the kernel ({kind}), not a folder of files", root.display())]
    Kernel { root: PathBuf, kind: &'static str },
}

impl Folder {
    /// Opens the granted folder with the best resolver that this machine has.
    ///
    /// # Errors
    /// When the folder is missing, may not be entered, or is no folder of files.
    pub fn open(grant: &Grant) -> Result<Self, OpenError> {
        let beneath = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(CWD, "/", beneath, rustix::fs::Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
            // Seccomp profiles older than the call answer EPERM instead of ENOSYS.
            Err(Errno::NOSYS | Errno::PERM) => Self::open_by(grant, Resolver::Walk),
            _ => Self::open_by(grant, Resolver::Kernel),
        }
    }

    /// Opens the granted folder with this resolver.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn open_by(grant: &Grant, resolver: Resolver) -> Result<Self, OpenError> {
        let real = grant.resolved()?;
        let failed = |errno: Errno| OpenError::Open { root: grant.root.clone(), source: errno.into() };
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(CWD, "/", folder, rustix::fs::Mode::empty()).map_err(failed)?;
        let below = real.strip_prefix("/").unwrap_or(&real);
        // The root was resolved a moment ago: a link in it now is a swap.
        let fd = resolve(top.as_fd(), below, folder, (resolver, Links::Refuse)).map_err(failed)?;
        if let Some(kind) = kernel_window(fd.as_fd()).map_err(failed)? {
            return Err(OpenError::Kernel { root: grant.root.clone(), kind });
        }
        Ok(Self { fd, root: grant.root.clone(), real, mode: grant.mode, resolver, hidden: Vec::new() })
    }

    /// Hides these files and folders from tools even where the grant covers them: hale's own data folder, whose keys
    /// and journal are no business of a model.
    #[must_use]
    pub fn hiding(mut self, paths: &[PathBuf]) -> Self {
        self.hidden.extend(paths.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())));
        self
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The root with links resolved, as it was when the folder was opened.
    pub fn real(&self) -> &Path {
        &self.real
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn resolver(&self) -> Resolver {
        self.resolver
    }

    /// Opens a plain file or a folder at `below`, a path relative to the root; empty means the root.
    pub(crate) fn node(&self, below: &Path, links: Links) -> Result<Node, Error> {
        let path = self.shown(below);
        let failed = |errno| Error::opening(&path, errno);
        let how = (self.resolver, links);
        // Looked at before it is opened: opening a FIFO or a device can have effects of its own.
        let probe = resolve(self.fd.as_fd(), below, OFlags::PATH | OFlags::CLOEXEC, how).map_err(failed)?;
        let probed = rustix::fs::fstat(&probe).map_err(failed)?;
        let wanted = plain(&probed, &path)?;
        let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if wanted == FileType::Directory {
            flags |= OFlags::DIRECTORY;
        }
        let fd = resolve(self.fd.as_fd(), below, flags, how).map_err(failed)?;
        // Judged again: another thing may lie there since the probe. This is the descriptor that will be read.
        let stat = rustix::fs::fstat(&fd).map_err(failed)?;
        let found = plain(&stat, &path)?;
        if let Some(kind) = kernel_window(fd.as_fd()).map_err(failed)? {
            return Err(Error::Special { path: shown(&path), kind });
        }
        self.not_hidden(fd.as_fd(), &path)?;
        Ok(match found {
            FileType::Directory => Node::Dir(fd),
            _ => Node::File(File::from(fd), stat),
        })
    }

    /// A path below this folder as models see it.
    pub(crate) fn shown(&self, below: &Path) -> String {
        let path = if below.as_os_str().is_empty() { self.root.clone() } else { self.root.join(below) };
        path.to_string_lossy().into_owned()
    }

    /// Asks the kernel where the open descriptor lies now, so that neither a link nor another spelling leads there.
    fn not_hidden(&self, fd: BorrowedFd<'_>, path: &str) -> Result<(), Error> {
        if self.hidden.is_empty() {
            return Ok(());
        }
        let place = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .map_err(|source| Error::io("find the place of", path, source))?;
        if self.hidden.iter().any(|hidden| place.starts_with(hidden)) {
            return Err(Error::Hidden { path: shown(path) });
        }
        Ok(())
    }
}

/// Opens `below` beneath `dir`, or says with `XDEV` or `LOOP` that it leads out.
fn resolve(
    dir: BorrowedFd<'_>,
    below: &Path,
    flags: OFlags,
    how: (Resolver, Links),
) -> Result<OwnedFd, Errno> {
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let (resolver, links) = how;
    if resolver == Resolver::Walk {
        return walk(dir, below, flags);
    }
    let mut beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    if links == Links::Refuse {
        beneath |= ResolveFlags::NO_SYMLINKS;
    }
    for _ in 0..RESOLVE_TRIES {
        match rustix::fs::openat2(dir, below, flags, rustix::fs::Mode::empty(), beneath) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    Err(Errno::AGAIN)
}

/// One component at a time; `..` and links are refused, so that no step leaves what the step before has opened.
fn walk(dir: BorrowedFd<'_>, below: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let none = rustix::fs::Mode::empty();
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(dir, ".", folder, none)?;
    let mut parts = below.components().filter(|part| *part != Component::CurDir).peekable();
    if parts.peek().is_none() {
        return rustix::fs::openat(at, ".", flags, none);
    }
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::XDEV) };
        let last = parts.peek().is_none();
        let opened =
            rustix::fs::openat(&at, name, if last { flags | OFlags::NOFOLLOW } else { folder }, none);
        match opened {
            Ok(fd) if last => return Ok(fd),
            Ok(fd) => at = fd,
            // A link refused because it is no folder; say what it is.
            Err(Errno::NOTDIR) if is_link(at.as_fd(), Path::new(name)) => return Err(Errno::LOOP),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::NOENT)
}

fn is_link(dir: BorrowedFd<'_>, name: &Path) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| kind_of(&stat) == FileType::Symlink)
}

pub(crate) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Refuses everything that is neither a plain file nor a folder.
fn plain(stat: &Stat, path: &str) -> Result<FileType, Error> {
    let kind = match kind_of(stat) {
        kind @ (FileType::RegularFile | FileType::Directory) => return Ok(kind),
        FileType::Symlink => return Err(Error::Escape { path: shown(path) }),
        FileType::Fifo => "FIFO",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "file of an unknown kind",
    };
    Err(Error::Special { path: shown(path), kind })
}

/// The file system's name if it is a window into the kernel: its files show other processes, or do things when read.
fn kernel_window(fd: BorrowedFd<'_>) -> Result<Option<&'static str>, Errno> {
    let magic = rustix::fs::fstatfs(fd)?.f_type as u64 & 0xffff_ffff;
    Ok(match magic {
        0x9fa0 => Some("procfs file"),
        0x6265_6572 => Some("sysfs file"),
        0x6462_6720 => Some("debugfs file"),
        0x7472_6163 => Some("tracefs file"),
        0x7363_6673 => Some("securityfs file"),
        0xf97c_ff8c => Some("selinuxfs file"),
        0xcafe_4a11 => Some("bpf file"),
        0x0027_e0eb | 0x6367_7270 => Some("cgroup file"),
        0x6265_6570 => Some("configfs file"),
        0xde5e_81e4 => Some("efivarfs file"),
        0x1980_0202 => Some("message queue"),
        0x1cd1 => Some("terminal"),
        _ => None,
    })
}
