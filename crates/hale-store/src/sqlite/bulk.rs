//! Operations over many runs in their two tables.
//!
//! Every query is answered by a key or an index; counts read one operation's part of an index.
//! Read next: [`crate::bulk`].

use crate::bulk::{BULK_KEPT, REASONS_MAX};
use crate::{
    BulkCounts, BulkItem, BulkReason, BulkRow, BulkState, Error, ItemFilter, ItemState, Op, OpResult,
};
use hale_core::id::{OperationId, RunId};
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

const COLUMNS: &str =
    "SELECT id, at, kind, filter, actor, correlation, reason, state, gathered, cursor, excluded,
    undoes, ended_at FROM bulk";

/// Writes an op of this file's tables; other ops change nothing.
pub(super) fn write(conn: &Connection, op: &Op) -> rusqlite::Result<OpResult> {
    let changed = match op {
        Op::BulkPut(row) => put(conn, row)?,
        Op::BulkGather(more) => {
            let excluded = encode(&more.excluded);
            let changed = conn
                .prepare_cached(
                    "UPDATE bulk SET cursor = ?2, excluded = ?3, gathered = ?4
                     WHERE id = ?1 AND state = 0 AND gathered = 0",
                )?
                .execute(params![more.bulk.bytes(), more.cursor, excluded, more.gathered])?;
            if changed > 0 {
                add(conn, more.bulk, &more.runs)?;
            }
            changed
        }
        Op::BulkMove { bulk, from, to, at } => {
            let from = from.iter().fold(0, |set, state| set | 1 << *state as i64);
            let ended = to.is_over().then_some(at.0);
            conn.prepare_cached(
                "UPDATE bulk SET state = ?2, ended_at = ?3 WHERE id = ?1 AND (?4 >> state) & 1",
            )?
            .execute(params![bulk.bytes(), *to as i64, ended, from])?
        }
        Op::BulkItem { bulk, run, state, detail } => conn
            .prepare_cached(
                "UPDATE bulk_items SET state = ?3, detail = ?4 WHERE run = ?2 AND bulk = ?1 AND state = 0",
            )?
            .execute(params![bulk.bytes(), run.bytes(), *state as i64, detail])?,
        _ => 0,
    };
    Ok(if changed == 0 { OpResult::Conflict { seq: None } } else { OpResult::Done })
}

fn put(conn: &Connection, row: &BulkRow) -> rusqlite::Result<usize> {
    let changed = conn
        .prepare_cached(
            "INSERT OR IGNORE INTO bulk(id, at, kind, filter, actor, correlation, reason, state, gathered, cursor,
               excluded, undoes, ended_at)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            row.id.bytes(),
            row.at.0,
            row.kind,
            row.filter,
            row.actor,
            row.correlation,
            row.reason,
            row.state as i64,
            row.gathered,
            row.cursor,
            encode(&row.excluded),
            row.undoes.map(OperationId::bytes),
            row.ended_at.map(|at| at.0),
        ])?;
    if changed > 0 {
        forget_old(conn)?;
    }
    Ok(changed)
}

