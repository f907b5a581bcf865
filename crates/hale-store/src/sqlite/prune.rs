//! Retention: runs that ended long ago are forgotten, and their room goes back to the disk.
//!
//! Works in small commits, so that nothing waits long behind it and a full disk's ballast suffices for it. A blob goes
//! only when no row names it any more and no commit that names it can be under way.
//! What waits for a person stays, whatever its age. Read next: [`crate::blobs::FsBlobs`], why a fresh blob stays.

use super::Sqlite;
use super::artifacts;
use super::counters::{Counters, Place};
use super::read::bodies_of;
use super::rows::state_of;
use super::writer::Command;
use crate::blobs::{Blobs, INPUTS};
use crate::{Error, Hash, Line, Pruned};
use hale_core::run::Priority;
use hale_core::time::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;

/// Runs forgotten in one commit: some milliseconds of the writer's time, less than a megabyte of WAL for small runs.
const CHUNK: u64 = 200;
/// Ended runs looked at in one read for artifacts that are past their retention.
const LOOK: u64 = 2000;
/// Pages given back in one commit: 2 MiB, so that a full disk's ballast suffices for its WAL.
const SHRINK: u32 = 512;
/// Runs measured to estimate what pruning would free.
const SAMPLE: u64 = 500;

/// A forgotten run.
pub(super) struct Gone {
    bytes: u64,
    blobs: Vec<Hash>,
}

impl Sqlite {
    pub(super) fn prune_in_turn(&self, before: Timestamp, runs_max: u64) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let mut from = Some(Position::default());
        while let (Some(start), true) = (from, pruned.runs < runs_max) {
            let rows_max = CHUNK.min(runs_max - pruned.runs);
            let wanted = Wanted { before, rows_max, from: start };
            let chunk = self.writer()?.ask(|reply| Command::Prune { wanted, reply })?;
            from = chunk.next;
            pruned.runs += chunk.gone.len() as u64;
            pruned.bytes += chunk.gone.iter().map(|gone| gone.bytes).sum::<u64>();
            for hash in chunk.gone.iter().flat_map(|gone| &gone.blobs) {
                self.forget_counted(*hash, &mut pruned)?;
            }
        }
        if from.is_none() {
            pruned.bytes += self.sweep_blobs()?;
        }
        while self.writer()?.ask(|reply| Command::Shrink { reply })? > 0 {}
        Ok(pruned)
    }

    /// Removes a blob that no row names; answers its bytes.
    fn forget_blob(&self, hash: Hash) -> Result<u64, Error> {
        if self.readers.with(|conn| is_named(conn, hash))? {
            return Ok(0);
        }
        self.blobs.forget(hash)
    }

    fn forget_counted(&self, hash: Hash, pruned: &mut Pruned) -> Result<(), Error> {
        let bytes = self.forget_blob(hash)?;
        pruned.bytes += bytes;
        pruned.artifact_bytes += bytes;
        pruned.artifacts += u64::from(bytes > 0);
        Ok(())
    }

    pub(super) fn expire_in_turn(&self, before: Timestamp, artifacts_max: u64) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let mut from = Some(Position::default());
        while let (Some(start), true) = (from, pruned.artifacts < artifacts_max) {
            let wanted = Wanted { before, rows_max: LOOK, from: start };
            let (mut due, next) = self.readers.with(|conn| artifacts::due(conn, &wanted))?;
            from = next;
            due.truncate(usize::try_from(artifacts_max - pruned.artifacts).unwrap_or(usize::MAX));
            for part in due.chunks(CHUNK as usize) {
                let names: Vec<(i64, String)> = part.iter().map(|due| (due.n, due.name.clone())).collect();
                self.writer()?.ask(|reply| Command::Expire { names, reply })?;
                for due in part {
                    let bytes = self.forget_blob(due.hash)?;
                    pruned.artifacts += 1;
                    pruned.bytes += bytes;
                    pruned.artifact_bytes += bytes;
                }
            }
        }
        Ok(pruned)
    }

    /// Removes blobs that a crash left without a name.
    fn sweep_blobs(&self) -> Result<u64, Error> {
        self.blobs.list()?.into_iter().map(|(hash, _)| self.forget_blob(hash)).sum()
    }
}

