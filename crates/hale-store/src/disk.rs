//! The disk below the store, as far as SQLite does not use it itself: blobs, the ballast, free space.
//!
//! [`OsDisk`] is the real one. The tests cut the power of another, which forgets what was not synced.
//! Guarantees nothing about durability by itself: callers say what is synced, and when.
//! Read next: [`crate::blobs`], `sqlite/ballast.rs`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Whether a written file is synced before the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Now,
    /// Only the planted bug of a test asks for this.
    Skipped,
}

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free for this process, not only for root.
    pub free: u64,
    pub total: u64,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub bytes: u64,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Dir,
}

pub trait Disk: Send + std::marker::Sync {
    /// Makes a directory; one that is there is no error. Its name is not synced.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Writes a new file, readable for its owner only. Its name is not synced.
    fn write_new(&self, path: &Path, content: &[u8], sync: Sync) -> io::Result<()>;
    /// Makes a file of this many bytes that really takes the room.
    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// The length of a file, or none when there is no such file.
    fn length(&self, path: &Path) -> Option<u64>;
    fn room(&self, dir: &Path) -> io::Result<Room>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            other => other,
        }
    }

    fn write_new(&self, path: &Path, content: &[u8], sync: Sync) -> io::Result<()> {
        let mut file = create_new(path)?;
        file.write_all(content)?;
        match sync {
            Sync::Now => file.sync_all(),
            Sync::Skipped => Ok(()),
        }
    }

    fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut file = create_new(path)?;
        let made = rustix::fs::fallocate(file.as_fd(), rustix::fs::FallocateFlags::empty(), 0, bytes);
        match made {
            Ok(()) => {}
            // Not every file system can reserve; zeros take the room as well.
            Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(&mut file, bytes)?,
            Err(errno) => return Err(errno.into()),
        }
        file.sync_all()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let kind = if meta.is_dir() { Kind::Dir } else { Kind::File };
            entries.push(Entry { path: entry.path(), bytes: meta.len(), kind });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn length(&self, path: &Path) -> Option<u64> {
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
    }

    fn room(&self, dir: &Path) -> io::Result<Room> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(Room { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn write_zeros(file: &mut File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0u8; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        file.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    Ok(())
}
