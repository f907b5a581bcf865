//! The plain model: what every store must answer, without a disk.
//!
//! Guarantees the same answers as [`crate::Sqlite`] (one suite runs against both) and nothing about speed: it scans.
//! Tests of other rooms use it where durability is not the matter.
//! Read next: `memory/write.rs`, what each op does.

mod artifacts;
mod bulk;
mod write;

use crate::audit::{Head, Sealed};
use crate::blobs::{Blobs, MemoryBlobs};
use crate::row::{error_code, holds_text};
use crate::{
    ArtifactCursor, ArtifactPage, AuditFilter, AuditRow, BulkCounts, BulkItem, BulkRow, Counts, Cursor,
    DeadFilter, DeadGroup, DeadRow, Delayed, Error, Hash, ItemFilter, KeyRow, Line, ListFilter, Op, OpResult,
    PackHead, PackRow, Page, Pruned, QueueRow, Space, Store, StoredRun, WorkerRow,
};
use hale_core::filter::artifacts::Filter;
use hale_core::id::{KeyId, OperationId, RunId, WorkerId};
use hale_core::port::Boxed;
use hale_core::run::event::Artifact;
use hale_core::run::{Record, Run, State, StateName};
use hale_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store that forgets everything when it is dropped.
#[derive(Default)]
pub struct Memory {
    state: Mutex<Kept>,
    blobs: Arc<MemoryBlobs>,
}

#[derive(Clone, Default)]
struct Kept {
    /// Order of acceptance.
    next: u64,
    runs: BTreeMap<RunId, KeptRun>,
    promises: BTreeMap<String, Promise>,
    packs: BTreeMap<Arc<str>, KeptPack>,
    settings: BTreeMap<String, String>,
    keys: BTreeMap<KeyId, KeyRow>,
    workers: BTreeMap<WorkerId, WorkerRow>,
    audit: Vec<Sealed>,
    audit_head: Option<Head>,
    /// In the order of their deaths, each once.
    dead: Vec<DeadRow>,
    bulks: BTreeMap<OperationId, bulk::KeptBulk>,
}

#[derive(Clone)]
struct KeptRun {
    place: u64,
    /// Waits for its time, not for its turn.
    delayed: bool,
    run: Run,
    input: Arc<str>,
    output: Option<Arc<str>>,
    records: Vec<Record>,
    artifacts: BTreeMap<String, Artifact>,
    /// Names whose contents are past their retention.
    gone: BTreeSet<String>,
}

#[derive(Clone)]
struct Promise {
    run: RunId,
    digest: [u8; 32],
    expires: Timestamp,
}

#[derive(Clone, Default)]
struct KeptPack {
    /// In the order of their deploys.
    versions: Vec<PackRow>,
    current: Option<Arc<str>>,
    disabled: bool,
}

impl KeptRun {
    /// Stands in its line.
    fn waits(&self) -> bool {
        matches!(self.run.state, State::Pending { .. }) && !self.delayed
    }

    fn stored(&self) -> StoredRun {
        StoredRun {
            run: self.run.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            artifacts: self.artifacts.values().cloned().collect(),
        }
    }

    fn fits(&self, filter: &ListFilter) -> bool {
        let run = &self.run;
        let minted = run.id.minted_at();
        (filter.states.is_empty() || filter.states.contains(&run.state.name()))
            && filter.queue.as_ref().is_none_or(|queue| run.queue.as_ref() == queue)
            && filter.priority.is_none_or(|priority| run.priority == priority)
            && filter.pack.as_ref().is_none_or(|pack| run.pack.name.as_ref() == pack)
            && filter.since.is_none_or(|since| minted >= since)
            && filter.until.is_none_or(|until| minted < until)
            && filter.error_code.is_none_or(|code| error_code(run) == Some(code))
            && filter.correlation.as_ref().is_none_or(|text| run.correlation.as_ref() == text)
            && filter.beside(run)
            && filter
                .text
                .as_ref()
                .is_none_or(|text| serde_json::to_string(run).is_ok_and(|record| holds_text(&record, text)))
    }
}

