//! Runs: accepted, queued, refused, cancelled.

use crate::world::{World, caller, order, state};
use hale_core::code::Code;
use hale_core::run::{Event, StateName};
use hale_engine::Submit;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

// covers: AO-05
// covers: AO-16
#[tokio::test(start_paused = true)]
async fn an_echo_run_costs_two_batches_and_answers_with_its_input() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let before = world.store.batches.load(Ordering::Relaxed);
    let submit = order("echo", json!({"a": 1}));
    let (receipt, ended) =
        world.engine.submit_and_wait(submit, &caller(), Duration::from_secs(5)).await.unwrap();
    let ended = ended.unwrap();
    assert_eq!(world.store.batches.load(Ordering::Relaxed) - before, 2);
    assert_eq!(ended.output.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(ended.run.id, receipt.run.id);
    assert_eq!(state(&ended.run), StateName::Completed);
}

// covers: AO-118
// covers: AO-119
// covers: AO-121
#[tokio::test(start_paused = true)]
async fn a_run_says_what_it_does_without_the_values_of_its_input() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let submit = order("echo", json!({"secret": "hunter2"}));
    let run = world.engine.submit(submit, &caller()).await.unwrap().run;
    world.end(run.id).await;
    let lines = world.logs.lines();
    assert!(lines.iter().any(|line| line == "INFO Agent pack loaded: echo v1.0.0"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("INFO Execution started with input: {secret")));
    assert!(lines.iter().any(|line| line.starts_with("INFO Execution completed successfully in 0.")));
    assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:#?}");
}

// covers: AO-12
#[tokio::test(start_paused = true)]
async fn runs_queue_while_slots_are_busy_and_keys_take_turns() {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("agent", "").await;
    world.deploy("flood", "kind: echo").await;
    world.deploy("other", "kind: echo").await;
    world.model.script([crate::world::Turn::Hang]);
    let busy = world.submit("agent").await;
    let mut flood = Vec::new();
    for _ in 0..20 {
        flood.push(world.submit("flood").await);
    }
    let other = world.submit("other").await;
    assert_eq!(state(&other), StateName::Pending);
    assert_eq!(world.engine.look().await.unwrap().pending, 21);
    world.engine.cancel(busy.id, None, &caller()).await.unwrap();
    let other = world.end(other.id).await.run;
    for run in &flood {
        world.end(run.id).await;
    }
    let mut before = 0;
    for run in flood {
        let run = world.engine.run(run.id).await.unwrap().run;
        before += usize::from(ended_seq(&world, run.id).await < ended_seq(&world, other.id).await);
    }
    assert!(before <= 2, "{before} of the flood went before the other key");
}

/// The moment at which a run was leased.
async fn ended_seq(world: &World, id: hale_core::id::RunId) -> i64 {
    let records = world.engine.history(id, 1, 100).await.unwrap();
    records.iter().find(|record| matches!(record.event, Event::Leased { .. })).unwrap().at.0
}

#[tokio::test(start_paused = true)]
async fn one_idempotency_key_is_one_run_and_another_request_under_it_is_refused() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let submit = |n: u32| Submit { idempotency: Some("k".into()), ..order("echo", json!({ "n": n })) };
    let first = world.engine.submit(submit(1), &caller()).await.unwrap();
    let again = world.engine.submit(submit(1), &caller()).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.run.id, again.run.id);
    let refused = world.engine.submit(submit(2), &caller()).await.unwrap_err();
    assert_eq!((refused.code, refused.cause.as_str()), (Code::E011, "run.idempotency_conflict"));
}

// covers: AO-200
// covers: AO-201
#[tokio::test(start_paused = true)]
async fn a_bad_order_is_refused_by_code_with_what_is_wrong() {
    let world = World::new().await;
    world.deploy("greet", "input: { name: string }").await;
    let unknown = world.engine.submit(order("gret", json!({})), &caller()).await.unwrap_err();
    assert_eq!(unknown.code, Code::E001);
    assert!(unknown.message.contains("greet"), "{unknown}");
    let field = world.engine.submit(order("greet", json!({"name": 5})), &caller()).await.unwrap_err();
    assert_eq!(field.code, Code::E002);
    assert!(field.message.contains("name"), "{field}");
    world.engine.disable("greet", &caller()).await.unwrap();
    let disabled = world.engine.submit(order("greet", json!({"name": "a"})), &caller()).await.unwrap_err();
    assert_eq!((disabled.code, disabled.cause.as_str()), (Code::E011, "pack.disabled"));
    world.engine.enable("greet", &caller()).await.unwrap();
    world.engine.submit(order("greet", json!({"name": "a"})), &caller()).await.unwrap();
}

// covers: AO-19
#[tokio::test(start_paused = true)]
async fn a_waiting_run_is_cancelled_at_once_and_a_running_one_within_a_second() {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("agent", "").await;
    world.model.script([crate::world::Turn::Hang]);
    let running = world.submit("agent").await;
    world.called(1).await;
    let pending = world.submit("agent").await;
    let cancelled = world.engine.cancel(pending.id, None, &caller()).await.unwrap();
    assert_eq!(state(&cancelled), StateName::Cancelled);
    let asked = world.engine.now();
    world.engine.cancel(running.id, Some("no more".into()), &caller()).await.unwrap();
    let ended = world.end(running.id).await.run;
    assert_eq!(state(&ended), StateName::Cancelled);
    assert!(world.engine.now().since(asked).0 < 1000);
    assert_eq!(world.model.count(), 1);
    let again = world.engine.cancel(running.id, None, &caller()).await.unwrap_err();
    assert_eq!(again.code, Code::E011);
}

// covers: AO-101
// covers: AO-102
// covers: AO-103
// covers: AO-104
// covers: AO-105
// covers: TR-10
#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_run_comes_from_the_store() {
    let world = World::new().await;
    world.deploy("agent", "").await;
    world.model.script([crate::world::Turn::Hang]);
    let run = world.submit("agent").await;
    world.called(1).await;
    let stored = hale_store::Store::run(&*world.store, run.id).unwrap().unwrap().run;
    assert_eq!((&*stored.pack.name, &*stored.pack.version), ("agent", "1.0.0"));
    assert_eq!(stored.trigger, hale_core::run::Trigger::Api);
    assert_eq!(state(&stored), StateName::Running);
    assert_eq!(stored.lease().unwrap().worker, world.engine.embedded().unwrap());
    assert!(stored.started_at.is_some());
}
