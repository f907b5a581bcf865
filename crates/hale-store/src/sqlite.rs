//! The store on one disk: SQLite in WAL mode, synced before every answer.
//!
//! Guarantees: one writer thread groups waiting batches into one commit each and answers after it; readers cannot
//! write; a failed sync ends the process, because what the disk holds is then unknown; a full disk refuses new work
//! and still writes the work in progress.
//! Files in the data folder: `hale.db` with `-wal` and `-shm`, `blobs/`, `spool/`, `ballast`, `lock`, `secondary`.
//! Read next: `sqlite/writer.rs`, the loop; `sqlite/schema.rs`, the tables.

mod artifacts;
mod ballast;
mod bulk;
mod claim;
mod counters;
mod list;
mod open;
mod prune;
mod read;
mod rows;
mod schema;
mod trail;
mod upkeep;
mod waiting;
mod write;
mod writer;

pub use open::{Options, Synchronous};
pub use schema::VERSION as SCHEMA_VERSION;

pub(crate) use artifacts::all_named;
pub(crate) use read::{decode_chunk, stored_run};
pub(crate) use rows::{SLOT_INPUT, SLOT_OUTPUT, slot};
pub(crate) use trail::walk;

use self::open::Readers;
use crate::audit::{Head, Sealed};
use crate::blobs::{Blobs, Depot, Terms};
use crate::{
    ArtifactCursor, ArtifactPage, AuditFilter, AuditRow, BulkCounts, BulkItem, BulkRow, Counts, Cursor,
    DeadFilter, DeadGroup, DeadRow, Delayed, Error, Folder, ItemFilter, KeyRow, Line, ListFilter, Op,
    OpResult, PackHead, PackRow, Page, Pruned, QueueRow, Space, Store, StoredRun, WorkerRow,
};
use hale_core::filter::artifacts::Filter;
use hale_core::id::{OperationId, RunId};
use hale_core::port::Boxed;
use hale_core::run::{Record, Run};
use hale_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The database file in a data folder.
pub const DB: &str = "hale.db";

/// An open store. Dropping it writes what was handed over, checkpoints and lets go of the folder.
pub struct Sqlite {
    readers: Readers,
    blobs: Arc<Depot>,
    health: Arc<ballast::Health>,
    options: Options,
    dir: PathBuf,
    /// Backup and pruning exclude each other: a backup names blobs that pruning would take away.
    upkeep: Mutex<()>,
    /// None for a copy that is only read.
    writer: Option<writer::Handle>,
    /// Let go of last.
    _held: Held,
}

/// What keeps the files ours.
enum Held {
    Folder { _folder: Folder },
    Copy { _dir: tempfile::TempDir },
}

impl Sqlite {
    /// Opens the store of a folder that this process holds; makes it when there is none.
    ///
    /// # Errors
    /// A file that is newer, foreign, damaged or unreadable, or a disk without room.
    pub fn open(folder: Folder, options: Options) -> Result<Self, Error> {
        let dir = folder.dir().to_owned();
        let db = open::Database { path: dir.join(DB), options: options.clone() };
        let health = Arc::new(ballast::Health::default());
        db.make_private()?;
        let ballast = ballast::Ballast::open(&dir, &options, health.clone())?;
        let conn = db.writer().map_err(|error| ballast.blame(error))?;
        options.disk.sync_dir(&dir).map_err(|source| Error::file("sync", &dir, source))?;
        let terms = Terms {
            disk: options.disk.clone(),
            faults: options.faults.clone(),
            floor: options.floor_bytes,
            secondary: options.secondary.clone(),
        };
        let blobs = Depot::open(&dir, terms)?;
        let writer = writer::Handle::start(conn, ballast, &options)?;
        Ok(Self {
            readers: Readers::new(db),
            blobs: Arc::new(blobs),
            health,
            options,
            dir,
            upkeep: Mutex::new(()),
            writer: Some(writer),
            _held: Held::Folder { _folder: folder },
        })
    }

