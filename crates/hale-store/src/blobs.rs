//! Artifacts' contents, stored by hash.
//!
//! Guarantees: a blob that [`Blobs::put`] answered is synced with its name; what [`Blobs::get`] returns has the hash
//! that was asked for. Leaves to others: which blobs are still named, see [`crate::Store::prune`].
//! Read next: `blobs/file.rs`.

mod file;
mod memory;

pub use file::FsBlobs;
pub use memory::MemoryBlobs;

use crate::Error;
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
}
