//! What a job is: the program, its surroundings and its limits, and whether all of it can be.
//!
//! A job is an argument list, never a shell string. [`JobSpec::check`] resolves every link in the paths and refuses
//! what cannot run before anything is started; every refusal names the field and the way out.
//! Leaves to others: who may start which job (`hale-engine`), starting it ([`super::Job`]).
//! Read next: [`super::plan`], what is left of it after the checks.

use super::limits;
use super::plan::Plan;
use super::wall::Wall;
use crate::process::piped::Launcher;
use hale_core::time::Millis;
use rustix::fs::Access;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A job as its owner describes it.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Unique among the jobs of this table: letters, digits, `-` and `_`.
    pub id: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Where it starts; it may write here.
    pub working_folder: PathBuf,
    /// Its whole environment, but for the marker that hale adds.
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
    /// Programs, and folders of programs, that jobs may run.
    pub allowed_programs: Vec<PathBuf>,
    /// Beside the system's libraries, which every program needs.
    pub read_only: Vec<PathBuf>,
    pub read_write: Vec<PathBuf>,
    pub network: Network,
    /// Without one of these the job is refused.
    pub required: Vec<Wall>,
    /// Below a folder that it may write to.
    pub results_folder: Option<PathBuf>,
    /// The folder of the reaper table; one server at a time.
    pub table: PathBuf,
    /// A cgroup v2 folder in which we may make groups, see [`super::cgroup::detect`].
    pub cgroup_root: Option<PathBuf>,
    pub launcher: Launcher,
}

/// Whether the job may use the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    Denied,
    Allowed,
}

/// What a job may use. All limits hold for the whole tree of its processes, unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_bytes: u64,
    /// What one process may allocate, used or not; twice the memory and some more unless set.
    pub data_bytes: Option<u64>,
    pub cpu: Millis,
    pub wall: Millis,
    /// Of one file.
    pub file_bytes: u64,
    /// Growth of the folders that it may write to.
    pub disk_bytes: u64,
    /// Processes and threads.
    pub tasks: u64,
    /// Of one process.
    pub open_files: u64,
    /// Kept of its output; more is counted and thrown away.
    pub output_bytes: u64,
    /// Between SIGTERM and SIGKILL.
    pub grace: Millis,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: limits::MEMORY_BYTES,
            data_bytes: None,
            cpu: limits::CPU,
            wall: limits::WALL,
            file_bytes: limits::FILE_BYTES,
            disk_bytes: limits::DISK_BYTES,
            tasks: limits::TASKS,
            open_files: limits::OPEN_FILES,
            output_bytes: limits::OUTPUT_BYTES,
            grace: limits::GRACE,
        }
    }
}

impl Limits {
    pub(crate) fn data(&self) -> u64 {
        let twice = self.memory_bytes.saturating_mul(2).saturating_add(limits::DATA_SLACK_BYTES);
        self.data_bytes.unwrap_or(twice)
    }
}

/// Why a job cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the job's {field}: {problem}")]
    Field { field: &'static str, problem: String },
    #[error("find the program {}: there is no such file; correct the path, or install it", path.display())]
    ProgramMissing { path: PathBuf },
    #[error("run {}: it is not executable; make it so (chmod +x), or name its interpreter as the program", path.display())]
    NotExecutable { path: PathBuf },
    #[error(
        "run {}: it lies outside the allowed paths ({allowed}); add it to them, or use a program from there",
        path.display()
    )]
    OutsideAllowed { path: PathBuf, allowed: String },
    #[error("use {} as the job's {field}: {problem}", path.display())]
    Folder { field: &'static str, path: PathBuf, problem: String },
    #[error("look up {}", path.display())]
    LookUp {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl JobSpec {
    /// Checks everything that can be known before the start.
    ///
    /// # Errors
    /// The first thing that is wrong, with the way out.
    pub fn check(&self) -> Result<Plan, Error> {
        check_id(&self.id)?;
        check_texts(&self.args, &self.environment)?;
        check_limits(&self.limits)?;
        let program = self.allowed_program()?;
        let working_folder = folder("working folder", &self.working_folder)?;
        let mut read_write = vec![working_folder.clone()];
        for path in &self.read_write {
            read_write.push(folder("read-write folder", path)?);
        }
        let read_only = self.read_only.iter().map(|path| existing("read-only path", path));
        let read_only = read_only.collect::<Result<Vec<_>, _>>()?;
        if let Some(results) = &self.results_folder {
            check_results(results, &read_write)?;
        }
        let table = folder("reaper table", &self.table)?;
        if let Some(open) = read_write.iter().find(|open| table.starts_with(open)) {
            let problem =
                format!("the job may write to {}, which holds it; keep it elsewhere", open.display());
            return Err(Error::Folder { field: "reaper table", path: table, problem });
        }
        Ok(Plan {
            id: self.id.clone(),
            program,
            args: self.args.clone(),
            working_folder,
            environment: self.environment.clone(),
            limits: self.limits.clone(),
            read_only,
            read_write,
            network: self.network,
            required: self.required.clone(),
            table,
            cgroup_root: self.cgroup_root.clone(),
        })
    }

    fn allowed_program(&self) -> Result<PathBuf, Error> {
        let path = &self.program;
        if !path.is_absolute() {
            let problem = format!("{path:?} is not absolute; nothing is searched for in PATH");
            return Err(Error::Field { field: "program", problem });
        }
        let real = path.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::ProgramMissing { path: path.clone() }
            }
            _ => Error::LookUp { path: path.clone(), source },
        })?;
        // An entry that is missing covers nothing. Links are resolved on both sides.
        let covers = |entry: &PathBuf| entry.canonicalize().is_ok_and(|entry| real.starts_with(entry));
        if !self.allowed_programs.iter().any(covers) {
            let allowed = self.allowed_programs.iter().map(|path| path.display().to_string());
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() { "none are set".to_owned() } else { allowed };
            return Err(Error::OutsideAllowed { path: real, allowed });
        }
        let looked = real.metadata().map_err(|source| Error::LookUp { path: real.clone(), source })?;
        if !looked.is_file() || rustix::fs::access(&real, Access::EXEC_OK).is_err() {
            return Err(Error::NotExecutable { path: real });
        }
        utf8("program", real)
    }
}

