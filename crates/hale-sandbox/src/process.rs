//! Processes that hale starts, signals and asks after.
//!
//! The only place of the project that starts a child; [`piped`] does it for jobs. A process is known by its pid *and* its start time, so that a
//! pid that was given to a stranger meanwhile is noticed and never signalled.
//! Leaves to others: when to start or end a worker (`hale-engine`, `hale up --detach`).
//! [`nursery`] starts those that end with us.
//! Read next: [`crate::job`], programs under limits.

pub mod nursery;
pub mod oom;
pub(crate) mod piped;
pub(crate) mod reap;
pub(crate) mod stat;
pub(crate) mod tree;
pub mod usage;

use rustix::process::{Pid, PidfdFlags, Signal};
use stat::Stat;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the log {} of the new process", path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("start {}", exe.display())]
    Start {
        exe: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("signal process {pid}")]
    Signal {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("find process {pid}: it has ended, or its pid belongs to another process now")]
    Gone { pid: u32 },
}

/// What a process may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// SIGTERM: end in order.
    Terminate,
    /// SIGKILL: end at once.
    Kill,
    /// SIGSTOP: stand still.
    Stop,
    /// SIGCONT: go on.
    Continue,
}

/// A process of its own session that outlives this one. Dropping it leaves the process running.
#[derive(Debug)]
pub struct Detached {
    child: Child,
    start_time: u64,
}

impl Detached {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For [`is_alive`] and [`kill`].
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// How the process ended, if it has. A parent that lives on asks now and then, so that no zombie stays.
    ///
    /// # Errors
    /// When the kernel cannot say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

/// Starts `exe` in a session of its own: no terminal, no signals of our group, input from nowhere, output and errors
/// appended to `log_file` (0600). It inherits our environment, with `env` on top.
///
/// # Errors
/// When the log cannot be opened or the program cannot be started.
pub fn spawn_detached(
    exe: &Path,
    args: &[OsString],
    env: &[(OsString, OsString)],
    log_file: &Path,
) -> Result<Detached, Error> {
    let log = |source| Error::Log { path: log_file.to_owned(), source };
    let out = OpenOptions::new().create(true).append(true).mode(0o600).open(log_file).map_err(log)?;
    let errors = out.try_clone().map_err(log)?;
    let start = |source| Error::Start { exe: exe.to_owned(), source };
    let child = detached(exe, out, errors).args(args).envs(env.iter().cloned()).spawn().map_err(start)?;
    // Not reaped yet, so its entry is there even if it has ended already.
    let start_time = start_time(child.id()).ok_or(Error::Gone { pid: child.id() })?;
    Ok(Detached { child, start_time })
}

#[expect(clippy::disallowed_methods, reason = "this is the place through which all child processes go")]
#[expect(unsafe_code, reason = "a session of its own needs setsid between fork and exec")]
fn detached(exe: &Path, out: File, errors: File) -> Command {
    let mut command = Command::new(exe);
    command.stdin(Stdio::null()).stdout(out).stderr(errors);
    // SAFETY: between fork and exec only setsid runs: one system call, async-signal-safe, no allocation, no lock.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command
}

/// Signals the process that has this pid and start time, and no other: the signal goes through a descriptor of the
/// process, taken before the start time is compared.
///
/// # Errors
/// [`Error::Gone`] when that process has ended; [`Error::Signal`] when we may not signal it.
pub fn kill(pid: u32, start_time: u64, tell: Tell) -> Result<(), Error> {
    let failed = |errno: rustix::io::Errno| match errno {
        rustix::io::Errno::SRCH => Error::Gone { pid },
        errno => Error::Signal { pid, source: errno.into() },
    };
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Error::Gone { pid })?;
    let process = rustix::process::pidfd_open(raw, PidfdFlags::empty()).map_err(failed)?;
    if !is_alive(pid, start_time) {
        return Err(Error::Gone { pid });
    }
    let signal = match tell {
        Tell::Terminate => Signal::TERM,
        Tell::Kill => Signal::KILL,
        Tell::Stop => Signal::STOP,
        Tell::Continue => Signal::CONT,
    };
    rustix::process::pidfd_send_signal(&process, signal).map_err(failed)
}

/// Whether the process with this pid and start time still runs. A zombie does not run.
pub fn is_alive(pid: u32, start_time: u64) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.start_time == start_time && !stat.is_dead())
}

/// When the process started, in clock ticks since the machine did; with the pid it names one process of this boot.
pub fn start_time(pid: u32) -> Option<u64> {
    Stat::of(pid).map(|stat| stat.start_time)
}
