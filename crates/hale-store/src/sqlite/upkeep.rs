//! Backup and verification of an open store, and the copy that is read while a server is down.
//!
//! Read next: [`crate::backup`], the folder that a backup makes; [`crate::verify`], what is checked.

use super::{DB, Sqlite};
use crate::Error;
use crate::backup::{self, Manifest, Progress};
use crate::verify::{self, Verified};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Pages copied before others get a turn at the disk.
const PAGES: i32 = 1024;
/// Attempts at a copy of files that a live server changes meanwhile.
const COPIES: u32 = 5;
const COPY_AGAIN: Duration = Duration::from_millis(20);

impl Sqlite {
    /// Writes a consistent copy of everything into `dest`, a new or empty folder, while the store works on.
    ///
    /// # Errors
    /// A folder that is not empty, no room, or a database that cannot be read.
    pub fn backup(&self, dest: &Path) -> Result<Manifest, Error> {
        self.backup_watched(dest, &|_| ())
    }

    /// As [`Sqlite::backup`], and tells how far it is.
    ///
    /// # Errors
    /// As [`Sqlite::backup`].
    pub fn backup_watched(&self, dest: &Path, watch: &dyn Fn(Progress)) -> Result<Manifest, Error> {
        let _turn = self.upkeep_turn();
        backup::prepare(dest)?;
        self.readers.with(|conn| copy_pages(conn, &dest.join(DB), watch))?;
        backup::finish(dest, &*self.blobs, watch)
    }

    /// Checks everything that the store holds: pages, journals against snapshots, counters, artifacts.
    ///
    /// # Errors
    /// Only when the check itself could not be made; what it finds is in the answer.
    pub fn verify(&self) -> Result<Verified, Error> {
        self.readers.with(|conn| verify::database(conn, &*self.blobs))
    }
}

/// Copies a snapshot of the database. The read transaction keeps commits that come meanwhile out of the copy, so it
/// never has to begin anew.
fn copy_pages(from: &Connection, to: &Path, watch: &dyn Fn(Progress)) -> Result<(), Error> {
    let failed = |source| Error::Upkeep { what: "back up", source: Arc::new(source) };
    let mut copy = Connection::open(to).map_err(failed)?;
    let snapshot = from.unchecked_transaction().map_err(failed)?;
    let _: i64 = snapshot.query_row("SELECT count(*) FROM settings", [], |row| row.get(0)).map_err(failed)?;
    let pages = Backup::new(&snapshot, &mut copy).map_err(failed)?;
    loop {
        let step = pages.step(PAGES).map_err(failed)?;
        let told = pages.progress();
        let of = u64::try_from(told.pagecount).unwrap_or(0);
        watch(Progress { what: "pages", done: of - u64::try_from(told.remaining).unwrap_or(0).min(of), of });
        match step {
            StepResult::Done => break,
            // Busy or locked: the copy's file is ours alone, so this passes.
            _ => std::thread::yield_now(),
        }
    }
    drop(pages);
    snapshot.finish().map_err(failed)?;
    // One file without a WAL beside it: easier to carry away.
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(failed)?;
    copy.close().map_err(|(_, source)| failed(source))
}

/// A copy of database and WAL in a folder of its own.
pub(super) fn copy_database(dir: &Path) -> Result<tempfile::TempDir, Error> {
    let copy = tempfile::Builder::new()
        .prefix("hale-read-")
        .tempdir()
        .map_err(|source| Error::file("make a folder for the copy of", dir, source))?;
    let names = [DB.to_owned(), format!("{DB}-wal")];
    for _ in 0..COPIES {
        let before = names.each_ref().map(|name| stamp(&dir.join(name)));
        for name in &names {
            copy_file(&dir.join(name), &copy.path().join(name))?;
        }
        if names.each_ref().map(|name| stamp(&dir.join(name))) == before {
            break;
        }
        // A live server writes; what the last attempt brought is read anyway, SQLite checks it frame by frame.
        std::thread::sleep(COPY_AGAIN);
    }
    Ok(copy)
}

fn stamp(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let is_wal = from.extension().is_some_and(|name| name == "db-wal");
    match std::fs::copy(from, to) {
        Ok(_) => Ok(()),
        Err(error) if is_wal && error.kind() == std::io::ErrorKind::NotFound => {
            // A server that ended cleanly leaves no WAL; one of an earlier attempt must not stay.
            let _ = std::fs::remove_file(to);
            Ok(())
        }
        Err(source) => Err(Error::file("copy", from, source)),
    }
}
