//! Runs: accepted, queued, refused, cancelled.

use crate::world::{World, caller, order, state};
use hale_core::code::Code;
use hale_core::run::StateName;
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
    for name in ["flood", "pair", "single"] {
        world.deploy(name, "kind: echo").await;
    }
    world.model.script([crate::world::Turn::Hang]);
    let busy = world.submit("agent").await;
    let mut waiting = Vec::new();
    for name in ["flood", "flood", "flood", "flood", "flood", "pair", "pair", "single"] {
        waiting.push(world.submit(name).await);
    }
    assert!(waiting.iter().all(|run| state(run) == StateName::Pending));
    assert_eq!(world.engine.look().await.unwrap().pending, 8);
    world.engine.cancel(busy.id, None, &caller()).await.unwrap();
    let freed = world.end(busy.id).await.run;
    let mut moments = Vec::new();
    for run in &waiting {
        let run = world.end(run.id).await.run;
        assert_eq!((state(&run), run.epoch), (StateName::Completed, 1));
        moments.push(ended_at(&run));
    }
    let order = world.store.claims.lock().unwrap().clone();
    assert_eq!(order, ["flood", "pair", "single", "flood", "pair", "flood", "flood", "flood"]);
    let last = moments.iter().max().unwrap().since(ended_at(&freed));
    assert!(last.0 < 250, "a freed slot wakes the queue, it does not wait for the next tick: {last}");
    let flood = &moments[..5];
    assert!(flood.is_sorted(), "one key's runs go in the order in which they came: {flood:?}");
}

fn ended_at(run: &hale_core::run::Run) -> hale_core::time::Timestamp {
    match &run.state {
        hale_core::run::State::Ended { at, .. } => *at,
        other => panic!("not ended: {other:?}"),
    }
}

/// What is not durable is not said: a caller who hears of a run can lose power right then.
#[tokio::test(start_paused = true)]
async fn nobody_is_answered_before_the_batch_is_durable() {
    let world = World::new().await;
    world.deploy("agent", "").await;
    world.model.script([crate::world::Turn::Hang]);
    let running = world.submit("agent").await;
    world.called(1).await;
    world.store.hold(true);
    let wait = Duration::from_secs(4);
    let by = caller();
    let submit = world.engine.submit(order("agent", json!({})), &by);
    let cancel = world.engine.cancel(running.id, None, &by);
    let set = world.engine.set(
        hale_engine::facade::operate::Deed {
            operation: "limits.raise",
            target: "agent".to_owned(),
            detail: String::new(),
            undo: None,
        },
        ("limits.timeout_ms.agent", Some("90000")),
        &by,
    );
    let (mut submit, mut cancel, mut set) = (Box::pin(submit), Box::pin(cancel), Box::pin(set));
    assert!(tokio::time::timeout(wait, &mut submit).await.is_err(), "a run was accepted that is not stored");
    assert!(
        tokio::time::timeout(wait, &mut cancel).await.is_err(),
        "a cancel was answered that is not stored"
    );
    assert!(tokio::time::timeout(wait, &mut set).await.is_err(), "a setting was answered that is not stored");
    assert!(world.engine.settings().get("limits.timeout_ms.agent").is_none());
    assert_eq!(world.model.count(), 1, "a run began that is not stored");
    let stored = hale_store::Store::run(&*world.store, running.id).unwrap().unwrap().run;
    assert_eq!(state(&stored), StateName::Running);
    world.store.hold(false);
    let accepted = submit.await.unwrap().run;
    assert!(hale_store::Store::run(&*world.store, accepted.id).unwrap().is_some());
    cancel.await.unwrap();
    set.await.unwrap();
    assert_eq!(state(&world.end(running.id).await.run), StateName::Cancelled);
    assert_eq!(world.engine.settings().limit("agent"), Some(hale_core::time::Millis::seconds(90)));
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
