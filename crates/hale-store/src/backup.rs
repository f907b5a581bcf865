//! Backups: a folder with `hale.db`, `blobs/` and, written last, `manifest.json` with the hash of everything.
//!
//! Guarantees: a folder with a manifest is a whole backup; a restore verifies it first, never writes into a folder that
//! a process holds, and keeps what was there aside.
//! Read next: [`crate::verify`].

use crate::blobs::{Blobs, FsBlobs};
use crate::disk::{Disk, OsDisk, Sync};
use crate::sqlite::{DB, SCHEMA_VERSION, all_named};
use crate::store::now;
use crate::verify::verify;
use crate::{Error, Folder, Hash};
use hale_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MANIFEST: &str = "manifest.json";
/// Version of the manifest's shape.
const FORMAT: u32 = 1;
/// Where a restore builds the folder's new content.
const BUILDING: &str = "restoring";
/// What belongs to a store, in the order in which it is set aside.
const PARTS: [&str; 6] = [DB, "hale.db-wal", "hale.db-shm", "blobs", "spool", "ballast"];

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub created_at: Timestamp,
    pub schema: i64,
    pub runs: u64,
    /// Bytes and BLAKE3 of `hale.db`.
    pub db_bytes: u64,
    pub db_hash: String,
    /// Each blob with its bytes.
    pub blobs: Vec<(String, u64)>,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `pages` of the database, then `artifacts`.
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
}

/// What to do with a store that is already in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    /// Keep it in a folder beside the new one.
    SetAside,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub runs: u64,
    /// Where the former content is.
    pub aside: Option<PathBuf>,
}

/// Makes the folder of a backup.
pub(crate) fn prepare(dest: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dest).map_err(|source| Error::file("make", dest, source))?;
    if OsDisk.list(dest).map_err(|source| Error::file("list", dest, source))?.is_empty() {
        Ok(())
    } else {
        Err(Error::NotEmpty { dir: dest.to_owned() })
    }
}

/// Copies the blobs that the copied database names, then writes the manifest.
pub(crate) fn finish(dest: &Path, from: &dyn Blobs, watch: &dyn Fn(Progress)) -> Result<Manifest, Error> {
    let db = dest.join(DB);
    let (runs, named) = contents(&db)?;
    let to = FsBlobs::open(dest, Arc::new(OsDisk), Default::default(), 0)?;
    let of = named.len() as u64;
    let mut blobs = Vec::with_capacity(named.len());
    for hash in named {
        watch(Progress { what: "artifacts", done: blobs.len() as u64, of });
        let content = from.get(hash)?;
        to.put(&content)?;
        blobs.push((hash.to_string(), content.len() as u64));
    }
    let file = File::open(&db).map_err(|source| Error::file("open", &db, source))?;
    file.sync_all().map_err(|source| Error::file("sync", &db, source))?;
    let (db_hash, db_bytes) = hash_file(&db)?;
    let manifest = Manifest {
        format: FORMAT,
        created_at: now(),
        schema: SCHEMA_VERSION,
        runs,
        db_bytes,
        db_hash,
        blobs,
    };
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| Error::Encode { what: "the manifest".to_owned(), source: Arc::new(source) })?;
    let path = dest.join(MANIFEST);
    OsDisk.write_new(&path, &text, Sync::Now).map_err(|source| Error::file("write", &path, source))?;
    OsDisk.sync_dir(dest).map_err(|source| Error::file("sync", dest, source))?;
    Ok(manifest)
}

/// Runs and named blobs of a database file that nobody writes.
fn contents(db: &Path) -> Result<(u64, Vec<Hash>), Error> {
    let failed = |source| Error::Open { path: db.to_owned(), source: Arc::new(source) };
    let conn = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let runs: i64 = conn.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).map_err(failed)?;
    Ok((u64::try_from(runs).unwrap_or(0), all_named(&conn)?.into_iter().collect()))
}

fn hash_file(path: &Path) -> Result<(String, u64), Error> {
    let read = |source| Error::file("read", path, source);
    let mut file = File::open(path).map_err(read)?;
    let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0u64, vec![0u8; 1 << 16]);
    loop {
        let n = file.read(&mut buffer).map_err(read)?;
        if n == 0 {
            return Ok((Hash(*hasher.finalize().as_bytes()).to_string(), bytes));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// The manifest of a backup; none when the folder is no backup.
///
/// # Errors
/// A manifest that cannot be read.
pub fn manifest(dir: &Path) -> Result<Option<Manifest>, Error> {
    let path = dir.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::file("read", &path, source)),
    };
    let manifest = serde_json::from_slice(&text)
        .map_err(|source| Error::Decode { what: "the manifest".to_owned(), source: Arc::new(source) })?;
    Ok(Some(manifest))
}

