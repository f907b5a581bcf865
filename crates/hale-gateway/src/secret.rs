//! Keys: where they come from, and how they are kept from showing.
//!
//! Guarantees: the content of a [`Secret`] is neither printed nor serialised, and is overwritten when dropped; what
//! may be shown of it is its fingerprint. A stored secret is a file of mode 0600, replaced in one step and synced;
//! the one before it stays as `NAME.prev`, so that a change can be undone. Nothing is cached: a key that was changed
//! on disk is used by the next call, in every process.
//! Leaves to others: reading the environment (the door hands in a closure), encryption at rest.
//! Read next: [`store`].

pub mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longer than any key in use; a file beyond it is not a key.
pub const BYTES_MAX: u64 = 64 * 1024;

/// A key. Has no `Debug`, `Display` or `Serialize` of its content on purpose.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(content: impl Into<String>) -> Self {
        Self(Zeroizing::new(content.into()))
    }

    /// The content, for the one header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first 8 hex digits of its BLAKE3 hash: tells two keys apart and gives neither away.
    pub fn fingerprint(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex()[..8].to_owned()
    }
}

/// Shows the fingerprint only.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.fingerprint())
    }
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The environment variable of this name.
    Env(String),
    /// The file that the environment variable of this name points to.
    EnvFile { variable: String, path: PathBuf },
    /// The file in the secrets folder.
    Stored(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::EnvFile { variable, path } => write!(f, "file {} (from {variable})", path.display()),
            Self::Stored(path) => write!(f, "file {}", path.display()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use {name:?} as the name of a secret: it may have a-z, 0-9, - and _, at most 64 of them")]
    Name { name: String },
    #[error("read the secret in {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("read the secret in {path}: others may read it (mode {mode:03o}); run: chmod 600 {path}")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("read the secret in {place}: {why}")]
    Unusable { place: String, why: &'static str },
    #[error("write the secret {path}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// The environment as the door read it.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The two places of secrets together.
#[derive(Clone)]
pub struct Secrets {
    env: Env,
    dir: PathBuf,
}

impl Secrets {
    /// `dir` is the secrets folder itself, `DIR/secrets`.
    pub fn new(env: Env, dir: impl Into<PathBuf>) -> Self {
        Self { env, dir: dir.into() }
    }

    /// See [`resolve`].
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn resolve(&self, name: &str) -> Result<Option<(Secret, Source)>, Error> {
        resolve(name, &*self.env, &self.dir)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The environment variables that may hold the secret `name`, first wins: for `openai` these are `OPENAI_API_KEY`
/// and `HALE_SECRET_OPENAI`. Each may also end in `_FILE` and name a file instead.
pub fn variables(name: &str) -> [String; 2] {
    let upper = name.to_ascii_uppercase().replace('-', "_");
    [format!("{upper}_API_KEY"), format!("HALE_SECRET_{upper}")]
}

/// Finds a secret: the variables of [`variables`], then the files that their `_FILE` forms name, then `dir/name`.
/// An empty variable counts as not set. A file named by a variable may have any mode, since orchestrators mount them
/// as they like; one in our own folder must be closed to others.
///
/// # Errors
/// A bad name, a file that is named and cannot be read, one that others may read, or content that is no key.
pub fn resolve(
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
    dir: &Path,
) -> Result<Option<(Secret, Source)>, Error> {
    store::check_name(name)?;
    let set = |variable: &str| env(variable).filter(|value| !value.trim().is_empty());
    for variable in variables(name) {
        if let Some(value) = set(&variable) {
            let source = Source::Env(variable);
            return Ok(Some((usable(value, &source)?, source)));
        }
    }
    for variable in variables(name).map(|variable| format!("{variable}_FILE")) {
        if let Some(path) = set(&variable).map(PathBuf::from) {
            let content = store::read(&path)?;
            let source = Source::EnvFile { variable, path };
            return Ok(Some((usable(content, &source)?, source)));
        }
    }
    let path = dir.join(name);
    let Some(content) = store::read_closed(&path)? else { return Ok(None) };
    let source = Source::Stored(path);
    Ok(Some((usable(content, &source)?, source)))
}

/// Trims the line end that editors and `echo` leave, and refuses what no header can carry.
fn usable(content: String, source: &Source) -> Result<Secret, Error> {
    let content = Zeroizing::new(content);
    let unusable = |why| Error::Unusable { place: source.to_string(), why };
    let trimmed = content.trim();
    if trimmed.is_empty() {
        return Err(unusable("it is empty"));
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("a key has only visible ASCII characters, without spaces"));
    }
    Ok(Secret::new(trimmed))
}
