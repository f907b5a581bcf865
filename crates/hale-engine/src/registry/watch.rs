//! The watched folder of packs: a changed file is deployed, a broken one leaves the last good version running.
//!
//! Notices by the kernel's word and, as a net, by looking every two seconds; a file is taken only when it has been
//! still for a moment, so a half-written one is read again. Event name in the log: `hot_reload`.
//! Read next: [`super::Registry`].

use super::{Versioning, is_pack_file};
use crate::facade::Engine;
use crate::input::{Caller, DryRun};
use hale_core::limits;
use notify::Watcher;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The net below the kernel's word.
const LOOK: Duration = Duration::from_secs(2);
/// A file must be still this long.
const STILL: Duration = Duration::from_millis(60);
/// Files that one folder may hold; more are not looked at, and said so.
const FILES_MAX: usize = 10_000;

type Seen = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Watches `dir` until `stop`. The first look is done before this returns.
pub async fn watch(engine: Engine, dir: PathBuf, stop: CancellationToken) {
    let mut seen = Seen::new();
    // At the start every file is taken as it is: nobody should wait for a file that was just put there.
    look(&engine, &dir, (&mut seen, Duration::ZERO)).await;
    crate::tasks::spawn("pack-watch", async move {
        let (tx, mut rx) = mpsc::channel(1);
        let heard = move |_: notify::Result<notify::Event>| {
            // Full means that a look is due already.
            let _ = tx.try_send(());
        };
        let mut watcher = notify::recommended_watcher(heard).ok();
        if let Some(watcher) = watcher.as_mut()
            && let Err(error) = watcher.watch(&dir, notify::RecursiveMode::NonRecursive)
        {
            tracing::warn!(event = "hot_reload", error = %error, "packs folder is looked at every {LOOK:?} only");
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = rx.recv() => tokio::time::sleep(STILL).await,
                () = tokio::time::sleep(LOOK) => {}
            }
            look(&engine, &dir, (&mut seen, STILL)).await;
        }
    });
}

async fn look(engine: &Engine, dir: &Path, (seen, still_for): (&mut Seen, Duration)) {
    let Ok(files) = list(dir) else { return };
    for (path, stamp) in files {
        if seen.get(&path) == Some(&stamp) {
            continue;
        }
        let still = still_for.is_zero() || stamp.0.elapsed().is_ok_and(|age| age >= still_for);
        if !still {
            continue;
        }
        seen.insert(path.clone(), stamp);
        reload(engine, &path, stamp.1).await;
    }
}

fn list(dir: &Path) -> std::io::Result<Vec<(PathBuf, (SystemTime, u64))>> {
    let root = dir.canonicalize()?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)?.take(FILES_MAX).flatten() {
        let path = entry.path();
        if !is_pack_file(&path) {
            continue;
        }
        // A link may lead about in the folder (as mounted configuration does), never out of it.
        let Ok(real) = path.canonicalize() else { continue };
        let Ok(meta) = std::fs::metadata(&real) else { continue };
        if !real.starts_with(&root) || !meta.is_file() {
            tracing::warn!(event = "hot_reload", path = %path.display(), "pack file not taken: it is no regular file of this folder");
            continue;
        }
        files.push((path, (meta.modified()?, meta.len())));
    }
    files.sort();
    Ok(files)
}

async fn reload(engine: &Engine, path: &Path, bytes: u64) {
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let result = if bytes > limits::PACK_BYTES as u64 {
        Err(format!("{file_name}: {bytes} bytes, a pack has at most {}", limits::PACK_BYTES))
    } else {
        match std::fs::read(path) {
            Ok(source) => engine
                .deploy_as(&file_name, &source, (DryRun::No, Versioning::Suffix), &Caller::engine())
                .await
                .map_err(|failure| failure.to_string()),
            Err(error) => Err(format!("{file_name}: {error}")),
        }
    };
    match result {
        Ok(deployed) => {
            let manifest = &deployed.info.manifest;
            engine.registry().errors().remove(&manifest.name);
            engine.registry().errors().remove(&stem);
            tracing::info!(event = "hot_reload", pack = %manifest.name, outcome = ?deployed.outcome, "pack {} v{} is in place", manifest.name, manifest.version);
        }
        Err(error) => {
            tracing::error!(event = "hot_reload", code = "E012", error = %error, "pack {stem} not reloaded, the last good version keeps running");
            engine.registry().errors().insert(stem, error);
        }
    }
}
