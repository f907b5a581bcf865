//! Is it all there, and true?
//!
//! Checks the pages (`integrity_check`), that every journal is dense and replays through `hale_core::run::apply` to
//! the stored snapshot, that the counters count, and that every named artifact exists and has its hash.
//! Guarantees: reads only; what is wrong is a line of text with the run it concerns.
//! Read next: [`crate::backup`].

use crate::blobs::Blobs;
use crate::sqlite::{SLOT_INPUT, SLOT_OUTPUT, Sqlite, all_named, decode_chunk, slot, stored_run};
use crate::{Error, StoredRun};
use hale_core::run::{self, Record, Run};
use rusqlite::Connection;
use std::path::Path;

/// Lines about what is wrong; more would not help anybody.
const PROBLEMS: usize = 100;

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub runs: u64,
    pub records: u64,
    pub blobs: u64,
    /// Empty when everything is well.
    pub problems: Vec<String>,
}

impl Verified {
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(text);
        }
    }
}

/// Checks a data folder, or a backup, without changing it; its server may be up or down.
///
/// # Errors
/// Only when the check itself could not be made.
pub fn verify(dir: &Path) -> Result<Verified, Error> {
    let store = Sqlite::open_readonly_copy(dir)?;
    let mut verified = store.verify()?;
    for problem in crate::backup::differences(dir)? {
        verified.problem(problem);
    }
    Ok(verified)
}

/// Checks a database with its blobs.
///
/// # Errors
/// Only when the check itself could not be made.
pub fn database(conn: &Connection, blobs: &dyn Blobs) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    pages(conn, &mut verified)?;
    if verified.is_well() {
        // On damaged pages the rest would only repeat it.
        runs(conn, &mut verified)?;
        counters(conn, &mut verified)?;
        artifacts(conn, blobs, &mut verified)?;
        if let Some(broken) = crate::sqlite::walk(conn)?.broken {
            verified.problem(format!("audit trail, row {}: {}", broken.seq, broken.why));
        }
    }
    Ok(verified)
}

fn pages(conn: &Connection, verified: &mut Verified) -> Result<(), Error> {
    let mut check = conn.prepare("PRAGMA integrity_check").map_err(Error::read("the pages"))?;
    let lines: rusqlite::Result<Vec<String>> =
        check.query_map([], |row| row.get(0)).and_then(Iterator::collect);
    match lines {
        Ok(lines) => {
            lines
                .iter()
                .filter(|line| *line != "ok")
                .for_each(|line| verified.problem(format!("pages: {line}")));
        }
        Err(source) => verified.problem(format!("pages: {source}")),
    }
    Ok(())
}

fn runs(conn: &Connection, verified: &mut Verified) -> Result<(), Error> {
    let mut all =
        conn.prepare("SELECT n, snapshot, id, state, seq FROM runs").map_err(Error::read("the runs"))?;
    let mut rows = all.query([]).map_err(Error::read("the runs"))?;
    while let Some(row) = rows.next().map_err(Error::read("the runs"))? {
        let read = || Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        let (n, snapshot, id, state, seq): (i64, String, [u8; 16], i64, i64) =
            read().map_err(Error::read("the runs"))?;
        verified.runs += 1;
        let stored = match stored_run(conn, n, &snapshot) {
            Ok(stored) => stored,
            Err(error) => {
                verified.problem(chain(&error));
                continue;
            }
        };
        let run = &stored.run;
        if (run.id.bytes(), run.state.name() as i64, run.seq as i64) != (id, state, seq) {
            verified.problem(format!("run {}: its row and its snapshot differ", run.id));
        }
        match journal(conn, n) {
            Ok(records) => {
                verified.records += records.len() as u64;
                check_replay(&stored, &records, verified);
            }
            Err(error) => verified.problem(format!("run {}: {}", run.id, chain(&error))),
        }
    }
    Ok(())
}

