//! Packs, settings, keys, workers and audit: small tables, written and read whole.
//!
//! Also the numbers that stand for states and places in the tables.
//! Read next: `sqlite/schema.rs`.

use super::trail;
use crate::op::FORGET_LOOK;
use crate::{Error, KeyRow, Op, OpResult, PackHead, PackRow, WorkerKind, WorkerRow};
use hale_core::code::Code;
use hale_core::id::{KeyId, WorkerId};
use hale_core::limits;
use hale_core::run::StateName;
use hale_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Places of one run in `bodies`.
pub(crate) const PLACES: i64 = 1 << 24;
pub(crate) const SLOT_INPUT: i64 = 0;
pub(crate) const SLOT_OUTPUT: i64 = PLACES - 1;

/// The key of one place of one run.
pub(crate) const fn slot(n: i64, place: i64) -> i64 {
    n * PLACES + place
}

pub(crate) fn state_of(number: i64) -> Result<StateName, Error> {
    let known = usize::try_from(number).ok().and_then(|number| StateName::ALL.get(number)).copied();
    known.ok_or_else(|| Error::Damaged { problem: format!("there is no state {number}") })
}

/// The number in the code: 3 for E003.
pub(super) const fn code_number(code: Code) -> i64 {
    code as i64 + 1
}

/// Writes the ops that are one row each.
pub(super) fn write(conn: &Connection, op: &Op) -> rusqlite::Result<OpResult> {
    const GONE: OpResult = OpResult::Conflict { seq: None };
    let changed = match op {
        Op::Worker(row) => put_worker(conn, row)?,
        Op::PackDeploy(row) => return deploy(conn, row),
        Op::PackForget { name, version } => return forget(conn, name, version),
        Op::PackCurrent { name, version } => conn
            .prepare_cached(
                "UPDATE packs SET current = ?2 WHERE name = ?1
                 AND EXISTS (SELECT 1 FROM pack_versions WHERE name = ?1 AND version = ?2)",
            )?
            .execute((name.as_ref(), version.as_ref()))?,
        Op::PackEnabled { name, enabled } => conn
            .prepare_cached("UPDATE packs SET enabled = ?2 WHERE name = ?1")?
            .execute((name.as_ref(), enabled))?,
        Op::Setting { key, value: Some(value) } => conn
            .prepare_cached("INSERT OR REPLACE INTO settings(key, value) VALUES(?1, ?2)")?
            .execute((key, value))?,
        Op::Setting { key, value: None } => {
            conn.prepare_cached("DELETE FROM settings WHERE key = ?1")?.execute([key])?;
            1
        }
        Op::Audit(row) => trail::put(conn, row)?,
        Op::AuditCut { before, row } => return trail::cut(conn, *before, row),
        Op::KeyPut(row) => put_key(conn, row)?,
        Op::DeadResolve { run, resolution, by, at } => conn
            .prepare_cached(
                "UPDATE dead SET resolution = ?2, resolved_by = CASE WHEN ?2 IS NULL THEN NULL ELSE ?3 END,
                   resolved_at = CASE WHEN ?2 IS NULL THEN NULL ELSE ?4 END
                 WHERE id = ?1 AND (?2 IS NULL) <> (resolution IS NULL)",
            )?
            .execute((run.bytes(), resolution, by, at.0))?,
        Op::BulkPut(_) | Op::BulkGather(_) | Op::BulkMove { .. } | Op::BulkItem { .. } => {
            return super::bulk::write(conn, op);
        }
        // Runs are written by `write.rs`.
        Op::Insert(_)
        | Op::Update(_)
        | Op::Delegate { .. }
        | Op::Claim { .. }
        | Op::Ripen { .. }
        | Op::Together(_) => 0,
    };
    Ok(if changed == 0 { GONE } else { OpResult::Done })
}

fn put_worker(conn: &Connection, row: &WorkerRow) -> rusqlite::Result<usize> {
    let mut put = conn.prepare_cached(
        "INSERT OR REPLACE INTO workers(id, kind, host, pid, slots, started_at, seen_at, draining, ended, exit)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let changed = put.execute(params![
        row.id.bytes(),
        row.kind as i64,
        row.host,
        row.pid,
        row.slots,
        row.started_at.0,
        row.seen_at.0,
        row.draining,
        row.ended,
        row.exit,
    ])?;
    if row.ended.is_some() {
        let mut forget = conn.prepare_cached(
            "DELETE FROM workers WHERE ended IS NOT NULL AND seen_at <
               (SELECT seen_at FROM workers WHERE ended IS NOT NULL ORDER BY seen_at DESC LIMIT 1 OFFSET ?1)",
        )?;
        forget.execute(params![limits::ENDED_WORKERS_KEPT as i64 - 1])?;
    }
    Ok(changed)
}

fn put_key(conn: &Connection, row: &KeyRow) -> rusqlite::Result<usize> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO keys(id, name, tenant, hash, created_at, expires_at, revoked_at, last_used_at)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        row.id.bytes(),
        row.name,
        row.tenant,
        row.hash,
        row.created_at.0,
        row.expires_at.map(|at| at.0),
        row.revoked_at.map(|at| at.0),
        row.last_used_at.map(|at| at.0),
    ])
}

