//! What each op does to the model.
//!
//! A batch works on a copy that replaces the state when all of it succeeded: whole or not at all.
//! Read next: `sqlite/write.rs`, which must answer the same.

use super::{Kept, KeptRun, Promise};
use crate::audit::{self, Sealed};
use crate::op::{FORGET_LOOK, named};
use crate::row::ended_at;
use crate::{AuditRow, Claimed, DeadRow, Error, Insert, Line, Op, OpResult, PackRow, Update, claim};
use hale_core::id::{RunId, WorkerId};
use hale_core::run::event::Artifact;
use hale_core::run::{Run, State};
use hale_core::time::Timestamp;
use std::collections::BTreeMap;

const GONE: OpResult = OpResult::Conflict { seq: None };

impl Kept {
    pub(super) fn apply(&mut self, batch: &[Op]) -> Result<Vec<OpResult>, Error> {
        batch.iter().try_for_each(Op::check)?;
        let mut next = self.clone();
        let results: Result<Vec<OpResult>, Error> = batch.iter().map(|op| next.one(op)).collect();
        let results = results?;
        *self = next;
        Ok(results)
    }

    fn put_audit(&mut self, row: AuditRow) -> OpResult {
        if self.audit.iter().any(|known| known.row.id == row.id && known.row.phase == row.phase) {
            return GONE;
        }
        let sealed = Sealed::behind(self.audit_head, row);
        self.audit_head = Some(sealed.head());
        self.audit.push(sealed);
        OpResult::Done
    }

    /// Rows at the beginning of the trail from before a moment.
    pub(super) fn cuttable(&self, before: Timestamp) -> usize {
        self.audit.iter().take_while(|sealed| sealed.row.at < before).count()
    }

    fn one(&mut self, op: &Op) -> Result<OpResult, Error> {
        Ok(match op {
            Op::Insert(insert) => self.insert(insert),
            Op::Update(update) => self.update(update),
            Op::Delegate { update, child } => {
                let seq = self.runs.get(&update.run.id).map(|kept| kept.run.seq);
                if seq != Some(update.was) {
                    return Ok(OpResult::Conflict { seq });
                }
                match self.insert(child) {
                    OpResult::Done => self.update(update),
                    refused => refused,
                }
            }
            Op::Claim { from, n, worker, at } => OpResult::Claimed(self.claim(from, *n, (*worker, *at))?),
            Op::Ripen { n, at } => self.ripen(*n, *at),
            Op::DeadResolve { .. } => self.resolve(op),
            Op::Worker(row) => {
                self.workers.insert(row.id, row.clone());
                let ended = self.workers.values().filter(|row| row.ended.is_some()).map(|row| row.seen_at);
                if let Some(oldest) = hale_core::supervise::remembered(ended.collect()) {
                    self.workers.retain(|_, row| row.ended.is_none() || row.seen_at >= oldest);
                }
                OpResult::Done
            }
            Op::PackDeploy(_) | Op::PackForget { .. } | Op::PackCurrent { .. } | Op::PackEnabled { .. } => {
                self.pack_op(op)
            }
            Op::Setting { key, value } => {
                match value {
                    Some(value) => self.settings.insert(key.clone(), value.clone()),
                    None => self.settings.remove(key),
                };
                OpResult::Done
            }
            Op::Audit(row) => {
                return Ok(self.put_audit((**row).clone()));
            }
            Op::AuditCut { before, row } => {
                let cut = self.cuttable(*before);
                let Some(last) = cut.checked_sub(1).and_then(|last| self.audit.get(last)) else {
                    return Ok(GONE);
                };
                let row = audit::anchor(row, last.head(), cut as u64);
                self.audit.drain(..cut);
                return Ok(self.put_audit(row));
            }
            Op::Together(ops) => {
                let before = self.clone();
                for op in ops {
                    let result = self.one(op)?;
                    if result != OpResult::Done {
                        *self = before;
                        return Ok(result);
                    }
                }
                OpResult::Done
            }
            Op::BulkPut(_) | Op::BulkGather(_) | Op::BulkMove { .. } | Op::BulkItem { .. } => {
                self.bulk_op(op)
            }
            Op::KeyPut(row) => {
                self.keys.insert(row.id, (**row).clone());
                OpResult::Done
            }
        })
    }

    fn resolve(&mut self, op: &Op) -> OpResult {
        let Op::DeadResolve { run, resolution, by, at } = op else { return GONE };
        let changes =
            |row: &&mut DeadRow| row.run == *run && row.resolution.is_none() == resolution.is_some();
        let Some(row) = self.dead.iter_mut().find(changes) else { return GONE };
        row.resolution.clone_from(resolution);
        row.resolved_by = resolution.as_ref().map(|_| by.clone());
        row.resolved_at = resolution.as_ref().map(|_| *at);
        OpResult::Done
    }

    fn pack_op(&mut self, op: &Op) -> OpResult {
        match op {
            Op::PackDeploy(row) => self.deploy(row),
            Op::PackForget { name, version } => self.forget(name, version),
            Op::PackCurrent { name, version } => match self.packs.get_mut(name) {
                Some(pack) if pack.versions.iter().any(|row| row.version == *version) => {
                    pack.current = Some(version.clone());
                    OpResult::Done
                }
                _ => GONE,
            },
            Op::PackEnabled { name, enabled } => match self.packs.get_mut(name) {
                Some(pack) => {
                    pack.disabled = !enabled;
                    OpResult::Done
                }
                None => GONE,
            },
            _ => GONE,
        }
    }

