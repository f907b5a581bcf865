//! Leases, epochs and fencing: death of workers and of the server.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, State, StateName};
use hale_core::time::Millis;
use hale_engine::clock::Clock;
use hale_engine::facade::workers::Sync;
use hale_engine::input::{Append, Hello, Refusal};
use hale_engine::worker::Order;
use hale_store::WorkerKind;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub async fn join(world: &World, n: u128) -> WorkerId {
    let id = WorkerId(n);
    let hello = Hello {
        id,
        kind: WorkerKind::Process,
        host: "h".into(),
        pid: 1,
        slots: 1,
        queues: vec![],
        seat: None,
    };
    world.engine.worker_join(hello, (HashMap::new(), HashMap::new())).await.unwrap();
    id
}

pub async fn poll(world: &World, id: WorkerId, holds: Vec<(RunId, u64)>) -> Vec<Order> {
    let sync = Sync { holds, wait_ms: 100, ..Sync::default() };
    let orders = world.engine.worker_sync(id, sync).await.unwrap().orders;
    for order in &orders {
        if let Order::Run(order) = order {
            TOKENS.lock().unwrap().insert((order.run.id, order.run.epoch), order.token.clone());
        }
    }
    orders
}

/// Tokens of polled orders; ids of runs are drawn, so tests do not meet here.
static TOKENS: Mutex<BTreeMap<(RunId, u64), Arc<str>>> = Mutex::new(BTreeMap::new());

/// The token that came with the order of a run; none if nobody polled it.
pub fn token(run: RunId, epoch: u64) -> Arc<str> {
    TOKENS.lock().unwrap().get(&(run, epoch)).cloned().unwrap_or_default()
}

async fn write(world: &World, id: WorkerId, (run, epoch): (RunId, u64), event: Event) -> Result<(), Refusal> {
    let append = Append { run, epoch, events: vec![event], spawn: None, token: token(run, epoch) };
    let sync = Sync { appends: vec![append], ..Sync::default() };
    world.engine.worker_sync(id, sync).await.unwrap().results.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_killed_worker_is_taken_over_and_finished_steps_are_not_repeated() {
    let world = World::new().await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Call("nothing", json!({})), Turn::Hang, Turn::Say("at last")]);
    let run = world.submit("agent").await;
    world.called(2).await;
    let killed = world.engine.kill_embedded("killed by the test").await.unwrap();
    let queued = world.until(run.id, |run| state(run) == StateName::Pending).await;
    assert_eq!(queued.leases_lost, 1);
    let next = world.engine.start_embedded(4).await.unwrap().unwrap();
    assert_ne!(killed, next);
    let ended = world.end(run.id).await;
    assert_eq!(state(&ended.run), StateName::Completed);
    assert_eq!(ended.run.epoch, 2);
    assert!(ended.output.unwrap().contains("at last"));
    assert_eq!(world.model.count(), 3, "the first turn was answered from the journal");
    let steps = world.events(run.id).await;
    let steps = steps.iter().filter(|event| matches!(event, Event::StepEnded { .. })).count();
    assert_eq!(steps, 3);
}

