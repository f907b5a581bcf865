//! A pack whose runs end three workers in a row is held back; the others go on.

use crate::recovery::{poll, token};
use crate::world::{World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::run::{Event, StateName};
use hale_core::time::Millis;
use hale_engine::clock::Clock;
use hale_engine::facade::workers::Sync;
use hale_engine::input::{Append, Hello};
use hale_store::{Phase, WorkerKind};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

async fn join(world: &World, n: u128) -> WorkerId {
    let id = WorkerId(n);
    let (kind, host, queues) = (WorkerKind::Process, "h".to_owned(), Vec::new());
    let hello = Hello { id, kind, host, pid: 1, slots: 1, queues, seat: None };
    world.engine.worker_join(hello, (HashMap::new(), HashMap::new())).await.unwrap();
    id
}

async fn idle() -> World {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("crasher", "kind: echo\nlimits: { timeout: 10m }").await;
    world.deploy("other", "kind: echo").await;
    world
}

/// The worker takes the run and is never heard of again.
async fn dies_with(world: &World, worker: u128, run: RunId) {
    join(world, worker).await;
    world.until(run, |run| run.lease().is_some_and(|lease| lease.worker == WorkerId(worker))).await;
    tokio::time::sleep(Duration::from_secs(16)).await;
    world.until(run, |run| state(run) == StateName::Pending).await;
}

#[tokio::test(start_paused = true)]
async fn a_pack_that_ends_three_workers_in_a_row_is_held_and_blocks_nobody() {
    let mut world = idle().await;
    let run = world.submit("crasher").await.id;
    dies_with(&world, 1, run).await;
    dies_with(&world, 2, run).await;
    assert!(world.engine.quarantines().is_empty(), "two are not three");
    world.logs.expect(&["pack crasher in quarantine"]);
    dies_with(&world, 3, run).await;
    let held = world.engine.quarantines();
    assert_eq!((held[0].pack.as_str(), held[0].kills.len()), ("crasher", 3));
    assert!(held[0].kills.iter().all(|kill| kill.run == run));
    let failure = world.engine.submit(order("crasher", json!({})), &caller()).await.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E011, "pack.quarantined"));
    assert!(failure.message.contains("hale packs quarantine release crasher"), "{failure}");
    // It holds over a restart, and the other pack has its turn although the held run is older.
    world.restart().await;
    assert_eq!(world.engine.quarantines().len(), 1);
    let other = world.submit("other").await.id;
    join(&world, 4).await;
    world.until(other, |run| run.lease().is_some()).await;
    join(&world, 5).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(state(&world.engine.run(run).await.unwrap().run), StateName::Pending);
    let rows = world.engine.operations(100).await.unwrap();
    let phases: Vec<Phase> =
        rows.iter().rev().filter(|row| row.operation == "packs.quarantine").map(|row| row.phase).collect();
    assert_eq!(phases, [Phase::Intent, Phase::Outcome]);
    let released = world.engine.release("crasher", &caller()).await.unwrap();
    assert_eq!(released.pack, "crasher");
    world.until(run, |run| run.lease().is_some()).await;
    let again = world.engine.release("crasher", &caller()).await.unwrap_err();
    assert_eq!((again.code, again.cause.as_str()), (Code::E011, "pack.not_quarantined"));
    assert_eq!(world.engine.release("nope", &caller()).await.unwrap_err().code, Code::E001);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_completes_in_between_clears_the_pack() {
    let world = idle().await;
    let run = world.submit("crasher").await.id;
    dies_with(&world, 1, run).await;
    dies_with(&world, 2, run).await;
    let worker = join(&world, 3).await;
    let leased = world.until(run, |run| run.lease().is_some()).await;
    let events =
        vec![Event::Completing { artifacts: Vec::new() }, Event::Completed { output: json!({"done": true}) }];
    assert_eq!(poll(&world, worker, Vec::new()).await.len(), 1);
    let token = token(run, leased.epoch);
    let append = Append { run, epoch: leased.epoch, events, spawn: None, token };
    let sync = Sync { appends: vec![append], ..Sync::default() };
    world.engine.worker_sync(worker, sync).await.unwrap().results.remove(0).unwrap();
    assert_eq!(state(&world.end(run).await.run), StateName::Completed);
    let next = world.submit("crasher").await.id;
    tokio::time::sleep(Duration::from_secs(16)).await;
    world.until(next, |run| state(run) == StateName::Pending).await;
    assert!(world.engine.quarantines().is_empty());
}

/// Four workers, each with a run of the pack in hand.
async fn four_at_work(world: &World) -> Vec<RunId> {
    for worker in 1..=4 {
        join(world, worker).await;
    }
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(world.submit("crasher").await.id);
    }
    for run in &runs {
        world.until(*run, |run| run.lease().is_some()).await;
    }
    runs
}

#[tokio::test(start_paused = true)]
async fn workers_that_die_with_a_server_whose_clock_is_set_back_count_once() {
    let mut world = idle().await;
    let runs = four_at_work(&world).await;
    world.logs.expect(&["worker lost"]);
    let before = world.engine.now();
    world.restart_at(Clock::at(before - Millis::seconds(3_600))).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    for run in &runs {
        let run = world.until(*run, |run| state(run) == StateName::Pending).await;
        assert_eq!(run.leases_lost, 1, "the fault did not take effect");
    }
    assert!(world.engine.quarantines().is_empty(), "{:?}", world.engine.quarantines());
}

#[tokio::test(start_paused = true)]
async fn workers_that_die_together_count_once() {
    let world = idle().await;
    let runs = four_at_work(&world).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    for run in &runs {
        world.until(*run, |run| state(run) == StateName::Pending).await;
    }
    assert!(world.engine.quarantines().is_empty(), "a machine that goes down is not the pack's guilt");
}
