//! Worker processes that a server keeps: when one that ended starts again, and what its end means.
//!
//! Guarantees: the wait before a restart doubles from 1 s to 60 s and is spread by a number of the process, so that a
//! crowd does not come back at one moment; a seat whose processes end five times in five minutes opens its breaker, and
//! nothing starts there until a person says so. What an end means is a function of measured facts: a SIGKILL alone
//! proves no lack of memory.
//! Leaves to others: starting, signalling and waiting (`hale-engine`, `hale-sandbox`).
//! Read next: [`crate::kill::meaning`], what codes and signals say by themselves.

use crate::kill::meaning::{self, SIGKILL, SIGSEGV, SIGTERM};
use crate::kill::{End, Grade};
use crate::limits::{
    BEAT_MAX, BEAT_MIN, BREAKER_ENDS, BREAKER_WINDOW, ENDED_WORKERS_KEPT, IDLE_BEAT_MAX, IDLE_BEAT_MIN,
    RESTART_MAX, RESTART_MIN,
};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Doublings after which the wait is at its bound: 2^6 s are more than a minute.
const DOUBLINGS: u32 = 6;

/// What happened in one seat so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Ends that nobody ordered, within the window, oldest first.
    ends: VecDeque<Timestamp>,
    /// Such ends in a row, each of a process that lived shorter than the window.
    in_a_row: u32,
    restarts: u64,
    open_since: Option<Timestamp>,
}

/// What follows an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Restart {
        at: Timestamp,
    },
    /// The breaker is open: nothing, until a person says so.
    Stay,
}

impl Past {
    /// A process that lived for `lived` ended and nobody had ordered it. `chance` spreads the wait.
    pub fn ended(&mut self, lived: Millis, now: Timestamp, chance: u64) -> Next {
        self.in_a_row = if lived >= BREAKER_WINDOW { 1 } else { self.in_a_row.saturating_add(1) };
        self.ends.push_back(now);
        while self.ends.front().is_some_and(|end| now.since(*end) >= BREAKER_WINDOW) {
            self.ends.pop_front();
        }
        if self.ends.len() >= BREAKER_ENDS {
            self.open_since.get_or_insert(now);
            return Next::Stay;
        }
        self.restarts += 1;
        Next::Restart { at: now + wait(self.in_a_row, chance) }
    }

    /// A person ordered a start: what was is forgotten, but for the count.
    pub fn close(&mut self) {
        *self = Self { restarts: self.restarts, ..Self::default() };
    }

    /// Since when nothing starts here.
    pub fn open_since(&self) -> Option<Timestamp> {
        self.open_since
    }

    /// Restarts that nobody ordered.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Ends within the window.
    pub fn ends(&self, now: Timestamp) -> usize {
        self.ends.iter().filter(|end| now.since(**end) < BREAKER_WINDOW).count()
    }
}

/// The wait after the `in_a_row`th end: doubled each time, and up to a quarter less by chance.
pub fn wait(in_a_row: u32, chance: u64) -> Millis {
    let doubled = RESTART_MIN.0 << in_a_row.saturating_sub(1).min(DOUBLINGS);
    let whole = doubled.min(RESTART_MAX.0);
    Millis(whole - chance % (whole / 4 + 1))
}

/// Between two heartbeats of one worker: its `n`th, spread by its id, so that many do not beat together. One with
/// nothing in hand takes its time.
pub fn beat(id: u128, n: u64, in_hand: bool) -> Millis {
    let (least, most) = if in_hand { (BEAT_MIN, BEAT_MAX) } else { (IDLE_BEAT_MIN, IDLE_BEAT_MAX) };
    // Ids of one moment differ in their low bits; a multiplication by the golden ratio spreads them and `n`.
    let low = id as u64 ^ (id >> 64) as u64;
    let mixed = (low ^ n.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Millis(least.0 + (mixed >> 32) % (most.0 - least.0 + 1))
}

/// Of ended workers with these moments, the oldest that is still remembered.
pub fn remembered(mut ends: Vec<Timestamp>) -> Option<Timestamp> {
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.get(ENDED_WORKERS_KEPT - 1).copied()
}

/// What hale did before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// SIGTERM: to end in order.
    Terminate,
    /// SIGKILL, since it did not end in time.
    Kill,
}

/// Everything that is known of the end of a worker process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// None when it could not be started.
    pub end: Option<End>,
    pub lived: Millis,
    pub sent: Option<Sent>,
    /// How much `oom_kill` of the server's cgroup rose while it lived; a hint, since others are in that group.
    pub group_oom_kills: Option<u64>,
    /// The same of the whole machine.
    pub machine_oom_kills: Option<u64>,
    /// Its last lines of error output, oldest first.
    pub last_words: Vec<String>,
}

/// What an end means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// As a shell tells it: the exit code, or 128 and the signal. None when it could not be started.
    pub code: Option<i32>,
    /// `SIGKILL`, where it was a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    pub grade: Grade,
    /// Whether a person should look.
    pub alarming: bool,
    /// One sentence without a full stop.
    pub says: String,
    /// What to do next.
    pub advice: String,
    /// What it rests on.
    pub evidence: Vec<String>,
}

