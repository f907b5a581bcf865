//! Error codes that a caller meets. Each has a page in `docs/errors` that `hale explain` prints.
//!
//! E001 to E008 are the operators' guides' own; ours follow. A code is never reused for another meaning.
//! Read next: [`crate::failure`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A stable error code; `Display` gives `E003`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// Agent pack not found.
    E001,
    /// Invalid input.
    E002,
    /// Time limit exceeded.
    E003,
    /// Resource limit exceeded.
    E004,
    /// Authentication failed.
    E005,
    /// External API error.
    E006,
    /// Artifact storage error.
    E007,
    /// Queue or store error.
    E008,
    /// Fenced write: the lease belongs to another.
    E009,
    /// Not found: run, step, artifact, key, operation.
    E010,
    /// Conflict with the present state.
    E011,
    /// Invalid pack.
    E012,
    /// Tool refused: not granted, or outside its folder.
    E013,
    /// Server unavailable, full or draining.
    E014,
    /// Internal error: a defect of hale.
    E015,
    /// The program of a job failed.
    E016,
    /// The content guard blocked what was to pass.
    E017,
}

/// What a code means and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub title: &'static str,
    /// HTTP status of a request that fails with it.
    pub http_status: u16,
    /// Exit code of a command that fails with it.
    pub exit: u8,
}

pub const ALL: [Code; 17] = {
    use Code::*;
    [E001, E002, E003, E004, E005, E006, E007, E008, E009, E010, E011, E012, E013, E014, E015, E016, E017]
};

impl Code {
    pub const fn meaning(self) -> Meaning {
        let (title, http_status, exit) = match self {
            Code::E001 => ("agent pack not found", 404, 3),
            Code::E002 => ("invalid input", 422, 6),
            Code::E003 => ("time limit exceeded", 504, 21),
            Code::E004 => ("resource limit exceeded", 429, 7),
            Code::E005 => ("authentication failed", 401, 4),
            Code::E006 => ("external API error", 502, 1),
            Code::E007 => ("artifact storage error", 503, 1),
            Code::E008 => ("queue or store error", 503, 1),
            Code::E009 => ("fenced write", 409, 5),
            Code::E010 => ("not found", 404, 3),
            Code::E011 => ("conflict", 409, 5),
            Code::E012 => ("invalid pack", 422, 6),
            Code::E013 => ("tool refused", 403, 4),
            Code::E014 => ("server unavailable", 503, 69),
            Code::E015 => ("internal error", 500, 1),
            Code::E016 => ("program failed", 422, 20),
            Code::E017 => ("content blocked", 422, 20),
        };
        Meaning { title, http_status, exit }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Code {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        ALL.into_iter().find(|code| code.to_string().eq_ignore_ascii_case(text)).ok_or(())
    }
}
