//! Servers by name: a small file of the user's own, with where each is and where its key lies.
//!
//! Guarantees: keys are never in the file, only the name of a file or variable that holds one; the file is the user's
//! alone (0600), is replaced whole, and one that others may write is refused, since it says where keys are sent.
//! Leaves to others: which server a command speaks with ([`super::find`]).
//! Read next: [`super::find`].

use crate::config::env::Environment;
use crate::exit::{Error, Exit};
use hale_core::nearest::nearest;
use hale_core::pack::is_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Name of the file in the user's configuration folder.
const FILE: &str = "contexts.json";
const SCHEMA: &str = "hale.contexts/1";
/// More servers than a person names; a file that is larger is not ours.
const FILE_BYTES: u64 = 256 << 10;

/// Where a server is, and where its key lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub url: String,
    /// File that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Variable that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    pub schema: String,
    /// The one that is spoken with when nothing nearer says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    pub contexts: BTreeMap<String, Context>,
}

impl Default for Contexts {
    fn default() -> Self {
        Self { schema: SCHEMA.to_owned(), current: None, contexts: BTreeMap::new() }
    }
}

impl Contexts {
    /// Where the file is; none without a home.
    pub fn path(env: &Environment) -> Option<PathBuf> {
        env.config_dir().map(|dir| dir.join(FILE))
    }

    /// Reads the file; none is an empty one.
    ///
    /// # Errors
    /// When it cannot be read, is not ours, or may be written by others.
    pub fn load(env: &Environment) -> Result<Self, Error> {
        let Some(path) = Self::path(env) else { return Ok(Self::default()) };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::file("read the contexts in", &path, &error)),
        };
        let read = |error| Error::file("read the contexts in", &path, &error);
        let meta = file.metadata().map_err(read)?;
        if meta.permissions().mode() & 0o022 != 0 {
            let error = Error::new(
                Exit::NotAuthorised,
                format!("trust the contexts in {}: others may write the file", path.display()),
            );
            return Err(error.hint(format!("chmod 600 {}", path.display())));
        }
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text).map_err(read)?;
        let contexts: Self = serde_json::from_str(&text).map_err(|error| {
            Error::new(Exit::InvalidInput, format!("read {} as contexts", path.display()))
                .caused_by(&error)
                .hint("mend it, or remove it and begin anew with: hale contexts add NAME --url URL")
        })?;
        if contexts.schema != SCHEMA {
            let message =
                format!("read {} as contexts: it is {:?}, not {SCHEMA}", path.display(), contexts.schema);
            return Err(Error::new(Exit::InvalidInput, message));
        }
        Ok(contexts)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// Without a home, or what the file system says.
    pub fn store(&self, env: &Environment) -> Result<PathBuf, Error> {
        let Some(path) = Self::path(env) else {
            let error = Error::new(Exit::Failed, "keep contexts: there is no home folder");
            return Err(error.hint("set HOME or XDG_CONFIG_HOME"));
        };
        let write = || -> std::io::Result<()> {
            let dir = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(dir)?;
            let new = path.with_extension(format!("new-{}", std::process::id()));
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| Error::file("write the contexts to", &path, &error))?;
        Ok(path)
    }

    /// The context of this name.
    ///
    /// # Errors
    /// When there is none; the near one is told.
    pub fn named(&self, name: &str) -> Result<&Context, Error> {
        self.contexts.get(name).ok_or_else(|| {
            let meant = nearest(name, self.contexts.keys().map(String::as_str));
            let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
            let shown: String = name.chars().take(hale_core::limits::NAME_CHARS).collect();
            Error::new(Exit::NotFound, format!("find the context {shown:?}{meant}"))
                .hint("see them with: hale contexts list")
        })
    }
}

/// A name that can stand before a slash.
///
/// # Errors
/// When it is none.
pub fn checked(name: &str) -> Result<(), Error> {
    if is_name(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(hale_core::limits::NAME_CHARS).collect();
    let error = Error::new(Exit::Usage, format!("name a context {shown:?}"));
    Err(error.hint("a name begins with a small letter and has small letters, digits, - and _"))
}
