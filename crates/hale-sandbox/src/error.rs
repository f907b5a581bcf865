//! Why a tool gave no result, and what that means for the run.
//!
//! Messages repeat paths only in escaped and shortened form: they come from a model and go to logs and terminals.
//! They never say what lies outside a granted folder, not even whether it exists.
//! Read next: [`crate::folder`].

use crate::limits::SHOWN_BYTES;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use std::error::Error as _;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read argument `{field}`: {problem}")]
    Argument { field: String, problem: String },
    #[error("call tool {name:?}: there is no such tool, only {known}")]
    UnknownTool { name: String, known: String },
    #[error(
        "open {path:?}: it lies outside the granted folders: {granted}; ask for a path below one of them"
    )]
    Outside { path: String, granted: String },
    #[error(
        "open {path:?}: a link on its way is absolute, leads out of the granted folder, or may not be followed"
    )]
    Escape { path: String },
    #[error("open {path:?}: it is a {kind}; only plain files and folders are read")]
    Special { path: String, kind: &'static str },
    #[error("open {path:?}: it belongs to hale itself and is hidden from tools")]
    Hidden { path: String },
    #[error("open {path:?}: no such file or folder")]
    NotFound { path: String },
    #[error("{deed} {path:?}")]
    Io {
        deed: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("finish before the tool's time limit; ask for less: a smaller folder, depth or file")]
    TimedOut,
    #[error("go on after the run was cancelled")]
    Cancelled,
}

impl Error {
    /// What the run records; `tool` is the name that was called.
    pub fn failure(&self, tool: &str) -> Failure {
        let (code, cause, retry) = match self {
            Error::Argument { .. } => (Code::E002, "tool.bad_arguments", RetryClass::Never),
            Error::UnknownTool { .. }
            | Error::Outside { .. }
            | Error::Escape { .. }
            | Error::Special { .. }
            | Error::Hidden { .. } => (Code::E013, "tool.refused", RetryClass::Never),
            Error::NotFound { .. } => (Code::E010, "tool.not_found", RetryClass::Never),
            Error::Io { source, .. } => (Code::E006, "tool.io", retry_of(source)),
            // The same call would take as long again.
            Error::TimedOut => (Code::E003, "tool.timeout", RetryClass::Never),
            Error::Cancelled => (Code::E011, "tool.cancelled", RetryClass::Never),
        };
        let failure =
            Failure::new(code, cause, &format!("tool:{}", shown(tool)), self.to_string()).retried_as(retry);
        match self.source() {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }

    pub(crate) fn argument(field: &str, problem: impl Into<String>) -> Self {
        Error::Argument { field: field.to_owned(), problem: problem.into() }
    }

    /// For a path that the kernel could open no further.
    pub(crate) fn opening(path: &str, errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let path = shown(path);
        match errno {
            Errno::XDEV | Errno::LOOP => Error::Escape { path },
            Errno::NOENT | Errno::NOTDIR => Error::NotFound { path },
            Errno::NXIO | Errno::NODEV => Error::Special { path, kind: "socket or device" },
            Errno::NAMETOOLONG => {
                Error::argument("path", "a name in it is longer than the file system allows")
            }
            errno => Error::Io { deed: "open", path, source: errno.into() },
        }
    }

    pub(crate) fn io(deed: &'static str, path: &str, source: impl Into<io::Error>) -> Self {
        Error::Io { deed, path: shown(path), source: source.into() }
    }
}

/// What another try may mend: a bad moment of the disk or the process, not a permission.
fn retry_of(source: &io::Error) -> RetryClass {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::PermissionDenied | Kind::IsADirectory | Kind::InvalidInput | Kind::Unsupported => {
            RetryClass::Never
        }
        _ => RetryClass::Tool,
    }
}

/// A text that results and errors may repeat: at most [`SHOWN_BYTES`].
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().find(|(at, ch)| at + ch.len_utf8() > SHOWN_BYTES) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
