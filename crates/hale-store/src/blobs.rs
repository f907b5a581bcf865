//! Artifacts' contents, stored by hash.
//!
//! Guarantees: a blob that [`Blobs::put`] answered is synced with its name; what [`Blobs::get`] returns has the hash
//! that was asked for. Leaves to others: which blobs are still named, see [`crate::Store::prune`].
//! Read next: `blobs/depot.rs`, two stores and a spool; `blobs/file.rs`, one store.

mod depot;
mod file;
mod memory;

pub use depot::{Depot, Terms};
pub use file::FsBlobs;
pub use memory::MemoryBlobs;

use crate::Error;
use hale_core::time::Timestamp;
use std::fmt;
use std::str::FromStr;

/// BLAKE3 of a content; `Display` gives 64 hexadecimal letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 64
            || !text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        {
            return Err(());
        }
        let mut bytes = [0u8; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(bytes))
    }
}

/// The artifact store in the data folder.
pub const PRIMARY: &str = "primary";
/// The second one, where one is configured.
pub const BACKUP: &str = "backup";

/// Settings below this name contents that nobody's run names: inputs that were put. What follows is the hash.
pub const INPUTS: &str = "artifact.input.";

/// One artifact store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub name: &'static str,
    /// None for one in memory.
    pub path: Option<std::path::PathBuf>,
    /// New contents go here.
    pub active: bool,
}

/// Contents that the active store did not take yet; they are durable where they wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spooled {
    pub contents: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
    /// Why the last of them was not taken.
    pub error: Option<String>,
}

/// What became of spooled contents when they were tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    pub stored: u64,
    pub bytes: u64,
    pub left: u64,
    /// Why the first one left was not taken.
    pub error: Option<String>,
}

/// All calls block; they belong on a blocking thread.
pub trait Blobs: Send + Sync {
    /// Keeps a content; answers when it is durable. The same content again is cheap.
    fn put(&self, content: &[u8]) -> Result<Hash, Error>;
    /// The content of a hash, verified.
    fn get(&self, hash: Hash) -> Result<Vec<u8>, Error>;
    /// Reads a blob and checks its hash; answers its length.
    fn verify(&self, hash: Hash) -> Result<u64, Error> {
        self.get(hash).map(|content| content.len() as u64)
    }
    /// Every blob with its length.
    fn list(&self) -> Result<Vec<(Hash, u64)>, Error>;
    /// Forgets a blob; one that is not there is no error.
    fn remove(&self, hash: Hash) -> Result<(), Error>;

    /// The stores, the active one among them.
    fn places(&self) -> Vec<Place> {
        vec![Place { name: PRIMARY, path: None, active: true }]
    }
    /// New contents go to the store of this name from now on.
    fn turn_to(&self, name: &str) -> Result<(), Error> {
        if name == PRIMARY { Ok(()) } else { Err(Error::NoStore { name: name.to_owned() }) }
    }
    /// Writes, reads back and removes a small content in the store of this name.
    fn probe(&self, name: &str) -> Result<(), Error> {
        self.turn_to(name)?;
        let hash = self.put(b"hale probes this artifact store")?;
        self.verify(hash)?;
        self.remove(hash)
    }
    /// What waits to be stored.
    fn spooled(&self) -> Spooled {
        Spooled::default()
    }
    /// Tries contents again that were spooled at or after a moment; none means all of them.
    fn push(&self, since: Option<Timestamp>) -> Result<Pushed, Error> {
        let _ = since;
        Ok(Pushed::default())
    }
}
