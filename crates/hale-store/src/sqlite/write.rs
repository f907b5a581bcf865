//! What each op does to the tables, inside the group's transaction.
//!
//! Guarantees: a run's row, journal, bodies, artifacts and counters change together; an update changes one row whose
//! sequence number is the expected one, or nothing.
//! Leaves to others: beginning and ending the transaction (`sqlite/writer.rs`).
//! Read next: `sqlite/claim.rs`.

use super::ballast::Intake;
use super::claim;
use super::counters::{Counters, Place};
use super::rows::{self, SLOT_INPUT, SLOT_OUTPUT, slot, state_of};
use crate::op::named;
use crate::row::{ended_at, error_code};
use crate::{Error, Hash, Insert, Line, Op, OpResult, Update};
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::run::{Record, Run};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::sync::Arc;

const GONE: OpResult = OpResult::Conflict { seq: None };

/// One group's way into the database.
pub(super) struct Write<'a> {
    pub(super) conn: &'a Connection,
    pub(super) counters: &'a mut Counters,
    pub(super) intake: Intake,
    /// Operations in the group, for the error.
    pub(super) ops: usize,
}

impl Write<'_> {
    pub(super) fn op(&mut self, op: &Op) -> Result<OpResult, Error> {
        match op {
            Op::Insert(insert) => self.insert(insert),
            Op::Update(update) => self.update(update),
            Op::Delegate { update, child } => self.delegate(update, child),
            Op::Claim { from, n, worker, at } => {
                let found = claim::find(self, from, *n)?;
                let claimed: Result<_, Error> =
                    found.into_iter().map(|(n, run)| claim::lease(self, n, &run, (*worker, *at))).collect();
                Ok(OpResult::Claimed(claimed?))
            }
            Op::Ripen { n, at } => claim::ripen(self, *n, *at),
            Op::Together(ops) => self.together(ops),
            Op::PackDeploy(_) | Op::PackForget { .. } if self.intake == Intake::Full => Ok(OpResult::Full),
            other => rows::write(self.conn, other).map_err(|source| self.failed(source)),
        }
    }

    /// All of them, or nothing: the first answer other than `Done` takes back what came before it.
    fn together(&mut self, ops: &[Op]) -> Result<OpResult, Error> {
        let counted = self.counters.clone();
        self.savepoint("SAVEPOINT together")?;
        for op in ops {
            let result = self.op(op)?;
            if result != OpResult::Done {
                self.savepoint("ROLLBACK TO together")?;
                self.savepoint("RELEASE together")?;
                *self.counters = counted;
                return Ok(result);
            }
        }
        self.savepoint("RELEASE together")?;
        Ok(OpResult::Done)
    }

    fn savepoint(&self, sql: &str) -> Result<(), Error> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut step| step.execute([]))
            .map(|_| ())
            .map_err(|source| self.failed(source))
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> Error {
        Error::Commit { ops: self.ops, source: Arc::new(source) }
    }

    fn insert(&mut self, insert: &Insert) -> Result<OpResult, Error> {
        let run = &insert.run;
        if let Some(duplicate) = self.promised(insert)? {
            return Ok(duplicate);
        }
        if let Some(known) = self.find(run.id)? {
            return Ok(OpResult::Conflict { seq: Some(known.seq) });
        }
        if self.intake == Intake::Full {
            return Ok(OpResult::Full);
        }
        let n = self.insert_row(run)?;
        self.body(slot(n, SLOT_INPUT), &insert.input)?;
        self.journal(n, &insert.records, run.id)?;
        if let Some(output) = &insert.output {
            self.body(slot(n, SLOT_OUTPUT), output)?;
        }
        self.artifacts(n, named(&insert.records, &[]))?;
        if let Some(asked) = &insert.idempotency {
            self.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO promises(key, run, digest, expires) VALUES(?1, ?2, ?3, ?4)",
                )
                .and_then(|mut put| put.execute((&asked.key, run.id.bytes(), asked.digest, asked.expires.0)))
                .map_err(|source| self.failed(source))?;
        }
        self.counters.added(&Place { delayed: is_delayed(run), ..place(run) });
        self.bury(n, run)?;
        Ok(OpResult::Done)
    }

    /// The run that this idempotency key belongs to already; a promise whose run was pruned is none.
    fn promised(&self, insert: &Insert) -> Result<Option<OpResult>, Error> {
        let Some(asked) = &insert.idempotency else { return Ok(None) };
        self.conn
            .prepare_cached(
                "SELECT run, digest FROM promises WHERE key = ?1 AND expires > ?2
                 AND EXISTS (SELECT 1 FROM runs WHERE runs.id = promises.run)",
            )
            .and_then(|mut find| {
                find.query_row((&asked.key, insert.run.submitted_at.0), |row| {
                    Ok(OpResult::Duplicate { run: RunId::from_bytes(row.get(0)?), digest: row.get(1)? })
                })
                .optional()
            })
            .map_err(|source| self.failed(source))
    }

    fn insert_row(&self, run: &Run) -> Result<i64, Error> {
        let snapshot = encode(run, "a run")?;
        self.conn
            .prepare_cached(
                "INSERT INTO runs(id, state, priority, key, pack, seq, ended_at, error_code, correlation, snapshot,
                   queue, due, parent)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .and_then(|mut put| {
                put.insert(rusqlite::params![
                    run.id.bytes(),
                    run.state.name() as i64,
                    run.priority as i64,
                    run.key.as_ref(),
                    run.pack.name.as_ref(),
                    run.seq as i64,
                    ended_at(run).map(|at| at.0),
                    error_code(run).map(rows::code_number),
                    run.correlation.as_ref(),
                    snapshot,
                    run.queue.as_ref(),
                    run.due.filter(|_| is_delayed(run)).map(|due| due.0),
                    run.parent.map(|parent| parent.run.bytes()),
                ])
            })
            .map_err(|source| self.failed(source))
    }

    fn update(&mut self, update: &Update) -> Result<OpResult, Error> {
        let Some(known) = self.find(update.run.id)? else { return Ok(GONE) };
        if known.seq != update.was {
            return Ok(OpResult::Conflict { seq: Some(known.seq) });
        }
        let after = place(&update.run);
        let before = Place { state: state_of(known.state)?, delayed: known.delayed, ..after.clone() };
        self.moved(known.n, (&before, &update.run), &update.records)?;
        self.artifacts(known.n, named(&update.records, &update.artifacts))?;
        if let Some(output) = &update.output {
            self.body(slot(known.n, SLOT_OUTPUT), output)?;
        }
        Ok(if known.delayed { OpResult::Early } else { OpResult::Done })
    }

    /// The child first, because only that can be refused once the parent's number fits.
    fn delegate(&mut self, update: &Update, child: &Insert) -> Result<OpResult, Error> {
        let seq = self.find(update.run.id)?.map(|known| known.seq);
        if seq != Some(update.was) {
            return Ok(OpResult::Conflict { seq });
        }
        match self.insert(child)? {
            OpResult::Done => self.update(update),
            refused => Ok(refused),
        }
    }

    /// Writes a transition: the row, its journal and its counters.
    pub(super) fn moved(&mut self, n: i64, step: (&Place, &Run), records: &[Record]) -> Result<(), Error> {
        let (before, run) = step;
        let snapshot = encode(run, "a run")?;
        self.conn
            .prepare_cached(
                "UPDATE runs SET state = ?2, seq = ?3, ended_at = ?4, error_code = ?5, snapshot = ?6,
                   due = CASE ?2 WHEN 0 THEN due END
                 WHERE n = ?1",
            )
            .and_then(|mut put| {
                put.execute(rusqlite::params![
                    n,
                    run.state.name() as i64,
                    run.seq as i64,
                    ended_at(run).map(|at| at.0),
                    error_code(run).map(rows::code_number),
                    snapshot,
                ])
            })
            .map_err(|source| self.failed(source))?;
        self.journal(n, records, run.id)?;
        let after = place(run);
        if after.state != before.state {
            self.counters.removed(before);
            self.counters.added(&after);
        }
        self.bury(n, run)
    }

    /// A run that ended without success and by nobody's will becomes a dead letter in the commit that ends it.
    fn bury(&self, n: i64, run: &Run) -> Result<(), Error> {
        let (Some(cause), Some(at)) = (run.dead_cause(), ended_at(run)) else { return Ok(()) };
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO dead(n, id, at, cause, pack, queue) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut put| {
                put.execute((n, run.id.bytes(), at.0, cause, run.pack.name.as_ref(), run.queue.as_ref()))
            })
            .map(|_| ())
            .map_err(|source| self.failed(source))
    }

    fn find(&self, id: RunId) -> Result<Option<Known>, Error> {
        self.conn
            .prepare_cached("SELECT n, seq, state, due IS NOT NULL FROM runs WHERE id = ?1")
            .and_then(|mut find| {
                find.query_row([id.bytes()], |row| {
                    Ok(Known {
                        n: row.get(0)?,
                        seq: row.get::<_, i64>(1)? as u64,
                        state: row.get(2)?,
                        delayed: row.get(3)?,
                    })
                })
                .optional()
            })
            .map_err(|source| self.failed(source))
    }

    /// One piece of the journal for all records of a commit.
    fn journal(&self, n: i64, records: &[Record], id: RunId) -> Result<(), Error> {
        let Some(last) = records.last() else { return Ok(()) };
        let piece = encode(&records, "the journal of a run")?;
        debug_assert_eq!(
            records[0].seq + records.len() as u64 - 1,
            last.seq,
            "{id}: checked when handed over"
        );
        self.body(slot(n, last.seq as i64), &piece)
    }

    fn body(&self, at: i64, body: &str) -> Result<(), Error> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO bodies(at, body) VALUES(?1, ?2)")
            .and_then(|mut put| put.execute((at, body)))
            .map(|_| ())
            .map_err(|source| self.failed(source))
    }

    fn artifacts<'a>(&self, n: i64, artifacts: impl Iterator<Item = &'a Artifact>) -> Result<(), Error> {
        for artifact in artifacts {
            let hash: Hash = artifact.hash.parse().map_err(|()| Error::Malformed {
                problem: format!("artifact {}: {:?} is no BLAKE3 hash", artifact.name, artifact.hash),
            })?;
            self.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO artifacts(n, name, hash, bytes, media_type) VALUES(?1, ?2, ?3, ?4, ?5)",
                )
                .and_then(|mut put| {
                    let bytes = i64::try_from(artifact.bytes).unwrap_or(i64::MAX);
                    put.execute((n, &artifact.name, hash.0, bytes, &artifact.media_type))
                })
                .map_err(|source| self.failed(source))?;
        }
        Ok(())
    }
}

struct Known {
    n: i64,
    seq: u64,
    state: i64,
    delayed: bool,
}

/// Waits for its time when it is accepted; afterwards the row's own column says so.
fn is_delayed(run: &Run) -> bool {
    run.is_delayed(run.submitted_at)
}

/// Where a run counts, once its time has come.
pub(super) fn place(run: &Run) -> Place {
    Place { line: Line::of(run), delayed: false, pack: run.pack.name.clone(), state: run.state.name() }
}

fn encode(value: &impl Serialize, what: &str) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|source| Error::Encode { what: what.to_owned(), source: Arc::new(source) })
}
