//! Operations over many runs: previewed, worked off in batches, paused, aborted, resumed after a restart, taken back.

use crate::letters::{by_filter, by_id, carried_out, items, number, over};
use crate::world::{World, caller, state};
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::run::{StateName, Trigger};
use hale_engine::bulk::BulkKind;
use hale_store::{BulkState, ItemState, Phase};
use std::collections::BTreeSet;

async fn queued(n: usize) -> (World, Vec<RunId>) {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let mut runs = Vec::new();
    for _ in 0..n {
        runs.push(world.submit("echo").await.id);
    }
    (world, runs)
}

async fn cancelled(world: &World) -> usize {
    let filter = hale_core::filter::parse("status:cancelled", world.engine.now()).unwrap();
    world.engine.runs(&filter, None, 1000).await.unwrap().runs.len()
}

#[tokio::test(start_paused = true)]
async fn a_preview_counts_by_state_and_changes_nothing() {
    let (world, runs) = queued(12).await;
    for run in &runs[..3] {
        world.engine.cancel(*run, None, &caller()).await.unwrap();
    }
    let preview = world.engine.bulk_preview(&by_filter(&world, BulkKind::Cancel, "pack:echo")).await.unwrap();
    assert_eq!((preview.matched, preview.will, preview.capped), (12, 9, false));
    assert_eq!(preview.groups["PENDING"], 9);
    assert_eq!(preview.excluded["it is CANCELLED"], 3);
    assert_eq!(cancelled(&world).await, 3, "nothing has changed");
    let order = by_filter(&world, BulkKind::Cancel, "pack:echo priority:high");
    assert_eq!(world.engine.bulk_preview(&order).await.unwrap().matched, 0, "every word of the filter holds");
}

#[tokio::test(start_paused = true)]
async fn many_runs_are_cancelled_and_retried_by_undo_as_new_runs() {
    let (world, runs) = queued(150).await;
    let look = carried_out(&world, by_filter(&world, BulkKind::Cancel, "status:pending pack:echo")).await;
    assert_eq!((look.row.state, number(&look, ItemState::Done)), (BulkState::Done, 150));
    assert_eq!(cancelled(&world).await, 150);
    let run = world.engine.run(runs[0]).await.unwrap().run;
    assert!(format!("{:?}", run.state).contains(&look.row.id.to_string()), "the run says by which operation");
    let undone = world.engine.undo(look.row.id, &caller()).await.unwrap();
    let back = over(&world, undone.operation.unwrap()).await;
    assert_eq!(number(&back, ItemState::Done), 150);
    let new: BTreeSet<RunId> =
        items(&world, back.row.id).await.iter().map(|item| item.detail.parse().unwrap()).collect();
    assert_eq!(new.len(), 150);
    for id in new {
        let run = world.engine.run(id).await.unwrap().run;
        assert_eq!((state(&run), run.trigger), (StateName::Pending, Trigger::Retry));
        assert!(runs.contains(&run.retry_of.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_operation_rests_over_a_restart_and_then_does_the_rest_once() {
    let (mut world, _) = queued(900).await;
    let begun =
        world.engine.bulk_begin(by_filter(&world, BulkKind::Cancel, "pack:echo"), &caller()).await.unwrap();
    let id = begun.row.id;
    let paused = world.engine.bulk_pause(id, &caller()).await.unwrap();
    assert_eq!(paused.row.state, BulkState::Paused);
    world.restart().await;
    let rested = world.engine.bulk(id).await.unwrap();
    let before = number(&rested, ItemState::Done);
    assert_eq!(rested.row.state, BulkState::Paused);
    assert!(before < 900, "it was paused in the middle: {before}");
    assert_eq!(cancelled(&world).await.min(900) as u64, before.min(1000), "done is what was done");
    let twice = world.engine.bulk_pause(id, &caller()).await.unwrap_err();
    assert_eq!((twice.code, twice.cause.as_str()), (Code::E011, "operation.conflict"));
    world.engine.bulk_resume(id, &caller()).await.unwrap();
    let ended = over(&world, id).await;
    assert_eq!((ended.row.state, number(&ended, ItemState::Done)), (BulkState::Done, 900));
    let rows = world.engine.operations(100).await.unwrap();
    for operation in ["operations.pause", "operations.resume", "runs.cancel"] {
        let phases: Vec<Phase> =
            rows.iter().rev().filter(|row| row.operation == operation).map(|row| row.phase).collect();
        assert_eq!(phases, [Phase::Intent, Phase::Outcome], "{operation}: one line before, one after");
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_operation_keeps_what_it_did_and_can_be_undone() {
    let (world, _) = queued(900).await;
    let begun =
        world.engine.bulk_begin(by_filter(&world, BulkKind::Cancel, "pack:echo"), &caller()).await.unwrap();
    let early = world.engine.undo(begun.row.id, &caller()).await.unwrap_err();
    assert_eq!(early.cause, "operation.no_undo", "it runs still");
    let look = world.engine.bulk_abort(begun.row.id, &caller()).await.unwrap();
    assert_eq!(look.row.state, BulkState::Aborted);
    // The batch under way is ended, no other begins.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let look = world.engine.bulk(begun.row.id).await.unwrap();
    let done = number(&look, ItemState::Done);
    assert!(done < 900, "{done}");
    assert_eq!(cancelled(&world).await as u64, done);
    let undone = world.engine.undo(begun.row.id, &caller()).await.unwrap();
    let back = over(&world, undone.operation.unwrap()).await;
    assert_eq!(number(&back, ItemState::Done), done);
}

#[tokio::test(start_paused = true)]
async fn what_moves_between_preview_and_deed_is_left_with_its_reason() {
    let (world, runs) = queued(4).await;
    let order = by_id(BulkKind::Retry, &runs);
    for run in &runs[..2] {
        world.engine.cancel(*run, None, &caller()).await.unwrap();
    }
    let look = carried_out(&world, order).await;
    assert_eq!((number(&look, ItemState::Done), number(&look, ItemState::Left)), (2, 2));
    let reason = &look.counts.reasons[0];
    assert_eq!((reason.detail.as_str(), reason.count), ("it is PENDING", 2));
    let rows = world.engine.operations_of(runs[0], 100).await.unwrap();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.operation.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["runs.cancel", "runs.retry"]), "alone and as one of many");
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_waited_for() {
    let (world, runs) = queued(900).await;
    let order = by_filter(&world, BulkKind::Cancel, "pack:echo");
    let begun = world.engine.bulk_begin(order, &caller()).await.unwrap();
    world.logs.expect(&["batch of "]);
    world.store.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let stuck = world.engine.bulk(begun.row.id).await.unwrap();
    assert!(number(&stuck, ItemState::Done) < 900, "the store broke in the middle: {stuck:?}");
    world.store.broken.store(false, std::sync::atomic::Ordering::Relaxed);
    let look = over(&world, begun.row.id).await;
    assert_eq!((number(&look, ItemState::Done), number(&look, ItemState::Failed)), (900, 0));
    assert_eq!(state(&world.engine.run(runs[0]).await.unwrap().run), StateName::Cancelled);
}