/// What of a backup is not as its manifest says; nothing for a folder that is no backup.
pub(crate) fn differences(dir: &Path) -> Result<Vec<String>, Error> {
    let Some(manifest) = manifest(dir)? else { return Ok(Vec::new()) };
    let mut problems = Vec::new();
    if hash_file(&dir.join(DB))? != (manifest.db_hash.clone(), manifest.db_bytes) {
        problems.push("backup: hale.db is not the file that the manifest names".to_owned());
    }
    let blobs = FsBlobs::look(dir, Arc::new(OsDisk));
    for (hash, _) in &manifest.blobs {
        let sound = hash.parse().is_ok_and(|hash| blobs.verify(hash).is_ok());
        if !sound {
            problems.push(format!("backup: blob {hash} is missing or damaged"));
        }
    }
    Ok(problems)
}

/// Puts a backup into a data folder.
///
/// # Errors
/// A folder that a process holds, or that is not empty unless it may be set aside; a backup that does not verify; no
/// room. Until the last step the folder is as it was.
pub fn restore(backup: &Path, dir: &Path, existing: Existing) -> Result<Restored, Error> {
    if manifest(backup)?.is_none() {
        return Err(Error::NoBackup { path: backup.to_owned() });
    }
    let verified = verify(backup)?;
    if let Some(first) = verified.problems.first() {
        let problem = format!("the backup {} does not verify: {first}", backup.display());
        return Err(Error::Damaged { problem });
    }
    let folder = Folder::lock(dir)?;
    let dir = folder.dir();
    let present: Vec<&str> = PARTS.into_iter().filter(|part| dir.join(part).exists()).collect();
    if !present.is_empty() && existing == Existing::Refuse {
        return Err(Error::NotEmpty { dir: dir.to_owned() });
    }
    let building = build(backup, dir)?;
    let aside = set_aside(dir, &present)?;
    for part in [DB, "blobs"] {
        rename(&building.join(part), &dir.join(part))?;
    }
    std::fs::remove_dir_all(&building).map_err(|source| Error::file("remove", &building, source))?;
    OsDisk.sync_dir(dir).map_err(|source| Error::file("sync", dir, source))?;
    Ok(Restored { runs: verified.runs, aside })
}

/// Copies a backup beside the folder's content, synced.
fn build(backup: &Path, dir: &Path) -> Result<PathBuf, Error> {
    let building = dir.join(BUILDING);
    if building.exists() {
        // Of a restore that did not finish.
        std::fs::remove_dir_all(&building).map_err(|source| Error::file("remove", &building, source))?;
    }
    OsDisk.make_dir(&building).map_err(|source| Error::file("make", &building, source))?;
    let (from, to) = (backup.join(DB), building.join(DB));
    std::fs::copy(&from, &to).map_err(|source| Error::file("copy", &from, source))?;
    let copied = File::open(&to).and_then(|file| file.sync_all());
    copied.map_err(|source| Error::file("sync", &to, source))?;
    let old = FsBlobs::look(backup, Arc::new(OsDisk));
    let new = FsBlobs::open(&building, Arc::new(OsDisk), Default::default(), 0)?;
    for (hash, _) in old.list()? {
        new.put(&old.get(hash)?)?;
    }
    OsDisk.sync_dir(&building).map_err(|source| Error::file("sync", &building, source))?;
    Ok(building)
}

fn set_aside(dir: &Path, present: &[&str]) -> Result<Option<PathBuf>, Error> {
    if present.is_empty() {
        return Ok(None);
    }
    let aside = dir.join(format!("aside-{}", now().0));
    OsDisk.make_dir(&aside).map_err(|source| Error::file("make", &aside, source))?;
    for part in present {
        rename(&dir.join(part), &aside.join(part))?;
    }
    OsDisk.sync_dir(&aside).map_err(|source| Error::file("sync", &aside, source))?;
    Ok(Some(aside))
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    OsDisk.rename(from, to).map_err(|source| Error::file("move", from, source))
}
