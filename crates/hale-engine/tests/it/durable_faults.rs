//! Faults that users of durable engines report, armed here one by one; `docs/durable-faults.md` lists all of them.
//!
//! Each test makes sure that its fault took effect before it looks at what became of the runs.

use crate::recovery::{join, poll, token};
use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, StateName, Step, StepKind};
use hale_core::time::Millis;
use hale_engine::facade::workers::Sync;
use hale_engine::input::{Append, Refusal};
use hale_engine::worker::Order;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn apart(more: &str) -> World {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", &format!("kind: echo\n{more}")).await;
    world
}

/// The run and epoch of the one order that comes.
async fn ordered(world: &World, worker: WorkerId) -> (RunId, u64) {
    match &poll(world, worker, Vec::new()).await[..] {
        [Order::Run(order)] => (order.run.id, order.run.epoch),
        other => panic!("{other:?}"),
    }
}

/// The first step of a run, done.
fn read_of_a_file() -> Event {
    let step = Step {
        index: 0,
        attempt: 1,
        kind: StepKind::Tool,
        name: "files.read".to_owned(),
        request: json!({}),
        result: json!({}),
        took: Millis(1),
        waiting_on: "tool:files.read".to_owned(),
        usage: None,
        is_error: false,
    };
    Event::StepEnded { step: Box::new(step) }
}

async fn write(world: &World, worker: WorkerId, (run, epoch): (RunId, u64), events: Vec<Event>) {
    let append = Append { run, epoch, events, spawn: None, token: token(run, epoch) };
    let sync = Sync { holds: vec![(run, epoch)], appends: vec![append], ..Sync::default() };
    assert_eq!(world.engine.worker_sync(worker, sync).await.unwrap().results, [Ok(())]);
}

fn the_end() -> Vec<Event> {
    vec![Event::Completing { artifacts: Vec::new() }, Event::Completed { output: json!(1) }]
}