fn forget_old(conn: &Connection) -> rusqlite::Result<()> {
    let old: Vec<[u8; 16]> = conn
        .prepare_cached("SELECT id FROM bulk WHERE state >= 2 ORDER BY id DESC LIMIT -1 OFFSET ?1")?
        .query_map([BULK_KEPT], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in old {
        conn.prepare_cached("DELETE FROM bulk_items WHERE bulk = ?1")?.execute([id])?;
        conn.prepare_cached("DELETE FROM bulk WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn add(conn: &Connection, bulk: OperationId, runs: &[RunId]) -> rusqlite::Result<()> {
    let last: i64 = conn
        .prepare_cached("SELECT coalesce(max(n), 0) FROM bulk_items WHERE bulk = ?1")?
        .query_row([bulk.bytes()], |row| row.get(0))?;
    let mut put = conn.prepare_cached(
        "INSERT OR IGNORE INTO bulk_items(bulk, n, run, state, detail) VALUES(?1, ?2, ?3, 0, '')",
    )?;
    for (n, run) in (last + 1..).zip(runs) {
        put.execute((bulk.bytes(), n, run.bytes()))?;
    }
    Ok(())
}

pub(super) fn one(conn: &Connection, id: OperationId) -> Result<Option<BulkRow>, Error> {
    conn.prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))
        .and_then(|mut find| find.query_row([id.bytes()], bulk_row).optional())
        .map_err(Error::read("a bulk operation"))
}

/// Newest first.
pub(super) fn newest(conn: &Connection, limit: u32) -> Result<Vec<BulkRow>, Error> {
    conn.prepare_cached(&format!("{COLUMNS} ORDER BY id DESC LIMIT ?1"))
        .and_then(|mut find| find.query_map([limit], bulk_row)?.collect())
        .map_err(Error::read("the bulk operations"))
}

/// Oldest first.
pub(super) fn open(conn: &Connection) -> Result<Vec<BulkRow>, Error> {
    conn.prepare_cached(&format!("{COLUMNS} INDEXED BY bulk_open WHERE state < 2 ORDER BY id"))
        .and_then(|mut find| find.query_map([], bulk_row)?.collect())
        .map_err(Error::read("the bulk operations"))
}

pub(super) fn of_run(conn: &Connection, run: RunId) -> Result<Vec<BulkRow>, Error> {
    conn.prepare_cached(&format!(
        "{COLUMNS} WHERE id IN (SELECT bulk FROM bulk_items WHERE run = ?1) ORDER BY id DESC"
    ))
    .and_then(|mut find| find.query_map([run.bytes()], bulk_row)?.collect())
    .map_err(Error::read("the bulk operations of a run"))
}

pub(super) fn items(
    conn: &Connection,
    id: OperationId,
    (filter, limit): (ItemFilter, u32),
) -> Result<Vec<BulkItem>, Error> {
    let after = i64::try_from(filter.after).unwrap_or(i64::MAX);
    let row = |row: &Row<'_>| {
        Ok(BulkItem {
            n: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            run: RunId::from_bytes(row.get(1)?),
            state: item_state(row.get(2)?)?,
            detail: row.get(3)?,
        })
    };
    let rows = match filter.state {
        Some(state) => conn
            .prepare_cached(
                "SELECT n, run, state, detail FROM bulk_items INDEXED BY bulk_items_state
                 WHERE bulk = ?1 AND state = ?2 AND n > ?3 ORDER BY n LIMIT ?4",
            )
            .and_then(|mut find| {
                find.query_map(params![id.bytes(), state as i64, after, limit], row)?.collect()
            }),
        None => conn
            .prepare_cached(
                "SELECT n, run, state, detail FROM bulk_items WHERE bulk = ?1 AND n > ?2 ORDER BY n LIMIT ?3",
            )
            .and_then(|mut find| find.query_map(params![id.bytes(), after, limit], row)?.collect()),
    };
    rows.map_err(Error::read("the items of a bulk operation"))
}

pub(super) fn counts(conn: &Connection, id: OperationId) -> Result<BulkCounts, Error> {
    let by_state: rusqlite::Result<BTreeMap<ItemState, u64>> = conn
        .prepare_cached(
            "SELECT state, count(*) FROM bulk_items INDEXED BY bulk_items_state WHERE bulk = ?1 GROUP BY state",
        )
        .and_then(|mut find| {
            find.query_map([id.bytes()], |row| Ok((item_state(row.get(0)?)?, count(row.get(1)?))))?.collect()
        });
    let reasons: rusqlite::Result<Vec<BulkReason>> = conn
        .prepare_cached(
            "SELECT state, detail, count(*), min(run) FROM bulk_items INDEXED BY bulk_items_state
             WHERE bulk = ?1 AND state >= 2 GROUP BY state, detail ORDER BY count(*) DESC, detail LIMIT ?2",
        )
        .and_then(|mut find| {
            let reason = |row: &Row<'_>| {
                Ok(BulkReason {
                    state: item_state(row.get(0)?)?,
                    detail: row.get(1)?,
                    count: count(row.get(2)?),
                    example: RunId::from_bytes(row.get(3)?),
                })
            };
            find.query_map(params![id.bytes(), REASONS_MAX as i64], reason)?.collect()
        });
    let read = Error::read("the counts of a bulk operation");
    match (by_state, reasons) {
        (Ok(by_state), Ok(reasons)) => Ok(BulkCounts { by_state, reasons }),
        (Err(error), _) | (_, Err(error)) => Err(read(error)),
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn bulk_row(row: &Row<'_>) -> rusqlite::Result<BulkRow> {
    Ok(BulkRow {
        id: OperationId::from_bytes(row.get(0)?),
        at: Timestamp(row.get(1)?),
        kind: row.get(2)?,
        filter: row.get(3)?,
        actor: row.get(4)?,
        correlation: row.get(5)?,
        reason: row.get(6)?,
        state: known(BulkState::ALL, row.get(7)?, 7)?,
        gathered: row.get(8)?,
        cursor: row.get(9)?,
        excluded: serde_json::from_str(&row.get::<_, String>(10)?).unwrap_or_default(),
        undoes: row.get::<_, Option<[u8; 16]>>(11)?.map(OperationId::from_bytes),
        ended_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
    })
}

fn item_state(number: i64) -> rusqlite::Result<ItemState> {
    known(ItemState::ALL, number, 0)
}

/// A state by its number; a number that we never write is damage.
fn known<T: Copy, const N: usize>(all: [T; N], number: i64, column: usize) -> rusqlite::Result<T> {
    let found = usize::try_from(number).ok().and_then(|number| all.get(number)).copied();
    found.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn encode(excluded: &BTreeMap<String, u64>) -> String {
    serde_json::to_string(excluded).unwrap_or_else(|_| "{}".to_owned())
}
