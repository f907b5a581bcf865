//! Workers that end by their own will: what they cannot finish is given back, and no lease has to run out.

use crate::recovery::{join, poll};
use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, StateName};
use hale_engine::facade::workers::Sync;
use hale_engine::live::Hub;
use hale_engine::worker::{Link, Worker};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A worker in a process of its own, but for the wire between.
fn outside(world: &World, id: WorkerId) -> Arc<Worker> {
    let engine = world.engine.clone();
    let link: Link = Arc::new(move |append| {
        let engine = engine.clone();
        Box::pin(async move {
            let sync = Sync { appends: vec![append], ..Sync::default() };
            engine.worker_sync(id, sync).await.unwrap().results.remove(0)
        })
    });
    let (gateway, clock) = (world.engine.gateway().clone(), world.engine.clock());
    Arc::new(Worker::new(id, link, gateway, Hub::default(), clock))
}

async fn given_back(worker: &Worker) {
    while !worker.holds().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn releases(world: &World, run: RunId) -> usize {
    let events = world.events(run).await;
    events.iter().filter(|event| matches!(event, Event::Released { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_leaves_gives_a_run_back_with_its_finished_steps() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Call("nothing", json!({})), Turn::Hang, Turn::Say("at last")]);
    let id = join(&world, 1).await;
    let worker = outside(&world, id);
    let (orders, received) = tokio::sync::mpsc::unbounded_channel();
    hale_engine::tasks::spawn("worker", worker.clone().work(received, CancellationToken::new()));
    let run = world.submit("agent").await;
    poll(&world, id, Vec::new()).await.into_iter().for_each(|order| orders.send(order).unwrap());
    world.called(2).await;
    let before = world.engine.now();
    worker.leave();
    world.engine.worker_drain(id, &caller()).await.unwrap();
    assert_eq!(worker.release(), 1);
    given_back(&worker).await;
    let waiting = world.engine.run(run.id).await.unwrap().run;
    assert_eq!(
        (state(&waiting), waiting.leases_lost, releases(&world, run.id).await),
        (StateName::Pending, 0, 1)
    );
    assert!(world.engine.now().since(before) < limits::LEASE_RENEW, "no lease had to run out");
    world.engine.worker_leave(id).await.unwrap();
    world.engine.start_embedded(2).await.unwrap();
    let ended = world.end(run.id).await;
    assert_eq!((state(&ended.run), ended.run.leases_lost), (StateName::Completed, 0));
    let steps = world.events(run.id).await;
    let steps = steps.iter().filter(|event| matches!(event, Event::StepEnded { .. })).count();
    assert_eq!(steps, 3, "the first turn and its tool were kept");
}

#[tokio::test(start_paused = true)]
async fn what_reaches_a_worker_that_leaves_is_given_back_unbegun() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("agent", "").await;
    let id = join(&world, 1).await;
    let worker = outside(&world, id);
    let (orders, received) = tokio::sync::mpsc::unbounded_channel();
    hale_engine::tasks::spawn("worker", worker.clone().work(received, CancellationToken::new()));
    let run = world.submit("agent").await;
    world.until(run.id, |run| run.lease().is_some()).await;
    worker.leave();
    world.engine.worker_drain(id, &caller()).await.unwrap();
    poll(&world, id, Vec::new()).await.into_iter().for_each(|order| orders.send(order).unwrap());
    let waiting = world.until(run.id, |run| state(run) == StateName::Pending).await;
    assert_eq!((waiting.epoch, waiting.leases_lost, releases(&world, run.id).await), (1, 0, 1));
    assert_eq!(world.model.count(), 0, "nothing was asked for it");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_a_leaving_worker_never_fetched_is_released_and_no_lease_lost() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let worker = join(&world, 1).await;
    let run = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap().run;
    world.until(run.id, |run| run.lease().is_some()).await;
    world.engine.worker_leave(worker).await.unwrap();
    let waiting = world.until(run.id, |run| state(run) == StateName::Pending).await;
    assert_eq!((waiting.leases_lost, releases(&world, run.id).await), (0, 1));
    let gone = world.engine.worker_leave(worker).await.unwrap_err();
    assert_eq!(gone.code, Code::E010);
    world.engine.start_embedded(1).await.unwrap();
    assert_eq!(world.end(run.id).await.run.epoch, 2);
}
