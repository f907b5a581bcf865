//! The writer: one thread, one connection, one commit for everything that waits.
//!
//! Guarantees: batches commit in the order in which they came; an answer leaves only after the commit that holds it
//! is synced; a failed sync is reported once and ends all writing. Checkpoints happen here when nothing waits, or
//! when the WAL has grown long.
//! Read next: `sqlite/write.rs`, what an op does to the tables.

use super::ballast::{Ballast, Intake};
use super::counters::Counters;
use super::open::Options;
use super::{prune, write};
use crate::store::now;
use crate::{Error, Op, OpResult};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};
use hale_core::fault::{Deed, Point};
use hale_core::limits::LOOP_BATCH;
use hale_core::time::Timestamp;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ErrorCode, ffi};
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Batches that may wait for the disk: the engine has one under way, workers and upkeep a few.
const WAITING: usize = 4096;
/// Frames of the WAL after which it is checkpointed on a full disk, where a long WAL is what we cannot afford.
const WAL_FRAMES_FULL: i64 = 256;
/// Nothing came for this long: time for upkeep.
const IDLE: Duration = Duration::from_millis(100);
/// How often a full disk is measured while nothing comes.
const FULL_LOOK: Duration = Duration::from_secs(1);
/// Expired promises forgotten at one time.
const PROMISES: u32 = 512;

type Answer = Result<Vec<OpResult>, Error>;

pub(super) enum Command {
    Apply { batch: Vec<Op>, reply: oneshot::Sender<Answer> },
    Prune { wanted: prune::Wanted, reply: Sender<Result<prune::Chunk, Error>> },
    Expire { names: Vec<(i64, String)>, reply: Sender<Result<(), Error>> },
    Shrink { reply: Sender<Result<i64, Error>> },
}