    fn insert(&mut self, insert: &Insert) -> OpResult {
        let run = &insert.run;
        if let Some(asked) = &insert.idempotency {
            match self.promises.get(&asked.key) {
                Some(known) if known.expires > run.submitted_at && self.runs.contains_key(&known.run) => {
                    return OpResult::Duplicate { run: known.run, digest: known.digest };
                }
                _ => {}
            }
        }
        if let Some(known) = self.runs.get(&run.id) {
            return OpResult::Conflict { seq: Some(known.run.seq) };
        }
        if let Some(asked) = &insert.idempotency {
            let promise = Promise { run: run.id, digest: asked.digest, expires: asked.expires };
            self.promises.insert(asked.key.clone(), promise);
        }
        let kept = KeptRun {
            place: self.next,
            delayed: run.is_delayed(run.submitted_at),
            run: run.clone(),
            input: insert.input.clone(),
            output: insert.output.clone(),
            records: insert.records.clone(),
            artifacts: by_name(named(&insert.records, &[])),
            gone: Default::default(),
        };
        self.next += 1;
        self.runs.insert(run.id, kept);
        self.bury(run);
        OpResult::Done
    }

    /// A run that ended without success and by nobody's will becomes a dead letter, once.
    fn bury(&mut self, run: &Run) {
        let (Some(cause), Some(at)) = (run.dead_cause(), ended_at(run)) else { return };
        if self.dead.iter().all(|row| row.run != run.id) {
            self.dead.push(DeadRow {
                run: run.id,
                at,
                cause: cause.to_owned(),
                pack: run.pack.name.clone(),
                queue: run.queue.clone(),
                resolution: None,
                resolved_at: None,
                resolved_by: None,
            });
        }
    }

    fn ripen(&mut self, n: u32, at: Timestamp) -> OpResult {
        let mut due: Vec<(Timestamp, u64, RunId)> = self
            .runs
            .values()
            .filter(|kept| kept.delayed)
            .filter_map(|kept| Some((kept.run.due.filter(|due| *due <= at)?, kept.place, kept.run.id)))
            .collect();
        due.sort();
        let mut ready: BTreeMap<Line, u64> = BTreeMap::new();
        for (_, _, id) in due.into_iter().take(n as usize) {
            let Some(kept) = self.runs.get_mut(&id) else { continue };
            kept.delayed = false;
            *ready.entry(Line::of(&kept.run)).or_default() += 1;
        }
        let next = self.runs.values().filter(|kept| kept.delayed).filter_map(|kept| kept.run.due).min();
        OpResult::Ripened { ready: ready.into_iter().collect(), next }
    }

    fn update(&mut self, update: &Update) -> OpResult {
        let Some(kept) = self.runs.get_mut(&update.run.id) else { return GONE };
        if kept.run.seq != update.was {
            return OpResult::Conflict { seq: Some(kept.run.seq) };
        }
        let early = kept.delayed;
        kept.run = update.run.clone();
        kept.delayed &= matches!(kept.run.state, State::Pending { .. });
        kept.records.extend(update.records.iter().cloned());
        kept.artifacts.extend(by_name(named(&update.records, &update.artifacts)));
        if update.output.is_some() {
            kept.output = update.output.clone();
        }
        self.bury(&update.run);
        if early { OpResult::Early } else { OpResult::Done }
    }

    fn claim(
        &mut self,
        from: &Line,
        n: u32,
        (worker, at): (WorkerId, Timestamp),
    ) -> Result<Vec<Claimed>, Error> {
        let mut waiting: Vec<(u64, RunId)> = self
            .runs
            .values()
            .filter(|kept| kept.waits() && Line::of(&kept.run) == *from)
            .map(|kept| (kept.place, kept.run.id))
            .collect();
        waiting.sort();
        let mut claimed = Vec::new();
        for (_, id) in waiting.into_iter().take(n as usize) {
            let Some(kept) = self.runs.get_mut(&id) else { continue };
            let taken = claim::take(&kept.run, worker, at)?;
            let leased_before = kept.run.epoch > 0 || kept.run.steps > 0;
            kept.run = taken.run.clone();
            kept.records.extend(taken.records.iter().cloned());
            let records = if leased_before { kept.records.clone() } else { taken.records };
            let input = kept.input.clone();
            claimed.push(Claimed { run: taken.run, input, records, effects: taken.effects });
        }
        Ok(claimed)
    }

    fn forget(&mut self, name: &str, version: &str) -> OpResult {
        let unfinished = || {
            let runs = self.runs.values().map(|kept| &kept.run);
            runs.filter(|run| run.pack.name.as_ref() == name && !run.is_terminal())
        };
        let used = unfinished().any(|run| run.pack.version.as_ref() == version);
        let many = unfinished().nth(FORGET_LOOK).is_some();
        match self.packs.get_mut(name) {
            Some(pack) if used || many || pack.current.as_deref() == Some(version) => GONE,
            Some(pack) => {
                pack.versions.retain(|row| row.version.as_ref() != version);
                OpResult::Done
            }
            None if used || many => GONE,
            None => OpResult::Done,
        }
    }

    fn deploy(&mut self, row: &PackRow) -> OpResult {
        let pack = self.packs.entry(row.name.clone()).or_default();
        match pack.versions.iter().find(|known| known.version == row.version) {
            Some(known) if known.digest == row.digest => OpResult::Done,
            Some(_) => GONE,
            None => {
                pack.versions.push(row.clone());
                OpResult::Done
            }
        }
    }
}

fn by_name<'a>(artifacts: impl Iterator<Item = &'a Artifact>) -> BTreeMap<String, Artifact> {
    artifacts.map(|artifact| (artifact.name.clone(), artifact.clone())).collect()
}
