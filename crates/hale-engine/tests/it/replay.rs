//! Replay from a step: the kept results are read, never executed again.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::run::{Event, StateName, Trigger};
use hale_engine::facade::replay::ReplayOrder;
use serde_json::{Value, json};

async fn three_steps() -> (World, RunId) {
    let world = World::new().await;
    world.deploy("stages", "model: sim/small\ninput: { name: string }\nsteps: [first, second, third]").await;
    world.model.script([Turn::Say("one"), Turn::Say("two"), Turn::Say("three")]);
    let run = world.engine.submit(order("stages", json!({"name": "Ada"})), &caller()).await.unwrap().run;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    (world, run.id)
}

fn keep(keep: u32) -> ReplayOrder {
    ReplayOrder { keep, ..ReplayOrder::default() }
}

async fn steps(world: &World, id: RunId) -> Value {
    let output = world.end(id).await.output.unwrap();
    serde_json::from_str::<Value>(&output).unwrap()["steps"].clone()
}

#[tokio::test(start_paused = true)]
async fn kept_steps_are_read_and_only_the_rest_is_executed() {
    let (world, old) = three_steps().await;
    world.model.script([Turn::Say("another third")]);
    let replayed = world.engine.replay(old, keep(2), &caller()).await.unwrap();
    assert_eq!((replayed.kept, replayed.of, replayed.notes.len()), (2, 3, 0));
    let new = replayed.receipt.run.id;
    assert_eq!(steps(&world, new).await, json!({"first": "one", "second": "two", "third": "another third"}));
    assert_eq!(world.model.count(), 4, "three of the old run, one of the new");
    let run = world.engine.run(new).await.unwrap().run;
    assert_eq!((run.trigger, run.retry_of), (Trigger::Replay, Some(old)));
    let forked = world.events(new).await;
    assert!(matches!(&forked[1], Event::Forked { from, steps } if *from == old && steps.len() == 2));
    // A replay of the replay has the kept steps too.
    let again = world.engine.replay(new, keep(3), &caller()).await.unwrap();
    assert_eq!(steps(&world, again.receipt.run.id).await["third"], "another third");
    assert_eq!(world.model.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_waits_in_the_queue_keeps_its_steps() {
    let (world, old) = three_steps().await;
    world.engine.kill_embedded("for the test").await;
    let new = world.engine.replay(old, keep(2), &caller()).await.unwrap().receipt.run;
    assert_eq!(state(&new), StateName::Pending);
    world.engine.start_embedded(1).await.unwrap();
    assert_eq!(steps(&world, new.id).await["second"], "two");
    assert_eq!(world.model.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_edited_input_is_seen_by_later_steps_only_and_that_is_said() {
    let (world, old) = three_steps().await;
    let edited = |keep| ReplayOrder { keep, input: Some(json!({"name": "Grace"})), version: None };
    let replayed = world.engine.replay(old, edited(1), &caller()).await.unwrap();
    assert!(replayed.notes[0].contains("saw the old input"), "{:?}", replayed.notes);
    let replayed = world.engine.replay(old, edited(0), &caller()).await.unwrap();
    assert!(replayed.notes.is_empty());
    let stored = world.end(replayed.receipt.run.id).await;
    assert_eq!(&*stored.input, r#"{"name":"Grace"}"#);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replayed_is_refused() {
    let (world, old) = three_steps().await;
    let failure = world.engine.replay(old, keep(4), &caller()).await.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E002, "run.no_such_step"));
    assert!(failure.message.contains("it has 3"), "{failure}");
    world.model.script([Turn::Hang]);
    let running = world.engine.submit(order("stages", json!({"name": "x"})), &caller()).await.unwrap().run.id;
    let failure = world.engine.replay(running, keep(0), &caller()).await.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E011, "run.conflict"));
    let failure = world.engine.replay(RunId(7), keep(0), &caller()).await.unwrap_err();
    assert_eq!(failure.code, Code::E010);
    let version = ReplayOrder { version: Some("9.9.9".to_owned()), ..ReplayOrder::default() };
    let failure = world.engine.replay(old, version, &caller()).await.unwrap_err();
    assert_eq!(failure.code, Code::E001);
}
