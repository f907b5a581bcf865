//! Why a program ended: the kill verdict, graded, with its evidence.
//!
//! [`classify`] is a pure function of [`Facts`]. It climbs one ladder and takes the first rung that holds:
//! `oom-proved` > `oom-by-us` > `limit` > `stopped` > `oom-likely` > `killed-unknown` > `exit-137-not-a-signal`, then
//! the plain exits and signals. Exit code 137 alone never proves a lack of memory, and a SIGKILL alone says only that
//! somebody sent one.
//! Leaves to others: gathering the facts (`hale-sandbox`), deciding what to do about them (playbooks).
//! Read next: [`meaning`], what codes and signals say by themselves.

pub mod cause;
pub mod meaning;

use crate::time::Millis;
use meaning::{SIGABRT, SIGKILL, SIGTERM, SIGXCPU, SIGXFSZ};
use serde::{Deserialize, Serialize};
use std::fmt;

/// SIGKILL at this part of the memory limit or above, in percent, together with a kill by the kernel, is likely a lack
/// of memory: the kernel's counters lag behind by some pages of each CPU, so that 100 % is never read.
pub const OOM_LIKELY_PERCENT: u64 = 90;
/// A program that speaks of memory at this part of a limit or above, in percent, met that limit: allocators ask for
/// the next chunk, often a quarter of what they have, and are refused before the limit is full.
pub const NEAR_LIMIT_PERCENT: u64 = 75;
/// Lines of the error output that a verdict quotes.
const QUOTED_LINES: usize = 3;

/// How the program's first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum End {
    Exited {
        code: i32,
    },
    Signalled {
        signal: i32,
        core: bool,
    },
    /// Nobody saw it: its supervisor was killed.
    Unseen,
}

/// What hale itself did to the program, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Stop {
    /// The watchdog read this much resident memory.
    Memory {
        used_bytes: u64,
    },
    WallTime,
    /// The whole tree used this much.
    CpuTime {
        used: Millis,
    },
    /// Processes and threads.
    Tasks {
        count: u64,
    },
    /// Growth of the folders that it may write to.
    Disk {
        used_bytes: u64,
    },
    /// Somebody asked.
    Cancelled,
    /// The server that had started it ended.
    ServerGone,
}

/// The limits it ran under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    pub memory_bytes: u64,
    /// What one process may allocate (`RLIMIT_DATA`).
    pub data_bytes: u64,
    pub cpu: Millis,
    pub wall: Millis,
    pub file_bytes: u64,
    pub tasks: u64,
    pub disk_bytes: u64,
}

/// Everything that was measured; kept with the run so that the verdict can be checked by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub end: End,
    /// The wait status as the kernel gave it.
    pub raw_status: Option<i32>,
    pub stop: Option<Stop>,
    /// How much `oom_kill` of the job's own cgroup rose; `None` without a cgroup.
    pub cgroup_oom_kills: Option<u64>,
    /// How much `oom_kill` of the whole machine rose: corroboration only, it may be another's.
    pub machine_oom_kills: Option<u64>,
    pub peak_rss_bytes: u64,
    /// The largest data segment of one of its processes.
    pub peak_data_bytes: u64,
    pub peak_tasks: u64,
    pub cpu: Millis,
    pub wall: Millis,
    pub caps: Caps,
    /// Its last lines of error output, oldest first.
    pub stderr_tail: Vec<String>,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    Memory,
    Cpu,
    Wall,
    FileSize,
    Tasks,
    Disk,
}

/// The rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    OomProved,
    OomByUs,
    Limit {
        bound: Bound,
    },
    /// Cancelled, or left behind by its server.
    Stopped,
    OomLikely,
    KilledUnknown,
    #[serde(rename = "exit-137-not-a-signal")]
    Exit137NotASignal,
    Exit {
        code: i32,
    },
    Signal {
        signal: i32,
    },
}

/// How far the verdict can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    Unknown,
    Likely,
    Proved,
}

/// Why it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub kind: Kind,
    pub grade: Grade,
    /// One sentence without a full stop.
    pub says: String,
    /// What it rests on: each item is one measured fact with its number.
    pub evidence: Vec<String>,
}

impl End {
    /// Reads a Linux wait status.
    pub fn from_raw(status: i32) -> Self {
        match status & 0x7f {
            0 => End::Exited { code: (status >> 8) & 0xff },
            signal => End::Signalled { signal, core: status & 0x80 != 0 },
        }
    }
}

impl Kind {
    /// The rung's stable name, as in records, metrics and filters.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OomProved => "oom-proved",
            Kind::OomByUs => "oom-by-us",
            Kind::Limit { .. } => "limit",
            Kind::Stopped => "stopped",
            Kind::OomLikely => "oom-likely",
            Kind::KilledUnknown => "killed-unknown",
            Kind::Exit137NotASignal => "exit-137-not-a-signal",
            Kind::Exit { .. } => "exit",
            Kind::Signal { .. } => "signal",
        }
    }
}