/// Whether a run, or an operator who put it, still names a content.
fn is_named(conn: &Connection, hash: Hash) -> Result<bool, Error> {
    conn.prepare_cached(
        "SELECT EXISTS(SELECT 1 FROM artifacts WHERE hash = ?1 AND gone IS NULL)
             OR EXISTS(SELECT 1 FROM settings WHERE key = ?2)",
    )
    .and_then(|mut find| find.query_row((hash.0, format!("{INPUTS}{hash}")), |row| row.get(0)))
    .map_err(Error::read("the artifacts"))
}

/// Where a look through the ended runs stands; the default is before the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) ended_at: i64,
    pub(super) state: i64,
    pub(super) n: i64,
}

/// Which ended runs to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) before: Timestamp,
    /// Rows that are looked at, those that stay among them.
    pub(super) rows_max: u64,
    pub(super) from: Position,
}

/// What one commit of pruning did.
pub(super) struct Chunk {
    gone: Vec<Gone>,
    /// None at the end.
    next: Option<Position>,
}

struct Ended {
    n: i64,
    place: Place,
    snapshot_bytes: i64,
    /// It is looked at, and not touched.
    stays: bool,
}

/// A run whose dead letter waits for a decision, or whose parent has not ended, stays.
pub(super) const STAYS: &str = "(EXISTS(SELECT 1 FROM dead WHERE dead.n = runs.n AND dead.resolution IS NULL)
    OR (runs.parent IS NOT NULL
        AND EXISTS(SELECT 1 FROM runs AS above WHERE above.id = runs.parent AND above.ended_at IS NULL)))";

/// Forgets ended runs in one commit.
pub(super) fn chunk(conn: &mut Connection, counters: &mut Counters, wanted: &Wanted) -> Result<Chunk, Error> {
    let pruned = |source| Error::Upkeep { what: "prune", source: Arc::new(source) };
    let step = conn.transaction().map_err(pruned)?;
    let mut gone = Vec::new();
    let (rows, next) = ended(&step, wanted)?;
    for ended in rows.iter().filter(|ended| !ended.stays) {
        gone.push(forget(&step, ended).map_err(pruned)?);
        counters.removed(&ended.place);
    }
    counters.store(&step).map_err(pruned)?;
    step.commit().map_err(pruned)?;
    Ok(Chunk { gone, next })
}

/// Marks artifacts whose contents are to be forgotten, in one commit.
pub(super) fn expire(conn: &mut Connection, names: &[(i64, String)]) -> Result<(), Error> {
    let marked = |source| Error::Upkeep { what: "prune", source: Arc::new(source) };
    let step = conn.transaction().map_err(marked)?;
    for (n, name) in names {
        step.prepare_cached("UPDATE artifacts SET gone = 1 WHERE n = ?1 AND name = ?2")
            .and_then(|mut mark| mark.execute((n, name)))
            .map_err(marked)?;
    }
    step.commit().map_err(marked)
}

fn ended(conn: &Connection, wanted: &Wanted) -> Result<(Vec<Ended>, Option<Position>), Error> {
    type Row = (i64, String, i64, i64, bool, i64);
    let rows: rusqlite::Result<Vec<Row>> = conn
        .prepare_cached(&format!(
            "SELECT n, pack, state, octet_length(snapshot), {STAYS}, ended_at FROM runs INDEXED BY runs_ended
             WHERE ended_at IS NOT NULL AND ended_at < ?1 AND (ended_at, state, n) > (?2, ?3, ?4)
             ORDER BY ended_at, state, n LIMIT ?5"
        ))
        .and_then(|mut find| {
            let limit = i64::try_from(wanted.rows_max).unwrap_or(i64::MAX);
            let Position { ended_at, state, n } = wanted.from;
            let asked = (wanted.before.0, ended_at, state, n, limit);
            let read = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            };
            find.query_map(asked, read)?.collect()
        });
    let rows = rows.map_err(Error::read("the ended runs"))?;
    let full = rows.len() as u64 >= wanted.rows_max;
    let last =
        rows.last().map(|(n, _, state, .., ended_at)| Position { ended_at: *ended_at, state: *state, n: *n });
    let ended = |(n, pack, state, snapshot_bytes, stays, _): Row| {
        // An ended run waits in no queue, so key and class do not count.
        let line = Line { queue: "".into(), key: "".into(), priority: Priority::Normal };
        let place = Place { line, delayed: false, pack: pack.into(), state: state_of(state)? };
        Ok(Ended { n, place, snapshot_bytes, stays })
    };
    let rows = rows.into_iter().map(ended).collect::<Result<Vec<Ended>, Error>>()?;
    Ok((rows, last.filter(|_| full)))
}

