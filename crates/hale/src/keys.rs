//! API keys: made once, shown once, kept only as a keyed hash.
//!
//! A key reads `hale_<id>_<secret>`. The store keeps BLAKE3 of it, keyed with a secret of this server
//! (`secrets/key-hash` in the data folder), so that neither a copied database nor a guessed secret is of use alone.
//! Guarantees: secrets have no `Debug`, `Display` or `Serialize`; comparison takes the same time for all inputs.
//! Leaves to others: who may do what (`access.rs`), storing the row (`hale-store`).
//! Read next: [`crate::access`].

pub mod offline;

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::KeyId;
use hale_core::time::{Millis, Timestamp};
use hale_store::KeyRow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

/// What every key begins with, so that scanners for leaked secrets can find it.
const MARK: &str = "hale_";
/// 192 bits: beyond guessing, and a line that still fits on a screen.
const SECRET_BYTES: usize = 24;
/// Letters of a name; it stands in audit lines and tables.
const NAME_LETTERS: usize = 64;
/// Actors that are not keys; a key of such a name could pass for one in the audit trail.
const RESERVED: [&str; 4] = ["local", "engine", "anonymous", "lab"];
/// The tenant of keys that name none.
pub const TENANT: &str = "default";

/// Why a key could not be made or checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "read {path}: others may read it (mode {mode:o}); run chmod 600 on it, and revoke the keys if they did"
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "read {path}: it must hold 64 hexadecimal letters; restore it from a backup, or remove it and make new keys"
    )]
    Broken { path: PathBuf },
    #[error(
        "name a key {name:?}: use 1 to 64 of a-z 0-9 . _ - that begin with a letter, and not local, engine, anonymous or lab"
    )]
    Name { name: String },
    #[error("make a key for the tenant {tenant:?}: use 1 to 64 of a-z 0-9 _ - that begin with a letter")]
    Tenant { tenant: String },
    #[error("name a key {name:?}: a key of this name is in use; revoke it first or choose another name")]
    Taken { name: String },
    #[error("draw random bytes from the kernel")]
    Random(#[source] io::Error),
}

impl Error {
    pub fn failure(&self) -> Failure {
        let (code, cause) = match self {
            Error::Name { .. } => (Code::E002, "keys.bad_name"),
            Error::Tenant { .. } => (Code::E002, "keys.bad_tenant"),
            Error::Taken { .. } => (Code::E011, "keys.name_taken"),
            Error::Exposed { .. } | Error::Broken { .. } => (Code::E005, "keys.server_key"),
            Error::File { .. } | Error::Random(_) => (Code::E008, "keys.server_key"),
        };
        let failure = Failure::new(code, cause, "keys", self.to_string());
        match std::error::Error::source(self) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}

/// The secret with which this server hashes keys.
#[derive(Clone)]
pub struct ServerKey([u8; 32]);

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKey")
    }
}

impl ServerKey {
    /// Reads `secrets/key-hash` of a data folder; makes it at the first use.
    ///
    /// # Errors
    /// A file error, or a file that is broken or readable for others.
    pub fn load(data: &Path) -> Result<Self, Error> {
        let folder = data.join("secrets");
        let path = folder.join("key-hash");
        match File::open(&path) {
            Ok(file) => Self::read(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&folder, &path),
            Err(source) => Err(Error::File { what: "open", path, source }),
        }
    }

