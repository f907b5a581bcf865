//! Ops that belong together, dead letters that are resolved once, operations over many runs: facts of every store.
//!
//! Read next: `conformance.rs`, which runs them against the model and against SQLite.

use crate::world::*;
use hale_core::id::{OperationId, RunId};
use hale_core::queue::Line;
use hale_core::run::Event;
use hale_core::time::Timestamp;
use hale_store::*;
use std::collections::BTreeMap;

const GONE: OpResult = OpResult::Conflict { seq: None };

fn resolve(run: RunId, resolution: Option<&str>) -> Op {
    let at = Timestamp(START.0 + 900);
    Op::DeadResolve { run, resolution: resolution.map(str::to_owned), by: "ada".to_owned(), at }
}

pub fn a_dead_letter_is_resolved_once_and_put_back_once(subject: &Subject) {
    let store = &*subject.store;
    let dead = wish(1).accepted().leased().failed();
    one(store, dead.insert());
    let id = dead.run.id;
    assert_eq!(one(store, resolve(id, None)), GONE, "it waits already");
    assert_eq!(one(store, resolve(id, Some("discarded"))), OpResult::Done);
    assert_eq!(one(store, resolve(id, Some("redriven as another"))), GONE);
    let letter = store.dead_letter(id).unwrap().unwrap();
    assert_eq!((letter.run, letter.resolution.as_deref()), (id, Some("discarded")));
    assert_eq!(one(store, resolve(id, None)), OpResult::Done);
    assert_eq!(one(store, resolve(id, None)), GONE);
    assert_eq!(store.dead_letter(id).unwrap().unwrap().resolution, None);
    assert_eq!(store.dead_letter(RunId(5)).unwrap(), None);
}

pub fn ops_that_belong_together_are_all_done_or_none(subject: &Subject) {
    let store = &*subject.store;
    let (dead, new, late) = (wish(1).accepted().leased().failed(), wish(2).accepted(), wish(3).accepted());
    one(store, dead.insert());
    let redrive = |new: &Life| Op::Together(vec![new.insert(), resolve(dead.run.id, Some("redriven"))]);
    assert_eq!(one(store, redrive(&new)), OpResult::Done);
    // The letter is gone: the new run, though it stands first, is not there either, nor is it counted.
    let other = wish(4).accepted();
    assert_eq!(apply(store, vec![redrive(&late), other.insert()]), [GONE, OpResult::Done]);
    assert_eq!(store.run(late.run.id).unwrap(), None);
    assert_eq!(store.history(late.run.id, 0, 9).unwrap(), []);
    assert_eq!(store.queue().unwrap()[0].count, 2, "the first new run and the one beside the refused pair");
    assert_eq!(store.counts(START).unwrap().by_state.values().sum::<u64>(), 3);
    assert_eq!(one(store, late.insert()), OpResult::Done, "its id is still free");
}

fn row(n: u128, undoes: Option<OperationId>) -> BulkRow {
    BulkRow {
        id: OperationId(n),
        at: START,
        kind: "runs.cancel".to_owned(),
        filter: "pack:hello".to_owned(),
        actor: "ada".to_owned(),
        correlation: "c".to_owned(),
        reason: Some("wrong input".to_owned()),
        state: BulkState::Running,
        gathered: false,
        cursor: None,
        excluded: BTreeMap::new(),
        undoes,
        ended_at: None,
    }
}

fn gather(runs: Vec<RunId>, gathered: bool) -> Op {
    let excluded = BTreeMap::from([("it is COMPLETED".to_owned(), 3)]);
    Op::BulkGather(Box::new(Gathered {
        bulk: OperationId(1),
        runs,
        excluded,
        cursor: Some("x".to_owned()),
        gathered,
    }))
}

fn item(run: u128, state: ItemState, detail: &str) -> Op {
    Op::BulkItem { bulk: OperationId(1), run: RunId(run), state, detail: detail.to_owned() }
}

fn moves(from: Vec<BulkState>, to: BulkState) -> Op {
    Op::BulkMove { bulk: OperationId(1), from, to, at: Timestamp(START.0 + 5) }
}

