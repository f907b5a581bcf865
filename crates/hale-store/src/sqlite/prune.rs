//! Retention: runs that ended long ago are forgotten, and their room goes back to the disk.
//!
//! Works in small commits, so that nothing waits long behind it and a full disk's ballast suffices for it. A blob goes
//! only when no row names it any more and no commit that names it can be under way.
//! Read next: [`crate::blobs::FsBlobs`], why a fresh blob stays.

use super::Sqlite;
use super::counters::{Counters, Place};
use super::read::bodies_of;
use super::rows::state_of;
use super::writer::Command;
use crate::blobs::Blobs;
use crate::{Error, Hash, Line, Pruned};
use hale_core::run::Priority;
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

/// Runs forgotten in one commit: some milliseconds of the writer's time, less than a megabyte of WAL for small runs.
const CHUNK: u64 = 200;
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
        let mut all = false;
        while pruned.runs < runs_max && !all {
            let runs_max = CHUNK.min(runs_max - pruned.runs);
            let gone = self.writer()?.ask(|reply| Command::Prune { before, runs_max, reply })?;
            all = gone.is_empty();
            pruned.runs += gone.len() as u64;
            pruned.bytes += gone.iter().map(|gone| gone.bytes).sum::<u64>();
            for hash in gone.iter().flat_map(|gone| &gone.blobs) {
                pruned.bytes += self.forget_blob(*hash)?;
            }
        }
        if all {
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
        let path = self.blobs.path(hash);
        let bytes = self.options.disk.length(&path).unwrap_or(0);
        self.blobs.remove(hash)?;
        let kept = self.options.disk.length(&path).is_some();
        Ok(if kept { 0 } else { bytes })
    }

    /// Removes blobs that a crash left without a name.
    fn sweep_blobs(&self) -> Result<u64, Error> {
        self.blobs.list()?.into_iter().map(|(hash, _)| self.forget_blob(hash)).sum()
    }
}

fn is_named(conn: &Connection, hash: Hash) -> Result<bool, Error> {
    conn.prepare_cached("SELECT EXISTS(SELECT 1 FROM artifacts WHERE hash = ?1)")
        .and_then(|mut find| find.query_row([hash.0], |row| row.get(0)))
        .map_err(Error::read("the artifacts"))
}

struct Ended {
    n: i64,
    place: Place,
    snapshot_bytes: i64,
}

/// Forgets up to `runs_max` runs in one commit.
pub(super) fn chunk(
    conn: &mut Connection,
    counters: &mut Counters,
    before: Timestamp,
    runs_max: u64,
) -> Result<Vec<Gone>, Error> {
    let pruned = |source| Error::Upkeep { what: "prune", source: Arc::new(source) };
    let step = conn.transaction().map_err(pruned)?;
    let mut gone = Vec::new();
    for ended in ended(&step, before, runs_max)? {
        gone.push(forget(&step, &ended).map_err(pruned)?);
        counters.removed(&ended.place);
    }
    counters.store(&step).map_err(pruned)?;
    step.commit().map_err(pruned)?;
    Ok(gone)
}

fn ended(conn: &Connection, before: Timestamp, runs_max: u64) -> Result<Vec<Ended>, Error> {
    let rows: rusqlite::Result<Vec<(i64, String, i64, i64)>> = conn
        .prepare_cached(
            "SELECT n, pack, state, octet_length(snapshot) FROM runs INDEXED BY runs_ended
             WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2",
        )
        .and_then(|mut find| {
            let limit = i64::try_from(runs_max).unwrap_or(i64::MAX);
            find.query_map((before.0, limit), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect()
        });
    let ended = |(n, pack, state, snapshot_bytes): (i64, String, i64, i64)| {
        // An ended run waits in no queue, so key and class do not count.
        let line = Line { queue: "".into(), key: "".into(), priority: Priority::Normal };
        let place = Place { line, delayed: false, pack: pack.into(), state: state_of(state)? };
        Ok(Ended { n, place, snapshot_bytes })
    };
    rows.map_err(Error::read("the ended runs"))?.into_iter().map(ended).collect()
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
        .prepare_cached(
            "SELECT count(*) FROM runs INDEXED BY runs_ended WHERE ended_at IS NOT NULL AND ended_at < ?1",
        )
        .and_then(|mut find| find.query_row([before.0], |row| row.get(0)))
        .map_err(Error::read("the ended runs"))?;
    let sample = ended(conn, before, SAMPLE)?;
    let mut sampled = 0;
    for run in &sample {
        sampled += run.snapshot_bytes + body_bytes(conn, run.n).map_err(Error::read("the ended runs"))?;
        sampled += blob_bytes(conn, run.n).map_err(Error::read("the ended runs"))?;
    }
    let bytes = i128::from(sampled) * i128::from(runs) / (sample.len().max(1) as i128);
    Ok(Pruned { runs: u64::try_from(runs).unwrap_or(0), bytes: u64::try_from(bytes).unwrap_or(0) })
}

fn blob_bytes(conn: &Connection, n: i64) -> rusqlite::Result<i64> {
    let sum: Option<i64> = conn
        .prepare_cached("SELECT sum(bytes) FROM artifacts WHERE n = ?1")?
        .query_row([n], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(sum.unwrap_or(0))
}
