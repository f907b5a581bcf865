//! Retention: what is past its age or over its size is forgotten, on demand and once an hour.
//!
//! Guarantees: runs that have not ended, dead letters that wait for a decision, and contents that something still names
//! stay; the preview tells the same kinds and bounds as the deed; the work is done in small commits, so nobody waits
//! long behind it; each deed that forgets anything is one audited operation.
//! Leaves to others: forgetting itself (`hale-store/src/sqlite/prune.rs`), the audit trail's own retention.
//! Read next: docs/retention.md.

use super::Engine;
use super::operate::Deed;
use super::runs::blocking;
use crate::input::{Caller, DryRun};
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::time::{Millis, Timestamp};
use hale_store::blobs::INPUTS;
use hale_store::{Op, Pruned};
use std::path::PathBuf;
use std::sync::Arc;

/// Runs that one deed forgets at most; the next hour goes on.
const RUNS_MAX: u64 = 1_000_000;
/// Runs that are forgotten before sizes are looked at again.
const ROUND: u64 = 500;
/// Inputs that are forgotten in one commit.
const INPUTS_TOGETHER: usize = 200;

/// How long and how much is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended runs, with journal and artifacts.
    pub runs: Millis,
    /// Contents of artifacts, and inputs that were put.
    pub artifacts: Millis,
    /// Log files that are turned over.
    pub logs: Millis,
    /// Bytes of database and artifacts together; the oldest ended runs go first.
    pub most: u64,
    /// Between two looks in the background; none for no such looks.
    pub every: Option<Millis>,
}

impl Retention {
    /// For a day and any size, on demand only.
    pub fn a_day() -> Self {
        let day = Millis::seconds(86_400);
        Self { runs: day, artifacts: day, logs: day, most: u64::MAX, every: None }
    }
}

/// One kind of what was forgotten, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    pub kind: &'static str,
    pub count: u64,
    pub bytes: u64,
    /// Older than this; none for what goes by size.
    pub before: Option<Timestamp>,
}

/// What pruning did, or would do.
#[derive(Clone, Debug)]
pub struct PruneReport {
    pub dry_run: DryRun,
    pub kinds: Vec<Forgotten>,
    /// Bytes by which database and artifacts were over their size.
    pub over: u64,
    pub operation: Option<OperationId>,
}

impl PruneReport {
    fn is_nothing(&self) -> bool {
        self.over == 0 && self.kinds.iter().all(|kind| kind.count == 0)
    }

    fn told(&self) -> String {
        let kinds = self.kinds.iter().filter(|kind| kind.count > 0);
        let told: Vec<String> =
            kinds.map(|kind| format!("{} {} ({} bytes)", kind.count, kind.kind, kind.bytes)).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    }
}

impl Engine {
    /// Forgets what is past its retention, or tells what would go.
    ///
    /// # Errors
    /// What the store could not read or forget; what is forgotten by then stays so.
    pub async fn prune(&self, dry_run: DryRun, caller: &Caller) -> Result<PruneReport, Failure> {
        let preview = self.prunable().await?;
        if dry_run == DryRun::Yes || preview.is_nothing() {
            return Ok(PruneReport { dry_run, ..preview });
        }
        let mut deed = Deed {
            operation: "retention.prune",
            target: "store".to_owned(),
            detail: preview.told(),
            undo: None,
        };
        // A child of the full disk's reserve: the intent must fit, or nothing is forgotten unseen.
        let id = self.intend(&deed, caller).await?;
        let now = self.now();
        let kinds = self.forget(now).await;
        let report = PruneReport { dry_run, operation: Some(id), kinds: kinds?, ..preview };
        deed.detail = report.told();
        self.outcome(id, &deed, caller).await?;
        tracing::info!(event = "pruned", "retention: {} forgotten", report.told());
        Ok(report)
    }

    /// What is past its retention now.
    async fn prunable(&self) -> Result<PruneReport, Failure> {
        let (now, keep) = (self.now(), self.config().keep.clone());
        let (runs_before, artifacts_before) = (now - keep.runs, now - keep.artifacts);
        let store = self.store().clone();
        let (runs, artifacts, space) = blocking(move || {
            Ok((store.freeable(runs_before)?, store.expirable(artifacts_before)?, store.space()?))
        })
        .await?;
        let over = (space.db_bytes + space.blobs_bytes).saturating_sub(keep.most);
        let inputs = self.old_inputs(artifacts_before);
        let logs = self.old_logs(now - keep.logs).await?;
        // Runs take their artifacts with them: what goes with a run is told there.
        let own = artifacts.artifacts.saturating_sub(runs.artifacts);
        let own_bytes = artifacts.artifact_bytes.saturating_sub(runs.artifact_bytes);
        let kinds = vec![
            Forgotten { kind: "runs", count: runs.runs, bytes: runs.bytes, before: Some(runs_before) },
            Forgotten { kind: "artifacts", count: own, bytes: own_bytes, before: Some(artifacts_before) },
            Forgotten {
                kind: "inputs",
                count: inputs.len() as u64,
                bytes: inputs.iter().map(|(_, bytes)| bytes).sum(),
                before: Some(artifacts_before),
            },
            Forgotten {
                kind: "log files",
                count: logs.len() as u64,
                bytes: logs.iter().map(|(_, bytes)| bytes).sum(),
                before: Some(now - keep.logs),
            },
        ];
        let over = over.saturating_sub(kinds.iter().map(|kind| kind.bytes).sum());
        Ok(PruneReport { dry_run: DryRun::Yes, kinds, over, operation: None })
    }

