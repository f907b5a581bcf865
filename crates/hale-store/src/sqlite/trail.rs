//! The audit trail in its table: rows go in behind the head, in the commit of what they tell of.
//!
//! Read next: [`crate::audit`], what the chain is.

use crate::audit::{Checked, Head, Link, START, Sealed, anchor};
use crate::{AuditFilter, AuditRow, Error, OpResult, Phase};
use hale_core::id::OperationId;
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "n, id, at, actor, operation, target, phase, detail, undo, lab, prev, hash";

/// Appends a row; 0 when this half of the operation is there already.
pub(super) fn put(conn: &Connection, row: &AuditRow) -> rusqlite::Result<usize> {
    let known: bool = conn
        .prepare_cached("SELECT EXISTS(SELECT 1 FROM audit WHERE id = ?1 AND phase = ?2)")?
        .query_row((row.id.bytes(), row.phase as i64), |row| row.get(0))?;
    if known {
        return Ok(0);
    }
    let sealed = Sealed::behind(head(conn)?, row.clone());
    conn.prepare_cached(
        "INSERT INTO audit(n, id, at, actor, operation, target, phase, detail, undo, lab, prev, hash)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        sealed.seq as i64,
        row.id.bytes(),
        row.at.0,
        row.actor,
        row.operation,
        row.target,
        row.phase as i64,
        row.detail,
        row.undo,
        row.lab,
        sealed.prev,
        sealed.hash,
    ])?;
    set_head(conn, sealed.head())
}

fn set_head(conn: &Connection, head: Head) -> rusqlite::Result<usize> {
    conn.prepare_cached("INSERT OR REPLACE INTO audit_head(one, seq, hash) VALUES(1, ?1, ?2)")?
        .execute((head.seq as i64, head.hash))
}

pub(super) fn head(conn: &Connection) -> rusqlite::Result<Option<Head>> {
    conn.prepare_cached("SELECT seq, hash FROM audit_head")?
        .query_row([], |row| Ok(Head { seq: row.get::<_, i64>(0)? as u64, hash: link(row, 1)? }))
        .optional()
}

/// Cuts the oldest rows from before a moment, and puts the row there that vouches for them.
pub(super) fn cut(conn: &Connection, before: Timestamp, row: &AuditRow) -> rusqlite::Result<OpResult> {
    let (rows, last) = cuttable(conn, before)?;
    let Some(last) = last else { return Ok(OpResult::Conflict { seq: None }) };
    conn.prepare_cached("DELETE FROM audit WHERE n <= ?1")?.execute([last.seq as i64])?;
    let put = put(conn, &anchor(row, last, rows))?;
    Ok(if put == 0 { OpResult::Conflict { seq: None } } else { OpResult::Done })
}

/// How many rows are from before a moment, with none younger in between, and the last of them.
pub(super) fn cuttable(conn: &Connection, before: Timestamp) -> rusqlite::Result<(u64, Option<Head>)> {
    let last = conn
        .prepare_cached(
            "SELECT n, hash FROM audit
             WHERE n < coalesce((SELECT min(n) FROM audit WHERE at >= ?1), 9223372036854775807)
             ORDER BY n DESC LIMIT 1",
        )?
        .query_row([before.0], |row| Ok(Head { seq: row.get::<_, i64>(0)? as u64, hash: link(row, 1)? }))
        .optional()?;
    let Some(last) = last else { return Ok((0, None)) };
    let rows: i64 = conn
        .prepare_cached("SELECT count(*) FROM audit WHERE n <= ?1")?
        .query_row([last.seq as i64], |row| row.get(0))?;
    Ok((rows as u64, Some(last)))
}

/// Rows that a filter takes, newest first.
pub(super) fn newest(
    conn: &Connection,
    filter: &AuditFilter,
    (before, limit): (Option<u64>, u32),
) -> Result<Vec<Sealed>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM audit
         WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR operation = ?2) AND (?3 IS NULL OR target = ?3)
           AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR lab = ?5) AND (?6 IS NULL OR actor = ?6)
           AND (?7 IS NULL OR at < ?7) AND (?8 IS NULL OR n < ?8)
           AND (?9 IS NULL OR instr(lower(operation || ' ' || target || ' ' || detail), lower(?9)) > 0)
         ORDER BY n DESC LIMIT ?10"
    );
    conn.prepare_cached(&sql)
        .and_then(|mut find| {
            let parameters = params![
                filter.id.map(OperationId::bytes),
                filter.operation,
                filter.target,
                filter.since.map(|at| at.0),
                filter.lab,
                filter.actor,
                filter.until.map(|at| at.0),
                before.map(|seq| seq as i64),
                filter.text,
                limit,
            ];
            find.query_map(parameters, sealed)?.collect()
        })
        .map_err(Error::read("the audit trail"))
}

/// Rows behind `after`, oldest first.
pub(super) fn oldest(conn: &Connection, after: u64, limit: u32) -> Result<Vec<Sealed>, Error> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM audit WHERE n > ?1 ORDER BY n LIMIT ?2"))
        .and_then(|mut find| find.query_map((after as i64, limit), sealed)?.collect())
        .map_err(Error::read("the audit trail"))
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    let phase = if row.get::<_, i64>(6)? == Phase::Intent as i64 { Phase::Intent } else { Phase::Outcome };
    let audit = AuditRow {
        id: OperationId::from_bytes(row.get(1)?),
        at: Timestamp(row.get(2)?),
        actor: row.get(3)?,
        operation: row.get(4)?,
        target: row.get(5)?,
        phase,
        detail: row.get(7)?,
        undo: row.get(8)?,
        lab: row.get(9)?,
    };
    Ok(Sealed { seq: row.get::<_, i64>(0)? as u64, prev: link(row, 10)?, hash: link(row, 11)?, row: audit })
}

/// Walks along the trail of a database.
pub(crate) fn walk(conn: &Connection) -> Result<Checked, Error> {
    let last = || head(conn).map_err(Error::read("the audit trail"));
    crate::audit::walk(|after| oldest(conn, after, PAGE), last)
}

/// Rows read at one time.
const PAGE: u32 = 1000;

/// A hash; what is none breaks the chain where it stands.
fn link(row: &Row<'_>, column: usize) -> rusqlite::Result<Link> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(START))
}

/// Chains the rows of a trail that had no chain.
pub(super) fn seal(conn: &Connection) -> rusqlite::Result<()> {
    let rows: Vec<(i64, Sealed)> = conn
        .prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY n"))?
        .query_map([], |row| Ok((row.get(0)?, sealed(row)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut last = None;
    for (n, unsealed) in rows {
        let sealed = Sealed::behind(last, unsealed.row);
        conn.prepare_cached("UPDATE audit SET n = ?2, prev = ?3, hash = ?4 WHERE n = ?1")?.execute((
            n,
            sealed.seq as i64,
            sealed.prev,
            sealed.hash,
        ))?;
        last = Some(sealed.head());
    }
    if let Some(head) = last {
        set_head(conn, head)?;
    }
    Ok(())
}
