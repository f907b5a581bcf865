//! The walls around a job: what they are called, and whether each is up.
//!
//! A wall is *live* only when the kernel has confirmed it; whoever cannot be built says why. The effective set goes
//! into the run's record, and a policy may require a wall: then a job without it is refused, never weakened.
//! Leaves to others: building them ([`super::enter`], [`super::cgroup`], [`super::supervise`]).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A wall by its stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wall {
    /// A session and process group of its own: no terminal, one target for signals.
    Session,
    /// Orphans come to the supervisor, so that nothing leaves the tree.
    Subreaper,
    /// The program dies with its supervisor (`PR_SET_PDEATHSIG`).
    ParentDeath,
    NoNewPrivileges,
    /// Allocation of one process (`RLIMIT_DATA`).
    RlimitData,
    RlimitCpu,
    RlimitFileSize,
    RlimitOpenFiles,
    /// No core dumps: they would fill the disk and hold secrets.
    RlimitCore,
    /// Processes of the user, as a backstop above the watchdog (`RLIMIT_NPROC` counts all of them).
    RlimitTasks,
    /// Only input, output and errors are open.
    ClosedFiles,
    /// The kernel's OOM killer takes the job before the server.
    OomScore,
    /// No capability, even for root.
    Capabilities,
    /// Landlock: only the named files and folders.
    Files,
    /// Landlock: no signal to a process outside, no abstract socket.
    Scope,
    /// Landlock: no TCP connection, no listening.
    Tcp,
    /// Seccomp: no mounting, tracing, loading of code into the kernel, new namespaces, foreign keys.
    SystemCalls,
    /// Seccomp: no socket at all.
    Sockets,
    /// cgroup v2 `memory.max`.
    CgroupMemory,
    /// cgroup v2 `pids.max`.
    CgroupTasks,
    /// Our own watch over resident memory.
    MemoryWatch,
    /// Our own watch over processes and threads.
    TaskWatch,
    /// Our own watch over the CPU time of the whole tree.
    CpuWatch,
    /// Our own watch over the growth of writable folders.
    DiskWatch,
}

/// All of them, in the order in which they are built.
pub const ALL: [Wall; 24] = {
    use Wall::*;
    [
        Subreaper,
        CgroupMemory,
        CgroupTasks,
        MemoryWatch,
        TaskWatch,
        CpuWatch,
        DiskWatch,
        Session,
        ParentDeath,
        NoNewPrivileges,
        RlimitData,
        RlimitCpu,
        RlimitFileSize,
        RlimitOpenFiles,
        RlimitCore,
        RlimitTasks,
        ClosedFiles,
        OomScore,
        Files,
        Scope,
        Tcp,
        Capabilities,
        SystemCalls,
        Sockets,
    ]
};

/// How a wall stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    Live,
    NotAvailable {
        why: String,
    },
    /// The job does not want it: it may use the network.
    NotAsked,
}

/// One line of the effective set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub wall: Wall,
    #[serde(flatten)]
    pub state: State,
}

impl Wall {
    pub fn name(self) -> &'static str {
        match self {
            Wall::Session => "session",
            Wall::Subreaper => "subreaper",
            Wall::ParentDeath => "parent-death",
            Wall::NoNewPrivileges => "no-new-privileges",
            Wall::RlimitData => "rlimit-data",
            Wall::RlimitCpu => "rlimit-cpu",
            Wall::RlimitFileSize => "rlimit-file-size",
            Wall::RlimitOpenFiles => "rlimit-open-files",
            Wall::RlimitCore => "rlimit-core",
            Wall::RlimitTasks => "rlimit-tasks",
            Wall::ClosedFiles => "closed-files",
            Wall::OomScore => "oom-score",
            Wall::Capabilities => "capabilities",
            Wall::Files => "files",
            Wall::Scope => "scope",
            Wall::Tcp => "tcp",
            Wall::SystemCalls => "system-calls",
            Wall::Sockets => "sockets",
            Wall::CgroupMemory => "cgroup-memory",
            Wall::CgroupTasks => "cgroup-tasks",
            Wall::MemoryWatch => "memory-watch",
            Wall::TaskWatch => "task-watch",
            Wall::CpuWatch => "cpu-watch",
            Wall::DiskWatch => "disk-watch",
        }
    }

    pub(crate) fn live(self) -> Standing {
        Standing { wall: self, state: State::Live }
    }

    pub(crate) fn not_asked(self) -> Standing {
        Standing { wall: self, state: State::NotAsked }
    }

    pub(crate) fn missing(self, why: impl fmt::Display) -> Standing {
        Standing { wall: self, state: State::NotAvailable { why: why.to_string() } }
    }

    /// Live if it was built, else the reason why it was not.
    pub(crate) fn built<E: fmt::Display>(self, result: Result<(), E>) -> Standing {
        match result {
            Ok(()) => self.live(),
            Err(why) => self.missing(why),
        }
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the wall {text:?}: there is none of that name{}; the walls are {}", nearest(text), names())]
pub struct UnknownWall {
    pub text: String,
}

impl FromStr for Wall {
    type Err = UnknownWall;
    fn from_str(text: &str) -> Result<Self, UnknownWall> {
        let found = ALL.into_iter().find(|wall| wall.name() == text);
        found.ok_or_else(|| UnknownWall { text: text.chars().take(64).collect() })
    }
}

fn names() -> String {
    ALL.map(Wall::name).join(", ")
}

fn nearest(text: &str) -> String {
    let best = hale_core::nearest::nearest(text, ALL.iter().map(|wall| wall.name()));
    best.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

/// The first required wall that is not live, and why.
pub(crate) fn lacking(required: &[Wall], standing: &[Standing]) -> Option<(Wall, String)> {
    required.iter().find_map(|wall| {
        let found = standing.iter().find(|standing| standing.wall == *wall);
        match found.map(|standing| &standing.state) {
            Some(State::Live) => None,
            Some(State::NotAvailable { why }) => Some((*wall, why.clone())),
            Some(State::NotAsked) => {
                Some((*wall, "the job may use the network, which this wall forbids".to_owned()))
            }
            None => Some((*wall, "nobody has built it".to_owned())),
        }
    })
}