async fn finish(world: &World, worker: WorkerId, lease: (RunId, u64)) {
    write(world, worker, lease, the_end()).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_sent_again_is_confirmed_when_it_is_stored_and_not_before() {
    let world = apart("").await;
    let worker = join(&world, 1).await;
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    let (run, epoch) = ordered(&world, worker).await;
    let before = world.engine.run(run).await.unwrap().run.seq;
    for events in [vec![read_of_a_file()], the_end()] {
        let send = async || {
            let append = Append { run, epoch, events: events.clone(), spawn: None, token: token(run, epoch) };
            let sync = Sync { holds: vec![(run, epoch)], appends: vec![append], ..Sync::default() };
            let sent = tokio::time::timeout(SECOND, world.engine.worker_sync(worker, sync)).await;
            sent.ok().map(|synced| synced.unwrap().results.remove(0))
        };
        let stored = async || world.engine.run(run).await.unwrap().run.seq;
        let known = stored().await;
        world.store.hold(true);
        assert_eq!(send().await, None, "the first sending is not answered");
        for _ in 0..2 {
            let again = send().await.unwrap();
            assert!(matches!(again, Err(Refusal::Unavailable { .. })), "{again:?}, and nothing is stored");
            assert_eq!(stored().await, known);
        }
        world.store.hold(false);
        tokio::time::sleep(SECOND).await;
        assert_eq!(send().await, Some(Ok(())));
    }
    let ended = world.end(run).await.run;
    assert_eq!((ended.epoch, ended.seq), (1, before + 3), "each event is in the journal once");
}

#[tokio::test(start_paused = true)]
async fn a_change_while_the_end_of_the_lease_is_on_its_way_follows_it_in_the_journal() {
    let world = apart("").await;
    let worker = join(&world, 1).await;
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    let (run, _) = ordered(&world, worker).await;
    world.store.hold(true);
    // The first batch is under way, so that what follows waits in memory.
    let other = tokio::time::timeout(SECOND, world.engine.submit(order("echo", json!({})), &caller())).await;
    let left = tokio::time::timeout(SECOND, world.engine.worker_leave(worker)).await;
    let cancelled = tokio::time::timeout(SECOND * 3, world.engine.cancel(run, None, &caller())).await;
    assert!(other.is_err() && left.is_err() && cancelled.is_err(), "nothing of it is stored yet");
    world.store.hold(false);
    assert_eq!(state(&world.end(run).await.run), StateName::Cancelled);
    let events = world.events(run).await;
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["accepted", "leased", "initialized", "released", "cancel_asked"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_many_leases_is_made_once() {
    let world = World::new().await;
    world.deploy("agent", "limits: { timeout: 10m }").await;
    world.deploy("echo", "kind: echo\nlimits: { timeout: 10m }").await;
    world.model.script([Turn::Hang]);
    let here = world.submit("agent").await;
    world.called(1).await;
    world.engine.worker_drain(world.engine.embedded().unwrap(), &caller()).await.unwrap();
    let worker = join(&world, 1).await;
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    let lease = ordered(&world, worker).await;
    // The worker's heartbeat comes from the process, not from the work.
    let begun = world.engine.now();
    while world.engine.now().since(begun) < Millis(limits::LEASE.0 * 6) {
        tokio::time::sleep(SECOND * 3).await;
        assert!(poll(&world, worker, vec![lease]).await.is_empty());
    }
    for id in [here.id, lease.0] {
        let run = world.engine.run(id).await.unwrap().run;
        assert_eq!((state(&run), run.epoch, run.leases_lost), (StateName::Running, 1, 0));
    }
    assert_eq!(world.model.count(), 1);
    finish(&world, worker, lease).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_taken_over_within_a_lease_and_a_second() {
    let world = apart("").await;
    let silent = join(&world, 1).await;
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    let (run, _) = ordered(&world, silent).await;
    let heard = world.engine.now();
    let other = join(&world, 2).await;
    let (again, epoch) = loop {
        if let [Order::Run(order)] = &poll(&world, other, Vec::new()).await[..] {
            break (order.run.id, order.run.epoch);
        }
        assert!(world.engine.now().since(heard) < Millis::seconds(60), "never taken over");
    };
    let took = world.engine.now().since(heard);
    assert_eq!((again, epoch), (run, 2));
    assert!(took >= limits::LEASE, "the worker was silent for {took} only: nothing was proven");
    assert!(took <= limits::LEASE + Millis::seconds(1), "taken over after {took}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_during_the_recovery_strands_nothing_and_is_not_hammered() {
    let world = World::new().await;
    world.logs.expect(&["batch of ", "memory not taken back", "not looked at", "queue was not compared"]);
    world.deploy("agent", "").await;
    world.model.script([Turn::Hang]);
    let run = world.submit("agent").await;
    world.called(1).await;
    world.store.broken.store(true, Ordering::Relaxed);
    let before = world.store.batches.load(Ordering::Relaxed);
    world.engine.kill_embedded("killed by the test").await.unwrap();
    tokio::time::sleep(SECOND * 20).await;
    let refused = world.store.batches.load(Ordering::Relaxed) - before;
    let stored = world.engine.run(run.id).await.unwrap().run;
    assert!(refused > 0 && stored.lease().is_some(), "the recovery was refused {refused} times");
    // Ten a second, not as many as the loop can turn.
    assert!(refused <= 20 * 1000 / limits::STORE_REST.0 + 2, "asked {refused} times in 20 s");
    world.store.broken.store(false, Ordering::Relaxed);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Pending);
    world.engine.start_embedded(1).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_drained_worker_that_joins_again_stays_drained() {
    let mut world = apart("").await;
    let worker = join(&world, 1).await;
    world.engine.worker_drain(worker, &caller()).await.unwrap();
    // As after a restart of the server, and after a silence of its own.
    world.restart().await;
    let unknown = world.engine.worker_sync(worker, Sync::default()).await.unwrap_err();
    assert_eq!(unknown.code, Code::E010);
    for silence in [0, 60] {
        tokio::time::sleep(SECOND * silence).await;
        join(&world, 1).await;
        let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
        assert!(poll(&world, worker, Vec::new()).await.is_empty(), "a drained worker got a run");
        assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Pending);
    }
    world.engine.worker_resume(worker, &caller()).await.unwrap();
    assert_eq!(poll(&world, worker, Vec::new()).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_before_gets_work_again_after_the_server_was_away() {
    let mut world = apart("").await;
    let worker = join(&world, 1).await;
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    let lease = ordered(&world, worker).await;
    world.restart().await;
    assert_eq!(world.engine.worker_sync(worker, Sync::default()).await.unwrap_err().code, Code::E010);
    join(&world, 1).await;
    // What it held is its own still, and a place that comes free is filled at once.
    world.engine.submit(order("echo", json!({})), &caller()).await.unwrap();
    assert!(poll(&world, worker, vec![lease]).await.is_empty(), "it has one slot");
    finish(&world, worker, lease).await;
    assert_eq!(world.end(lease.0).await.run.epoch, 1);
    let (next, epoch) = ordered(&world, worker).await;
    assert_ne!((next, epoch), lease);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_only_beats_loses_its_run_at_the_limit_and_its_key_goes_on() {
    let world = apart("limits: { concurrency: 1, timeout: 60s }").await;
    world.logs.expect(&["Execution timeout exceeded (", "run passed its time limit"]);
    let worker = join(&world, 1).await;
    let other = join(&world, 2).await;
    let stuck = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    let behind = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    let begun = world.engine.now();
    let holder = world.engine.run(stuck.id).await.unwrap().run.lease().unwrap().worker;
    let idle = if holder == worker { other } else { worker };
    let lease = ordered(&world, holder).await;
    assert_eq!(lease.0, stuck.id);
    let key = world.engine.queue("default").await.unwrap().keys.remove(0);
    assert_eq!((key.depth, key.going, key.held), (1, 1, true), "who stands before the key is told");
    let mut beats = 0;
    let taken = 'taken: loop {
        tokio::time::sleep(SECOND).await;
        for (worker, holds) in [(holder, vec![lease]), (idle, Vec::new())] {
            let orders = poll(&world, worker, holds).await;
            beats += usize::from(worker == holder && orders.is_empty());
            // Both are free when the limit has struck.
            let next = orders.iter().find_map(|order| match order {
                Order::Run(order) => Some(order.run.id),
                Order::Stop { .. } | Order::Switches { .. } => None,
            });
            if let Some(next) = next {
                break 'taken next;
            }
        }
        assert!(world.engine.now().since(begun) < Millis::seconds(120), "the key never went on");
    };
    assert!(beats > 30, "the worker was heard {beats} times");
    assert_eq!(taken, behind.id);
    let took = world.engine.now().since(begun);
    assert!(took <= Millis::seconds(62), "the key went on after {took}");
    assert_eq!(state(&world.engine.run(stuck.id).await.unwrap().run), StateName::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_does_not_fit_the_pack_ends_the_run_by_its_name() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("agent", "").await;
    let worker = join(&world, 1).await;
    world.engine.submit(order("agent", json!({})), &caller()).await.unwrap();
    let lease = ordered(&world, worker).await;
    // A pack of this version begins with a turn of its model; this worker was of another opinion.
    write(&world, worker, lease, vec![read_of_a_file()]).await;
    world.engine.worker_leave(worker).await.unwrap();
    world.engine.start_embedded(1).await.unwrap();
    let run = world.end(lease.0).await.run;
    let failure = run.failure.clone().unwrap();
    assert_eq!((state(&run), failure.cause.as_str()), (StateName::Failed, "run.journal_mismatch"));
    assert!(
        failure.message.contains("expected model sim/small, the journal has tool files.read"),
        "{failure}"
    );
    assert_eq!(world.model.count(), 0, "nothing is executed on a guess");
}

#[tokio::test(start_paused = true)]
async fn a_delay_longer_than_every_timeout_is_one_lease() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let due = world.engine.now() + Millis(limits::VISIBILITY.0 * 24);
    let submit = hale_engine::Submit { due: Some(due), ..order("echo", json!({})) };
    let run = world.engine.submit(submit, &caller()).await.unwrap().run;
    tokio::time::sleep(limits::VISIBILITY.duration() * 23).await;
    assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Pending);
    let ended = world.engine.wait(run.id, limits::VISIBILITY.duration() * 2).await.unwrap().run;
    assert_eq!((state(&ended), ended.epoch), (StateName::Completed, 1));
    assert!(ended.started_at.is_some_and(|started| started >= due));
    let leases =
        world.events(run.id).await.iter().filter(|event| matches!(event, Event::Leased { .. })).count();
    assert_eq!(leases, 1);
}
