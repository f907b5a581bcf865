//! The list of runs: filtered, newest first, fast with a million runs.
//!
//! The most telling filter chooses the index: correlation, then error, then pack and state (one ordered walk for each
//! pair that has runs, merged), then time. What is left is checked row by row, over a bounded number of rows.
//! Read next: `sqlite/schema.rs` for the indexes.

use super::read::decode_run;
use super::rows::{code_number, state_of};
use crate::row::holds_text;
use crate::{Cursor, Error, ListFilter, Page};
use hale_core::id::RunId;
use hale_core::run::StateName;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{CachedStatement, Connection, Row, Rows, params_from_iter, types::Value};
use std::cmp::Reverse;

/// Rows that one page looks at: some 30 ms when nothing fits, so that a list stays under its 50 ms.
const ROWS_SEEN: u32 = 16_384;
/// The same when each row's text is searched.
const ROWS_SEARCHED: u32 = 4_096;
/// Ordered walks that one list may merge; with more pairs of pack and state the walk by time is cheaper.
const WALKS: usize = 256;

const COLUMNS: &str = "SELECT id, state, pack, error_code, correlation, snapshot, queue, priority FROM runs";

/// One ordered walk: a condition on an index, with its parameters after the bounds of the id.
struct Walk {
    condition: &'static str,
    values: Vec<Value>,
}

