//! The table of live jobs, so that a server that starts again finds and kills what an earlier one has left.
//!
//! One file a job, one line a file, written before the program begins and removed when nothing of it is left. Processes
//! are named by pid and start time and are never mistaken for a stranger who got the pid later. What has left the
//! job's session is found by its marker and by the list that the supervisor keeps.
//! One server at a time owns a table: sweep it before the first job.
//! Leaves to others: keeping a second server out (`hale up` holds a lock on its data folder).

use super::limits::{ENTRY_BYTES, SWEEP_WITHIN};
use crate::process::stat::Stat;
use crate::process::{self, Tell, is_alive, tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SUFFIX: &str = "job";
/// Between two notes of processes that have left the session; a program that makes many must not make us write as many.
const NOTE_EVERY: Duration = Duration::from_millis(100);
/// Processes noted; the limit of tasks is far lower.
const NOTED: usize = 512;
/// Between two rounds of killing.
const ROUND: Duration = Duration::from_millis(2);

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub job: String,
    /// Pids and start times say nothing after the machine has started anew.
    pub boot: String,
    pub supervisor: u32,
    pub supervisor_start: u64,
    pub pid: u32,
    pub pgid: u32,
    /// Of the program, in clock ticks since the machine started.
    pub start: u64,
    /// `NAME=value` in the environment of its processes.
    pub marker: String,
    /// Processes that have left its session, with their start times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escaped: Vec<(u32, u64)>,
}

/// Names this start of the machine.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A live job's line.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    record: Record,
    noted: Instant,
}

impl Entry {
    pub(crate) fn write(table: &Path, record: Record) -> io::Result<Self> {
        let path = table.join(format!("{}.{SUFFIX}", record.job));
        if path.exists() {
            return Err(io::Error::other(format!(
                "{} is there: the job runs, or was never swept",
                path.display()
            )));
        }
        let entry = Self { path, record, noted: Instant::now() };
        entry.store()?;
        Ok(entry)
    }

    /// Whole or not at all. Not synced: a machine that went down has no leftovers.
    fn store(&self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut line = serde_json::to_string(&self.record)?;
        line.push('\n');
        File::create(&new)?.write_all(line.as_bytes())?;
        fs::rename(&new, &self.path)
    }

    /// Remembers who has left the session of the program; failing to write it loses nothing but this memory.
    pub(crate) fn note_escapes(&mut self, session: u32, tree: &[Stat], now: Instant) {
        let left =
            tree.iter().filter(|stat| stat.session != session && stat.pid != session && !stat.is_dead());
        let mut left: Vec<(u32, u64)> = left.map(|stat| (stat.pid, stat.start_time)).take(NOTED).collect();
        left.sort_unstable();
        if left != self.record.escaped && now.duration_since(self.noted) >= NOTE_EVERY {
            self.record.escaped = left;
            self.noted = now;
            let _ = self.store();
        }
    }

    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What became of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    pub job: String,
    /// Processes that were killed.
    pub killed: u32,
    /// Processes that outlived SIGKILL; their line stays.
    pub survivors: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the reaper table {}", folder.display())]
    Table {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("read {} of the reaper table: {problem}; look for processes of that job, then remove the file", path.display())]
    Entry { path: PathBuf, problem: String },
}

/// Kills everything that a former server has left.
#[derive(Debug)]
pub struct Reaper;

impl Reaper {
    /// Kills what is left of every job in the table and empties it. Lines that cannot be read come back as errors and
    /// stay.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn sweep(folder: &Path) -> Result<Vec<Result<Reaped, Error>>, Error> {
        let failed = |source| Error::Table { folder: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == SUFFIX));
        paths.sort();
        Ok(paths.iter().filter_map(|path| reap(path).transpose()).collect())
    }

    /// Kills what is left of one job, whose supervisor is gone.
    pub(crate) fn sweep_one(folder: &Path, job: &str) -> Result<Option<Reaped>, Error> {
        reap(&folder.join(format!("{job}.{SUFFIX}")))
    }
}

fn reap(path: &Path) -> Result<Option<Reaped>, Error> {
    let Some(record) = read(path)? else { return Ok(None) };
    let mut reaped = Reaped { job: record.job.clone(), killed: 0, survivors: 0 };
    if record.boot == boot() {
        (reaped.killed, reaped.survivors) = kill_all(&record);
    }
    if reaped.survivors == 0 {
        let _ = fs::remove_file(path);
    }
    Ok(Some(reaped))
}

/// `None` when its supervisor has removed it meanwhile.
fn read(path: &Path) -> Result<Option<Record>, Error> {
    let bad = |problem: String| Error::Entry { path: path.to_owned(), problem };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| bad(error.to_string()))?,
    };
    let mut line = String::new();
    file.take(ENTRY_BYTES).read_to_string(&mut line).map_err(|error| bad(error.to_string()))?;
    let record: Record = serde_json::from_str(&line).map_err(|error| bad(error.to_string()))?;
    Ok(Some(record))
}

/// Rounds until a look finds nobody: (killed, left over).
fn kill_all(record: &Record) -> (u32, u32) {
    let give_up = Instant::now() + SWEEP_WITHIN.duration();
    let mut killed: BTreeMap<u32, u64> = BTreeMap::new();
    loop {
        let left = leftovers(record);
        let live = u32::try_from(left.len()).unwrap_or(u32::MAX);
        if left.is_empty() || Instant::now() >= give_up {
            return (u32::try_from(killed.len()).unwrap_or(u32::MAX) - live, live);
        }
        for (pid, start) in left {
            let _ = process::kill(pid, start, Tell::Kill);
            killed.insert(pid, start);
        }
        std::thread::sleep(ROUND);
    }
}

/// Everybody alive who belongs to the job: named in the record, below those, in its session, or marked.
fn leftovers(record: &Record) -> BTreeMap<u32, u64> {
    let mut left = BTreeMap::new();
    let mut named = vec![(record.supervisor, record.supervisor_start), (record.pid, record.start)];
    named.extend(&record.escaped);
    for (pid, start) in named {
        if is_alive(pid, start) {
            left.insert(pid, start);
            left.extend(
                tree::below(pid)
                    .iter()
                    .filter(|stat| !stat.is_dead())
                    .map(|stat| (stat.pid, stat.start_time)),
            );
        }
    }
    let all = tree::all();
    // The session's number may belong to a stranger by now, if the program itself is gone and nobody kept the number.
    let taken = all.iter().any(|stat| stat.pid == record.pid && stat.start_time != record.start);
    for stat in all.iter().filter(|stat| !stat.is_dead() && stat.start_time >= record.start) {
        if (!taken && stat.session == record.pid) || tree::is_marked(stat.pid, &record.marker) {
            left.insert(stat.pid, stat.start_time);
        }
    }
    left
}
