//! Which folder a pack may use, and whether the operator allows it.
//!
//! A pack asks (`files: ["/var/log:ro"]`), the operator's `files.allow` bounds what may be asked. Both are compared
//! after every link in them is resolved. The deploy checks once and the engine again before each run, since links
//! change. Leaves to others: keeping paths inside the folder, which is [`crate::folder`]'s work.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// What may be done in a granted folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Read only, the default.
    Ro,
    Rw,
}

/// A folder and what may be done in it; written `/var/log:ro`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    pub root: PathBuf,
    pub mode: Mode,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "read the grant {text:?}: {problem}; write an absolute folder and a mode, for example \"/var/log:ro\""
    )]
    Parse { text: String, problem: &'static str },
    #[error("look up the granted folder {}; create it, or correct the grant", root.display())]
    LookUp {
        root: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("grant {}: it is not a folder; grant the folder that holds it", root.display())]
    NotFolder { root: PathBuf },
    #[error(
        "grant {grant}: files.allow has {allowed}, which does not cover it; add \"{grant}\" to files.allow, or grant a folder below an allowed one"
    )]
    NotAllowed { grant: Grant, allowed: String },
    #[error("grant {grant}: files.allow has this folder read-only; grant \"{}:ro\", or allow \"{grant}\" in files.allow", grant.root.display())]
    ReadOnly { grant: Grant },
}

impl Grant {
    /// Checks the grant against the operator's list and returns it with every link in its root resolved: the form to
    /// store with the deploy and to open before a run.
    ///
    /// # Errors
    /// When the folder cannot be looked up, no entry covers it, or only read-only entries cover a `rw` grant.
    pub fn allowed_by(&self, allow_list: &[Grant]) -> Result<Grant, Error> {
        let asked = Grant { root: self.resolved()?, mode: self.mode };
        // An entry whose folder is missing covers nothing; that is for `doctor` to say, not for every deploy.
        let covering =
            allow_list.iter().filter(|entry| entry.resolved().is_ok_and(|root| asked.root.starts_with(root)));
        let modes: Vec<Mode> = covering.map(|entry| entry.mode).collect();
        if modes.iter().any(|mode| *mode >= asked.mode) {
            return Ok(asked);
        }
        if !modes.is_empty() {
            return Err(Error::ReadOnly { grant: self.clone() });
        }
        Err(Error::NotAllowed { grant: self.clone(), allowed: listed(allow_list) })
    }

    /// The root with every link in it resolved.
    pub(crate) fn resolved(&self) -> Result<PathBuf, Error> {
        let look_up = |source| Error::LookUp { root: self.root.clone(), source };
        let root = self.root.canonicalize().map_err(look_up)?;
        let folder = root.metadata().map_err(look_up)?.is_dir();
        if folder { Ok(root) } else { Err(Error::NotFolder { root: self.root.clone() }) }
    }
}

impl FromStr for Grant {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |problem| Error::Parse { text: text.chars().take(200).collect(), problem };
        let (path, mode) = match text.rsplit_once(':') {
            Some((path, "ro")) => (path, Mode::Ro),
            Some((path, "rw")) => (path, Mode::Rw),
            // A colon further left is part of a name: `/srv/a:b/logs`.
            Some((_, rest)) if !rest.contains('/') => {
                return Err(bad("the mode after the colon is neither ro nor rw"));
            }
            _ => (text, Mode::Ro),
        };
        if path.contains('\0') {
            return Err(bad("it holds a NUL byte"));
        }
        if path.starts_with('~') {
            return Err(bad("`~` is not expanded"));
        }
        if !path.starts_with('/') {
            return Err(bad("the folder is not absolute"));
        }
        let path = Path::new(path);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(bad("`..` in a grant hides which folder is meant"));
        }
        // Through components, so that `/var//log/` and `/var/log` are one grant.
        Ok(Grant { root: path.components().collect(), mode })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Ro => "ro",
            Mode::Rw => "rw",
        })
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root.display(), self.mode)
    }
}

fn listed(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "no entry".to_owned();
    }
    grants.iter().map(Grant::to_string).collect::<Vec<_>>().join(", ")
}