fn check_id(id: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !id.is_empty() && id.len() <= limits::ID_BYTES && id.bytes().all(plain) {
        return Ok(());
    }
    let problem = format!(
        "{:?} is not 1 to {} letters, digits, `-` and `_`",
        id.chars().take(limits::ID_BYTES).collect::<String>(),
        limits::ID_BYTES
    );
    Err(Error::Field { field: "id", problem })
}

fn check_texts(args: &[String], environment: &[(String, String)]) -> Result<(), Error> {
    let bad = |field, problem: String| Err(Error::Field { field, problem });
    if let Some(index) = args.iter().position(|arg| arg.contains('\0')) {
        return bad("args", format!("argument {} holds a NUL byte", index + 1));
    }
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return bad("environment", format!("{name:?} is no name, or its value holds a NUL byte"));
        }
        if name == super::plan::MARKER {
            return bad("environment", format!("{name} is set by hale; choose another name"));
        }
    }
    let bytes: usize = args.iter().map(String::len).sum::<usize>()
        + environment.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if bytes > limits::ARGUMENT_BYTES {
        let most = limits::ARGUMENT_BYTES;
        return bad("args", format!("with the environment {bytes} bytes of at most {most}; pass a file"));
    }
    Ok(())
}

fn check_limits(given: &Limits) -> Result<(), Error> {
    let bad = |problem: String| Err(Error::Field { field: "limits", problem });
    if given.memory_bytes < limits::MEMORY_BYTES_LEAST {
        let least = limits::MEMORY_BYTES_LEAST;
        return bad(format!(
            "{} bytes of memory; no program starts in less than {least}",
            given.memory_bytes
        ));
    }
    if given.data().min(given.memory_bytes) < limits::MEMORY_BYTES_LEAST {
        return bad(format!("data_bytes {}; no program starts in so little", given.data()));
    }
    let positive = [
        ("cpu", given.cpu.0),
        ("wall", given.wall.0),
        ("file_bytes", given.file_bytes),
        ("disk_bytes", given.disk_bytes),
        ("tasks", given.tasks),
    ];
    if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
        return bad(format!("{name} is 0, so that the job could not run; leave it out for the default"));
    }
    if given.open_files < 8 {
        return bad(format!("open_files {}; a program needs 8 to load its libraries", given.open_files));
    }
    if given.wall > hale_core::limits::RUN_TIMEOUT_MAX {
        let most = hale_core::limits::RUN_TIMEOUT_MAX;
        return bad(format!("wall {} is longer than {most}, the longest of any run", given.wall));
    }
    if given.grace > limits::GRACE_MOST {
        return bad(format!("grace {} is longer than {}", given.grace, limits::GRACE_MOST));
    }
    Ok(())
}

fn existing(field: &'static str, path: &Path) -> Result<PathBuf, Error> {
    let problem = |problem: String| Error::Folder { field, path: path.to_owned(), problem };
    if !path.is_absolute() {
        return Err(problem("it is not absolute".to_owned()));
    }
    let real =
        path.canonicalize().map_err(|source| problem(format!("{source}; create it, or correct it")))?;
    utf8(field, real)
}

fn folder(field: &'static str, path: &Path) -> Result<PathBuf, Error> {
    let real = existing(field, path)?;
    if real.is_dir() {
        return Ok(real);
    }
    Err(Error::Folder { field, path: real, problem: "it is not a folder".to_owned() })
}

/// The folder need not be there yet; the job may make it.
fn check_results(results: &Path, read_write: &[PathBuf]) -> Result<(), Error> {
    let field = "results folder";
    let straight = results.is_absolute() && !results.components().any(|part| part == Component::ParentDir);
    let below = |open: &PathBuf| results.starts_with(open);
    if straight
        && (read_write.iter().any(below)
            || results.canonicalize().is_ok_and(|real| read_write.iter().any(|open| real.starts_with(open))))
    {
        return Ok(());
    }
    let problem = "it does not lie below a folder that the job may write to; put it below the working folder";
    Err(Error::Folder { field, path: results.to_owned(), problem: problem.to_owned() })
}

/// The plan travels as JSON.
fn utf8(field: &'static str, path: PathBuf) -> Result<PathBuf, Error> {
    if path.to_str().is_some() {
        return Ok(path);
    }
    Err(Error::Folder { field, path, problem: "its name is not UTF-8; rename it".to_owned() })
}
