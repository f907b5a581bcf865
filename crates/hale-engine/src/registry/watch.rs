//! The watched folder of packs: a changed file is deployed, a broken one leaves the last good version running.
//!
//! Notices by the kernel's word and, as a net, by looking every 30 seconds (every two where the kernel does not tell);
//! a file is taken only when it has been still for a moment, so a half-written one is read again. A folder that was
//! removed and made anew is heard again. Event name in the log: `hot_reload`.
//! Read next: [`super::Registry`].

use super::{Versioning, is_pack_file};
use crate::facade::Engine;
use crate::input::{Caller, DryRun};
use hale_core::limits;
use notify::Watcher;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The net below the kernel's word: a lost event, or a change behind a link that leads out of the folder's own list.
const LOOK: Duration = Duration::from_secs(30);
/// Where the kernel does not tell, the folder is gone for now, or a file says that it is from the future.
const LOOK_DEAF: Duration = Duration::from_secs(2);
/// A file must be still this long.
const STILL: Duration = Duration::from_millis(60);
/// Files that one folder may hold; more are not looked at, and said so.
const FILES_MAX: usize = 10_000;

/// When a file's content and its owner or mode changed last, and its bytes: one that became readable is read again.
type Stamp = (SystemTime, (i64, i64), u64);
type Seen = BTreeMap<PathBuf, Stamp>;

/// Watches `dir` until `stop`. The first look is done before this returns.
pub async fn watch(engine: Engine, dir: PathBuf, stop: CancellationToken) {
    let mut seen = Seen::new();
    let (mut ears, mut heard) = Ears::new();
    // Before the first look, so that nothing that changes after it is missed.
    let mut hears = ears.turn_to(&dir);
    // At the start every file is taken as it is: nobody should wait for a file that was just put there.
    look(&engine, &dir, (&mut seen, Duration::ZERO)).await;
    let mut again = None;
    crate::tasks::spawn("pack-watch", async move {
        loop {
            let net = if hears == Hears::Kernel { LOOK } else { LOOK_DEAF };
            let wait = again.unwrap_or(net).min(net);
            tokio::select! {
                () = stop.cancelled() => break,
                _ = heard.recv() => tokio::time::sleep(STILL).await,
                () = tokio::time::sleep(wait) => {}
            }
            hears = ears.turn_to(&dir);
            again = look(&engine, &dir, (&mut seen, STILL)).await;
        }
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    Kernel,
    Nothing,
}

/// The kernel's word about one folder.
struct Ears {
    watcher: Option<notify::RecommendedWatcher>,
    /// The folder that is listened to, by device and inode: its path may lead to another one by now.
    at: Option<(u64, u64)>,
    /// The folder was removed; a new one may even have its inode.
    gone: Arc<AtomicBool>,
}

impl Ears {
    fn new() -> (Self, mpsc::Receiver<()>) {
        let (tx, rx) = mpsc::channel(1);
        let gone = Arc::new(AtomicBool::new(false));
        let lost = gone.clone();
        let told = move |event: notify::Result<notify::Event>| {
            if event.as_ref().is_ok_and(is_our_own_look) {
                return;
            }
            if event.is_ok_and(|event| event.kind.is_remove()) {
                lost.store(true, Ordering::Relaxed);
            }
            // Full means that a look is due already.
            let _ = tx.try_send(());
        };
        (Self { watcher: notify::recommended_watcher(told).ok(), at: None, gone }, rx)
    }

    /// Listens to what `dir` is now.
    fn turn_to(&mut self, dir: &Path) -> Hears {
        let is = std::fs::metadata(dir).ok().map(|meta| (meta.dev(), meta.ino()));
        let Some(watcher) = self.watcher.as_mut() else { return Hears::Nothing };
        // Any removal may be that of the folder; to listen anew to the same one costs nothing.
        let gone = self.gone.swap(false, Ordering::Relaxed);
        if is.is_none() || is != self.at || gone {
            let _ = watcher.unwatch(dir);
            let told = watcher.watch(dir, notify::RecursiveMode::NonRecursive);
            if let Err(error) = &told
                && is.is_some()
            {
                tracing::warn!(event = "hot_reload", error = %error, "packs folder is looked at every {LOOK_DEAF:?} only");
            }
            self.at = is.filter(|_| told.is_ok());
        }
        if self.at.is_some() { Hears::Kernel } else { Hears::Nothing }
    }
}

/// To look into the folder is an event in it: it must not cause the next look.
fn is_our_own_look(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

/// Takes what is new and still; says when to look again, if a file has to wait.
async fn look(engine: &Engine, dir: &Path, (seen, still_for): (&mut Seen, Duration)) -> Option<Duration> {
    engine.meters().pack_looks.add(1);
    let files = list(dir).ok()?;
    let mut again: Option<Duration> = None;
    for (path, stamp) in files {
        if seen.get(&path) == Some(&stamp) {
            continue;
        }
        let wait = match stamp.0.elapsed() {
            _ if still_for.is_zero() => None,
            Ok(age) => (age < still_for).then_some(STILL),
            // How old it is will be known when that time has come.
            Err(_) => Some(LOOK_DEAF),
        };
        if let Some(wait) = wait {
            again = Some(again.map_or(wait, |other| other.min(wait)));
            continue;
        }
        seen.insert(path.clone(), stamp);
        reload(engine, &path, stamp.2).await;
    }
    again
}

fn list(dir: &Path) -> std::io::Result<Vec<(PathBuf, Stamp)>> {
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
        files.push((path, (meta.modified()?, (meta.ctime(), meta.ctime_nsec()), meta.len())));
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
