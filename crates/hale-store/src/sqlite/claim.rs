//! The claim: the oldest pending runs of one key and class, leased in the commit that found them.
//!
//! A partial index over pending runs answers in the order of acceptance, so a queue of a million costs what a queue of
//! one costs.
//! Read next: [`crate::claim`], the transitions.

use super::read;
use super::rows::{SLOT_INPUT, slot};
use super::write::{Write, place};
use crate::{Claimed, Error, Line, OpResult, claim};
use hale_core::id::WorkerId;
use hale_core::run::Run;
use hale_core::time::Timestamp;
use std::collections::BTreeMap;

pub(super) fn find(to: &Write<'_>, from: &Line, n: u32) -> Result<Vec<(i64, Run)>, Error> {
    let found: rusqlite::Result<Vec<(i64, String)>> = to
        .conn
        .prepare_cached(
            "SELECT n, snapshot FROM runs INDEXED BY runs_ready
             WHERE state = 0 AND due IS NULL AND queue = ?1 AND key = ?2 AND priority = ?3 ORDER BY n LIMIT ?4",
        )
        .and_then(|mut find| {
            let line = (from.queue.as_ref(), from.key.as_ref(), from.priority as i64, n);
            find.query_map(line, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        });
    let found = found.map_err(|source| to.failed(source))?;
    found.into_iter().map(|(n, snapshot)| Ok((n, read::decode_run(&snapshot)?))).collect()
}

/// Delayed runs whose time has come join their lines, those that were due first before the others.
pub(super) fn ripen(to: &mut Write<'_>, n: u32, at: Timestamp) -> Result<OpResult, Error> {
    let found: rusqlite::Result<Vec<(i64, String)>> = to
        .conn
        .prepare_cached(
            "SELECT n, snapshot FROM runs INDEXED BY runs_due WHERE due IS NOT NULL AND due <= ?1
             ORDER BY due, n LIMIT ?2",
        )
        .and_then(|mut find| find.query_map((at.0, n), |row| Ok((row.get(0)?, row.get(1)?)))?.collect());
    let mut ready: BTreeMap<Line, u64> = BTreeMap::new();
    for (n, snapshot) in found.map_err(|source| to.failed(source))? {
        let run = read::decode_run(&snapshot)?;
        to.conn
            .prepare_cached("UPDATE runs SET due = NULL WHERE n = ?1")
            .and_then(|mut put| put.execute([n]))
            .map_err(|source| to.failed(source))?;
        to.counters.ripened(&place(&run));
        *ready.entry(Line::of(&run)).or_default() += 1;
    }
    let next = super::waiting::next_due(to.conn)?;
    Ok(OpResult::Ripened { ready: ready.into_iter().collect(), next })
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
    let records = if pending.epoch > 0 || pending.steps > 0 {
        read::records(to.conn, n, 0, u32::MAX)?
    } else {
        taken.records
    };
    Ok(Claimed { run: taken.run, input: input.into(), records, effects: taken.effects })
}