impl Verdict {
    /// Whether nobody need look: it ended by itself with 0, or was asked to end (SIGTERM, 143, a cancellation).
    pub fn is_normal(&self) -> bool {
        matches!(self.kind, Kind::Exit { code: 0 | 143 } | Kind::Signal { signal: SIGTERM } | Kind::Stopped)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.says)
    }
}

impl Facts {
    fn killed(&self) -> bool {
        matches!(self.end, End::Signalled { signal: SIGKILL, .. })
    }

    fn succeeded(&self) -> bool {
        self.end == End::Exited { code: 0 }
    }

    fn stderr_has(&self, words: &[&str]) -> Option<&str> {
        let says = |line: &&String| words.iter().any(|word| line.contains(word));
        self.stderr_tail.iter().rev().find(says).map(String::as_str)
    }

    fn near_memory_limit(&self) -> bool {
        let near = |used: u64, limit: u64| limit > 0 && used >= part(limit, NEAR_LIMIT_PERCENT);
        near(self.peak_rss_bytes, self.caps.memory_bytes) || near(self.peak_data_bytes, self.caps.data_bytes)
    }
}

/// The verdict on these facts.
pub fn classify(facts: &Facts) -> Verdict {
    let rungs =
        [oom_proved, oom_by_us, limit_by_us, limit_by_kernel, limit_by_own_words, stopped, oom_likely];
    let rung = rungs.iter().find_map(|rung| rung(facts));
    let (kind, grade, says) = rung.unwrap_or_else(|| plain(facts));
    Verdict { kind, grade, says, evidence: evidence(facts) }
}

type Rung = (Kind, Grade, String);

fn oom_proved(facts: &Facts) -> Option<Rung> {
    let kills = facts.cgroup_oom_kills.filter(|kills| *kills > 0 && !facts.succeeded())?;
    let says = format!(
        "the kernel killed {kills} of its processes for lack of memory, within its own limit of {}",
        Bytes(facts.caps.memory_bytes)
    );
    Some((Kind::OomProved, Grade::Proved, says))
}

fn oom_by_us(facts: &Facts) -> Option<Rung> {
    let Some(Stop::Memory { used_bytes }) = facts.stop else { return None };
    let says = format!(
        "hale killed it at {} of memory; its limit is {}",
        Bytes(used_bytes),
        Bytes(facts.caps.memory_bytes)
    );
    Some((Kind::OomByUs, Grade::Proved, says))
}

fn limit_by_us(facts: &Facts) -> Option<Rung> {
    let caps = &facts.caps;
    let (bound, says) = match facts.stop? {
        Stop::WallTime => {
            (Bound::Wall, format!("it ran for {} and its time limit is {}", facts.wall, caps.wall))
        }
        Stop::CpuTime { used } => {
            (Bound::Cpu, format!("its processes used {used} of CPU time; the limit is {}", caps.cpu))
        }
        Stop::Tasks { count } => {
            (Bound::Tasks, format!("it had {count} processes and threads; the limit is {}", caps.tasks))
        }
        Stop::Disk { used_bytes } => (
            Bound::Disk,
            format!("it wrote {} to disk; the limit is {}", Bytes(used_bytes), Bytes(caps.disk_bytes)),
        ),
        Stop::Memory { .. } | Stop::Cancelled | Stop::ServerGone => return None,
    };
    Some((Kind::Limit { bound }, Grade::Proved, says))
}

fn limit_by_kernel(facts: &Facts) -> Option<Rung> {
    let cpu = || {
        let says = format!("it used {} of CPU time; one process may use {}", facts.cpu, facts.caps.cpu);
        (Kind::Limit { bound: Bound::Cpu }, Grade::Proved, says)
    };
    match facts.end {
        End::Signalled { signal: SIGXCPU, .. } => Some(cpu()),
        // A program that ignores SIGXCPU is killed a second later, by the same limit.
        End::Signalled { signal: SIGKILL, .. }
            if facts.stop.is_none() && facts.caps.cpu.0 > 0 && facts.cpu >= facts.caps.cpu =>
        {
            Some(cpu())
        }
        End::Signalled { signal: SIGXFSZ, .. } => {
            let says = format!("it tried to write a file larger than {}", Bytes(facts.caps.file_bytes));
            Some((Kind::Limit { bound: Bound::FileSize }, Grade::Proved, says))
        }
        _ => None,
    }
}

/// Limits of the kernel that reach a program as an error of its own: it then ends with a code of its choice.
fn limit_by_own_words(facts: &Facts) -> Option<Rung> {
    let gave_up = match facts.end {
        End::Exited { code } => code != 0,
        End::Signalled { signal, .. } => signal == SIGABRT,
        End::Unseen => false,
    };
    if !gave_up || facts.stop.is_some() {
        return None;
    }
    let said = |bound, line: &str| {
        let says = format!("it met its limit and gave up by itself; it said {line:?}");
        Some((Kind::Limit { bound }, Grade::Likely, says))
    };
    if let Some(line) = facts.stderr_has(&meaning::MEMORY_WORDS)
        && facts.near_memory_limit()
    {
        return said(Bound::Memory, line);
    }
    if let Some(line) = facts.stderr_has(&meaning::FILE_WORDS) {
        return said(Bound::FileSize, line);
    }
    let crowded = facts.caps.tasks > 0 && facts.peak_tasks >= part(facts.caps.tasks, NEAR_LIMIT_PERCENT);
    match facts.stderr_has(&meaning::TASK_WORDS) {
        Some(line) if crowded => said(Bound::Tasks, line),
        _ => None,
    }
}