fn journal(conn: &Connection, n: i64) -> Result<Vec<Record>, Error> {
    let pieces: rusqlite::Result<Vec<String>> = conn
        .prepare_cached("SELECT body FROM bodies WHERE at > ?1 AND at < ?2 ORDER BY at")
        .and_then(|mut find| {
            find.query_map((slot(n, SLOT_INPUT), slot(n, SLOT_OUTPUT)), |row| row.get(0))?.collect()
        });
    let mut records = Vec::new();
    for piece in pieces.map_err(Error::read("a journal"))? {
        records.extend(decode_chunk(&piece)?);
    }
    Ok(records)
}

fn check_replay(stored: &StoredRun, records: &[Record], verified: &mut Verified) {
    let run = &stored.run;
    if !records.iter().map(|record| record.seq).eq(1..=run.seq) {
        return verified.problem(format!("run {}: its journal has gaps", run.id));
    }
    match replay(run, records) {
        Ok(replayed) if replayed == *run => {}
        Ok(replayed) => verified.problem(format!(
            "run {}: its journal ends in {} at {}, its snapshot says {} at {}",
            run.id,
            replayed.state.name(),
            replayed.seq,
            run.state.name(),
            run.seq
        )),
        Err(problem) => verified.problem(format!("run {}: {problem}", run.id)),
    }
    for artifact in crate::op::named(records, &[]) {
        if !stored.artifacts.iter().any(|known| known.name == artifact.name) {
            verified.problem(format!("run {}: artifact {} is in the journal only", run.id, artifact.name));
        }
    }
}

/// The run that a journal makes.
fn replay(stored: &Run, records: &[Record]) -> Result<Run, String> {
    let Some((first, rest)) = records.split_first() else { return Err("its journal is empty".to_owned()) };
    let began = || format!("its journal begins with {}", first.event.name());
    let order = first.event.order(stored.id).ok_or_else(began)?;
    let (accepted, _, _) = run::accept(order, first.at);
    rest.iter().try_fold(accepted, |run, record| {
        run::apply(&run, &record.event, record.at)
            .map(|(run, _)| run)
            .map_err(|refused| format!("record {}: {refused}", record.seq))
    })
}

fn counters(conn: &Connection, verified: &mut Verified) -> Result<(), Error> {
    let difference =
        |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(Error::read("the counters"));
    let states = difference(
        "SELECT count(*) FROM (SELECT pack, state, count FROM state_counts EXCEPT
           SELECT pack, state, count(*) FROM runs GROUP BY pack, state)",
    )? + difference(
        "SELECT count(*) FROM (SELECT pack, state, count(*) FROM runs GROUP BY pack, state EXCEPT
           SELECT pack, state, count FROM state_counts)",
    )?;
    let queues = difference(
        "SELECT count(*) FROM (SELECT queue, key, priority, count FROM queue_counts EXCEPT
           SELECT queue, key, priority, count(*) FROM runs WHERE state = 0 AND due IS NULL
           GROUP BY queue, key, priority)",
    )? + difference(
        "SELECT count(*) FROM (SELECT queue, key, priority, count(*) FROM runs WHERE state = 0 AND due IS NULL
           GROUP BY queue, key, priority EXCEPT SELECT queue, key, priority, count FROM queue_counts)",
    )?;
    if states > 0 {
        verified.problem(format!("counters: {states} counts of runs by state are wrong"));
    }
    if queues > 0 {
        verified.problem(format!("counters: {queues} counts of waiting runs are wrong"));
    }
    Ok(())
}

fn artifacts(conn: &Connection, blobs: &dyn Blobs, verified: &mut Verified) -> Result<(), Error> {
    for hash in all_named(conn)? {
        verified.blobs += 1;
        if let Err(error) = blobs.verify(hash) {
            verified.problem(format!("artifact: {}", chain(&error)));
        }
    }
    Ok(())
}

fn chain(error: &Error) -> String {
    hale_core::failure::chain(error).collect::<Vec<_>>().join(": ")
}