#[tokio::test(start_paused = true)]
async fn a_write_under_a_stale_lease_is_refused_and_recorded() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let old = join(&world, 1).await;
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    let orders = poll(&world, old, Vec::new()).await;
    assert!(matches!(&orders[..], [Order::Run(order)] if order.run.id == run.id && order.run.epoch == 1));
    // Its worker stands still for longer than a lease.
    tokio::time::sleep(limits::LEASE.duration() + Duration::from_secs(1)).await;
    let new = join(&world, 2).await;
    assert_eq!(poll(&world, new, Vec::new()).await.len(), 1);
    assert_eq!(world.engine.run(run.id).await.unwrap().run.epoch, 2);
    join(&world, 1).await;
    let late = write(&world, old, (run.id, 1), Event::Completing { artifacts: Vec::new() }).await;
    let late = late.unwrap_err();
    assert_eq!(late, Refusal::Fenced { epoch: 1, now_at: 2 });
    assert_eq!(late.failure().code, Code::E009);
    let fenced = |event: &Event| matches!(event, Event::Fenced { worker, epoch: 1, .. } if *worker == old);
    world.until(run.id, |run| run.seq > 5).await;
    assert!(world.events(run.id).await.iter().any(fenced));
    assert_eq!(world.engine.meters().writes_fenced.get(), 1);
    write(&world, new, (run.id, 2), Event::Completing { artifacts: Vec::new() }).await.unwrap();
    write(&world, new, (run.id, 2), Event::Completed { output: json!(2) }).await.unwrap();
    assert_eq!(world.end(run.id).await.output.as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_lost_on_its_way_is_taken_back_and_its_epoch_is_over() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let worker = join(&world, 1).await;
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    // The order is taken from the mailbox and never heard of again, while the worker lives.
    assert_eq!(poll(&world, worker, Vec::new()).await.len(), 1);
    let mut again = Vec::new();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        again.extend(poll(&world, worker, Vec::new()).await);
        if !again.is_empty() {
            break;
        }
    }
    assert!(matches!(&again[..], [Order::Run(order)] if order.run.id == run.id && order.run.epoch == 2));
    // The worker is the same one, so only the epoch tells its first lease from its second.
    let done = || Event::Completing { artifacts: Vec::new() };
    let late = write(&world, worker, (run.id, 1), done()).await.unwrap_err();
    assert_eq!(late, Refusal::Fenced { epoch: 1, now_at: 2 });
    write(&world, worker, (run.id, 2), done()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_hears_that_its_write_is_stored_only_when_it_is() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let worker = join(&world, 1).await;
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    assert_eq!(poll(&world, worker, Vec::new()).await.len(), 1);
    world.store.hold(true);
    let ends = vec![Event::Completing { artifacts: Vec::new() }, Event::Completed { output: json!(1) }];
    let append = Append { run: run.id, epoch: 1, events: ends, spawn: None, token: token(run.id, 1) };
    let sync = Sync { appends: vec![append], ..Sync::default() };
    let mut written = Box::pin(world.engine.worker_sync(worker, sync));
    let early = tokio::time::timeout(Duration::from_secs(3), &mut written).await;
    assert!(early.is_err(), "a write was confirmed that is not stored");
    let stored = hale_store::Store::run(&*world.store, run.id).unwrap().unwrap();
    assert!(!stored.run.is_terminal());
    world.store.hold(false);
    assert_eq!(written.await.unwrap().results, [Ok(())]);
    assert!(hale_store::Store::run(&*world.store, run.id).unwrap().unwrap().run.is_terminal());
}

// covers: AO-207
#[tokio::test(start_paused = true)]
async fn a_run_that_ends_its_workers_is_not_tried_for_ever() {
    let world = World::new().await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("agent", "").await;
    world.model.script((0..20).map(|_| Turn::Hang));
    let run = world.submit("agent").await;
    for n in 1..=limits::LEASES_MAX {
        world.called(n as usize).await;
        world.engine.kill_embedded("killed by the test").await.unwrap();
        world.until(run.id, |run| run.leases_lost == n).await;
        world.engine.start_embedded(4).await.unwrap();
    }
    let run = world.end(run.id).await.run;
    let failure = run.failure.clone().unwrap();
    assert_eq!((state(&run), failure.cause.as_str()), (StateName::Failed, "run.poison"));
    assert_eq!(failure.code, Code::E008);
}

#[tokio::test(start_paused = true)]
async fn a_new_server_goes_on_with_what_the_old_one_left() {
    let mut world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Call("nothing", json!({})), Turn::Hang]);
    let running = world.submit("agent").await;
    world.called(2).await;
    let queued = world.submit("agent").await;
    world.restart().await;
    let (running, queued) = (world.end(running.id).await.run, world.end(queued.id).await.run);
    assert_eq!((state(&running), state(&queued)), (StateName::Completed, StateName::Completed));
    assert_eq!((running.epoch, queued.epoch), (2, 1));
    assert_eq!(world.model.count(), 4, "two before, one each after");
}