impl Memory {
    pub fn blobs(&self) -> Arc<dyn Blobs> {
        self.blobs.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A batch is built on a copy and put in place whole, so a poisoned lock guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs that ended before a moment and that nobody waits for, oldest first.
    fn prunable(&self, before: Timestamp) -> Vec<(Timestamp, u64, RunId)> {
        let kept = self.kept();
        let waits = |run: RunId| kept.dead.iter().any(|row| row.run == run && row.resolution.is_none());
        let above = |run: &Run| {
            let parent = run.parent.as_ref().and_then(|parent| kept.runs.get(&parent.run));
            parent.is_some_and(|parent| !parent.run.is_terminal())
        };
        let mut ended: Vec<_> = kept
            .runs
            .values()
            .filter(|kept| !waits(kept.run.id) && !above(&kept.run))
            .filter_map(|kept| match kept.run.state {
                State::Ended { at, .. } if at < before => Some((at, kept.place, kept.run.id)),
                _ => None,
            })
            .collect();
        ended.sort();
        ended
    }
}

impl Store for Memory {
    fn apply(&self, batch: Vec<Op>) -> Boxed<'static, Result<Vec<OpResult>, Error>> {
        let result = self.kept().apply(&batch);
        Box::pin(std::future::ready(result))
    }

    fn run(&self, id: RunId) -> Result<Option<StoredRun>, Error> {
        Ok(self.kept().runs.get(&id).map(KeptRun::stored))
    }

    fn history(&self, id: RunId, from_seq: u64, limit: u32) -> Result<Vec<Record>, Error> {
        let kept = self.kept();
        let records = kept.runs.get(&id).map(|kept| kept.records.as_slice()).unwrap_or_default();
        Ok(records.iter().filter(|record| record.seq >= from_seq).take(limit as usize).cloned().collect())
    }

    fn list(&self, filter: &ListFilter, after: Option<Cursor>, limit: u32) -> Result<Page, Error> {
        let kept = self.kept();
        let older = kept.runs.values().rev().filter(|kept| after.is_none_or(|Cursor(id)| kept.run.id < id));
        let mut runs: Vec<Run> = older
            .filter(|kept| kept.fits(filter))
            .map(|kept| kept.run.clone())
            .take(limit as usize + 1)
            .collect();
        let more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next = runs.last().filter(|_| more).map(|run| Cursor(run.id));
        Ok(Page { runs, next })
    }

    fn active(&self) -> Result<Vec<StoredRun>, Error> {
        let kept = self.kept();
        let active = kept.runs.values().filter(|kept| {
            let name = kept.run.state.name();
            name != StateName::Pending && !name.is_terminal()
        });
        Ok(active.map(KeptRun::stored).collect())
    }

    fn queue(&self) -> Result<Vec<QueueRow>, Error> {
        let kept = self.kept();
        let mut rows: BTreeMap<Line, Vec<&KeptRun>> = BTreeMap::new();
        for waiting in kept.runs.values().filter(|kept| kept.waits()) {
            rows.entry(Line::of(&waiting.run)).or_default().push(waiting);
        }
        let row = |(line, runs): (Line, Vec<&KeptRun>)| QueueRow {
            line,
            count: runs.len() as u64,
            oldest: runs.iter().min_by_key(|kept| kept.place).map(|kept| kept.run.waits_since()),
        };
        Ok(rows.into_iter().map(row).collect())
    }

    fn delayed(&self) -> Result<Delayed, Error> {
        let kept = self.kept();
        let delayed = kept.runs.values().filter(|kept| kept.delayed);
        let next = delayed.clone().filter_map(|kept| kept.run.due).min();
        Ok(Delayed { count: delayed.count() as u64, next })
    }

    fn peek(&self, line: &Line, limit: u32) -> Result<Vec<Run>, Error> {
        let kept = self.kept();
        let mut runs: Vec<&KeptRun> =
            kept.runs.values().filter(|kept| kept.waits() && Line::of(&kept.run) == *line).collect();
        runs.sort_by_key(|kept| kept.place);
        Ok(runs.into_iter().take(limit as usize).map(|kept| kept.run.clone()).collect())
    }