/// The way to the writer; dropping it lets the writer finish and waits for it.
pub(super) struct Handle {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    pub(super) fn start(mut conn: Connection, ballast: Ballast, options: &Options) -> Result<Self, Error> {
        conn.wal_hook(Some(count_frames)).map_err(Error::upkeep("watch the WAL of"))?;
        let (commands, inbox) = bounded(WAITING);
        let mut writer = Writer {
            conn,
            ballast,
            options: options.clone(),
            inbox,
            counters: Counters::default(),
            latest: Timestamp(0),
            checked: 0,
            broken: false,
        };
        let thread = std::thread::Builder::new()
            .name("hale-writer".to_owned())
            .spawn(move || writer.work())
            .map_err(|source| Error::file("start the thread", std::path::Path::new("hale-writer"), source))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Hands a batch over without waiting.
    pub(super) fn apply(&self, batch: Vec<Op>) -> Result<oneshot::Receiver<Answer>, Error> {
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or(Error::Closed)?;
        match commands.try_send(Command::Apply { batch, reply }) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(Error::Overloaded { waiting: WAITING }),
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed),
        }
    }

    /// Asks for upkeep and waits for it.
    pub(super) fn ask<T>(
        &self,
        command: impl FnOnce(Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = bounded(1);
        let commands = self.commands.as_ref().ok_or(Error::Closed)?;
        commands.send(command(reply)).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)?
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered nobody; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

struct Writer {
    conn: Connection,
    ballast: Ballast,
    options: Options,
    inbox: Receiver<Command>,
    counters: Counters,
    /// The latest moment that a run brought: the clock of expiry.
    latest: Timestamp,
    /// Frames of the WAL that the last checkpoint saw.
    checked: i64,
    /// A sync failed: nothing more is written.
    broken: bool,
}

struct Batch {
    ops: Vec<Op>,
    reply: oneshot::Sender<Answer>,
}

impl Writer {
    fn work(&mut self) {
        while let Some(command) = self.next() {
            let mut command = Some(command);
            while let Some(now) = command.take() {
                command = self.obey(now);
            }
            self.checkpoint_when_long();
        }
        self.checkpoint("TRUNCATE");
    }

    /// Does one command; answers the one that came behind a gathered group, if it was no batch.
    fn obey(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::Apply { batch, reply } => {
                let (group, behind) = self.gather(Batch { ops: batch, reply });
                self.commit(group);
                return behind;
            }
            Command::Prune { wanted, reply } => {
                let pruned = self.prune(&wanted);
                let _ = reply.send(pruned);
            }
            Command::Expire { names, reply } => {
                let expired = self.expire(&names);
                let _ = reply.send(expired);
            }
            Command::Shrink { reply } => {
                let shrunk = self.shrink();
                let _ = reply.send(shrunk);
            }
        }
        None
    }

    /// Waits for work; uses the first idle moment for upkeep. None when everybody is gone.
    fn next(&mut self) -> Option<Command> {
        loop {
            let pending = self.frames_unchecked() > 0 && !self.broken;
            let wait = match (pending, self.ballast.intake()) {
                (true, _) => IDLE,
                (false, Intake::Full) => FULL_LOOK,
                (false, Intake::Open) => return self.inbox.recv().ok(),
            };
            match self.inbox.recv_timeout(wait) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.ballast.look();
                    self.forget_promises();
                    self.checkpoint("PASSIVE");
                }
            }
        }
    }

    /// Everything that waits already, up to a bound; and the command that is not a batch, if one came.
    fn gather(&self, first: Batch) -> (Vec<Batch>, Option<Command>) {
        let mut ops = first.ops.len();
        let mut group = vec![first];
        while ops < LOOP_BATCH {
            match self.inbox.try_recv() {
                Ok(Command::Apply { batch, reply }) => {
                    ops += batch.len();
                    group.push(Batch { ops: batch, reply });
                }
                Ok(other) => return (group, Some(other)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        (group, None)
    }

    fn commit(&mut self, group: Vec<Batch>) {
        let answers = match self.attempt(&group) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) => self.rescue(&group, error),
        };
        for (batch, answer) in group.into_iter().zip(answers) {
            // Nobody waits any more: the batch is stored all the same.
            let _ = batch.reply.send(answer);
        }
    }

    /// After a failed commit: on a disk that is full by measure the group is tried again without new work; otherwise
    /// each batch is tried alone, so that one bad batch does not take the others with it.
    fn rescue(&mut self, group: &[Batch], error: Error) -> Vec<Answer> {
        if self.broken || matches!(error, Error::Injected { .. }) {
            return group.iter().map(|_| Err(error.clone())).collect();
        }
        let was = self.ballast.intake();
        if was == Intake::Open && self.ballast.look() == Intake::Full {
            return match self.attempt(group) {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => group.iter().map(|_| Err(self.ballast.blame(error.clone()))).collect(),
            };
        }
        if group.len() == 1 {
            return vec![Err(self.ballast.blame(error))];
        }
        let alone = |writer: &mut Self, batch| {
            let mut answers = writer.attempt(std::slice::from_ref(batch))?;
            answers.pop().ok_or(Error::Closed)
        };
        group.iter().map(|batch| alone(self, batch)).collect()
    }

    /// One transaction for a group.
    fn attempt(&mut self, group: &[Batch]) -> Result<Vec<Vec<OpResult>>, Error> {
        if self.broken {
            return Err(Error::SyncFailed);
        }
        let intake = self.ballast.look();
        let deed = self.options.faults.pass(Point::BeforeCommit);
        match deed {
            Deed::Abort => std::process::abort(),
            Deed::Fail => return Err(Error::Injected { point: "before commit" }),
            Deed::Nothing | Deed::Skip => {}
        }
        let ops = group.iter().map(|batch| batch.ops.len()).sum();
        self.counters.clear();
        let failed = |source| Error::Commit { ops, source: Arc::new(source) };
        self.sql("BEGIN IMMEDIATE").map_err(failed)?;
        let written = self.write(group, intake, ops).and_then(|answers| {
            // A planted bug skips the commit and answers all the same.
            let end = if deed == Deed::Skip { "ROLLBACK" } else { "COMMIT" };
            self.sql(end).map_err(failed)?;
            Ok(answers)
        });
        if let Err(error) = &written {
            // SQLite may have rolled back by itself; then there is nothing to roll back.
            let _ = self.conn.execute_batch("ROLLBACK");
            self.check_sync(error);
        }
        let answers = written?;
        self.committed(ops)?;
        Ok(answers)
    }

    fn committed(&mut self, ops: usize) -> Result<(), Error> {
        self.options.meters.store_commits.add(1);
        self.options.meters.store_ops.add(ops as u64);
        self.ballast.wrote(now());
        match self.options.faults.pass(Point::AfterCommit) {
            Deed::Abort => std::process::abort(),
            Deed::Fail => Err(Error::Injected { point: "after commit" }),
            Deed::Nothing | Deed::Skip => Ok(()),
        }
    }

    fn write(&mut self, group: &[Batch], intake: Intake, ops: usize) -> Result<Vec<Vec<OpResult>>, Error> {
        let mut answers = Vec::with_capacity(group.len());
        let mut to = write::Write { conn: &self.conn, counters: &mut self.counters, intake, ops };
        for batch in group {
            let mut results = Vec::with_capacity(batch.ops.len());
            for op in &batch.ops {
                if let Op::Insert(insert) | Op::Delegate { child: insert, .. } = op {
                    self.latest = self.latest.max(insert.run.submitted_at);
                }
                results.push(to.op(op)?);
            }
            answers.push(results);
        }
        let failed = |source| Error::Commit { ops, source: Arc::new(source) };
        self.counters.store(&self.conn).map_err(failed)?;
        Ok(answers)
    }

    fn sql(&self, text: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(text)?.execute([]).map(|_| ())
    }

    /// A failed sync is final: the kernel may have dropped the pages and called them clean.
    fn check_sync(&mut self, error: &Error) {
        let source = match error {
            Error::Commit { source, .. } | Error::Upkeep { source, .. } => source,
            _ => return,
        };
        if !self.broken && is_sync_failure(source) {
            self.broken = true;
            (self.options.sync_failed)(error);
        }
    }

    fn checkpoint_when_long(&mut self) {
        let usual = i64::from(self.options.wal_frames);
        let bound = if self.ballast.intake() == Intake::Full { usual.min(WAL_FRAMES_FULL) } else { usual };
        if self.frames_unchecked() >= bound {
            self.checkpoint("PASSIVE");
        }
    }

    /// Frames written since the last checkpoint.
    fn frames_unchecked(&self) -> i64 {
        let frames = FRAMES.get();
        // Fewer than then: the WAL began anew.
        if frames < self.checked { frames } else { frames - self.checked }
    }

    fn checkpoint(&mut self, mode: &'static str) {
        if self.broken {
            return;
        }
        let done = self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        // Busy or full: the WAL keeps everything, and the next commit leads here again.
        self.checked = FRAMES.get();
        if let Err(source) = done {
            self.check_sync(&Error::upkeep("checkpoint")(source));
        }
    }

    fn forget_promises(&mut self) {
        if self.broken {
            return;
        }
        // A promise that is kept too long harms nobody, so an error waits for the next idle moment.
        let _ = self.conn.execute(
            "DELETE FROM promises WHERE key IN (SELECT key FROM promises WHERE expires <= ?1 LIMIT ?2)",
            (self.latest.0, PROMISES),
        );
    }

    fn expire(&mut self, names: &[(i64, String)]) -> Result<(), Error> {
        if self.broken {
            return Err(Error::SyncFailed);
        }
        let expired = prune::expire(&mut self.conn, names);
        if let Err(error) = &expired {
            self.check_sync(error);
        }
        expired
    }

    fn prune(&mut self, wanted: &prune::Wanted) -> Result<prune::Chunk, Error> {
        if self.broken {
            return Err(Error::SyncFailed);
        }
        self.counters.clear();
        let pruned = prune::chunk(&mut self.conn, &mut self.counters, wanted);
        if let Err(error) = &pruned {
            self.check_sync(error);
        }
        pruned
    }

    /// Gives some of what pruning freed back to the file system; answers the pages that are left to give back.
    fn shrink(&mut self) -> Result<i64, Error> {
        if self.broken {
            return Err(Error::SyncFailed);
        }
        let shrunk = prune::shrink(&self.conn);
        if let Err(error) = &shrunk {
            self.check_sync(error);
        }
        // Cuts the WAL as well: the room that it takes is part of what was freed.
        self.checkpoint("TRUNCATE");
        shrunk
    }
}

/// Whether SQLite could not make something durable.
pub(super) fn is_sync_failure(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    failure.code == ErrorCode::SystemIoFailure
        && matches!(failure.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
}

thread_local! {
    /// Length of the WAL in frames after the last commit of this thread, told by SQLite.
    static FRAMES: Cell<i64> = const { Cell::new(0) };
}

fn count_frames(_: &mut Wal, frames: c_int) -> rusqlite::Result<()> {
    FRAMES.set(i64::from(frames));
    Ok(())
}
