//! Children that end with this process: each in a group of its own, told to end in order when we are gone.
//!
//! The kernel sends a parent-death signal when the *thread* ends that started the child, so that one thread starts them
//! all and lives as long as the [`Nursery`]. A child whose parent died before it could ask for the signal does not
//! begin at all.
//! Leaves to others: how many there are and when one starts again (`hale-engine/src/supervisor.rs`).
//! Read next: [`super`], for signalling them.

use super::{Error, start_time};
use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// A program to start.
#[derive(Clone, Debug)]
pub struct Order {
    pub exe: PathBuf,
    pub args: Vec<OsString>,
    /// On top of our own environment.
    pub env: Vec<(OsString, OsString)>,
    /// Output and errors are appended here (0600).
    pub log: PathBuf,
}

type Started = Result<Kept, Error>;

/// The thread that starts children. Dropping it tells them all to end.
#[derive(Debug)]
pub struct Nursery {
    orders: mpsc::Sender<(Order, mpsc::Sender<Started>)>,
}

/// A child of a nursery. Dropping it leaves the process running, and its end unseen.
#[derive(Debug)]
pub struct Kept {
    child: Child,
    start_time: u64,
}

impl Kept {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// For [`super::is_alive`] and [`super::kill`].
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Waits for its end, and tells the wait status as the kernel gave it.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn wait(mut self) -> io::Result<i32> {
        self.child.wait().map(ExitStatusExt::into_raw)
    }
}

impl Nursery {
    /// # Errors
    /// When the system gives no thread.
    pub fn open() -> io::Result<Self> {
        let (orders, received) = mpsc::channel::<(Order, mpsc::Sender<Started>)>();
        std::thread::Builder::new().name("nursery".to_owned()).spawn(move || {
            for (order, reply) in received {
                let _ = reply.send(start(&order));
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts a child. Waits for the fork, so it belongs on a thread that may block.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(&self, order: Order) -> Started {
        let (reply, started) = mpsc::channel();
        let exe = order.exe.clone();
        let gone =
            || Error::Start { exe, source: io::Error::other("the thread that starts processes has ended") };
        if self.orders.send((order, reply)).is_err() {
            return Err(gone());
        }
        started.recv().unwrap_or_else(|_| Err(gone()))
    }
}

fn start(order: &Order) -> Started {
    let log = |source| Error::Log { path: order.log.clone(), source };
    let out = OpenOptions::new().create(true).append(true).mode(0o600).open(&order.log).map_err(log)?;
    let errors = out.try_clone().map_err(log)?;
    let failed = |source| Error::Start { exe: order.exe.clone(), source };
    let child = command(order, out, errors).spawn().map_err(failed)?;
    // Not reaped yet, so its entry is there even if it has ended already.
    let start_time = start_time(child.id()).ok_or(Error::Gone { pid: child.id() })?;
    Ok(Kept { child, start_time })
}

#[expect(clippy::disallowed_methods, reason = "this is the place through which all child processes go")]
#[expect(unsafe_code, reason = "a signal at the parent's death is asked for between fork and exec")]
fn command(order: &Order, out: File, errors: File) -> Command {
    let mut command = Command::new(&order.exe);
    command.args(&order.args).envs(order.env.iter().cloned());
    command.stdin(Stdio::null()).stdout(out).stderr(errors).process_group(0);
    let parent = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw);
    // SAFETY: between fork and exec two system calls run: async-signal-safe, no allocation, no lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            if rustix::process::getppid() == parent { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
        });
    }
    command
}