/// An end as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub seat: u32,
    pub at: Timestamp,
    pub facts: Facts,
    pub meaning: Meaning,
}

/// Says, grade, whether a person should look, advice.
type Told = (String, Grade, bool, &'static str);

/// What the end of a worker process means.
pub fn meaning(facts: &Facts) -> Meaning {
    let (says, grade, alarming, advice) = told(facts);
    let (code, signal) = match facts.end {
        Some(End::Exited { code }) => (Some(code), None),
        Some(End::Signalled { signal, .. }) => {
            (Some(128 + signal), Some(meaning::signal_name(signal).to_owned()))
        }
        Some(End::Unseen) | None => (None, None),
    };
    let mut evidence = vec![format!("it lived for {}", facts.lived)];
    let rose = |name: &str, kills: Option<u64>| match kills {
        Some(kills) => format!("oom_kill of {name} rose by {kills}"),
        None => format!("oom_kill of {name} cannot be read"),
    };
    if code == Some(128 + SIGKILL) {
        evidence.push(rose("the server's cgroup", facts.group_oom_kills));
        evidence.push(rose("the machine", facts.machine_oom_kills));
    }
    evidence.extend(facts.last_words.iter().map(|line| format!("it said: {line}")));
    Meaning { code, signal, grade, alarming, says, advice: advice.to_owned(), evidence }
}

fn told(facts: &Facts) -> Told {
    let asked = facts.sent.is_some();
    match facts.end {
        None => {
            let says = "it could not be started".to_owned();
            (says, Grade::Proved, true, "see its last words; is the program file still there and executable?")
        }
        Some(End::Exited { code: 0 }) if asked => {
            ("it ended in order, as it was asked to".to_owned(), Grade::Proved, false, "nothing")
        }
        Some(End::Exited { code: 0 }) => {
            let says =
                "it ended by itself and in order (exit code 0); check whether that was meant".to_owned();
            (
                says,
                Grade::Proved,
                false,
                "somebody may have sent it SIGTERM; to have fewer: hale workers scale 1",
            )
        }
        Some(End::Exited { code }) => {
            let says = format!("it ended with exit code {code}: {}", of_exit(code));
            (says, Grade::Proved, code != 143, "read its last words; the whole output is in its log file")
        }
        Some(End::Signalled { signal: SIGKILL, .. }) => killed(facts),
        Some(End::Signalled { signal: SIGSEGV, .. }) => {
            let says = "segmentation fault (SIGSEGV, 139): memory corruption".to_owned();
            (says, Grade::Proved, true, "update hale; keep the core file if there is one, and report it")
        }
        Some(End::Signalled { signal: SIGTERM, .. }) => {
            let says = "it was asked to end (SIGTERM, 143): a normal shutdown, as in a deploy".to_owned();
            (says, Grade::Proved, false, "nothing, if it was meant")
        }
        Some(End::Signalled { signal, .. }) => {
            let (name, means) = (meaning::signal_name(signal), meaning::of_signal(signal));
            (format!("{name} ({}): {means}", 128 + signal), Grade::Proved, true, "read its last words")
        }
        Some(End::Unseen) => {
            ("nobody saw how it ended".to_owned(), Grade::Unknown, true, "read its last words")
        }
    }
}

/// SIGKILL, which anybody may have sent: the kernel's killer leaves counts behind, and they are told.
fn killed(facts: &Facts) -> Told {
    const MEMORY: &str =
        "give the machine or the group more memory, or each worker fewer slots: hale workers limits";
    let rose = |kills: Option<u64>| kills.is_some_and(|kills| kills > 0);
    if facts.sent == Some(Sent::Kill) {
        let says = "hale killed it (SIGKILL, 137), since it did not end when it was asked to".to_owned();
        return (says, Grade::Proved, true, "look what its runs waited for: hale runs list status:running");
    }
    if rose(facts.group_oom_kills) {
        let says =
            "killed (SIGKILL, 137), and in the same time the kernel killed in the server's cgroup for lack \
                    of memory: most likely this process"
                .to_owned();
        return (says, Grade::Likely, true, MEMORY);
    }
    if rose(facts.machine_oom_kills) {
        let says =
            "killed (SIGKILL, 137), while the kernel killed something on this machine for lack of memory: \
                    perhaps this process"
                .to_owned();
        return (says, Grade::Unknown, true, MEMORY);
    }
    let says =
        "somebody killed it (SIGKILL, 137); it was not hale, and no count of the kernel shows a lack of \
                memory: 137 alone proves none"
            .to_owned();
    (says, Grade::Unknown, true, "ask who ran kill -9; a container runtime sends it too")
}

/// Codes of the `hale` program where they are its own, else what they mean of any program.
fn of_exit(code: i32) -> &'static str {
    match code {
        4 => "the server did not take its key",
        69 => "it could not reach the server",
        code => meaning::of_exit(code),
    }
}