    fn children(&self, parent: RunId) -> Result<Vec<Run>, Error> {
        let kept = self.kept();
        let is_child = |run: &&Run| run.parent.is_some_and(|known| known.run == parent);
        Ok(kept.runs.values().map(|kept| &kept.run).filter(is_child).cloned().collect())
    }

    fn dead(&self, filter: &DeadFilter, limit: u32) -> Result<Vec<DeadRow>, Error> {
        let kept = self.kept();
        let place = |run: RunId| kept.runs.get(&run).map_or(0, |kept| kept.place + 1);
        let after = filter.after.map_or(0, place);
        let fits = |row: &&DeadRow| {
            (filter.resolved || row.resolution.is_none())
                && filter.cause.as_ref().is_none_or(|cause| row.cause == *cause)
                && filter.pack.as_deref().is_none_or(|pack| row.pack.as_ref() == pack)
                && filter.since.is_none_or(|since| row.at >= since)
                && place(row.run) > after
        };
        let mut rows: Vec<DeadRow> = kept.dead.iter().filter(fits).cloned().collect();
        rows.sort_by_key(|row| place(row.run));
        rows.truncate(limit as usize);
        Ok(rows)
    }

    fn dead_groups(&self) -> Result<Vec<DeadGroup>, Error> {
        let kept = self.kept();
        let mut groups: BTreeMap<String, DeadGroup> = BTreeMap::new();
        for row in kept.dead.iter().filter(|row| row.resolution.is_none()) {
            let fresh = || DeadGroup { cause: row.cause.clone(), count: 0, first: row.at, last: row.at };
            let group = groups.entry(row.cause.clone()).or_insert_with(fresh);
            group.count += 1;
            group.first = group.first.min(row.at);
            group.last = group.last.max(row.at);
        }
        let mut groups: Vec<DeadGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(groups)
    }

    fn dead_letter(&self, run: RunId) -> Result<Option<DeadRow>, Error> {
        Ok(self.kept().dead.iter().find(|row| row.run == run).cloned())
    }

    fn bulk(&self, id: OperationId) -> Result<Option<BulkRow>, Error> {
        Ok(self.kept().bulks.get(&id).map(|bulk| bulk.row.clone()))
    }

    fn bulks(&self, limit: u32) -> Result<Vec<BulkRow>, Error> {
        Ok(self.kept().bulk_rows().rev().take(limit as usize).cloned().collect())
    }

    fn bulks_open(&self) -> Result<Vec<BulkRow>, Error> {
        Ok(self.kept().bulk_rows().filter(|row| !row.state.is_over()).cloned().collect())
    }

    fn bulks_of(&self, run: RunId) -> Result<Vec<BulkRow>, Error> {
        Ok(self.kept().bulks_of(run))
    }

    fn bulk_items(&self, id: OperationId, filter: ItemFilter, limit: u32) -> Result<Vec<BulkItem>, Error> {
        Ok(self.kept().bulk_items(id, filter, limit))
    }

    fn bulk_counts(&self, id: OperationId) -> Result<BulkCounts, Error> {
        Ok(self.kept().bulk_counts(id))
    }

