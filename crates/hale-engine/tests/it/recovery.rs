//! Leases, epochs and fencing: death of workers and of the server.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, StateName};
use hale_engine::facade::workers::Sync;
use hale_engine::input::{Append, Hello, Refusal};
use hale_engine::worker::Order;
use hale_store::WorkerKind;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

async fn join(world: &World, n: u128) -> WorkerId {
    let id = WorkerId(n);
    let hello = Hello { id, kind: WorkerKind::Process, host: "h".into(), pid: 1, slots: 1 };
    world.engine.worker_join(hello, HashMap::new()).await.unwrap();
    id
}

async fn poll(world: &World, id: WorkerId, holds: Vec<(RunId, u64)>) -> Vec<Order> {
    let sync = Sync { holds, appends: Vec::new(), wait_ms: 100 };
    world.engine.worker_sync(id, sync).await.unwrap().orders
}

async fn write(world: &World, id: WorkerId, (run, epoch): (RunId, u64), event: Event) -> Result<(), Refusal> {
    let append = Append { run, epoch, events: vec![event] };
    let sync = Sync { holds: Vec::new(), appends: vec![append], wait_ms: 0 };
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
async fn an_order_that_was_lost_on_its_way_is_taken_back() {
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