fn forget(conn: &Connection, ended: &Ended) -> rusqlite::Result<Gone> {
    let bodies = bodies_of(ended.n);
    let blobs = conn
        .prepare_cached("SELECT hash FROM artifacts WHERE n = ?1")?
        .query_map([ended.n], |row| row.get(0).map(Hash))?
        .collect::<rusqlite::Result<Vec<Hash>>>()?;
    let body_bytes = body_bytes(conn, ended.n)?;
    conn.prepare_cached("DELETE FROM bodies WHERE at >= ?1 AND at < ?2")?.execute(bodies)?;
    conn.prepare_cached("DELETE FROM artifacts WHERE n = ?1")?.execute([ended.n])?;
    conn.prepare_cached("DELETE FROM dead WHERE n = ?1")?.execute([ended.n])?;
    conn.prepare_cached("DELETE FROM runs WHERE n = ?1")?.execute([ended.n])?;
    Ok(Gone { bytes: u64::try_from(ended.snapshot_bytes + body_bytes).unwrap_or(0), blobs })
}

fn body_bytes(conn: &Connection, n: i64) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT coalesce(sum(octet_length(body)), 0) FROM bodies WHERE at >= ?1 AND at < ?2")?
        .query_row(bodies_of(n), |row| row.get(0))
}

/// Cuts free pages off the file; answers how many are left.
pub(super) fn shrink(conn: &Connection) -> Result<i64, Error> {
    let shrunk = || {
        let mut cut = conn.prepare(&format!("PRAGMA incremental_vacuum({SHRINK})"))?;
        // One row a page; nothing happens to a page whose row is not asked for.
        let mut pages = cut.query([])?;
        while pages.next()?.is_some() {}
        conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))
    };
    shrunk().map_err(Error::upkeep("shrink"))
}

/// What pruning would free: the runs are counted, their bytes are estimated from the oldest of them.
pub(super) fn freeable(conn: &Connection, before: Timestamp) -> Result<Pruned, Error> {
    let runs: i64 = conn
        .prepare_cached(&format!(
            "SELECT count(*) FROM runs INDEXED BY runs_ended
             WHERE ended_at IS NOT NULL AND ended_at < ?1 AND NOT {STAYS}"
        ))
        .and_then(|mut find| find.query_row([before.0], |row| row.get(0)))
        .map_err(Error::read("the ended runs"))?;
    let (sample, _) = ended(conn, &Wanted { before, rows_max: SAMPLE, from: Position::default() })?;
    let (mut sampled, mut own, mut artifacts, mut artifact_bytes) = (0i64, 0i64, 0i64, 0i64);
    for run in sample.iter().filter(|run| !run.stays) {
        sampled += 1;
        own += run.snapshot_bytes + body_bytes(conn, run.n).map_err(Error::read("the ended runs"))?;
        let (count, bytes) = blob_bytes(conn, run.n).map_err(Error::read("the ended runs"))?;
        artifacts += count;
        artifact_bytes += bytes;
    }
    let all = |sum: i64| {
        let scaled = i128::from(sum) * i128::from(runs) / i128::from(sampled.max(1));
        u64::try_from(scaled).unwrap_or(0)
    };
    Ok(Pruned {
        runs: u64::try_from(runs).unwrap_or(0),
        bytes: all(own + artifact_bytes),
        artifacts: all(artifacts),
        artifact_bytes: all(artifact_bytes),
    })
}

/// Artifacts of a run whose contents are kept, and their bytes.
fn blob_bytes(conn: &Connection, n: i64) -> rusqlite::Result<(i64, i64)> {
    conn.prepare_cached(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM artifacts WHERE n = ?1 AND gone IS NULL",
    )?
    .query_row([n], |row| Ok((row.get(0)?, row.get(1)?)))
}
