//! Typed reads of what waits: lines, delayed runs, children, dead letters.
//!
//! Every query is answered by an index or a key; none scans the runs.
//! Read next: `sqlite/claim.rs`, which takes runs out of their lines.

use super::read::decode_run;
use crate::{DeadFilter, DeadGroup, DeadRow, Delayed, Error, Line, QueueRow};
use hale_core::id::RunId;
use hale_core::run::{Priority, Run};
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, params};

pub(super) fn queue(conn: &Connection) -> Result<Vec<QueueRow>, Error> {
    type Row = (String, String, i64, i64, Option<i64>);
    let rows: rusqlite::Result<Vec<Row>> = conn
        .prepare_cached(
            "SELECT queue, key, priority, count,
               (SELECT max(json_extract(snapshot, '$.state.since'), coalesce(json_extract(snapshot, '$.due'), 0)) FROM runs INDEXED BY runs_ready
                WHERE state = 0 AND due IS NULL AND runs.queue = queue_counts.queue
                  AND runs.key = queue_counts.key AND runs.priority = queue_counts.priority
                ORDER BY n LIMIT 1)
             FROM queue_counts ORDER BY queue, key, priority",
        )
        .and_then(|mut find| {
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            find.query_map([], row)?.collect()
        });
    let row = |(queue, key, priority, count, oldest): Row| {
        let line = Line { queue: queue.into(), key: key.into(), priority: priority_of(priority)? };
        Ok(QueueRow { line, count: u64::try_from(count).unwrap_or(0), oldest: oldest.map(Timestamp) })
    };
    rows.map_err(Error::read("the queue"))?.into_iter().map(row).collect()
}

fn priority_of(number: i64) -> Result<Priority, Error> {
    let known = usize::try_from(number).ok().and_then(|number| Priority::ALL.get(number)).copied();
    known.ok_or_else(|| Error::Damaged { problem: format!("there is no priority {number}") })
}

pub(super) fn delayed(conn: &Connection) -> Result<Delayed, Error> {
    conn.prepare_cached("SELECT count(*), min(due) FROM runs INDEXED BY runs_due WHERE due IS NOT NULL")
        .and_then(|mut find| {
            find.query_row([], |row| {
                Ok(Delayed {
                    count: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
                    next: row.get::<_, Option<i64>>(1)?.map(Timestamp),
                })
            })
        })
        .map_err(Error::read("the delayed runs"))
}

/// When the next delayed run is due: one look at the index.
pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>, Error> {
    conn.prepare_cached("SELECT due FROM runs INDEXED BY runs_due WHERE due IS NOT NULL ORDER BY due LIMIT 1")
        .and_then(|mut find| find.query_row([], |row| row.get(0).map(Timestamp)).optional())
        .map_err(Error::read("the delayed runs"))
}

pub(super) fn peek(conn: &Connection, line: &Line, limit: u32) -> Result<Vec<Run>, Error> {
    let sql = "SELECT snapshot FROM runs INDEXED BY runs_ready
               WHERE state = 0 AND due IS NULL AND queue = ?1 AND key = ?2 AND priority = ?3 ORDER BY n LIMIT ?4";
    let of = params![line.queue.as_ref(), line.key.as_ref(), line.priority as i64, limit];
    runs(conn, sql, of, "the runs of a line")
}

pub(super) fn children(conn: &Connection, parent: RunId) -> Result<Vec<Run>, Error> {
    let sql = "SELECT snapshot FROM runs INDEXED BY runs_parent WHERE parent = ?1 ORDER BY id";
    runs(conn, sql, [parent.bytes()], "the children of a run")
}

fn runs(conn: &Connection, sql: &str, of: impl Params, what: &'static str) -> Result<Vec<Run>, Error> {
    let found: rusqlite::Result<Vec<String>> =
        conn.prepare_cached(sql).and_then(|mut find| find.query_map(of, |row| row.get(0))?.collect());
    found.map_err(Error::read(what))?.iter().map(|snapshot| decode_run(snapshot)).collect()
}

pub(super) fn dead(conn: &Connection, filter: &DeadFilter, limit: u32) -> Result<Vec<DeadRow>, Error> {
    conn.prepare_cached(
        "SELECT id, at, cause, pack, queue, resolution, resolved_at, resolved_by FROM dead
         WHERE (?1 OR resolution IS NULL) AND (?2 IS NULL OR cause = ?2) AND (?3 IS NULL OR pack = ?3)
           AND (?4 IS NULL OR at >= ?4) AND n > coalesce((SELECT n FROM dead WHERE id = ?5), 0)
         ORDER BY n LIMIT ?6",
    )
    .and_then(|mut find| {
        let since = filter.since.map(|at| at.0);
        let after = filter.after.map(RunId::bytes);
        let of = params![filter.resolved, filter.cause, filter.pack, since, after, limit];
        find.query_map(of, dead_row)?.collect()
    })
    .map_err(Error::read("the dead letters"))
}

pub(super) fn dead_letter(conn: &Connection, run: RunId) -> Result<Option<DeadRow>, Error> {
    conn.prepare_cached(
        "SELECT id, at, cause, pack, queue, resolution, resolved_at, resolved_by FROM dead WHERE id = ?1",
    )
    .and_then(|mut find| find.query_row([run.bytes()], dead_row).optional())
    .map_err(Error::read("a dead letter"))
}

fn dead_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<DeadRow> {
    Ok(DeadRow {
        run: RunId::from_bytes(row.get(0)?),
        at: Timestamp(row.get(1)?),
        cause: row.get(2)?,
        pack: row.get::<_, String>(3)?.into(),
        queue: row.get::<_, String>(4)?.into(),
        resolution: row.get(5)?,
        resolved_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
        resolved_by: row.get(7)?,
    })
}

pub(super) fn dead_groups(conn: &Connection) -> Result<Vec<DeadGroup>, Error> {
    conn.prepare_cached(
        "SELECT cause, count(*), min(at), max(at) FROM dead WHERE resolution IS NULL
         GROUP BY cause ORDER BY count(*) DESC, cause",
    )
    .and_then(|mut find| {
        find.query_map([], |row| {
            Ok(DeadGroup {
                cause: row.get(0)?,
                count: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                first: Timestamp(row.get(2)?),
                last: Timestamp(row.get(3)?),
            })
        })?
        .collect()
    })
    .map_err(Error::read("the dead letters"))
}
