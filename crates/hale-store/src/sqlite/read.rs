//! Typed reads of runs.
//!
//! Every query is answered by an index or a key; none scans.
//! Read next: `sqlite/list.rs`, `sqlite/rows.rs`.

use super::rows::{PLACES, SLOT_INPUT, SLOT_OUTPUT, slot, state_of};
use crate::{Counts, Error, Hash, StoredRun};
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::run::{Record, Run, StateName};
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn run(conn: &Connection, id: RunId) -> Result<Option<StoredRun>, Error> {
    let found: Option<(i64, String)> = conn
        .prepare_cached("SELECT n, snapshot FROM runs WHERE id = ?1")
        .and_then(|mut find| find.query_row([id.bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(Error::read("a run"))?;
    found.map(|(n, snapshot)| stored_run(conn, n, &snapshot)).transpose()
}

/// A run with its input, output and artifacts.
pub(crate) fn stored_run(conn: &Connection, n: i64, snapshot: &str) -> Result<StoredRun, Error> {
    let run = decode_run(snapshot)?;
    let input = body(conn, slot(n, SLOT_INPUT))?;
    let input = input.ok_or_else(|| Error::Damaged { problem: format!("run {} has no input", run.id) })?;
    let output = body(conn, slot(n, SLOT_OUTPUT))?.map(Arc::from);
    Ok(StoredRun { run, input: input.into(), output, artifacts: artifacts(conn, n)? })
}

pub(super) fn decode_run(snapshot: &str) -> Result<Run, Error> {
    serde_json::from_str(snapshot)
        .map_err(|source| Error::Decode { what: "a run".to_owned(), source: Arc::new(source) })
}

/// One piece of a journal.
pub(crate) fn decode_chunk(piece: &str) -> Result<Vec<Record>, Error> {
    serde_json::from_str(piece)
        .map_err(|source| Error::Decode { what: "a piece of a journal".to_owned(), source: Arc::new(source) })
}

pub(super) fn body(conn: &Connection, at: i64) -> Result<Option<String>, Error> {
    conn.prepare_cached("SELECT body FROM bodies WHERE at = ?1")
        .and_then(|mut find| find.query_row([at], |row| row.get(0)).optional())
        .map_err(Error::read("the input or output of a run"))
}

fn artifacts(conn: &Connection, n: i64) -> Result<Vec<Artifact>, Error> {
    conn.prepare_cached("SELECT name, hash, bytes, media_type FROM artifacts WHERE n = ?1 ORDER BY name")
        .and_then(|mut find| {
            find.query_map([n], |row| {
                Ok(Artifact {
                    name: row.get(0)?,
                    hash: Hash(row.get(1)?).to_string(),
                    bytes: row.get::<_, i64>(2)? as u64,
                    media_type: row.get(3)?,
                })
            })?
            .collect()
        })
        .map_err(Error::read("the artifacts of a run"))
}

pub(super) fn history(conn: &Connection, id: RunId, from: u64, limit: u32) -> Result<Vec<Record>, Error> {
    let n: Option<i64> = conn
        .prepare_cached("SELECT n FROM runs WHERE id = ?1")
        .and_then(|mut find| find.query_row([id.bytes()], |row| row.get(0)).optional())
        .map_err(Error::read("a run"))?;
    n.map_or(Ok(Vec::new()), |n| records(conn, n, from, limit))
}

/// Records from a sequence number on. The first piece may begin before it, since a piece is keyed by its last record.
pub(super) fn records(conn: &Connection, n: i64, from: u64, limit: u32) -> Result<Vec<Record>, Error> {
    let first = i64::try_from(from).unwrap_or(i64::MAX).clamp(SLOT_INPUT + 1, SLOT_OUTPUT);
    let mut find = conn
        .prepare_cached("SELECT body FROM bodies WHERE at >= ?1 AND at < ?2 ORDER BY at")
        .map_err(Error::read("a journal"))?;
    let mut rows = find.query((slot(n, first), slot(n, SLOT_OUTPUT))).map_err(Error::read("a journal"))?;
    let mut records: Vec<Record> = Vec::new();
    while let Some(row) = rows.next().map_err(Error::read("a journal"))? {
        let piece = row.get_ref(0).map_err(Error::read("a journal"))?;
        let piece = piece.as_str().map_err(|source| Error::read("a journal")(source.into()))?;
        records.extend(decode_chunk(piece)?.into_iter().filter(|record| record.seq >= from));
        if records.len() >= limit as usize {
            break;
        }
    }
    records.truncate(limit as usize);
    Ok(records)
}

/// Runs in flight, through the counters that say which packs have any.
pub(super) fn active(conn: &Connection) -> Result<Vec<StoredRun>, Error> {
    let found: rusqlite::Result<Vec<(i64, String)>> = conn
        .prepare_cached(
            "SELECT runs.n, runs.snapshot FROM state_counts
             CROSS JOIN runs INDEXED BY runs_pack_state
               ON runs.pack = state_counts.pack AND runs.state = state_counts.state
             WHERE state_counts.state IN (1, 2, 3) ORDER BY runs.id",
        )
        .and_then(|mut find| find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect());
    let found = found.map_err(Error::read("the runs in flight"))?;
    found.iter().map(|(n, snapshot)| stored_run(conn, *n, snapshot)).collect()
}

pub(super) fn counts(conn: &Connection, since: Timestamp) -> Result<Counts, Error> {
    let by_state: rusqlite::Result<Vec<(i64, i64)>> = conn
        .prepare_cached("SELECT state, sum(count) FROM state_counts GROUP BY state")
        .and_then(|mut find| find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect());
    let by_state = by_state.map_err(Error::read("the counts of runs"))?;
    let named = |(state, count): (i64, i64)| Ok((state_of(state)?, u64::try_from(count).unwrap_or(0)));
    Ok(Counts {
        by_state: by_state.into_iter().map(named).collect::<Result<_, Error>>()?,
        ended_since: ended_since(conn, since)?,
    })
}

/// One walk over the index: grouping would sort a million rows first.
fn ended_since(conn: &Connection, since: Timestamp) -> Result<BTreeMap<StateName, u64>, Error> {
    let ended = || StateName::ALL.iter().enumerate().filter(|(_, state)| state.is_terminal());
    let sums: Vec<String> =
        ended().map(|(number, _)| format!("count(*) FILTER (WHERE state = {number})")).collect();
    let sql = format!("SELECT {} FROM runs INDEXED BY runs_ended WHERE ended_at >= ?1", sums.join(", "));
    let count = |row: &rusqlite::Row<'_>| {
        let states = ended().enumerate();
        states.map(|(place, (_, state))| Ok((*state, row.get::<_, i64>(place)?))).collect()
    };
    let counts: rusqlite::Result<Vec<(StateName, i64)>> =
        conn.prepare_cached(&sql).and_then(|mut find| find.query_row([since.0], count));
    let counts = counts.map_err(Error::read("the counts of ended runs"))?;
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    Ok(some.map(|(state, count)| (state, count.unsigned_abs())).collect())
}

/// The range of a run's bodies.
pub(super) fn bodies_of(n: i64) -> (i64, i64) {
    (n * PLACES, (n + 1) * PLACES)
}
