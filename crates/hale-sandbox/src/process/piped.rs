//! Starting the processes of a job: its supervisor, the launcher below it, and the program in the launcher's place.
//!
//! All three get a cleared environment: ours holds the server's secrets, and `/proc/PID/environ` shows it to every
//! process of the same user. No code of ours runs between fork and exec.
//! Read next: [`crate::job`].

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How to call ourselves again: a program whose arguments lead to [`crate::job::launcher_main`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl Launcher {
    /// The very file that runs now, even if another one was installed in its place meanwhile.
    pub fn current(args: &[&str]) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: args.iter().map(OsString::from).collect() }
    }
}

/// Starts the supervisor: input and output are pipes to us, its own complaints go where ours go.
pub(crate) fn supervisor(launcher: &Launcher) -> io::Result<Child> {
    command(launcher, "supervise")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
}

/// Starts the launcher below the supervisor: its input is a private line to the supervisor, its output and errors are
/// already those of the program.
pub(crate) fn launcher(launcher: &Launcher, line: OwnedFd) -> io::Result<Child> {
    command(launcher, "enter").stdin(Stdio::from(line)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

#[expect(clippy::disallowed_methods, reason = "this is the place through which all child processes go")]
fn command(launcher: &Launcher, stage: &str) -> Command {
    let mut command = Command::new(&launcher.program);
    command.args(&launcher.args).arg(stage).env_clear().current_dir("/");
    command
}

/// A program as the launcher becomes it.
pub(crate) struct Program<'a> {
    pub(crate) path: &'a Path,
    pub(crate) args: &'a [String],
    pub(crate) folder: &'a Path,
    pub(crate) environment: &'a [(String, String)],
}

/// Puts the program in the place of this process. Returns only when that failed.
#[expect(clippy::disallowed_methods, reason = "this is the place through which all child processes go")]
pub(crate) fn become_program(program: &Program<'_>) -> io::Error {
    let mut command = Command::new(program.path);
    command.args(program.args).current_dir(program.folder).env_clear();
    command.envs(program.environment.iter().map(|(name, value)| (name, value))).exec()
}