fn stopped(facts: &Facts) -> Option<Rung> {
    let says = match facts.stop? {
        Stop::Cancelled => "it was cancelled",
        Stop::ServerGone => "the server that had started it ended, so it was killed",
        _ => return None,
    };
    Some((Kind::Stopped, Grade::Proved, says.to_owned()))
}

fn oom_likely(facts: &Facts) -> Option<Rung> {
    let kernel_killed = facts.machine_oom_kills.is_some_and(|kills| kills > 0);
    let full = facts.caps.memory_bytes > 0
        && facts.peak_rss_bytes >= part(facts.caps.memory_bytes, OOM_LIKELY_PERCENT);
    if !(facts.killed() && kernel_killed && full) {
        return None;
    }
    let says = format!(
        "it was killed at {} of {} of memory while the kernel was killing for lack of memory",
        Bytes(facts.peak_rss_bytes),
        Bytes(facts.caps.memory_bytes)
    );
    Some((Kind::OomLikely, Grade::Likely, says))
}

fn plain(facts: &Facts) -> Rung {
    match facts.end {
        End::Unseen => (
            Kind::KilledUnknown,
            Grade::Unknown,
            "its supervisor was killed, so that nobody saw how it ended".to_owned(),
        ),
        End::Signalled { signal: SIGKILL, .. } => (
            Kind::KilledUnknown,
            Grade::Unknown,
            "somebody killed it (SIGKILL); it was not hale, and nothing shows a lack of memory".to_owned(),
        ),
        End::Exited { code: 137 } => (
            Kind::Exit137NotASignal,
            Grade::Proved,
            "it ended by itself with exit code 137; no signal reached it, so 137 proves no lack of memory; \
             a shell ends so when a program below it was killed"
                .to_owned(),
        ),
        End::Exited { code } => {
            let says = format!("it ended with exit code {code}: {}", meaning::of_exit(code));
            (Kind::Exit { code }, Grade::Proved, says)
        }
        End::Signalled { signal, core } => {
            let dumped = if core { ", core dumped" } else { "" };
            let (name, means) = (meaning::signal_name(signal), meaning::of_signal(signal));
            (Kind::Signal { signal }, Grade::Proved, format!("signal {signal} ({name}{dumped}): {means}"))
        }
    }
}

fn evidence(facts: &Facts) -> Vec<String> {
    let caps = &facts.caps;
    let mut found = Vec::new();
    match facts.raw_status {
        Some(raw) => found.push(format!("wait status {raw:#06x}: {}", shown(facts.end))),
        None => found.push("no wait status".to_owned()),
    }
    found.push(format!(
        "peak memory {} of {}, largest data segment {} of {}",
        Bytes(facts.peak_rss_bytes),
        Bytes(caps.memory_bytes),
        Bytes(facts.peak_data_bytes),
        Bytes(caps.data_bytes)
    ));
    found.push(format!("CPU time {} of {}, wall time {} of {}", facts.cpu, caps.cpu, facts.wall, caps.wall));
    found.push(format!("most processes and threads {} of {}", facts.peak_tasks, caps.tasks));
    match facts.cgroup_oom_kills {
        Some(kills) => found.push(format!("memory.events of its cgroup: oom_kill rose by {kills}")),
        None => found.push("no cgroup of its own".to_owned()),
    }
    if let Some(kills) = facts.machine_oom_kills {
        found.push(format!("oom_kill of the whole machine rose by {kills}"));
    }
    if let Some(line) = facts.stderr_has(&meaning::MEMORY_WORDS)
        && !facts.near_memory_limit()
    {
        found.push(format!("stderr speaks of memory ({line:?}), but the peak was far from every limit"));
    }
    let from = facts.stderr_tail.len().saturating_sub(QUOTED_LINES);
    found.extend(facts.stderr_tail[from..].iter().map(|line| format!("stderr: {line}")));
    found
}

fn shown(end: End) -> String {
    match end {
        End::Exited { code } => format!("exit code {code}"),
        End::Signalled { signal, .. } => format!("signal {signal} ({})", meaning::signal_name(signal)),
        End::Unseen => "not seen".to_owned(),
    }
}

fn part(whole: u64, percent: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// As people write it: `512 B`, `64.0 MiB`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut whole, mut unit) = (self.0 as f64, "B");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if whole < 1024.0 {
                break;
            }
            (whole, unit) = (whole / 1024.0, larger);
        }
        if unit == "B" { write!(f, "{} B", self.0) } else { write!(f, "{whole:.1} {unit}") }
    }
}
