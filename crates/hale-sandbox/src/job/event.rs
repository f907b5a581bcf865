//! What a job tells while it runs, and at its end.
//!
//! Read next: [`super::Job`].

use super::wall::Standing;
use hale_core::kill::{Facts, Verdict};
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};

/// One thing that happened. [`Event::Started`] comes first, [`Event::Ended`] last, each once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Started(Started),
    Stdout(Line),
    Stderr(Line),
    Warning(Warning),
    Ended(Box<Ended>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: u32,
    pub pgid: u32,
    /// The process that watches over it.
    pub supervisor_pid: u32,
    /// `NAME=value`, in the environment of each of its processes.
    pub marker: String,
    /// The effective set, for the run's record.
    pub walls: Vec<Standing>,
}

/// A line of output, or a piece of a long one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Whether the line goes on in the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// A limit comes near. Each is said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Warning {
    Memory {
        percent: u64,
        used_bytes: u64,
        limit_bytes: u64,
    },
    /// `50s of 60s`.
    Wall {
        passed: Millis,
        limit: Millis,
    },
    /// From here on output is counted and thrown away.
    Output {
        limit_bytes: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub verdict: Verdict,
    pub facts: Facts,
    pub walls: Vec<Standing>,
    pub output: Output,
    /// Processes that the program had left behind; they were killed.
    pub leftovers: u32,
    /// Processes that outlived SIGKILL, hanging in the kernel; the reaper table keeps them.
    pub survivors: u32,
}

/// What became of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    /// Of both, those beyond the limit.
    pub dropped_bytes: u64,
}
