//! Operations over many runs in the model.
//!
//! Read next: `sqlite/bulk.rs`, which must answer the same.

use super::Kept;
use crate::bulk::{BULK_KEPT, REASONS_MAX};
use crate::{BulkCounts, BulkItem, BulkReason, BulkRow, BulkState, ItemFilter, ItemState, Op, OpResult};
use hale_core::id::{OperationId, RunId};
use std::collections::BTreeMap;

/// An operation with its items in order.
#[derive(Clone)]
pub(super) struct KeptBulk {
    pub(super) row: BulkRow,
    items: Vec<BulkItem>,
}

const GONE: OpResult = OpResult::Conflict { seq: None };

impl Kept {
    pub(super) fn bulk_op(&mut self, op: &Op) -> OpResult {
        match op {
            Op::BulkPut(row) => self.bulk_put(row),
            Op::BulkGather(more) => match self.bulks.get_mut(&more.bulk) {
                Some(bulk) if bulk.row.state == BulkState::Running && !bulk.row.gathered => {
                    bulk.row.cursor.clone_from(&more.cursor);
                    bulk.row.excluded.clone_from(&more.excluded);
                    bulk.row.gathered = more.gathered;
                    more.runs.iter().for_each(|run| bulk.add(*run));
                    OpResult::Done
                }
                _ => GONE,
            },
            Op::BulkMove { bulk, from, to, at } => match self.bulks.get_mut(bulk) {
                Some(bulk) if from.contains(&bulk.row.state) => {
                    bulk.row.state = *to;
                    bulk.row.ended_at = to.is_over().then_some(*at);
                    OpResult::Done
                }
                _ => GONE,
            },
            Op::BulkItem { bulk, run, state, detail } => {
                let items =
                    self.bulks.get_mut(bulk).map(|bulk| bulk.items.as_mut_slice()).unwrap_or_default();
                let waits = |item: &&mut BulkItem| item.run == *run && item.state == ItemState::Waiting;
                let Some(item) = items.iter_mut().find(waits) else { return GONE };
                item.state = *state;
                item.detail.clone_from(detail);
                OpResult::Done
            }
            _ => GONE,
        }
    }

    fn bulk_put(&mut self, row: &BulkRow) -> OpResult {
        let undone = |known: &KeptBulk| row.undoes.is_some() && known.row.undoes == row.undoes;
        if self.bulks.contains_key(&row.id) || self.bulks.values().any(undone) {
            return GONE;
        }
        self.bulks.insert(row.id, KeptBulk { row: row.clone(), items: Vec::new() });
        let over = self.bulks.values().rev().filter(|bulk| bulk.row.state.is_over());
        let old: Vec<OperationId> = over.skip(BULK_KEPT as usize).map(|bulk| bulk.row.id).collect();
        self.bulks.retain(|id, _| !old.contains(id));
        OpResult::Done
    }

    pub(super) fn bulk_rows(&self) -> impl DoubleEndedIterator<Item = &BulkRow> {
        self.bulks.values().map(|bulk| &bulk.row)
    }

    pub(super) fn bulks_of(&self, run: RunId) -> Vec<BulkRow> {
        let touches = |bulk: &&KeptBulk| bulk.items.iter().any(|item| item.run == run);
        self.bulks.values().rev().filter(touches).map(|bulk| bulk.row.clone()).collect()
    }

    pub(super) fn bulk_items(&self, id: OperationId, filter: ItemFilter, limit: u32) -> Vec<BulkItem> {
        let items = self.bulks.get(&id).map(|bulk| bulk.items.as_slice()).unwrap_or_default();
        let fits =
            |item: &&BulkItem| item.n > filter.after && filter.state.is_none_or(|state| item.state == state);
        items.iter().filter(fits).take(limit as usize).cloned().collect()
    }

    pub(super) fn bulk_counts(&self, id: OperationId) -> BulkCounts {
        let items = self.bulks.get(&id).map(|bulk| bulk.items.as_slice()).unwrap_or_default();
        let mut counts = BulkCounts::default();
        let mut reasons: BTreeMap<(ItemState, &str), (u64, RunId)> = BTreeMap::new();
        for item in items {
            *counts.by_state.entry(item.state).or_default() += 1;
            if item.state >= ItemState::Left {
                let reason = reasons.entry((item.state, &item.detail)).or_insert((0, item.run));
                *reason = (reason.0 + 1, reason.1.min(item.run));
            }
        }
        let told = |((state, detail), (count, example)): ((ItemState, &str), (u64, RunId))| BulkReason {
            state,
            detail: detail.to_owned(),
            count,
            example,
        };
        counts.reasons = reasons.into_iter().map(told).collect();
        counts.reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.detail.cmp(&b.detail)));
        counts.reasons.truncate(REASONS_MAX);
        counts
    }
}

impl KeptBulk {
    fn add(&mut self, run: RunId) {
        if self.items.iter().all(|item| item.run != run) {
            let n = self.items.len() as u64 + 1;
            self.items.push(BulkItem { n, run, state: ItemState::Waiting, detail: String::new() });
        }
    }
}