    fn read(mut file: File, path: PathBuf) -> Result<Self, Error> {
        let mut text = String::new();
        let read =
            file.metadata().and_then(|about| (&mut file).take(128).read_to_string(&mut text).map(|_| about));
        let mode = match read {
            Ok(about) => about.mode() & 0o777,
            Err(source) => return Err(Error::File { what: "read", path, source }),
        };
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { path, mode });
        }
        blake3::Hash::from_hex(text.trim())
            .map(|key| Self(*key.as_bytes()))
            .map_err(|_| Error::Broken { path })
    }

    /// Writes a new one beside its place and moves it there, so that a crash leaves all or nothing.
    fn make(folder: &Path, path: &Path) -> Result<Self, Error> {
        let key: [u8; 32] = random()?;
        let draft = folder.join("key-hash.new");
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            writeln!(file, "{}", blake3::Hash::from_bytes(key).to_hex())?;
            file.sync_all()?;
            std::fs::rename(&draft, path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|source| Error::File { what: "write", path: path.to_owned(), source })?;
        Ok(Self(key))
    }

    /// The form in which the store keeps a key.
    pub fn hash(&self, key: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, key.as_bytes()).as_bytes()
    }

    /// Whether `key` is the one of `row`, in the same time for every wrong one.
    pub fn matches(&self, key: &str, row: &KeyRow) -> bool {
        self.hash(key).ct_eq(&row.hash).into()
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// A key as its owner gets it, once.
pub struct Secret(String);

impl Secret {
    /// Takes the text out, to be shown.
    pub fn reveal(self) -> String {
        self.0
    }
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub name: &'a str,
    pub expires_in: Option<Millis>,
    /// Whose runs it starts; none means [`TENANT`].
    pub tenant: Option<&'a str>,
    /// The keys that exist.
    pub known: &'a [KeyRow],
}

/// Makes a key at `now`; the row is for the store.
///
/// # Errors
/// A name that does not fit or is taken, or no random bytes.
pub fn make(order: &Order<'_>, server: &ServerKey, now: Timestamp) -> Result<(KeyRow, Secret), Error> {
    let name = order.name;
    if !is_name(name) {
        return Err(Error::Name { name: name.to_owned() });
    }
    if let Some(tenant) = order.tenant.filter(|tenant| !hale_core::pack::is_name(tenant)) {
        return Err(Error::Tenant { tenant: tenant.to_owned() });
    }
    if order.known.iter().any(|row| row.name == name && row.revoked_at.is_none()) {
        return Err(Error::Taken { name: name.to_owned() });
    }
    let id = KeyId::mint(now, u128::from_ne_bytes(random()?));
    let secret: [u8; SECRET_BYTES] = random()?;
    let letters: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let bare = id.to_string();
    let bare = bare.trim_start_matches(KeyId::PREFIX).trim_start_matches('_');
    let key = format!("{MARK}{bare}_{letters}");
    let row = KeyRow {
        id,
        name: name.to_owned(),
        tenant: order.tenant.unwrap_or(TENANT).to_owned(),
        hash: server.hash(&key),
        created_at: now,
        expires_at: order.expires_in.map(|span| now + span),
        revoked_at: None,
        last_used_at: None,
    };
    Ok((row, Secret(key)))
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    (1..=NAME_LETTERS).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(fits)
        && !RESERVED.contains(&name)
}

/// The id within a key; none if the text is not of a key's form.
pub fn id_of(key: &str) -> Option<KeyId> {
    let (bare, secret) = key.strip_prefix(MARK)?.split_once('_')?;
    let whole = secret.len() == SECRET_BYTES * 2 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !whole {
        return None;
    }
    format!("{}_{bare}", KeyId::PREFIX).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn order(name: &str) -> Order<'_> {
        Order { name, expires_in: None, tenant: None, known: &[] }
    }

    #[test]
    fn a_key_matches_its_row_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerKey::load(folder.path()).unwrap();
        let (row, secret) = make(&order("ci"), &server, Timestamp(1_000)).unwrap();
        let (other, _) = make(&order("other"), &server, Timestamp(1_000)).unwrap();
        let key = secret.reveal();
        assert_eq!(id_of(&key), Some(row.id));
        assert!(server.matches(&key, &row));
        assert!(!server.matches(&key, &other));
        assert!(!server.matches(&key[..key.len() - 1], &row));
        let again = ServerKey::load(folder.path()).unwrap();
        assert!(again.matches(&key, &row), "the server key is kept");
        let foreign = ServerKey::load(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(!foreign.matches(&key, &row), "a copied row is of no use to another server");
    }

    #[test]
    fn the_server_key_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        ServerKey::load(folder.path()).unwrap();
        let path = folder.path().join("secrets/key-hash");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.path().join("secrets"))), (0o600, 0o700));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(ServerKey::load(folder.path()), Err(Error::Exposed { mode: 0o644, .. })));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(ServerKey::load(folder.path()), Err(Error::Broken { .. })));
    }

    #[test]
    fn names_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerKey::load(folder.path()).unwrap();
        let long = "a".repeat(65);
        for name in ["", "local", "engine", "A", "a b", "1a", "a/b", long.as_str()] {
            assert!(matches!(make(&order(name), &server, Timestamp(0)), Err(Error::Name { .. })), "{name}");
        }
        let (mut row, _) = make(&order("ci"), &server, Timestamp(0)).unwrap();
        let taken = |row: &KeyRow| {
            make(&Order { known: std::slice::from_ref(row), ..order("ci") }, &server, Timestamp(0))
        };
        assert!(matches!(taken(&row), Err(Error::Taken { .. })));
        row.revoked_at = Some(Timestamp(1));
        assert!(taken(&row).is_ok());
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        for text in ["", "hale_", "hale_x_y", "sk-abc", "hale_01J00000000000000000000000_zz", "hale_é_é"] {
            assert_eq!(id_of(text), None, "{text}");
        }
    }
}
