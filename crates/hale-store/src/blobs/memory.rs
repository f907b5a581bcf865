//! Blobs in memory, for the model store.
//!
//! Read next: [`crate::memory`].

use super::{Blobs, Hash};
use crate::Error;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Contents by hash.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    contents: Mutex<BTreeMap<Hash, Vec<u8>>>,
}

impl MemoryBlobs {
    fn contents(&self) -> MutexGuard<'_, BTreeMap<Hash, Vec<u8>>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blobs for MemoryBlobs {
    fn put(&self, content: &[u8]) -> Result<Hash, Error> {
        let hash = Hash::of(content);
        self.contents().insert(hash, content.to_owned());
        Ok(hash)
    }

    fn get(&self, hash: Hash) -> Result<Vec<u8>, Error> {
        let content = self.contents().get(&hash).cloned();
        content.ok_or_else(|| Error::BlobMissing { hash: hash.to_string() })
    }

    fn list(&self) -> Result<Vec<(Hash, u64)>, Error> {
        Ok(self.contents().iter().map(|(hash, content)| (*hash, content.len() as u64)).collect())
    }

    fn remove(&self, hash: Hash) -> Result<(), Error> {
        self.contents().remove(&hash);
        Ok(())
    }
}
