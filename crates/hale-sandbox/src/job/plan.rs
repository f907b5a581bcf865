//! What server, supervisor and launcher of a job tell each other.
//!
//! Server to supervisor: a [`Plan`], then `c` to cancel; the end of that pipe means that the server is gone.
//! Supervisor to server: one [`Message`] a line. Supervisor to launcher and back: [`Entrance`], [`Built`], one byte to
//! go, and on a failed start the reason. All of it is JSON, one value a line.
//! Read next: [`super::supervise`], [`super::enter`].

use super::event::Event;
use super::spec::{Limits, Network};
use super::wall::{Standing, Wall};
use crate::process::piped::Launcher;
use hale_core::kill::Caps;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// The name of the environment variable by which the processes of a job are known.
pub const MARKER: &str = "HALE_JOB";

/// A job after its checks: all paths are absolute, without links, and were there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub(crate) id: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) working_folder: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) limits: Limits,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) read_write: Vec<PathBuf>,
    pub(crate) network: Network,
    pub(crate) required: Vec<Wall>,
    pub(crate) table: PathBuf,
    pub(crate) cgroup_root: Option<PathBuf>,
}

impl Plan {
    pub(crate) fn caps(&self) -> Caps {
        let limits = &self.limits;
        Caps {
            memory_bytes: limits.memory_bytes,
            data_bytes: limits.data(),
            cpu: limits.cpu,
            wall: limits.wall,
            file_bytes: limits.file_bytes,
            tasks: limits.tasks,
            disk_bytes: limits.disk_bytes,
        }
    }
}

/// The first line to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) plan: Plan,
    pub(crate) launcher_program: PathBuf,
    pub(crate) launcher_args: Vec<String>,
}

impl Order {
    pub(crate) fn launcher(&self) -> Launcher {
        let args = self.launcher_args.iter().map(OsString::from).collect();
        Launcher { program: self.launcher_program.clone(), args }
    }
}

/// The byte that cancels.
pub(crate) const CANCEL: u8 = b'c';

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub(crate) enum Message {
    Event {
        event: Event,
    },
    /// A required wall is not live; nothing of the program has run.
    Refused {
        wall: Wall,
        why: String,
    },
    /// It could not be started; nothing of the program has run.
    Failed {
        tried: String,
        why: String,
    },
}

/// What the launcher has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entrance {
    pub(crate) plan: Plan,
    /// Set apart from the job's own variables: those come from its owner.
    pub(crate) marker: String,
    pub(crate) supervisor: u32,
}

/// What the launcher has done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Built {
    pub(crate) walls: Vec<Standing>,
}

/// The byte that lets the program run.
pub(crate) const GO: u8 = b'g';
