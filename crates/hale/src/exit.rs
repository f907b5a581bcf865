//! How a command ends: the exit codes, and the error that carries one.
//!
//! Guarantees: the code follows from the error's code or the run's final state alone, never from the output format.
//! Leaves to others: printing ([`crate::render::error`]).
//! Read next: [`crate::client`], where most errors come from.

use crate::config::Problems;
use crate::wire::{Problem, RunView};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::run::StateName;
use serde::Serialize;
use std::ops::{Deref, DerefMut};

/// The exit codes, each with one meaning in every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    NotAuthorised = 4,
    Conflict = 5,
    InvalidInput = 6,
    Limit = 7,
    PartlyDone = 8,
    Warnings = 10,
    Critical = 11,
    NotVerified = 12,
    Undetermined = 13,
    RunFailed = 20,
    RunTimeout = 21,
    RunCancelled = 22,
    StillRunning = 23,
    Unreachable = 69,
    Detached = 130,
}

/// The whole table with its meanings, as `hale --help` prints it.
pub const TABLE: [(Exit, &str); 19] = [
    (Exit::Done, "done, or healthy"),
    (Exit::Failed, "the operation failed"),
    (Exit::Usage, "wrong use of the command line"),
    (Exit::NotFound, "not found"),
    (Exit::NotAuthorised, "not authorised"),
    (Exit::Conflict, "conflict with the present state"),
    (Exit::InvalidInput, "invalid input, pack or configuration"),
    (Exit::Limit, "a limit is reached"),
    (Exit::PartlyDone, "partly done"),
    (Exit::Warnings, "doctor: warnings only"),
    (Exit::Critical, "doctor: a critical finding; guard: something found"),
    (Exit::NotVerified, "the fix was applied and could not be verified"),
    (Exit::Undetermined, "doctor: the evidence does not decide"),
    (Exit::RunFailed, "the run FAILED"),
    (Exit::RunTimeout, "the run ended in TIMEOUT"),
    (Exit::RunCancelled, "the run was CANCELLED"),
    (Exit::StillRunning, "--wait elapsed, the run goes on"),
    (Exit::Unreachable, "no server, or it is draining"),
    (Exit::Detached, "detached by Ctrl-C, the run goes on"),
];

impl Exit {
    /// Of an error code.
    pub fn of_code(code: Code) -> Self {
        let exit = code.meaning().exit;
        TABLE.iter().map(|(exit, _)| *exit).find(|known| *known as u8 == exit).unwrap_or(Exit::Failed)
    }

    /// Of an HTTP status, for answers without a code.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Exit::Done,
            401 | 403 => Exit::NotAuthorised,
            404 => Exit::NotFound,
            409 | 412 => Exit::Conflict,
            400 | 413 | 415 | 422 => Exit::InvalidInput,
            429 => Exit::Limit,
            503 => Exit::Unreachable,
            _ => Exit::Failed,
        }
    }

    /// Of a run that was waited for.
    pub fn of_run(run: &RunView) -> Self {
        match run.state.parse::<StateName>() {
            Ok(StateName::Completed) => Exit::Done,
            Ok(StateName::Failed) => Exit::RunFailed,
            Ok(StateName::Timeout) => Exit::RunTimeout,
            Ok(StateName::Cancelled) => Exit::RunCancelled,
            Ok(_) | Err(()) => Exit::StillRunning,
        }
    }
}

/// An error that a person or a script meets. In a box, since it travels through every function of the doors.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Error(Box<Told>);

/// What an error tells: what, under which circumstances, what to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    #[serde(serialize_with = "as_number")]
    pub exit: Exit,
    /// `E003`; none where no server or run was involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    pub message: String,
    /// The sources, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// What was going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub during: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The place in a file, drawn; for people.
    #[serde(skip)]
    pub report: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

fn as_number<S: serde::Serializer>(exit: &Exit, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u8(*exit as u8)
}

impl Deref for Error {
    type Target = Told;
    fn deref(&self) -> &Told {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl Error {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self(Box::new(Told {
            exit,
            code: None,
            cause: None,
            message: message.into(),
            chain: Vec::new(),
            during: None,
            hint: None,
            field: None,
            report: None,
            run_id: None,
            correlation_id: None,
        }))
    }

    /// An error with a code; the code decides the exit.
    pub fn coded(code: Code, message: impl Into<String>) -> Self {
        let mut error = Self::new(Exit::of_code(code), message);
        error.code = Some(code.to_string());
        error
    }

    /// A failure of the engine or of what is below it.
    pub fn failed(failure: &Failure) -> Self {
        let mut error = Self::coded(failure.code, failure.message.clone());
        error.cause = Some(failure.cause.clone());
        error.chain = failure.chain.clone();
        error
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn during(mut self, during: impl Into<String>) -> Self {
        self.during = Some(during.into());
        self
    }

    /// Appends `error` and its sources.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.chain.extend(hale_core::failure::chain(error));
        self
    }

    /// What could not be done with a file.
    pub fn file(what: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        let exit = match source.kind() {
            std::io::ErrorKind::NotFound => Exit::NotFound,
            std::io::ErrorKind::PermissionDenied => Exit::NotAuthorised,
            _ => Exit::Failed,
        };
        Self::new(exit, format!("{what} {}", path.display())).caused_by(source)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code.parse::<Code>() {
            Ok(code) => Exit::of_code(code),
            Err(()) => Exit::of_status(problem.status),
        };
        // The server's titles repeat the code's meaning; the detail is what happened here.
        let message = if problem.detail.is_empty() { problem.title } else { problem.detail };
        Self(Box::new(Told {
            exit,
            code: Some(problem.code).filter(|code| !code.is_empty()),
            cause: problem.cause,
            message,
            chain: problem.chain,
            during: None,
            hint: problem.fix,
            field: problem.field,
            report: None,
            run_id: problem.run_id,
            correlation_id: Some(problem.correlation_id).filter(|id| !id.is_empty()),
        }))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::failed(&failure)
    }
}

impl From<hale_store::Error> for Error {
    fn from(error: hale_store::Error) -> Self {
        let mut failed = Self::coded(error.code(), error.to_string());
        failed.hint = error.fix();
        // The message has the error's own words.
        failed.chain.extend(hale_core::failure::chain(&error).skip(1));
        failed
    }
}

/// The first problem, and how many more there are; `hale config check` prints them all.
impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        let hint = problems.0.first().map(|problem| problem.hint.clone());
        let mut error = Self::coded(Code::E002, problems.to_string());
        error.hint = hint;
        error
    }
}
