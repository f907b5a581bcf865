//! The files that a job left in its results folder, kept as artifacts.
//!
//! Guarantees: links, devices, files with a second name and what is too large are refused and named, never followed; a
//! content is durable before its artifact is named. A worker process has no store: it sends each content to its server.
//! Leaves to others: looking through the folder (`hale_sandbox::job::results`).
//! Read next: [`super::job`].

use super::host::Host;
use super::jobs::Place;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::port::Boxed;
use hale_core::run::event::Artifact;
use hale_sandbox::job::results::Results;
use hale_store::Blobs;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Result files of one job that become artifacts: their names stand in the journal.
const FILES_MAX: usize = 200;
/// Refused files that are named.
const REFUSED_SHOWN: usize = 20;

/// One content on its way into the store.
#[derive(Clone, Debug)]
pub struct Content {
    pub run: RunId,
    pub epoch: u64,
    pub bytes: Vec<u8>,
    /// That of the run's order.
    pub token: Arc<str>,
}

/// How a worker keeps a content: gives its hash once it is durable.
#[derive(Clone)]
pub struct Keep {
    pub put: Arc<dyn Fn(Content) -> Boxed<'static, Result<String, Failure>> + Send + Sync>,
    /// The largest content that it takes.
    pub most: u64,
}

impl Keep {
    /// Straight into the blobs of this process.
    pub fn here(blobs: Arc<dyn Blobs>) -> Self {
        let put = move |content: Content| -> Boxed<'static, Result<String, Failure>> {
            let blobs = blobs.clone();
            Box::pin(async move {
                let stored = tokio::task::spawn_blocking(move || blobs.put(&content.bytes)).await;
                let hash = stored.map_err(|error| lost(&error))?.map_err(|error| lost(&error))?;
                Ok(hash.to_string())
            })
        };
        Self { put: Arc::new(put), most: limits::ARTIFACT_BYTES }
    }
}

/// What became of the results.
#[derive(Debug, Default)]
pub struct Kept {
    pub artifacts: Vec<Artifact>,
    /// Path and reason.
    pub refused: Vec<Value>,
}

impl Kept {
    pub fn has(&self, name: &str) -> bool {
        self.artifacts.iter().any(|artifact| artifact.name == name)
    }

    /// What is there instead, for a message.
    pub fn told(&self) -> String {
        let names: Vec<&str> = self.artifacts.iter().map(|artifact| artifact.name.as_str()).take(5).collect();
        let there = if names.is_empty() {
            "; it is empty".to_owned()
        } else {
            format!("; it has {}", names.join(", "))
        };
        let refused = if self.refused.is_empty() {
            String::new()
        } else {
            format!(", refused: {}", json!(self.refused))
        };
        there + &refused
    }

    fn refuse(&mut self, path: &Path, why: &str) {
        if self.refused.len() < REFUSED_SHOWN {
            self.refused.push(json!({ "path": path.display().to_string(), "why": why }));
        }
    }
}

/// Keeps what the job left; nothing when its pack names no folder.
///
/// # Errors
/// A folder that cannot be read, or a content that cannot be stored (E007).
pub async fn keep(host: &Host<'_>, place: &Place) -> Result<Kept, Failure> {
    let (Some(folder), Some(store)) = (place.results.clone(), host.worker.keep.clone()) else {
        return Ok(Kept::default());
    };
    let looked =
        tokio::task::spawn_blocking(move || Results::of(&folder)).await.map_err(|error| lost(&error))?;
    let Some(found) = looked.map_err(|error| lost(&error))? else { return Ok(Kept::default()) };
    let (mut kept, found) = (Kept::default(), Arc::new(found));
    for refused in &found.refused {
        kept.refuse(&refused.path, refused.why);
    }
    for place in 0..found.files.len() {
        let path = found.files[place].path.clone();
        let Some(name) = path.to_str().map(str::to_owned) else {
            kept.refuse(&path, "its name is not UTF-8");
            continue;
        };
        if kept.artifacts.len() == FILES_MAX {
            kept.refuse(&path, "there are more results than a run may have");
            continue;
        }
        let (found, most) = (found.clone(), store.most);
        let read = tokio::task::spawn_blocking(move || content(&found, (place, most))).await;
        let Some(bytes) = read.map_err(|error| lost(&error))?? else {
            kept.refuse(&path, "it is larger than this worker may keep");
            continue;
        };
        let size = bytes.len() as u64;
        let content = Content { run: host.run.id, epoch: host.run.epoch, bytes, token: host.token.clone() };
        let hash = (store.put)(content).await?;
        kept.artifacts.push(Artifact { media_type: media_type(&name).to_owned(), name, hash, bytes: size });
    }
    Ok(kept)
}

/// The bytes of one file; none when it is too large, or has grown so meanwhile.
fn content(found: &Results, (place, most): (usize, u64)) -> Result<Option<Vec<u8>>, Failure> {
    let file = &found.files[place];
    if file.bytes > most {
        return Ok(None);
    }
    let opened = found.open(file).map_err(|error| lost(&error))?;
    let mut bytes = Vec::with_capacity(usize::try_from(file.bytes).unwrap_or(0));
    opened.take(most + 1).read_to_end(&mut bytes).map_err(|error| lost(&error))?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// The artifacts that a job's result names: also those of a step whose result is read from the journal.
pub fn named(value: &Value) -> Vec<Artifact> {
    let results = value.get("results").cloned().unwrap_or_default();
    serde_json::from_value(results).unwrap_or_default()
}

/// By the ending of its name; nobody is asked to believe it, the bytes are served as an attachment.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => "application/json",
        Some("csv") => "text/csv",
        Some("svg") => "image/svg+xml",
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("html") => "text/html",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

fn lost(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Code::E007, "artifact.not_stored", "store", "keep the results of the job").caused_by(error)
}
