//! Connections: one that writes, a few that cannot.
//!
//! Guarantees: WAL, `synchronous=FULL`, no automatic checkpoint, `query_only` readers, bounded caches and no memory
//! map, so that an idle process stays small.
//! Read next: `sqlite/writer.rs`.

use super::schema;
use crate::Error;
use crate::disk::{Disk, OsDisk};
use hale_core::fault::Handle;
use hale_core::limits;
use hale_core::meter::Meters;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a store is opened with. The default is what production uses.
#[derive(Clone)]
pub struct Options {
    pub faults: Handle,
    pub meters: Arc<Meters>,
    /// Called once when a sync failed, before anybody learns of the batch. It should log and end the process; when
    /// it returns, the store refuses every further write.
    pub sync_failed: Arc<dyn Fn(&Error) + Send + Sync>,
    /// Free space below which new work is refused.
    pub floor_bytes: u64,
    /// The file that is given up then.
    pub ballast_bytes: u64,
    pub disk: Arc<dyn Disk>,
    /// Folder of a second artifact store.
    pub secondary: Option<PathBuf>,
    /// Another SQLite VFS than the system's: the tests' power cut.
    pub vfs: Option<&'static str>,
    /// Frames of the WAL (of 4 KiB) after which it is checkpointed although work waits.
    pub wal_frames: u32,
    #[doc(hidden)]
    pub synchronous: Synchronous,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            faults: Handle::default(),
            meters: Arc::default(),
            sync_failed: Arc::new(|_| std::process::abort()),
            floor_bytes: limits::DISK_FLOOR_BYTES,
            ballast_bytes: limits::BALLAST_BYTES,
            disk: Arc::new(OsDisk),
            secondary: None,
            vfs: None,
            wal_frames: WAL_FRAMES,
            synchronous: Synchronous::Full,
        }
    }
}

/// When SQLite syncs. Anything but `Full` is a planted bug, by which the power-cut test proves that it bites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::manual_non_exhaustive,
    reason = "the hidden variant is a planted bug, not a reserve for later"
)]
pub enum Synchronous {
    #[default]
    Full,
    #[doc(hidden)]
    PlantedOff,
}

/// 16 MiB: long enough that a page is checkpointed once for many commits, short enough to recover in a moment.
const WAL_FRAMES: u32 = 4096;
/// Statements that one connection keeps prepared; more than the store has.
const STATEMENTS: usize = 96;
/// KiB of page cache of the writer: the right edges of all trees, and a claim's pages.
const CACHE_WRITER: i64 = 8 << 10;
/// KiB of page cache of a reader.
const CACHE_READER: i64 = 1 << 10;
/// Bytes to which a restarted WAL is cut; the size at which it is checkpointed.
const WAL_KEPT: i64 = 16 << 20;
/// A reader waits this long for a lock, which only recovery holds.
const BUSY: Duration = Duration::from_secs(5);
/// Connections that read at the same time: the machine's disk gains nothing from more.
const READERS: usize = 4;

/// Where the database is and how to open it.
pub(crate) struct Database {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
}

impl Database {
    /// The one connection that writes; makes and migrates the file.
    pub(super) fn writer(&self) -> Result<Connection, Error> {
        schema::check_sqlite()?;
        let create = OpenFlags::SQLITE_OPEN_CREATE;
        let mut conn = self.connect(create)?;
        schema::check_known(&conn, &self.path)?;
        self.tune(&conn).map_err(|source| self.failed(source))?;
        schema::migrate(&mut conn, &self.path)?;
        Ok(conn)
    }

    /// Makes the empty file readable for its owner only, since inputs and outputs are nobody else's; SQLite gives its
    /// other files the same mode.
    pub(super) fn make_private(&self) -> Result<(), Error> {
        if self.options.vfs.is_some() {
            return Ok(());
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match made {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::file("make the database", &self.path, error))
            }
            _ => Ok(()),
        }
    }

    /// A connection to a database that must be there and known.
    pub(super) fn existing(&self) -> Result<Connection, Error> {
        schema::check_sqlite()?;
        let conn = self.connect(OpenFlags::empty())?;
        schema::check_known(&conn, &self.path)?;
        Ok(conn)
    }

    pub(super) fn reader(&self) -> Result<Connection, Error> {
        let conn = self.connect(OpenFlags::empty())?;
        let tuned = conn
            .pragma_update(None, "cache_size", -CACHE_READER)
            .and_then(|()| conn.pragma_update(None, "query_only", true));
        tuned.map_err(|source| self.failed(source))?;
        Ok(conn)
    }

    fn connect(&self, more: OpenFlags) -> Result<Connection, Error> {
        // Every connection is used by one thread at a time, so SQLite need not lock.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let conn = match self.options.vfs {
            None => Connection::open_with_flags(&self.path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs),
        };
        let conn = conn.map_err(|source| self.failed(source))?;
        conn.busy_timeout(BUSY).map_err(|source| self.failed(source))?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        // Otherwise a new value for a parameter makes SQLite plan many a statement anew, at every use.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|source| self.failed(source))?;
        Ok(conn)
    }

    fn tune(&self, conn: &Connection) -> rusqlite::Result<()> {
        // Before the first table, so that pruning can give space back to the file system.
        conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let synchronous = match self.options.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::PlantedOff => "OFF",
        };
        conn.pragma_update(None, "synchronous", synchronous)?;
        conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_KEPT}"), [], |_| Ok(()))?;
        conn.pragma_update(None, "cache_size", -CACHE_WRITER)?;
        conn.pragma_update(None, "temp_store", "MEMORY")
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        Error::Open { path: self.path.clone(), source: Arc::new(source) }
    }
}

/// A few readers, opened when first needed.
pub(crate) struct Readers {
    db: Database,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

impl Readers {
    pub(super) fn new(db: Database) -> Self {
        Self { db, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Reads with a connection of its own.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let reader = Lent { readers: self, conn: Some(self.take()?) };
        let conn = reader.conn.as_ref().expect("lent until the drop below");
        read(conn)
    }

    fn take(&self) -> Result<Connection, Error> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(conn) = pool.idle.pop() {
                return Ok(conn);
            }
            if pool.open < READERS {
                pool.open += 1;
                drop(pool);
                return self.db.reader().inspect_err(|_| self.give(None));
            }
            let (woken, timeout) =
                self.returned.wait_timeout(pool, BUSY).unwrap_or_else(PoisonError::into_inner);
            pool = woken;
            if timeout.timed_out() && pool.idle.is_empty() {
                return Err(Error::ReadersBusy { readers: READERS, seconds: BUSY.as_secs() });
            }
        }
    }

    fn give(&self, conn: Option<Connection>) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match conn {
            Some(conn) => pool.idle.push(conn),
            None => pool.open -= 1,
        }
        self.returned.notify_one();
    }
}

/// Gives the connection back even when the reading panics.
struct Lent<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.give(self.conn.take());
    }
}