    /// Opens a copy of a folder's database, to read while its server is down, hung or alive. Nothing of the folder
    /// is changed; artifacts are read where they are.
    ///
    /// # Errors
    /// No database there, no room for the copy, or a database that cannot be read.
    pub fn open_readonly_copy(dir: &Path) -> Result<Self, Error> {
        let copy = upkeep::copy_database(dir)?;
        let options = Options::default();
        let db = open::Database { path: copy.path().join(DB), options: options.clone() };
        // Recovers the copied WAL, and brings the copy of an older database to the present schema; the readers that
        // follow cannot write.
        let mut conn = db.existing()?;
        schema::migrate(&mut conn, &db.path)?;
        drop(conn);
        Ok(Self {
            readers: Readers::new(db),
            blobs: Arc::new(Depot::look(dir, options.disk.clone())),
            health: Arc::default(),
            options,
            dir: dir.to_owned(),
            upkeep: Mutex::new(()),
            writer: None,
            _held: Held::Copy { _dir: copy },
        })
    }

    /// The artifacts of this folder.
    pub fn blobs(&self) -> Arc<dyn Blobs> {
        self.blobs.clone()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn writer(&self) -> Result<&writer::Handle, Error> {
        self.writer.as_ref().ok_or(Error::ReadOnly)
    }

    fn upkeep_turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Sqlite {
    fn apply(&self, batch: Vec<Op>) -> Boxed<'static, Result<Vec<OpResult>, Error>> {
        let handed = batch.iter().try_for_each(Op::check).and_then(|()| self.writer()?.apply(batch));
        Box::pin(async move {
            match handed {
                // The writer answers every batch that it took; without an answer it is gone.
                Ok(answer) => answer.await.unwrap_or(Err(Error::Closed)),
                Err(error) => Err(error),
            }
        })
    }

    fn run(&self, id: RunId) -> Result<Option<StoredRun>, Error> {
        self.readers.with(|conn| read::run(conn, id))
    }

    fn history(&self, id: RunId, from_seq: u64, limit: u32) -> Result<Vec<Record>, Error> {
        self.readers.with(|conn| read::history(conn, id, from_seq, limit))
    }

    fn list(&self, filter: &ListFilter, after: Option<Cursor>, limit: u32) -> Result<Page, Error> {
        self.readers.with(|conn| list::page(conn, filter, after, limit))
    }

    fn active(&self) -> Result<Vec<StoredRun>, Error> {
        self.readers.with(read::active)
    }

    fn queue(&self) -> Result<Vec<QueueRow>, Error> {
        self.readers.with(waiting::queue)
    }

    fn delayed(&self) -> Result<Delayed, Error> {
        self.readers.with(waiting::delayed)
    }

    fn peek(&self, line: &Line, limit: u32) -> Result<Vec<Run>, Error> {
        self.readers.with(|conn| waiting::peek(conn, line, limit))
    }

    fn children(&self, parent: RunId) -> Result<Vec<Run>, Error> {
        self.readers.with(|conn| waiting::children(conn, parent))
    }

    fn dead(&self, filter: &DeadFilter, limit: u32) -> Result<Vec<DeadRow>, Error> {
        self.readers.with(|conn| waiting::dead(conn, filter, limit))
    }

    fn dead_groups(&self) -> Result<Vec<DeadGroup>, Error> {
        self.readers.with(waiting::dead_groups)
    }

    fn dead_letter(&self, run: RunId) -> Result<Option<DeadRow>, Error> {
        self.readers.with(|conn| waiting::dead_letter(conn, run))
    }

    fn bulk(&self, id: OperationId) -> Result<Option<BulkRow>, Error> {
        self.readers.with(|conn| bulk::one(conn, id))
    }

    fn bulks(&self, limit: u32) -> Result<Vec<BulkRow>, Error> {
        self.readers.with(|conn| bulk::newest(conn, limit))
    }

    fn bulks_open(&self) -> Result<Vec<BulkRow>, Error> {
        self.readers.with(bulk::open)
    }

    fn bulks_of(&self, run: RunId) -> Result<Vec<BulkRow>, Error> {
        self.readers.with(|conn| bulk::of_run(conn, run))
    }

    fn bulk_items(&self, id: OperationId, filter: ItemFilter, limit: u32) -> Result<Vec<BulkItem>, Error> {
        self.readers.with(|conn| bulk::items(conn, id, (filter, limit)))
    }

    fn bulk_counts(&self, id: OperationId) -> Result<BulkCounts, Error> {
        self.readers.with(|conn| bulk::counts(conn, id))
    }

    fn counts(&self, since: Timestamp) -> Result<Counts, Error> {
        self.readers.with(|conn| read::counts(conn, since))
    }

    fn packs(&self) -> Result<Vec<PackHead>, Error> {
        self.readers.with(rows::packs)
    }

    fn pack_versions(&self, name: &str) -> Result<Vec<PackRow>, Error> {
        self.readers.with(|conn| rows::pack_versions(conn, name))
    }

    fn pack(&self, name: &str, version: Option<&str>) -> Result<Option<PackRow>, Error> {
        self.readers.with(|conn| rows::pack(conn, name, version))
    }

    fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        self.readers.with(rows::settings)
    }

    fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        self.readers.with(rows::keys)
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, Error> {
        self.readers.with(rows::workers)
    }

    fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, Error> {
        let sealed = self.readers.with(|conn| trail::newest(conn, filter, (None, limit)))?;
        Ok(sealed.into_iter().map(|sealed| sealed.row).collect())
    }

    fn audit_newest(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Sealed>, Error> {
        self.readers.with(|conn| trail::newest(conn, filter, (before, limit)))
    }

    fn audit_oldest(&self, after: u64, limit: u32) -> Result<Vec<Sealed>, Error> {
        self.readers.with(|conn| trail::oldest(conn, after, limit))
    }

    fn audit_head(&self) -> Result<Option<Head>, Error> {
        self.readers.with(|conn| trail::head(conn).map_err(Error::read("the audit trail")))
    }

    fn audit_cuttable(&self, before: Timestamp) -> Result<u64, Error> {
        let read = Error::read("the audit trail");
        Ok(self.readers.with(|conn| trail::cuttable(conn, before).map_err(read))?.0)
    }

    fn space(&self) -> Result<Space, Error> {
        let room = self.options.disk.room(&self.dir);
        let room = room.map_err(|source| Error::file("measure", &self.dir, source))?;
        let length = |name: &str| self.options.disk.length(&self.dir.join(name)).unwrap_or(0);
        let seen = self.health.seen();
        Ok(Space {
            db_bytes: length(DB),
            wal_bytes: length("hale.db-wal"),
            blobs_bytes: self.blobs.bytes()?,
            free: room.free,
            total: room.total,
            ballast: length(ballast::FILE) > 0,
            full_since: seen.full_since,
            last_write_ok_at: seen.last_write_ok_at,
        })
    }

    fn freeable(&self, before: Timestamp) -> Result<Pruned, Error> {
        self.readers.with(|conn| prune::freeable(conn, before))
    }

    fn prune(&self, before: Timestamp, runs_max: u64) -> Result<Pruned, Error> {
        let _turn = self.upkeep_turn();
        self.prune_in_turn(before, runs_max)
    }

    fn artifacts(
        &self,
        filter: &Filter,
        after: Option<&ArtifactCursor>,
        limit: u32,
    ) -> Result<ArtifactPage, Error> {
        self.readers.with(|conn| artifacts::page(conn, (filter, after), limit))
    }

    fn expirable(&self, before: Timestamp) -> Result<Pruned, Error> {
        self.readers.with(|conn| artifacts::expirable(conn, before))
    }

    fn expire(&self, before: Timestamp, artifacts_max: u64) -> Result<Pruned, Error> {
        let _turn = self.upkeep_turn();
        self.expire_in_turn(before, artifacts_max)
    }
}
