//! What can go wrong in the store: what was tried and on what; the sources say why.
//!
//! Errors are cheap to clone, because one failed commit answers many callers.
//! Read next: [`crate::store`].

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("lock the data folder {}: process {pid} has held it since {since}", dir.display())]
    Locked { dir: PathBuf, pid: u32, since: Timestamp },
    #[error("open the database {}: it has schema {found}, this hale knows up to {known}", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("open the database {}: the file was not written by hale", path.display())]
    Foreign { path: PathBuf },
    #[error("start with SQLite {found}: versions before {needed} can damage a database")]
    SqliteTooOld { found: &'static str, needed: &'static str },
    #[error("open the database {}", path.display())]
    Open { path: PathBuf, source: Arc<rusqlite::Error> },
    #[error("read {what} from the store")]
    Read { what: &'static str, source: Arc<rusqlite::Error> },
    #[error("commit {ops} operations to the store")]
    Commit { ops: usize, source: Arc<rusqlite::Error> },
    #[error("{what} the database", what = what)]
    Upkeep { what: &'static str, source: Arc<rusqlite::Error> },
    #[error("decode {what} from the store")]
    Decode { what: String, source: Arc<serde_json::Error> },
    #[error("encode {what} for the store")]
    Encode { what: String, source: Arc<serde_json::Error> },
    #[error("{what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: Arc<std::io::Error> },
    #[error("write {needed} bytes to {}: {free} bytes are free, the last {floor} are kept", path.display())]
    Full { path: PathBuf, needed: u64, free: u64, floor: u64 },
    #[error("read blob {hash}: its content does not have this hash")]
    BlobDamaged { hash: String },
    #[error("read blob {hash}: there is none")]
    BlobMissing { hash: String },
    #[error("accept the batch: {problem}")]
    Malformed { problem: String },
    #[error("trust the store: {problem}")]
    Damaged { problem: String },
    #[error(
        "write to the store: an earlier sync failed, so what the disk holds is unknown until hale starts anew"
    )]
    SyncFailed,
    #[error("write to the store: {waiting} batches already wait for the disk")]
    Overloaded { waiting: usize },
    #[error("read from the store: all {readers} readers were busy for {seconds} seconds")]
    ReadersBusy { readers: usize, seconds: u64 },
    #[error("write to the store: it is closed")]
    Closed,
    #[error("write to the store: this is a copy for reading")]
    ReadOnly,
    #[error("restore into {}: the folder is not empty", dir.display())]
    NotEmpty { dir: PathBuf },
    #[error("restore {}: it has no manifest, so it is no whole backup", path.display())]
    NoBackup { path: PathBuf },
    #[error("use the artifact store {name}: there is no store of this name")]
    NoStore { name: String },
    #[error("{point}: made to fail by the lab", point = point)]
    Injected { point: &'static str },
}

impl Error {
    /// The code that a caller meets.
    pub fn code(&self) -> Code {
        match self {
            Error::BlobDamaged { .. } | Error::BlobMissing { .. } => Code::E007,
            Error::NoStore { .. } | Error::NoBackup { .. } => Code::E010,
            Error::File { path, .. } | Error::Full { path, .. } if in_blobs(path) => Code::E007,
            Error::Malformed { .. } => Code::E015,
            Error::Overloaded { .. } | Error::ReadersBusy { .. } | Error::Closed => Code::E014,
            _ => Code::E008,
        }
    }

    /// The error as a failure of origin `store`.
    pub fn failure(&self) -> Failure {
        let failure = Failure::new(self.code(), self.cause(), "store", self.to_string());
        match std::error::Error::source(self) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }

    /// The stable id of the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Error::Locked { .. } => "store.locked",
            Error::Newer { .. } => "store.newer_schema",
            Error::Foreign { .. } => "store.foreign_file",
            Error::Full { .. } => "disk.full",
            Error::BlobDamaged { .. } | Error::BlobMissing { .. } => "store.blob_damaged",
            Error::Damaged { .. } | Error::Decode { .. } => "store.damaged",
            Error::NoBackup { .. } => "backup.none",
            Error::NoStore { .. } => "artifacts.no_store",
            Error::SyncFailed => "store.sync_failed",
            Error::Overloaded { .. } | Error::ReadersBusy { .. } => "store.overloaded",
            _ => "store.error",
        }
    }

    /// What a person can do about it.
    pub fn fix(&self) -> Option<String> {
        match self {
            Error::Locked { pid, .. } => {
                Some(format!("stop process {pid} (hale down), or use another --data"))
            }
            Error::Newer { .. } => Some(
                "use the newer hale, or bring back the backup from before its start: hale backup restore PATH"
                    .to_owned(),
            ),
            Error::Foreign { .. } => Some("use another --data".to_owned()),
            Error::Full { .. } => Some("free space on the disk, then look again: hale doctor".to_owned()),
            Error::Damaged { .. } | Error::Decode { .. } | Error::BlobDamaged { .. } => {
                Some("see what is damaged: hale backup verify".to_owned())
            }
            Error::NoStore { .. } => {
                Some("name the second folder, artifacts.secondary in hale.toml, and start again".to_owned())
            }
            Error::NoBackup { .. } => {
                Some("name the folder that `hale backup create` printed".to_owned())
            }
            Error::NotEmpty { .. } => {
                Some("name an empty folder, or say that the present one may be set aside".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn file(what: &'static str, path: &Path, source: std::io::Error) -> Self {
        Error::File { what, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn read(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Error::Read { what, source: Arc::new(source) }
    }

    pub(crate) fn upkeep(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Error::Upkeep { what, source: Arc::new(source) }
    }
}

fn in_blobs(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "blobs" || part.as_os_str() == "spool")
}
