//! What worker processes prove themselves with: a token of the worker, and one of each run that was ordered of it.
//!
//! A token is BLAKE3 over what it stands for, keyed with a secret of this server (`secrets/worker-tokens` in the data
//! folder), so that nothing has to be remembered and a restart of the server takes no token away.
//! Guarantees: the secret and the tokens have no `Debug`; comparison takes the same time for all inputs. A token of one
//! epoch is of no use in the next.
//! Leaves to others: who may call the server at all (the doors), fencing (`core::run::apply`).

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The file of the secret, in `secrets`.
const FILE: &str = "worker-tokens";
/// Letters of the secret: 32 bytes in hexadecimal.
const LETTERS: u64 = 64;

pub(crate) struct Tokens([u8; 32]);

impl Tokens {
    /// Reads the secret of a data folder; makes it at the first use.
    ///
    /// # Errors
    /// E008 when the file can neither be read nor made, or holds something else.
    pub(crate) fn open(data: &Path) -> Result<Self, Failure> {
        let folder = data.join("secrets");
        let path = folder.join(FILE);
        let failed = |error: &(dyn std::error::Error + 'static)| {
            let message = format!("open the secret of worker tokens, {}", path.display());
            Failure::new(Code::E008, "workers.token_secret", "engine", message).caused_by(error)
        };
        let text = match File::open(&path) {
            Ok(file) => read(file).map_err(|error| failed(&error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&folder, &path).map_err(|error| failed(&error))?
            }
            Err(error) => return Err(failed(&error)),
        };
        let key = blake3::Hash::from_hex(text.trim()).map_err(|error| failed(&error))?;
        Ok(Self(*key.as_bytes()))
    }

    /// The token of a worker.
    pub(crate) fn of_worker(&self, id: WorkerId) -> String {
        self.hash(&["worker", &id.to_string()]).to_hex().to_string()
    }

    pub(crate) fn is_worker(&self, id: WorkerId, token: &str) -> bool {
        is(self.hash(&["worker", &id.to_string()]), token)
    }

    /// The token of a run under one epoch, for one worker.
    pub(crate) fn of_run(&self, run: (WorkerId, RunId, u64)) -> String {
        self.hash_of_run(run).to_hex().to_string()
    }

    pub(crate) fn is_run(&self, run: (WorkerId, RunId, u64), token: &str) -> bool {
        is(self.hash_of_run(run), token)
    }

    fn hash_of_run(&self, (worker, run, epoch): (WorkerId, RunId, u64)) -> blake3::Hash {
        self.hash(&["run", &worker.to_string(), &run.to_string(), &epoch.to_string()])
    }

    /// None of the parts holds a line's end.
    fn hash(&self, parts: &[&str]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, parts.join("\n").as_bytes())
    }
}

/// Comparing two hashes takes the same time for all of them.
fn is(expected: blake3::Hash, token: &str) -> bool {
    blake3::Hash::from_hex(token).is_ok_and(|given| given == expected)
}

fn read(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LETTERS + 2).read_to_string(&mut text)?;
    Ok(text)
}

/// Written beside its place and moved there, so that a crash leaves all or nothing.
fn make(folder: &Path, path: &Path) -> io::Result<String> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
    let text = blake3::Hash::from_bytes(secret).to_hex().to_string();
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let draft = folder.join(format!("{FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()?;
    Ok(text)
}
