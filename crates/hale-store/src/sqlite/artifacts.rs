//! Artifacts across runs: the list, what of it is past its retention, and everything that is named.
//!
//! A page is read in the order of the table's key, so that it costs the same however many artifacts there are.
//! Read next: `sqlite/prune.rs`.

use super::prune::{Position, STAYS, Wanted};
use crate::blobs::INPUTS;
use crate::{ArtifactCursor, ArtifactPage, ArtifactRow, Error, Hash, Pruned};
use hale_core::filter::artifacts::Filter;
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

/// Artifacts that one page looks at: some milliseconds.
const SCAN: usize = 10_000;

/// An artifact that is past its retention.
pub(super) struct Due {
    pub(super) n: i64,
    pub(super) name: String,
    pub(super) hash: Hash,
    bytes: i64,
}

/// Every hash that a run, or an operator who put it, names.
pub(crate) fn all_named(conn: &Connection) -> Result<BTreeSet<Hash>, Error> {
    let of_runs: rusqlite::Result<BTreeSet<Hash>> = conn
        .prepare("SELECT DISTINCT hash FROM artifacts WHERE gone IS NULL")
        .and_then(|mut find| find.query_map([], |row| row.get(0).map(Hash))?.collect());
    let put: rusqlite::Result<Vec<String>> = conn
        .prepare("SELECT substr(key, length(?1) + 1) FROM settings WHERE substr(key, 1, length(?1)) = ?1")
        .and_then(|mut find| find.query_map([INPUTS], |row| row.get(0))?.collect());
    let mut named = of_runs.map_err(Error::read("the artifacts"))?;
    named.extend(
        put.map_err(Error::read("the artifacts"))?.iter().filter_map(|hash| hash.parse::<Hash>().ok()),
    );
    Ok(named)
}

pub(super) fn page(
    conn: &Connection,
    (filter, after): (&Filter, Option<&ArtifactCursor>),
    limit: u32,
) -> Result<ArtifactPage, Error> {
    let (n, name) = match after {
        Some(after) => (place(conn, after.run)?, after.name.as_str()),
        None => (i64::MAX, ""),
    };
    let only: Option<[u8; 16]> = filter.run.map(RunId::bytes);
    let mut find = conn
        .prepare_cached(
            "SELECT runs.id, runs.pack, kept.name, kept.hash, kept.bytes, kept.media_type, kept.gone IS NOT NULL
             FROM artifacts AS kept JOIN runs ON runs.n = kept.n
             WHERE (kept.n, kept.name) < (?1, ?2) AND (?3 IS NULL OR kept.n = (SELECT n FROM runs WHERE id = ?3))
             ORDER BY kept.n DESC, kept.name DESC",
        )
        .map_err(Error::read("the artifacts"))?;
    let mut rows = find.query((n, name, only)).map_err(Error::read("the artifacts"))?;
    let (mut page, mut seen, mut last) = (ArtifactPage::default(), 0, None);
    while let Some(row) = rows.next().map_err(Error::read("the artifacts"))? {
        if page.rows.len() >= limit as usize || seen >= SCAN {
            page.next = last;
            break;
        }
        let row = read(row).map_err(Error::read("the artifacts"))?;
        seen += 1;
        last = Some(ArtifactCursor { run: row.run, name: row.artifact.name.clone() });
        if filter.takes(row.run, &row.pack, &row.artifact) {
            page.rows.push(row);
        }
    }
    Ok(page)
}

/// The row of a run, or of the one before it when it was pruned since.
fn place(conn: &Connection, run: RunId) -> Result<i64, Error> {
    let n: Option<i64> = conn
        .prepare_cached("SELECT n FROM runs WHERE id <= ?1 ORDER BY id DESC LIMIT 1")
        .and_then(|mut find| find.query_row([run.bytes()], |row| row.get(0)).optional())
        .map_err(Error::read("a run"))?;
    Ok(n.unwrap_or(0))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ArtifactRow> {
    let artifact = Artifact {
        name: row.get(2)?,
        hash: Hash(row.get(3)?).to_string(),
        bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        media_type: row.get(5)?,
    };
    let pack: String = row.get(1)?;
    Ok(ArtifactRow { run: RunId::from_bytes(row.get(0)?), pack: pack.into(), artifact, expired: row.get(6)? })
}

/// Artifacts that are past their retention among the next ended runs, and where the next look begins.
pub(super) fn due(conn: &Connection, wanted: &Wanted) -> Result<(Vec<Due>, Option<Position>), Error> {
    let runs: rusqlite::Result<Vec<(i64, i64, i64, bool)>> = conn
        .prepare_cached(&format!(
            "SELECT ended_at, state, n, {STAYS} FROM runs INDEXED BY runs_ended
             WHERE ended_at IS NOT NULL AND ended_at < ?1 AND (ended_at, state, n) > (?2, ?3, ?4)
             ORDER BY ended_at, state, n LIMIT ?5"
        ))
        .and_then(|mut find| {
            let Position { ended_at, state, n } = wanted.from;
            let limit = i64::try_from(wanted.rows_max).unwrap_or(i64::MAX);
            let asked = (wanted.before.0, ended_at, state, n, limit);
            find.query_map(asked, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect()
        });
    let runs = runs.map_err(Error::read("the ended runs"))?;
    let mut all = Vec::new();
    for (.., n, _) in runs.iter().filter(|(.., stays)| !stays) {
        let kept: rusqlite::Result<Vec<Due>> = conn
            .prepare_cached("SELECT name, hash, bytes FROM artifacts WHERE n = ?1 AND gone IS NULL")
            .and_then(|mut find| {
                let due = |row: &rusqlite::Row<'_>| {
                    Ok(Due { n: *n, name: row.get(0)?, hash: Hash(row.get(1)?), bytes: row.get(2)? })
                };
                find.query_map([n], due)?.collect()
            });
        all.extend(kept.map_err(Error::read("the artifacts"))?);
    }
    let last =
        runs.last().map(|(ended_at, state, n, _)| Position { ended_at: *ended_at, state: *state, n: *n });
    Ok((all, last.filter(|_| runs.len() as u64 >= wanted.rows_max)))
}

/// Counts what is past its retention.
pub(super) fn expirable(conn: &Connection, before: Timestamp) -> Result<Pruned, Error> {
    let mut pruned = Pruned::default();
    let mut from = Some(Position::default());
    while let Some(start) = from {
        let (due, next) = due(conn, &Wanted { before, rows_max: 2000, from: start })?;
        from = next;
        pruned.artifacts += due.len() as u64;
        pruned.artifact_bytes += due.iter().map(|due| u64::try_from(due.bytes).unwrap_or(0)).sum::<u64>();
    }
    pruned.bytes = pruned.artifact_bytes;
    Ok(pruned)
}
