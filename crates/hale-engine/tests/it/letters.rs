//! Dead letters: each run lands there once, is redriven once whatever happens in between, and comes back by undo.

use crate::world::{Turn, World, caller, state};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::{self, Filter};
use hale_core::id::{OperationId, RunId};
use hale_core::run::{StateName, Trigger};
use hale_engine::bulk::BulkKind;
use hale_engine::facade::bulk::{BulkLook, BulkOrder, Chosen};
use hale_engine::input::Resolved;
use hale_store::{BulkItem, BulkState, ItemFilter, ItemState};
use std::time::Duration;

/// Lines of the runs that die in these tests.
pub const DEATH: [&str; 5] =
    ["Failed to connect", "Retry ", "All retries exhausted", "Execution failed", "Step failed"];

/// A run that ended by a rate limit.
pub async fn dead(world: &World, pack: &str) -> RunId {
    world.logs.expect(&DEATH);
    world.model.script([Turn::Limited(None), Turn::Limited(None)]);
    let run = world.submit(pack).await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Failed);
    run.id
}

pub async fn agent(world: &World, name: &str) {
    world.deploy(name, "model: sim/small\nretry: { max: 1, backoff: 1s..1s }").await;
}

pub fn by_id(kind: BulkKind, runs: &[RunId]) -> BulkOrder {
    BulkOrder { kind, chosen: Chosen::Runs(runs.to_vec()), reason: None }
}

pub fn by_filter(world: &World, kind: BulkKind, text: &str) -> BulkOrder {
    let filter = Box::new(filter::parse(text, world.engine.now()).unwrap());
    BulkOrder { kind, chosen: Chosen::Filter { text: text.to_owned(), filter }, reason: None }
}

/// Begins the operation and waits for its end.
pub async fn carried_out(world: &World, order: BulkOrder) -> BulkLook {
    let begun = world.engine.bulk_begin(order, &caller()).await.unwrap();
    over(world, begun.row.id).await
}

pub async fn over(world: &World, id: OperationId) -> BulkLook {
    let look = world.engine.bulk_wait(id, Duration::from_secs(600)).await.unwrap();
    assert!(look.row.state.is_over(), "{look:?}");
    look
}

pub fn number(look: &BulkLook, state: ItemState) -> u64 {
    look.counts.by_state.get(&state).copied().unwrap_or(0)
}

pub async fn items(world: &World, id: OperationId) -> Vec<BulkItem> {
    world.engine.bulk_items(id, ItemFilter::default(), 1000).await.unwrap()
}

async fn waiting(world: &World) -> Vec<RunId> {
    let (rows, _) = world.engine.letters(&Filter::default(), (None, Resolved::Not), 1000).await.unwrap();
    rows.into_iter().map(|row| row.run).collect()
}

fn refused(failure: Result<BulkLook, Failure>, cause: &str) {
    let failure = failure.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E011, cause), "{failure}");
}

// covers: AO-96, AO-153, AO-190
#[tokio::test(start_paused = true)]
async fn letters_are_grouped_by_cause_and_each_run_is_one() {
    let world = World::new().await;
    agent(&world, "agent").await;
    agent(&world, "other").await;
    let letters = [dead(&world, "agent").await, dead(&world, "agent").await, dead(&world, "other").await];
    assert_eq!(waiting(&world).await, letters);
    let done = world.submit("agent").await;
    assert_eq!(state(&world.end(done.id).await.run), StateName::Completed);
    assert_eq!(waiting(&world).await, letters, "a run that completes is none");
    let groups = world.engine.letter_groups(&Filter::default()).await.unwrap();
    assert_eq!(groups.groups.len(), 1);
    assert_eq!((groups.groups[0].cause.as_str(), groups.groups[0].count), ("llm.rate_limited", 3));
    assert!(groups.groups[0].first < groups.groups[0].last);
    let of_pack = filter::parse("pack:other cause:llm.rate_limited", world.engine.now()).unwrap();
    let groups = world.engine.letter_groups(&of_pack).await.unwrap();
    assert_eq!((groups.groups[0].count, groups.capped), (1, false));
    let wrong = filter::parse("status:failed", world.engine.now()).unwrap();
    let failure = world.engine.letter_groups(&wrong).await.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E002, "dlq.filter"));
}