pub fn a_bulk_operation_keeps_what_came_of_each_run_once(subject: &Subject) {
    let store = &*subject.store;
    let put = |row: BulkRow| one(store, Op::BulkPut(Box::new(row)));
    assert_eq!(put(row(1, None)), OpResult::Done);
    assert_eq!(put(row(1, None)), GONE);
    assert_eq!(put(row(2, Some(OperationId(1)))), OpResult::Done);
    assert_eq!(put(row(3, Some(OperationId(1)))), GONE, "an operation is taken back once");
    assert_eq!(one(store, gather(vec![RunId(10), RunId(11)], false)), OpResult::Done);
    assert_eq!(one(store, gather(vec![RunId(11), RunId(12)], true)), OpResult::Done);
    assert_eq!(one(store, gather(vec![RunId(13)], true)), GONE, "it is gathered");
    let places = |filter: ItemFilter| -> Vec<(u64, u128)> {
        let items = store.bulk_items(OperationId(1), filter, 10).unwrap();
        items.iter().map(|item| (item.n, item.run.0)).collect()
    };
    assert_eq!(places(ItemFilter::default()).iter().map(|(_, run)| *run).collect::<Vec<_>>(), [10, 11, 12]);
    assert_eq!(one(store, item(10, ItemState::Done, "run_1")), OpResult::Done);
    assert_eq!(one(store, item(10, ItemState::Left, "again")), GONE, "an item has one result");
    assert_eq!(one(store, item(11, ItemState::Left, "it is COMPLETED")), OpResult::Done);
    assert_eq!(one(store, item(99, ItemState::Done, "")), GONE);
    let waiting = ItemFilter { state: Some(ItemState::Waiting), after: 0 };
    assert_eq!(places(waiting).iter().map(|(_, run)| *run).collect::<Vec<_>>(), [12]);
    let counts = store.bulk_counts(OperationId(1)).unwrap();
    let numbers: Vec<u64> = counts.by_state.values().copied().collect();
    assert_eq!(numbers, [1, 1, 1]);
    assert_eq!(counts.reasons.len(), 1);
    let reason = &counts.reasons[0];
    assert_eq!((reason.detail.as_str(), reason.count, reason.example), ("it is COMPLETED", 1, RunId(11)));
    assert_eq!(one(store, moves(vec![BulkState::Paused], BulkState::Running)), GONE);
    assert_eq!(one(store, moves(vec![BulkState::Running], BulkState::Paused)), OpResult::Done);
    assert_eq!(store.bulks_open().unwrap().len(), 2);
    assert_eq!(
        one(store, moves(vec![BulkState::Running, BulkState::Paused], BulkState::Aborted)),
        OpResult::Done
    );
    let kept = store.bulk(OperationId(1)).unwrap().unwrap();
    assert_eq!((kept.state, kept.ended_at), (BulkState::Aborted, Some(Timestamp(START.0 + 5))));
    assert_eq!((kept.excluded["it is COMPLETED"], kept.reason.as_deref()), (3, Some("wrong input")));
    assert_eq!(store.bulks_open().unwrap().iter().map(|row| row.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(store.bulks(10).unwrap().iter().map(|row| row.id.0).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.bulks_of(RunId(11)).unwrap().iter().map(|row| row.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(store.bulk(OperationId(9)).unwrap(), None);
}

pub fn a_forked_run_is_claimed_with_its_whole_history(subject: &Subject) {
    let store = &*subject.store;
    let forked = wish(1).accepted().then(Event::Forked { from: RunId(9), steps: vec![step(0), step(1)] });
    one(store, forked.insert());
    let claim = Op::Claim { from: Line::of(&forked.run), n: 1, worker: WORKER, at: Timestamp(START.0 + 50) };
    let OpResult::Claimed(claimed) = one(store, claim) else { panic!("claimed") };
    assert_eq!(claimed[0].records[..2], forked.records[..]);
    assert_eq!(claimed[0].run.steps, 2);
}
