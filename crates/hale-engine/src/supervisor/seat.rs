//! One seat: what is in it, and what is known of what was in it before.
//!
//! Read next: `hale-core/src/supervise.rs`, which decides.

use super::{SeatLook, Stands};
use hale_core::id::WorkerId;
use hale_core::kill::End;
use hale_core::supervise::{Ended, Facts, Past, Sent, meaning};
use hale_core::time::{Millis, Timestamp};
use hale_sandbox::process::{self, Tell, oom};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Lines of a process's error output that are kept with its end.
const LAST_WORDS: usize = 3;
/// Letters of such a line.
const WORD_LETTERS: usize = 300;
/// Bytes at the end of the log in which they are looked for.
const TAIL_BYTES: u64 = 16 << 10;
/// A log that is larger is put aside when the next process starts; the one before it goes.
const LOG_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Seat {
    pub past: Past,
    pub last: Option<Ended>,
    pub state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Idle { at: Timestamp },
    Starting { worker: WorkerId, since: Timestamp },
    Taken(Box<Taken>),
    Open { since: Timestamp },
}

/// A process in its seat.
#[derive(Debug)]
pub(super) struct Taken {
    pub worker: WorkerId,
    pub pid: u32,
    pub start_time: u64,
    pub since: Timestamp,
    pub slots: u32,
    /// Where its words begin in the log.
    pub said_from: u64,
    pub oom: oom::Counts,
    pub ordered: Option<Ordered>,
    pub sent: Option<Sent>,
}

/// Somebody ordered its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub then: Then,
    /// Until when it may end what it has, then until when it may end.
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    StartAgain,
    Leave,
}

impl Seat {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { past: Past::default(), last: None, state: State::Idle { at } }
    }

    pub(super) fn look(&self, seat: u32, now: Timestamp) -> SeatLook {
        let stands = match &self.state {
            State::Idle { at } => Stands::Waiting { until: *at },
            State::Starting { worker, since } => Stands::Starting { worker: *worker, since: *since },
            State::Open { since } => Stands::Open { since: *since },
            State::Taken(taken) => {
                let Taken { worker, pid, since, .. } = **taken;
                match taken.ordered {
                    None => Stands::Taken { worker, pid, since },
                    Some(_) => Stands::Ending { worker, pid, since },
                }
            }
        };
        SeatLook {
            seat,
            stands,
            restarts: self.past.restarts(),
            ends: self.past.ends(now),
            last: self.last.clone(),
        }
    }

    pub(super) fn taken(&mut self) -> Option<&mut Taken> {
        match &mut self.state {
            State::Taken(taken) => Some(taken),
            State::Idle { .. } | State::Starting { .. } | State::Open { .. } => None,
        }
    }
}

impl Taken {
    /// Sends a signal; one that has ended hears nothing, and its end is on its way to us.
    pub(super) fn tell(&mut self, sent: Sent) {
        let tell = match sent {
            Sent::Terminate => Tell::Terminate,
            Sent::Kill => Tell::Kill,
        };
        match process::kill(self.pid, self.start_time, tell) {
            Ok(()) => self.sent = Some(sent),
            Err(error) => {
                tracing::debug!(event = "worker_not_told", worker = %self.worker, error = %error, "signal not sent");
            }
        }
    }

    /// What is known of its end.
    pub(super) fn ended(&self, (seat, log): (u32, &Path), status: Option<i32>, now: Timestamp) -> Ended {
        let rose = oom::Counts::read().since(self.oom);
        let facts = Facts {
            end: Some(status.map_or(End::Unseen, End::from_raw)),
            lived: now.since(self.since),
            sent: self.sent,
            group_oom_kills: rose.group,
            machine_oom_kills: rose.machine,
            last_words: last_words(log, self.said_from),
        };
        Ended { seat, at: now, meaning: meaning(&facts), facts }
    }
}

/// A process that could not be started.
pub(super) fn not_started(seat: u32, why: String, now: Timestamp) -> Ended {
    let facts = Facts {
        end: None,
        lived: Millis(0),
        sent: None,
        group_oom_kills: None,
        machine_oom_kills: None,
        last_words: vec![why],
    };
    Ended { seat, at: now, meaning: meaning(&facts), facts }
}

/// The log of a seat, and where the next process's words begin in it.
pub(super) fn log_of(logs: &Path, seat: u32) -> (PathBuf, u64) {
    let path = logs.join(format!("worker-{seat}.log"));
    let long = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    if long > LOG_BYTES && std::fs::rename(&path, path.with_extension("log.1")).is_ok() {
        return (path, 0);
    }
    (path, long)
}

/// The last lines that were written after `from`.
fn last_words(log: &Path, from: u64) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let long = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(long.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let last = lines[lines.len().saturating_sub(LAST_WORDS)..].iter();
    last.map(|line| line.chars().map(plain).take(WORD_LETTERS).collect()).collect()
}