// covers: AO-153
#[tokio::test(start_paused = true)]
async fn a_letter_is_redriven_once_and_the_new_run_follows_the_old_one() {
    let world = World::new().await;
    agent(&world, "agent").await;
    let old = dead(&world, "agent").await;
    let look = carried_out(&world, by_id(BulkKind::Redrive, &[old])).await;
    assert_eq!((look.row.state, number(&look, ItemState::Done)), (BulkState::Done, 1));
    let new: RunId = items(&world, look.row.id).await[0].detail.parse().unwrap();
    let run = world.end(new).await.run;
    assert_eq!((state(&run), run.trigger, run.retry_of), (StateName::Completed, Trigger::Redrive, Some(old)));
    let letter = world.engine.letter(old).await.unwrap();
    assert_eq!(letter.resolution, Some(format!("redriven as {new}")));
    assert_eq!(letter.resolved_by.as_deref(), Some("local"));
    assert!(waiting(&world).await.is_empty());
    // A second order is refused before anything is done.
    let again = world.engine.bulk_begin(by_id(BulkKind::Redrive, &[old]), &caller()).await;
    refused(again, "dlq.resolved");
    refused(world.engine.bulk_begin(by_id(BulkKind::Redrive, &[new]), &caller()).await, "dlq.not_dead");
    let unknown = world.engine.bulk_begin(by_id(BulkKind::Redrive, &[RunId(5)]), &caller()).await;
    assert_eq!(unknown.unwrap_err().code, Code::E010);
}

#[tokio::test(start_paused = true)]
async fn two_orders_for_one_letter_make_one_run() {
    let world = World::new().await;
    agent(&world, "agent").await;
    let old = dead(&world, "agent").await;
    // Both are accepted while the letter waits; the second finds it gone.
    world.store.hold(true);
    let (me, other) = (caller(), caller());
    let first = world.engine.bulk_begin(by_filter(&world, BulkKind::Redrive, "pack:agent"), &me);
    let second =
        world.engine.bulk_begin(by_filter(&world, BulkKind::Redrive, "cause:llm.rate_limited"), &other);
    let release = async { world.store.hold(false) };
    let (first, second, ()) = tokio::join!(first, second, release);
    let (first, second) =
        (over(&world, first.unwrap().row.id).await, over(&world, second.unwrap().row.id).await);
    let done = number(&first, ItemState::Done) + number(&second, ItemState::Done);
    assert_eq!(done, 1, "{first:?}\n{second:?}");
    let filter = filter::parse("", world.engine.now()).unwrap();
    let runs = world.engine.runs(&filter, None, 100).await.unwrap().runs;
    assert_eq!(runs.iter().filter(|run| run.retry_of == Some(old)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_undone_redrive_cancels_the_new_run_and_puts_the_letter_back() {
    let world = World::new().await;
    agent(&world, "agent").await;
    let old = dead(&world, "agent").await;
    world.model.script([Turn::Hang]);
    let look = carried_out(&world, by_filter(&world, BulkKind::Redrive, "pack:agent")).await;
    let new: RunId = items(&world, look.row.id).await[0].detail.parse().unwrap();
    world.until(new, |run| state(run) == StateName::Running).await;
    let undone = world.engine.undo(look.row.id, &caller()).await.unwrap();
    let back = over(&world, undone.operation.unwrap()).await;
    assert_eq!(number(&back, ItemState::Done), 1, "{back:?}");
    assert_eq!(state(&world.end(new).await.run), StateName::Cancelled);
    assert_eq!(waiting(&world).await, [old], "once, as before");
    let twice = world.engine.undo(look.row.id, &caller()).await.unwrap_err();
    assert_eq!((twice.code, twice.cause.as_str()), (Code::E011, "operation.no_undo"));
}

#[tokio::test(start_paused = true)]
async fn a_discarded_letter_comes_back_by_undo() {
    let world = World::new().await;
    agent(&world, "agent").await;
    let letters = [dead(&world, "agent").await, dead(&world, "agent").await];
    let order = BulkOrder { reason: Some("test data".to_owned()), ..by_id(BulkKind::Discard, &letters) };
    let look = carried_out(&world, order).await;
    assert!(waiting(&world).await.is_empty());
    let letter = world.engine.letter(letters[0]).await.unwrap();
    assert_eq!(letter.resolution.as_deref(), Some("discarded: test data"));
    let undone = world.engine.undo(look.row.id, &caller()).await.unwrap();
    over(&world, undone.operation.unwrap()).await;
    assert_eq!(waiting(&world).await, letters);
    // The audit trail has the order and what came of it.
    let rows = world.engine.operation(look.row.id).await.unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].detail.contains("2 done"), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_by_hand_takes_the_letter_out_in_the_same_commit() {
    let world = World::new().await;
    agent(&world, "agent").await;
    let old = dead(&world, "agent").await;
    let new = world.engine.retry(old, None, &caller()).await.unwrap().run.id;
    assert_eq!(world.engine.letter(old).await.unwrap().resolution, Some(format!("retried as {new}")));
    refused(world.engine.bulk_begin(by_id(BulkKind::Redrive, &[old]), &caller()).await, "dlq.resolved");
    world.end(new).await;
}
