//! What each op does to the model.
//!
//! A batch works on a copy that replaces the state when all of it succeeded: whole or not at all.
//! Read next: `sqlite/write.rs`, which must answer the same.

use super::{Kept, KeptRun, Promise};
use crate::op::named;
use crate::{Claimed, Error, Insert, Op, OpResult, PackRow, Update, claim};
use hale_core::id::{RunId, WorkerId};
use hale_core::run::event::Artifact;
use hale_core::run::{Priority, State};
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

    fn one(&mut self, op: &Op) -> Result<OpResult, Error> {
        Ok(match op {
            Op::Insert(insert) => self.insert(insert),
            Op::Update(update) => self.update(update),
            Op::Claim { key, priority, n, worker, at } => {
                OpResult::Claimed(self.claim((key, *priority), *n, *worker, *at)?)
            }
            Op::Worker(row) => {
                self.workers.insert(row.id, row.clone());
                OpResult::Done
            }
            Op::PackDeploy(row) => self.deploy(row),
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
            Op::Setting { key, value } => {
                match value {
                    Some(value) => self.settings.insert(key.clone(), value.clone()),
                    None => self.settings.remove(key),
                };
                OpResult::Done
            }
            Op::Audit(row) => {
                if self.audit.iter().any(|known| known.id == row.id && known.phase == row.phase) {
                    return Ok(GONE);
                }
                self.audit.push((**row).clone());
                OpResult::Done
            }
            Op::KeyPut(row) => {
                self.keys.insert(row.id, (**row).clone());
                OpResult::Done
            }
        })
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
            run: run.clone(),
            input: insert.input.clone(),
            output: insert.output.clone(),
            records: insert.records.clone(),
            artifacts: by_name(named(&insert.records, &[])),
        };
        self.next += 1;
        self.runs.insert(run.id, kept);
        OpResult::Done
    }

    fn update(&mut self, update: &Update) -> OpResult {
        let Some(kept) = self.runs.get_mut(&update.run.id) else { return GONE };
        if kept.run.seq != update.was {
            return OpResult::Conflict { seq: Some(kept.run.seq) };
        }
        kept.run = update.run.clone();
        kept.records.extend(update.records.iter().cloned());
        kept.artifacts.extend(by_name(named(&update.records, &update.artifacts)));
        if update.output.is_some() {
            kept.output = update.output.clone();
        }
        OpResult::Done
    }

    fn claim(
        &mut self,
        (key, priority): (&str, Priority),
        n: u32,
        worker: WorkerId,
        at: Timestamp,
    ) -> Result<Vec<Claimed>, Error> {
        let mut waiting: Vec<(u64, RunId)> = self
            .runs
            .values()
            .filter(|kept| matches!(kept.run.state, State::Pending { .. }))
            .filter(|kept| kept.run.key.as_ref() == key && kept.run.priority == priority)
            .map(|kept| (kept.place, kept.run.id))
            .collect();
        waiting.sort();
        let mut claimed = Vec::new();
        for (_, id) in waiting.into_iter().take(n as usize) {
            let Some(kept) = self.runs.get_mut(&id) else { continue };
            let taken = claim::take(&kept.run, worker, at)?;
            let leased_before = kept.run.epoch > 0;
            kept.run = taken.run.clone();
            kept.records.extend(taken.records.iter().cloned());
            let records = if leased_before { kept.records.clone() } else { taken.records };
            let input = kept.input.clone();
            claimed.push(Claimed { run: taken.run, input, records, effects: taken.effects });
        }
        Ok(claimed)
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