    fn counts(&self, since: Timestamp) -> Result<Counts, Error> {
        let kept = self.kept();
        let mut counts = Counts::default();
        for run in kept.runs.values().map(|kept| &kept.run) {
            *counts.by_state.entry(run.state.name()).or_default() += 1;
            if matches!(run.state, State::Ended { at, .. } if at >= since) {
                *counts.ended_since.entry(run.state.name()).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn packs(&self) -> Result<Vec<PackHead>, Error> {
        let kept = self.kept();
        let head = |(name, pack): (&Arc<str>, &KeptPack)| PackHead {
            name: name.clone(),
            current: pack.current.clone(),
            enabled: !pack.disabled,
            versions: u32::try_from(pack.versions.len()).unwrap_or(u32::MAX),
        };
        Ok(kept.packs.iter().map(head).collect())
    }

    fn pack_versions(&self, name: &str) -> Result<Vec<PackRow>, Error> {
        let kept = self.kept();
        Ok(kept.packs.get(name).map(|pack| pack.versions.iter().rev().cloned().collect()).unwrap_or_default())
    }

    fn pack(&self, name: &str, version: Option<&str>) -> Result<Option<PackRow>, Error> {
        let kept = self.kept();
        let Some(pack) = kept.packs.get(name) else { return Ok(None) };
        let wanted = version.or(pack.current.as_deref());
        Ok(pack.versions.iter().find(|row| Some(row.version.as_ref()) == wanted).cloned())
    }

    fn settings(&self) -> Result<Vec<(String, String)>, Error> {
        Ok(self.kept().settings.clone().into_iter().collect())
    }

    fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        Ok(self.kept().keys.values().cloned().collect())
    }

    fn workers(&self) -> Result<Vec<WorkerRow>, Error> {
        Ok(self.kept().workers.values().cloned().collect())
    }

    fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, Error> {
        Ok(self.audit_newest(filter, None, limit)?.into_iter().map(|sealed| sealed.row).collect())
    }

    fn audit_newest(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Sealed>, Error> {
        let kept = self.kept();
        let fits = |sealed: &&Sealed| before.is_none_or(|seq| sealed.seq < seq) && filter.takes(&sealed.row);
        Ok(kept.audit.iter().rev().filter(fits).take(limit as usize).cloned().collect())
    }

    fn audit_oldest(&self, after: u64, limit: u32) -> Result<Vec<Sealed>, Error> {
        let kept = self.kept();
        let behind = kept.audit.iter().filter(|sealed| sealed.seq > after);
        Ok(behind.take(limit as usize).cloned().collect())
    }

    fn audit_head(&self) -> Result<Option<Head>, Error> {
        Ok(self.kept().audit_head)
    }

    fn audit_cuttable(&self, before: Timestamp) -> Result<u64, Error> {
        Ok(self.kept().cuttable(before) as u64)
    }

    fn space(&self) -> Result<Space, Error> {
        let blobs_bytes = self.blobs.list()?.iter().map(|(_, bytes)| bytes).sum();
        Ok(Space { blobs_bytes, free: u64::MAX, total: u64::MAX, ..Space::default() })
    }

    fn freeable(&self, before: Timestamp) -> Result<Pruned, Error> {
        Ok(Pruned { runs: self.prunable(before).len() as u64, ..Pruned::default() })
    }

    fn prune(&self, before: Timestamp, runs_max: u64) -> Result<Pruned, Error> {
        let gone: Vec<RunId> = self
            .prunable(before)
            .into_iter()
            .take(usize::try_from(runs_max).unwrap_or(usize::MAX))
            .map(|(_, _, id)| id)
            .collect();
        let mut kept = self.kept();
        let dropped: Vec<KeptRun> = gone.iter().filter_map(|id| kept.runs.remove(id)).collect();
        kept.dead.retain(|row| !gone.contains(&row.run));
        for artifact in dropped.iter().flat_map(|kept| kept.artifacts.values()) {
            if let (false, Ok(hash)) = (kept.names(&artifact.hash), artifact.hash.parse::<Hash>()) {
                self.blobs.remove(hash)?;
            }
        }
        Ok(Pruned { runs: gone.len() as u64, ..Pruned::default() })
    }

    fn artifacts(
        &self,
        filter: &Filter,
        after: Option<&ArtifactCursor>,
        limit: u32,
    ) -> Result<ArtifactPage, Error> {
        Ok(self.kept().artifacts((filter, after), limit))
    }

    fn expirable(&self, before: Timestamp) -> Result<Pruned, Error> {
        let due = self.expired(before);
        let bytes = due.iter().map(|(_, artifact)| artifact.bytes).sum();
        Ok(Pruned { artifacts: due.len() as u64, artifact_bytes: bytes, bytes, ..Pruned::default() })
    }

    fn expire(&self, before: Timestamp, artifacts_max: u64) -> Result<Pruned, Error> {
        self.expire_in_turn(before, artifacts_max)
    }
}