    async fn forget(&self, now: Timestamp) -> Result<Vec<Forgotten>, Failure> {
        let keep = self.config().keep.clone();
        let (runs_before, artifacts_before) = (now - keep.runs, now - keep.artifacts);
        let inputs = self.forget_inputs(artifacts_before).await?;
        let runs = self.prune_before(runs_before, RUNS_MAX).await?;
        let store = self.store().clone();
        let artifacts = blocking(move || store.expire(artifacts_before, RUNS_MAX)).await?;
        let logs = self.forget_logs(now - keep.logs).await?;
        let large = self.prune_to_size(now, keep.most).await?;
        Ok(vec![
            Forgotten { kind: "runs", count: runs.runs, bytes: runs.bytes, before: Some(runs_before) },
            Forgotten {
                kind: "artifacts",
                count: artifacts.artifacts,
                bytes: artifacts.bytes,
                before: Some(artifacts_before),
            },
            Forgotten { before: Some(artifacts_before), ..inputs },
            Forgotten { before: Some(now - keep.logs), ..logs },
            Forgotten { kind: "runs by size", count: large.runs, bytes: large.bytes, before: None },
        ])
    }

    async fn prune_before(&self, before: Timestamp, runs_max: u64) -> Result<Pruned, Failure> {
        let store = self.store().clone();
        blocking(move || store.prune(before, runs_max)).await
    }

    /// The oldest ended runs go until the rest fits.
    async fn prune_to_size(&self, now: Timestamp, most: u64) -> Result<Pruned, Failure> {
        let mut all = Pruned::default();
        let store = self.store().clone();
        let space = blocking(move || store.space()).await?;
        let over = (space.db_bytes + space.blobs_bytes).saturating_sub(most);
        // What is freed is reckoned, not measured: the file shrinks later than its rows go.
        while all.bytes < over && all.runs < RUNS_MAX {
            let pruned = self.prune_before(now, ROUND).await?;
            all.runs += pruned.runs;
            all.bytes += pruned.bytes;
            if pruned.runs == 0 {
                break;
            }
        }
        Ok(all)
    }

    /// Inputs that were put before a moment, with their bytes.
    fn old_inputs(&self, before: Timestamp) -> Vec<(String, u64)> {
        let old = self.inputs().into_iter().filter(|(_, put)| put.at < before);
        old.map(|(hash, put)| (hash, put.bytes)).collect()
    }

    /// Their names go; their contents go with the sweep that follows, unless a run names them.
    async fn forget_inputs(&self, before: Timestamp) -> Result<Forgotten, Failure> {
        let old = self.old_inputs(before);
        for part in old.chunks(INPUTS_TOGETHER) {
            let keys: Vec<String> = part.iter().map(|(hash, _)| format!("{INPUTS}{hash}")).collect();
            let ops = keys.iter().map(|key| Op::Setting { key: key.clone(), value: None }).collect();
            self.write(ops).await?;
            keys.iter().for_each(|key| self.settings().set(key, None));
        }
        let bytes = old.iter().map(|(_, bytes)| bytes).sum();
        Ok(Forgotten { kind: "inputs", count: old.len() as u64, bytes, before: None })
    }

    /// Log files that were turned over before a moment; the file that is written stays.
    async fn old_logs(&self, before: Timestamp) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let dir = self.config().data.join("logs");
        blocking(move || Ok(turned_over(&dir, before))).await
    }

    async fn forget_logs(&self, before: Timestamp) -> Result<Forgotten, Failure> {
        let (mut count, mut bytes) = (0, 0);
        for (path, size) in self.old_logs(before).await? {
            match tokio::fs::remove_file(&path).await {
                Ok(()) => {
                    count += 1;
                    bytes += size;
                }
                Err(error) => {
                    let path = path.display();
                    tracing::warn!(event = "log_kept", error = %error, "the old log file {path} stays");
                }
            }
        }
        Ok(Forgotten { kind: "log files", count, bytes, before: None })
    }
}

/// `hale.jsonl.1` and the like that were written last before a moment.
fn turned_over(dir: &std::path::Path, before: Timestamp) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let old = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (_, place) = name.split_once(".jsonl.")?;
        let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let written = meta.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        let is_old = i64::try_from(written.as_millis()).is_ok_and(|at| at < before.0);
        (place.parse::<u32>().is_ok() && is_old).then(|| (entry.path(), meta.len()))
    });
    old.collect()
}

/// Looks once an hour, until the server ends.
pub(crate) async fn prune_for_ever(engine: Engine) {
    let Some(every) = engine.config().keep.every else { return };
    let caller = Caller { correlation: Arc::from("retention"), ..Caller::engine() };
    loop {
        tokio::select! {
            () = engine.0.stop.cancelled() => return,
            () = tokio::time::sleep(every.duration()) => {}
        }
        if let Err(failure) = engine.prune(DryRun::No, &caller).await {
            tracing::error!(event = "prune_failed", error = %failure, "retention could not forget what is old");
        }
    }
}