/// Whether a version is needed is asked in the transaction that forgets it.
fn forget(conn: &Connection, name: &str, version: &str) -> rusqlite::Result<OpResult> {
    let needed: bool = conn
        .prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM packs WHERE name = ?1 AND current = ?2)
             OR (SELECT count(*) FROM (SELECT 1 FROM runs INDEXED BY runs_pack_state
                 WHERE pack = ?1 AND state IN (0, 1, 2, 3) LIMIT ?3 + 1)) > ?3
             OR EXISTS(SELECT 1 FROM runs INDEXED BY runs_pack_state
                 WHERE pack = ?1 AND state IN (0, 1, 2, 3) AND json_extract(snapshot, '$.pack.version') = ?2)",
        )?
        .query_row((name, version, FORGET_LOOK as i64), |row| row.get(0))?;
    if needed {
        return Ok(OpResult::Conflict { seq: None });
    }
    conn.prepare_cached("DELETE FROM pack_versions WHERE name = ?1 AND version = ?2")?
        .execute((name, version))?;
    Ok(OpResult::Done)
}

fn deploy(conn: &Connection, row: &PackRow) -> rusqlite::Result<OpResult> {
    let known: Option<[u8; 32]> = conn
        .prepare_cached("SELECT digest FROM pack_versions WHERE name = ?1 AND version = ?2")?
        .query_row((row.name.as_ref(), row.version.as_ref()), |found| found.get(0))
        .optional()?;
    match known {
        Some(digest) if digest == row.digest => return Ok(OpResult::Done),
        Some(_) => return Ok(OpResult::Conflict { seq: None }),
        None => {}
    }
    conn.prepare_cached("INSERT OR IGNORE INTO packs(name, current, enabled) VALUES(?1, NULL, 1)")?
        .execute([row.name.as_ref()])?;
    conn.prepare_cached(
        "INSERT INTO pack_versions(name, version, source, digest, deployed_at, by, manifest)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.name.as_ref(),
        row.version.as_ref(),
        row.source.as_ref(),
        row.digest,
        row.deployed_at.0,
        row.by,
        row.manifest_json.as_ref(),
    ])?;
    Ok(OpResult::Done)
}

const PACK: &str = "SELECT name, version, source, digest, deployed_at, by, manifest FROM pack_versions";

fn pack_row(row: &Row<'_>) -> rusqlite::Result<PackRow> {
    Ok(PackRow {
        name: row.get::<_, String>(0)?.into(),
        version: row.get::<_, String>(1)?.into(),
        source: row.get::<_, String>(2)?.into(),
        digest: row.get(3)?,
        deployed_at: Timestamp(row.get(4)?),
        by: row.get(5)?,
        manifest_json: row.get::<_, String>(6)?.into(),
    })
}

pub(super) fn packs(conn: &Connection) -> Result<Vec<PackHead>, Error> {
    conn.prepare_cached(
        "SELECT name, current, enabled, (SELECT count(*) FROM pack_versions WHERE name = packs.name) FROM packs
         ORDER BY name",
    )
    .and_then(|mut find| {
        find.query_map([], |row| {
            Ok(PackHead {
                name: row.get::<_, String>(0)?.into(),
                current: row.get::<_, Option<String>>(1)?.map(Into::into),
                enabled: row.get(2)?,
                versions: row.get(3)?,
            })
        })?
        .collect()
    })
    .map_err(Error::read("the packs"))
}

pub(super) fn pack_versions(conn: &Connection, name: &str) -> Result<Vec<PackRow>, Error> {
    conn.prepare_cached(&format!("{PACK} WHERE name = ?1 ORDER BY n DESC"))
        .and_then(|mut find| find.query_map([name], pack_row)?.collect())
        .map_err(Error::read("the versions of a pack"))
}

pub(super) fn pack(conn: &Connection, name: &str, version: Option<&str>) -> Result<Option<PackRow>, Error> {
    let current = "(SELECT current FROM packs WHERE name = ?1)";
    conn.prepare_cached(&format!("{PACK} WHERE name = ?1 AND version = coalesce(?2, {current})"))
        .and_then(|mut find| find.query_row((name, version), pack_row).optional())
        .map_err(Error::read("a pack"))
}

pub(super) fn settings(conn: &Connection) -> Result<Vec<(String, String)>, Error> {
    conn.prepare_cached("SELECT key, value FROM settings ORDER BY key")
        .and_then(|mut find| find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(Error::read("the settings"))
}

pub(super) fn keys(conn: &Connection) -> Result<Vec<KeyRow>, Error> {
    conn.prepare_cached(
        "SELECT id, name, tenant, hash, created_at, expires_at, revoked_at, last_used_at FROM keys ORDER BY id",
    )
    .and_then(|mut find| {
        find.query_map([], |row| {
            Ok(KeyRow {
                id: KeyId::from_bytes(row.get(0)?),
                name: row.get(1)?,
                tenant: row.get(2)?,
                hash: row.get(3)?,
                created_at: Timestamp(row.get(4)?),
                expires_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
                revoked_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
                last_used_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
            })
        })?
        .collect()
    })
    .map_err(Error::read("the keys"))
}

pub(super) fn workers(conn: &Connection) -> Result<Vec<WorkerRow>, Error> {
    conn.prepare_cached(
        "SELECT id, kind, host, pid, slots, started_at, seen_at, draining, ended, exit FROM workers ORDER BY id",
    )
    .and_then(|mut find| {
        find.query_map([], |row| {
            let kind = if row.get::<_, i64>(1)? == WorkerKind::Embedded as i64 {
                WorkerKind::Embedded
            } else {
                WorkerKind::Process
            };
            Ok(WorkerRow {
                id: WorkerId::from_bytes(row.get(0)?),
                kind,
                host: row.get(2)?,
                pid: row.get(3)?,
                slots: row.get(4)?,
                started_at: Timestamp(row.get(5)?),
                seen_at: Timestamp(row.get(6)?),
                draining: row.get(7)?,
                ended: row.get(8)?,
                exit: row.get(9)?,
            })
        })?
        .collect()
    })
    .map_err(Error::read("the workers"))
}