/// The gap between the failure and the wake-up, as the journal has them.
fn waited(records: &[hale_core::run::Record]) -> Vec<u64> {
    let failed = records.iter().filter(|record| matches!(record.event, Event::StepFailed { .. }));
    let woken = records.iter().filter(|record| matches!(record.event, Event::Woken));
    failed.zip(woken).map(|(failed, woken)| woken.at.since(failed.at).0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_over_a_restart_and_ends_when_it_should() {
    let mut world = World::new().await;
    world.logs.expect(&["Failed to connect to external API", "Retry 1/4 after 20s"]);
    world.deploy("agent", "").await;
    world.model.script([Turn::Limited(Some(hale_core::time::Millis::seconds(20)))]);
    let run = world.submit("agent").await;
    world.until(run.id, |run| matches!(run.state, hale_core::run::State::Waiting { .. })).await;
    world.restart().await;
    let ended = world.end(run.id).await.run;
    assert_eq!((state(&ended), world.model.count()), (StateName::Completed, 2));
    let waited = waited(&world.engine.history(run.id, 1, 100).await.unwrap());
    assert_eq!(waited, [20_000]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_away_for_longer_than_its_runs_may_take_takes_none_of_their_time() {
    let mut world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("agent", "limits: { timeout: 60s }").await;
    world.deploy("echo", "kind: echo\nlimits: { timeout: 60s }").await;
    // One is in the hand of a worker that dies meanwhile, one waits to be tried again.
    let held = world.submit("echo").await.id;
    join(&world, 1).await;
    world.until(held, |run| run.lease().is_some()).await;
    world.model.script([Turn::Limited(Some(Millis::seconds(20)))]);
    let waits = world.submit("agent").await.id;
    world.engine.start_embedded(1).await.unwrap();
    world.logs.expect(&[
        "Failed to connect to external API",
        "Retry 1/4 after 20s",
        "worker lost",
        "Lease lost",
    ]);
    world.until(waits, |run| matches!(run.state, State::Waiting { .. })).await;
    // The drain takes some of a lease.
    poll(&world, WorkerId(1), vec![(held, 1)]).await;
    world.restart_at(Clock::at(world.engine.now() + Millis::seconds(3_600))).await;
    let standing = world.engine.run(held).await.unwrap().run;
    assert!(
        standing.lease().is_some(),
        "the fault did not take effect: {standing:?}\n{:?}",
        world.events(held).await
    );
    world.engine.start_embedded(2).await.unwrap();
    for (run, lost) in [(held, 1), (waits, 0)] {
        let ended = world.end(run).await.run;
        assert_eq!((state(&ended), ended.leases_lost), (StateName::Completed, lost), "{:?}", ended.failure);
        assert!(ended.spent < ended.limit, "{} of {}", ended.spent, ended.limit);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_lost_with_its_server_is_taken_back_whatever_the_next_clock_says() {
    for (back, on) in [(86_400, 0), (0, 86_400)] {
        let mut world = World::with(|config| config.embedded_slots = 0).await;
        world.deploy("echo", "kind: echo\nlimits: { timeout: 60s }").await;
        world.logs.expect(&["Lease lost"]);
        let worker = join(&world, 1).await;
        let run = world.submit("echo").await.id;
        world.until(run, |run| run.lease().is_some()).await;
        let clock = world.engine.now() + Millis::seconds(on) - Millis::seconds(back);
        world.restart_at(Clock::at(clock)).await;
        join(&world, 1).await;
        let begun = world.engine.now();
        let mut again = Vec::new();
        while again.is_empty() && world.engine.now().since(begun) < Millis::seconds(30) {
            tokio::time::sleep(Duration::from_secs(3)).await;
            again.extend(poll(&world, worker, Vec::new()).await);
        }
        assert!(matches!(&again[..], [Order::Run(order)] if order.run.epoch == 2), "{back} {on}: {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_survive_a_restart_and_so_does_their_absence() {
    let mut world = World::new().await;
    let deed = || hale_engine::facade::operate::Deed {
        operation: "limits.raise",
        target: "agent".to_owned(),
        detail: String::new(),
        undo: None,
    };
    let set = [
        ("model.fallback.sim/small", Some("sim/backup")),
        ("limits.timeout_ms.agent", Some("90000")),
        ("limits.timeout_ms.other", Some("1000")),
        ("limits.timeout_ms.other", None),
    ];
    for change in set {
        world.engine.set(deed(), change, &caller()).await.unwrap();
    }
    world.deploy("agent", "model: sim/small").await;
    world.restart().await;
    assert_eq!(world.engine.settings().fallback("sim/small"), ["sim/backup"]);
    assert_eq!(world.engine.settings().limit("other"), None);
    world.model.script([Turn::Limited(None), Turn::Say("from the backup")]);
    let run = world.submit("agent").await;
    assert_eq!(run.limit, hale_core::time::Millis::seconds(90), "the raised limit holds for new runs");
    let ended = world.end(run.id).await;
    assert!(ended.output.unwrap().contains("from the backup"), "the fallback is used");
}

// covers: AO-106
#[tokio::test(start_paused = true)]
async fn a_tool_is_tried_again_after_1_2_and_4_seconds_by_default() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.logs.expect(&["Failed to connect", "Retry ", "All retries exhausted", "Execution failed"]);
    world.deploy("echo", "kind: echo").await;
    let id = join(&world, 1).await;
    let engine = world.engine.clone();
    let link: hale_engine::worker::Link = std::sync::Arc::new(move |append| {
        let engine = engine.clone();
        Box::pin(async move {
            let sync = Sync { appends: vec![append], ..Sync::default() };
            engine.worker_sync(id, sync).await.unwrap().results.remove(0)
        })
    });
    let hub = hale_engine::live::Hub::default();
    let worker =
        hale_engine::worker::Worker::new(id, link, world.engine.gateway().clone(), hub, world.engine.clock());
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    let mut tries = 0;
    for _ in 0..120 {
        for order in poll(&world, id, Vec::new()).await {
            let Order::Run(assignment) = order else { continue };
            assert_eq!(assignment.run.id, run.id);
            tries += 1;
            fail_a_tool(&worker, *assignment).await;
        }
        if world.engine.run(run.id).await.unwrap().run.is_terminal() {
            break;
        }
    }
    let ended = world.end(run.id).await.run;
    assert_eq!((state(&ended), tries), (StateName::Failed, 4));
    assert_eq!(ended.failure.unwrap().cause, "tool.io", "the root error");
    let records = world.engine.history(run.id, 1, 100).await.unwrap();
    let attempts = records.iter().filter_map(|record| match &record.event {
        Event::StepFailed { attempt, .. } => Some(*attempt),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(waited(&records), [1_000, 2_000, 4_000]);
}

/// One step of a tool that another try could mend.
async fn fail_a_tool(worker: &hale_engine::worker::Worker, assignment: hale_engine::worker::Assignment) {
    use hale_core::failure::Failure;
    let host = hale_engine::worker::host::Host::new(worker, assignment, Default::default());
    let spec = hale_core::run::StepSpec {
        index: host.next_index().unwrap(),
        kind: hale_core::run::StepKind::Tool,
        name: "files.read".to_owned(),
        dispatch: hale_core::run::Dispatch::Idempotent,
        request: json!({}),
    };
    let failure = Failure::new(Code::E006, "tool.io", "tool:files.read", "read a.log")
        .retried_as(hale_core::retry::RetryClass::Tool);
    let halted = host.step(spec, |_| std::future::ready(Err(failure))).await.unwrap_err();
    assert!(matches!(halted, hale_engine::worker::host::Halt::Yielded), "{halted:?}");
}