pub(super) fn page(
    conn: &Connection,
    filter: &ListFilter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Page, Error> {
    let walks = walks(conn, filter)?;
    let (from, to) = bounds(filter, after);
    let sql = |walk: &Walk| format!("{COLUMNS} {} id >= ?1 AND id < ?2 ORDER BY id DESC", walk.condition);
    let mut statements: Vec<CachedStatement<'_>> = walks
        .iter()
        .map(|walk| conn.prepare_cached(&sql(walk)))
        .collect::<rusqlite::Result<_>>()
        .map_err(Error::read("the list of runs"))?;
    let ends = || [Value::Blob(from.to_vec()), to.clone()];
    let rows: rusqlite::Result<Vec<Rows<'_>>> = statements
        .iter_mut()
        .zip(&walks)
        .map(|(statement, walk)| {
            statement.query(params_from_iter(ends().into_iter().chain(walk.values.clone())))
        })
        .collect();
    merge(rows.map_err(Error::read("the list of runs"))?, filter, limit)
}

/// First and last id, the last one excluded.
fn bounds(filter: &ListFilter, after: Option<Cursor>) -> ([u8; 16], Value) {
    let from = filter.since.map_or([0; 16], |since| RunId::mint(since, 0).bytes());
    let until = filter.until.map(|until| RunId::mint(until, 0));
    let end = match (until, after.map(|Cursor(id)| id)) {
        (Some(until), Some(after)) => Some(until.min(after)),
        (until, after) => until.or(after),
    };
    // Seventeen bytes: greater than every id.
    (from, Value::Blob(end.map_or(vec![0xFF; 17], |id| id.bytes().to_vec())))
}

fn walks(conn: &Connection, filter: &ListFilter) -> Result<Vec<Walk>, Error> {
    if let Some(correlation) = &filter.correlation {
        let condition = "INDEXED BY runs_correlation WHERE correlation = ?3 AND";
        return Ok(vec![Walk { condition, values: vec![correlation.clone().into()] }]);
    }
    if let Some(code) = filter.error_code {
        let condition = "INDEXED BY runs_error WHERE error_code = ?3 AND";
        return Ok(vec![Walk { condition, values: vec![code_number(code).into()] }]);
    }
    let by_id = || vec![Walk { condition: "INDEXED BY runs_id WHERE", values: Vec::new() }];
    if filter.pack.is_none() && filter.states.is_empty() {
        return Ok(by_id());
    }
    let pairs = pairs(conn, filter)?;
    if pairs.len() > WALKS {
        return Ok(by_id());
    }
    let condition = "INDEXED BY runs_pack_state WHERE pack = ?3 AND state = ?4 AND";
    Ok(pairs
        .into_iter()
        .map(|(pack, state)| Walk { condition, values: vec![pack.into(), state.into()] })
        .collect())
}

/// Pairs of pack and state that have runs and that the filter takes.
fn pairs(conn: &Connection, filter: &ListFilter) -> Result<Vec<(String, i64)>, Error> {
    let rows: rusqlite::Result<Vec<(String, i64)>> = conn
        .prepare_cached("SELECT pack, state FROM state_counts WHERE ?1 IS NULL OR pack = ?1")
        .and_then(|mut find| find.query_map([&filter.pack], |row| Ok((row.get(0)?, row.get(1)?)))?.collect());
    let rows = rows.map_err(Error::read("the counts of runs"))?;
    let takes =
        |state: i64| filter.states.is_empty() || filter.states.iter().any(|name| *name as i64 == state);
    Ok(rows.into_iter().filter(|(_, state)| takes(*state)).collect())
}

/// Takes the newest of all walks again and again.
fn merge(mut walks: Vec<Rows<'_>>, filter: &ListFilter, limit: u32) -> Result<Page, Error> {
    let mut heads = std::collections::BinaryHeap::with_capacity(walks.len());
    for (at, walk) in walks.iter_mut().enumerate() {
        heads.extend(advance(walk)?.map(|id| (id, Reverse(at))));
    }
    let reads_all = filter.text.is_some() || filter.cause.is_some();
    let seen_max = if reads_all { ROWS_SEARCHED } else { ROWS_SEEN };
    let mut page = Page::default();
    let mut seen = 0;
    while let Some((id, Reverse(at))) = heads.pop() {
        if page.runs.len() >= limit as usize || seen >= seen_max {
            return Ok(page);
        }
        seen += 1;
        page.next = Some(Cursor(id));
        if let Some(row) = walks[at].get()
            && fits(row, filter).map_err(Error::read("the list of runs"))?
        {
            let snapshot: String = row.get(5).map_err(Error::read("the list of runs"))?;
            let run = decode_run(&snapshot)?;
            if filter.beside(&run) {
                page.runs.push(run);
            }
        }
        heads.extend(advance(&mut walks[at])?.map(|id| (id, Reverse(at))));
    }
    page.next = None;
    Ok(page)
}

fn advance(walk: &mut Rows<'_>) -> Result<Option<RunId>, Error> {
    let row = walk.next().map_err(Error::read("the list of runs"))?;
    row.map(|row| row.get(0).map(RunId::from_bytes)).transpose().map_err(Error::read("the list of runs"))
}

/// What no index has checked. The time is always checked by the bounds.
fn fits(row: &Row<'_>, filter: &ListFilter) -> rusqlite::Result<bool> {
    if !filter.states.is_empty() {
        let state = state_of(row.get(1)?).ok();
        if !state.is_some_and(|state: StateName| filter.states.contains(&state)) {
            return Ok(false);
        }
    }
    let text_is =
        |column: usize, wanted: &String| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()? == wanted);
    if let Some(pack) = &filter.pack
        && !text_is(2, pack)?
    {
        return Ok(false);
    }
    if let Some(queue) = &filter.queue
        && !text_is(6, queue)?
    {
        return Ok(false);
    }
    if let Some(priority) = filter.priority
        && row.get::<_, i64>(7)? != priority as i64
    {
        return Ok(false);
    }
    if let Some(code) = filter.error_code
        && row.get::<_, Option<i64>>(3)? != Some(code_number(code))
    {
        return Ok(false);
    }
    if let Some(correlation) = &filter.correlation
        && !text_is(4, correlation)?
    {
        return Ok(false);
    }
    // Cheaper than to decode every run.
    if let Some(cause) = &filter.cause
        && !holds_text(row.get_ref(5)?.as_str()?, cause)
    {
        return Ok(false);
    }
    match &filter.text {
        Some(text) => Ok(holds_text(row.get_ref(5)?.as_str()?, text)),
        None => Ok(true),
    }
}
