//! The claim: the oldest pending runs of one key and class, leased in the commit that found them.
//!
//! A partial index over pending runs answers in the order of acceptance, so a queue of a million costs what a queue of
//! one costs.
//! Read next: [`crate::claim`], the transitions.

use super::read;
use super::rows::{SLOT_INPUT, slot};
use super::write::{Write, place};
use crate::{Claimed, Error, claim};
use hale_core::id::WorkerId;
use hale_core::run::{Priority, Run};
use hale_core::time::Timestamp;

pub(super) fn find(to: &Write<'_>, key: &str, priority: Priority, n: u32) -> Result<Vec<(i64, Run)>, Error> {
    let found: rusqlite::Result<Vec<(i64, String)>> = to
        .conn
        .prepare_cached(
            "SELECT n, snapshot FROM runs INDEXED BY runs_ready
             WHERE state = 0 AND key = ?1 AND priority = ?2 ORDER BY n LIMIT ?3",
        )
        .and_then(|mut find| {
            find.query_map((key, priority as i64, n), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        });
    let found = found.map_err(|source| to.failed(source))?;
    found.into_iter().map(|(n, snapshot)| Ok((n, read::decode_run(&snapshot)?))).collect()
}

pub(super) fn lease(
    to: &mut Write<'_>,
    n: i64,
    pending: &Run,
    (worker, at): (WorkerId, Timestamp),
) -> Result<Claimed, Error> {
    let taken = claim::take(pending, worker, at)?;
    to.moved(n, (&place(pending), &taken.run), &taken.records)?;
    let input = read::body(to.conn, slot(n, SLOT_INPUT))?
        .ok_or_else(|| Error::Damaged { problem: format!("run {} has no input", pending.id) })?;
    let records = if pending.epoch > 0 { read::records(to.conn, n, 0, u32::MAX)? } else { taken.records };
    Ok(Claimed { run: taken.run, input: input.into(), records, effects: taken.effects })
}
