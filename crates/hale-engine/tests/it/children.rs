//! Packs as tools of packs: child runs, their bounds, and what either's end means for the other.

use crate::recovery::{join, poll, token};
use crate::world::{Kept, Turn, World, caller, order, pack, state};
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::event::VERSION;
use hale_core::run::{
    Answer, Event, Outcome, Priority, Record, Run, State, StateName, StepKind, Trigger, Wait, WaitOn, apply,
};
use hale_core::time::{Millis, Timestamp};
use hale_engine::facade::workers::Sync;
use hale_engine::input::{Append, Spawn, Submit};
use hale_engine::{Caller, DryRun};
use hale_store::{Op, OpResult, Store, Update};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PARENT: &str = "tools: [pack:child]";

fn waits(run: &Run) -> bool {
    matches!(run.state, State::Waiting { on: WaitOn::Child, .. })
}

async fn child_of(world: &World, parent: RunId) -> Run {
    world.until(parent, waits).await;
    world.engine.children(parent).await.unwrap().pop().unwrap()
}

/// A world of one slot with a parent and a child.
async fn family(child: &str) -> World {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("child", child).await;
    world.deploy("parent", PARENT).await;
    world
}

async fn idle(world: &World) {
    let busy = world.engine.look().await.unwrap().workers[0].busy;
    assert_eq!(busy, 0, "a slot is held by nobody");
}

#[tokio::test(start_paused = true)]
async fn one_slot_is_enough_for_a_parent_and_its_child() {
    let world = family("kind: echo\ninput: { question: string, n: {type: integer, default: 3} }").await;
    world.model.script([Turn::Call("pack_child", json!({"question": "why?"}))]);
    let asks = Caller { traceparent: Some("00-aa-bb-01".into()), ..caller() };
    let wish = Submit { priority: Some(Priority::High), ..order("parent", json!({})) };
    let parent = world.engine.submit(wish, &asks).await.unwrap().run;
    let ended = world.end(parent.id).await.run;
    assert_eq!((state(&ended), ended.children), (StateName::Completed, 1));
    let children = world.engine.children(parent.id).await.unwrap();
    let [child] = &children[..] else { panic!("{children:?}") };
    assert_eq!((child.trigger, child.priority), (Trigger::Child, Priority::High));
    assert_eq!((&child.correlation, &child.traceparent), (&parent.correlation, &asks.traceparent));
    let above = child.parent.unwrap();
    assert_eq!((above.run, above.index, above.depth), (parent.id, 1, 1));
    assert!(child.limit <= parent.limit);
    let steps = world.steps(parent.id).await;
    assert_eq!((steps[1].kind, steps[1].name.as_str()), (StepKind::Child, "pack:child"));
    assert_eq!(steps[1].result, json!({"question": "why?", "n": 3}));
    assert_eq!(steps[1].waiting_on, format!("run:{}", child.id));
    // The model was told what the child takes.
    let tools = world.model.calls.lock().unwrap()[0].tools.clone();
    assert_eq!(
        (tools[0].name.as_str(), tools[0].description.as_str()),
        ("pack_child", "A pack of the tests.")
    );
    assert_eq!(tools[0].parameters["required"], json!(["question"]));
    assert_eq!(tools[0].parameters["properties"]["n"], json!({"type": "integer", "default": 3}));
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn children_of_one_turn_run_one_after_another() {
    let world = family("kind: echo").await;
    world.model.script([Turn::Calls(vec![("pack_child", json!({"n": 1})), ("pack_child", json!({"n": 2}))])]);
    let parent = world.submit("parent").await;
    assert_eq!(state(&world.end(parent.id).await.run), StateName::Completed);
    let results: Vec<_> = world.steps(parent.id).await.iter().map(|step| step.result.clone()).collect();
    assert_eq!(results[1..3], [json!({"n": 1}), json!({"n": 2})]);
    assert_eq!(world.engine.children(parent.id).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_fails_is_an_error_that_the_model_reads() {
    let world = family("limits: { max_turns: 1 }").await;
    world.logs.expect(&["Execution failed"]);
    world.model.script([
        Turn::Call("pack_child", json!({})),
        Turn::Call("nothing", json!({})),
        Turn::Say("well"),
    ]);
    let parent = world.submit("parent").await;
    let ended = world.end(parent.id).await;
    assert!(ended.output.unwrap().contains("well"));
    let step = world.steps(parent.id).await.remove(1);
    assert!(step.is_error);
    assert_eq!(step.result["error"]["cause"], "run.turn_limit");
    let child = world.engine.children(parent.id).await.unwrap().remove(0);
    assert_eq!(step.result["error"]["run"], child.id.to_string());
    let failure = child.failure.clone().unwrap();
    assert_eq!(failure.chain.last().unwrap(), &format!("in step 2 of its parent {}", parent.id));
    assert_eq!(child.dead_cause(), None, "its parent's to handle");
    assert_eq!(world.store.dead(&Default::default(), 10).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_child_is_an_answer_and_leaves_nothing_behind() {
    let world = family("kind: echo\ninput: { question: string }").await;
    world.deploy("gone", "tools: [pack:nowhere]").await;
    world.model.script([Turn::Call("pack_child", json!({"qestion": "slip"}))]);
    let parent = world.submit("parent").await;
    world.end(parent.id).await;
    let step = world.steps(parent.id).await.remove(1);
    assert_eq!((step.is_error, &step.result["error"]["cause"]), (true, &json!("run.invalid_input")));
    assert!(step.result.to_string().contains("did you mean `question`?"), "{}", step.result);
    assert_eq!(world.engine.children(parent.id).await.unwrap(), []);
    // A pack that is not there when the run is ordered is not shown to the model; a call of it is answered.
    world.model.script([Turn::Call("pack_nowhere", json!({}))]);
    let run = world.submit("gone").await;
    world.end(run.id).await;
    let step = world.steps(run.id).await.remove(1);
    assert_eq!((step.is_error, &step.result["error"]["cause"]), (true, &json!("pack.not_found")));
    assert!(
        world
            .model
            .calls
            .lock()
            .unwrap()
            .iter()
            .all(|call| call.tools.iter().all(|tool| tool.name != "pack_nowhere"))
    );
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_without_room_for_a_child_is_told_to_the_model() {
    let world = family("kind: echo").await;
    world.store.full.store(true, Ordering::Relaxed);
    world.model.script([Turn::Call("pack_child", json!({})), Turn::Say("without it")]);
    let parent = world.submit("parent").await;
    let ended = world.end(parent.id).await;
    assert!(world.store.refused.load(Ordering::Relaxed) > 0, "the fault took effect");
    assert!(ended.output.unwrap().contains("without it"));
    let step = world.steps(parent.id).await.remove(1);
    assert_eq!((step.is_error, &step.result["error"]["cause"]), (true, &json!("store.disk_full")));
    assert_eq!(world.engine.children(parent.id).await.unwrap(), []);
    let look = world.engine.look().await.unwrap();
    assert_eq!((look.pending, look.waiting), (0, 0));
    idle(&world).await;
}

/// A parent under a worker of the test, before its first step.
async fn leased(world: &World) -> (hale_core::id::WorkerId, Run) {
    let worker = join(world, 1).await;
    let run = world.submit("parent").await;
    assert_eq!(poll(world, worker, Vec::new()).await.len(), 1);
    (worker, world.engine.run(run.id).await.unwrap().run)
}

fn delegation(run: &Run, child: RunId, until: Timestamp) -> Append {
    let spawn = Spawn {
        run: child,
        pack: "child".to_owned(),
        version: None,
        input: json!({}),
        turns: 4,
        tokens: 100,
    };
    let awaiting = Event::Awaiting {
        index: 0,
        kind: StepKind::Child,
        name: "pack:child".to_owned(),
        wait: Wait::Child { run: child },
        until,
    };
    let (spawn, token) = (Some(Box::new(spawn)), token(run.id, run.epoch));
    Append { run: run.id, epoch: run.epoch, events: vec![awaiting], spawn, token }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_makes_no_second_child() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("child", "kind: echo").await;
    world.deploy("parent", PARENT).await;
    let (worker, run) = leased(&world).await;
    let append =
        delegation(&run, RunId::mint(world.engine.now(), 7), world.engine.now() + Millis::seconds(50));
    for _ in 0..3 {
        let sync = Sync { appends: vec![append.clone()], ..Sync::default() };
        let results = world.engine.worker_sync(worker, sync).await.unwrap().results;
        assert_eq!(results, [Ok(())]);
    }
    assert_eq!(world.engine.children(run.id).await.unwrap().len(), 1);
    let child = world.engine.children(run.id).await.unwrap().remove(0);
    assert_eq!((child.parent.unwrap().turns, child.parent.unwrap().tokens), (Some(4), Some(100)));
    let awaiting = |event: &&Event| matches!(event, Event::Awaiting { .. });
    assert_eq!(world.events(run.id).await.iter().filter(awaiting).count(), 1);
    assert_eq!(world.engine.meters().writes_fenced.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pack_that_is_disabled_after_the_order_is_refused_by_the_engine() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("child", "kind: echo").await;
    world.deploy("parent", PARENT).await;
    let (worker, run) = leased(&world).await;
    world.engine.disable("child", &caller()).await.unwrap();
    let append =
        delegation(&run, RunId::mint(world.engine.now(), 7), world.engine.now() + Millis::seconds(50));
    let sync = Sync { appends: vec![append], ..Sync::default() };
    assert_eq!(world.engine.worker_sync(worker, sync).await.unwrap().results, [Ok(())]);
    let events = world.events(run.id).await;
    let answered = events.iter().find_map(|event| match event {
        Event::Awaited { index: 0, answer: Answer::Child { failure, .. } } => failure.as_ref(),
        _ => None,
    });
    let failure = answered.unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!(failure.cause, "pack.disabled");
    assert_eq!(world.engine.children(run.id).await.unwrap(), []);
    // The run had its next turn with the answer, under a new lease.
    assert_eq!(world.engine.run(run.id).await.unwrap().run.epoch, 2);
}

#[tokio::test(start_paused = true)]
async fn a_late_worker_starts_no_child() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("child", "kind: echo").await;
    world.deploy("parent", PARENT).await;
    let (worker, run) = leased(&world).await;
    tokio::time::sleep(limits::LEASE.duration() + Duration::from_secs(1)).await;
    let next = join(&world, 2).await;
    assert_eq!(poll(&world, next, Vec::new()).await.len(), 1, "another worker has the run");
    join(&world, 1).await;
    let append =
        delegation(&run, RunId::mint(world.engine.now(), 7), world.engine.now() + Millis::seconds(50));
    let sync = Sync { appends: vec![append], ..Sync::default() };
    assert!(world.engine.worker_sync(worker, sync).await.unwrap().results[0].is_err());
    assert_eq!(world.engine.children(run.id).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_parent_takes_its_whole_line_with_it() {
    let world = family("tools: [pack:grandchild]").await;
    world.deploy("grandchild", "").await;
    world.model.script([
        Turn::Call("pack_child", json!({})),
        Turn::Call("pack_grandchild", json!({})),
        Turn::Hang,
    ]);
    let parent = world.submit("parent").await;
    world.called(3).await;
    let child = child_of(&world, parent.id).await;
    let grandchild = child_of(&world, child.id).await;
    assert_eq!(grandchild.parent.unwrap().depth, 2);
    world.engine.cancel(parent.id, Some("enough".to_owned()), &caller()).await.unwrap();
    for id in [parent.id, child.id, grandchild.id] {
        assert_eq!(state(&world.end(id).await.run), StateName::Cancelled);
    }
    let State::Ended { outcome: Outcome::Cancelled { cancel }, .. } = world.end(child.id).await.run.state
    else {
        panic!("cancelled")
    };
    let reason = format!("its parent {} ended CANCELLED while it waited in step 2", parent.id);
    assert_eq!(cancel.reason, Some(reason));
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_times_out_takes_its_child_with_it_and_a_child_has_no_more_time_than_its_parent() {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.logs.expect(&["Execution timeout", "run passed its time limit"]);
    world.deploy("child", "limits: { timeout: 10m }").await;
    world.deploy("parent", &format!("{PARENT}\nlimits: {{ timeout: 30s }}")).await;
    world.model.script([Turn::Call("pack_child", json!({})), Turn::Hang]);
    let begun = world.engine.now();
    let parent = world.submit("parent").await;
    let child = child_of(&world, parent.id).await;
    assert!(child.limit <= Millis::seconds(30), "{}", child.limit);
    let ended = world.end(parent.id).await.run;
    assert_eq!(state(&ended), StateName::Timeout);
    assert!(ended.failure.unwrap().message.contains("waiting for child (pack:child)"));
    assert!(world.engine.now().since(begun) < Millis::seconds(31));
    let child = world.end(child.id).await.run;
    assert!(matches!(state(&child), StateName::Cancelled | StateName::Timeout), "{:?}", child.state);
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_uses_what_its_parent_has_left_and_its_use_is_the_parents() {
    let world = World::new().await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("child", "").await;
    world.deploy("parent", &format!("{PARENT}\nlimits: {{ max_tokens: 1000 }}")).await;
    world.model.script([
        Turn::Call("pack_child", json!({})),
        Turn::Tokens(600),
        Turn::Tokens(600),
        Turn::Say("never"),
    ]);
    let parent = world.submit("parent").await;
    let ended = world.end(parent.id).await.run;
    let child = world.engine.children(parent.id).await.unwrap().remove(0);
    assert_eq!(child.parent.unwrap().tokens, Some(990));
    assert_eq!(child.failure.clone().unwrap().message, "begin turn 3: 1200 of 990 tokens are used");
    // The parent's next turn would begin above its own bound.
    assert_eq!((ended.usage.total(), child.usage.total()), (1210, 1200));
    assert_eq!(ended.failure.unwrap().cause, "run.token_limit");
    assert_eq!(world.model.count(), 3);
    // Turns are handed on as well.
    world.deploy("few", "tools: [pack:child]\nlimits: { max_turns: 2 }").await;
    world.model.turns.lock().unwrap().clear();
    world.model.script([Turn::Call("pack_child", json!({})), Turn::Call("nothing", json!({}))]);
    let few = world.submit("few").await;
    world.end(few.id).await;
    let child = world.engine.children(few.id).await.unwrap().remove(0);
    assert_eq!(child.failure.unwrap().message, "begin turn 2: the parent left 1 turns");
}

#[tokio::test(start_paused = true)]
async fn packs_that_call_each_other_end_at_the_bound() {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("a", "tools: [pack:b]").await;
    world.deploy("b", "tools: [pack:a]").await;
    let turns = (0..=limits::CHILD_DEPTH_MAX)
        .map(|depth| Turn::Call(if depth % 2 == 0 { "pack_b" } else { "pack_a" }, json!({})));
    world.model.script(turns);
    let first = world.submit("a").await;
    let mut run = world.end(first.id).await.run;
    assert_eq!(state(&run), StateName::Completed);
    for depth in 1..=limits::CHILD_DEPTH_MAX {
        run = world.engine.children(run.id).await.unwrap().remove(0);
        assert_eq!((run.parent.unwrap().depth, state(&run)), (depth, StateName::Completed));
    }
    assert_eq!(world.engine.children(run.id).await.unwrap(), []);
    let refused = world.steps(run.id).await.remove(1);
    assert_eq!((refused.is_error, &refused.result["error"]["cause"]), (true, &json!("run.child_depth")));
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_has_at_most_so_many_children() {
    let world = World::new().await;
    world.deploy("child", "kind: echo").await;
    world.deploy("parent", &format!("{PARENT}\nlimits: {{ timeout: 1h }}")).await;
    let calls = (0..=limits::CHILDREN_MAX).map(|n| ("pack_child", json!({ "n": n }))).collect();
    world.model.script([Turn::Calls(calls)]);
    let parent = world.submit("parent").await;
    assert_eq!(state(&world.end(parent.id).await.run), StateName::Completed);
    assert_eq!(world.engine.children(parent.id).await.unwrap().len(), limits::CHILDREN_MAX as usize);
    let steps = world.steps(parent.id).await;
    let last = &steps[steps.len() - 2];
    assert_eq!((last.is_error, &last.result["error"]["cause"]), (true, &json!("run.child_count")));
}

/// Moves a run in the store alone, as a server does that dies before it acts.
async fn moved_behind_the_back(store: &Kept, id: RunId, event: Event, at: Timestamp) {
    let run = store.run(id).unwrap().unwrap().run;
    let (next, _) = apply(&run, &event, at).unwrap();
    let records = vec![Record { v: VERSION, seq: next.seq, at, event }];
    let update = Update { was: run.seq, run: next, records, output: None, artifacts: Vec::new() };
    assert_eq!(store.apply(vec![Op::Update(Box::new(update))]).await.unwrap(), [OpResult::Done]);
}

/// A parent that waits for a child that is queued, and no server.
async fn apart() -> (World, Run, Run) {
    let world = family("").await;
    world.model.script([Turn::Call("pack_child", json!({})), Turn::Hang]);
    let parent = world.submit("parent").await;
    world.called(2).await;
    world.engine.kill_embedded("killed by the test").await.unwrap();
    let child = child_of(&world, parent.id).await;
    let child = world.until(child.id, |run| state(run) == StateName::Pending).await;
    world.engine.drain().await;
    (world, parent, child)
}

#[tokio::test(start_paused = true)]
async fn a_parent_and_its_child_go_on_after_a_crash_of_the_server() {
    let (mut world, parent, child) = apart().await;
    world.model.script([Turn::Say("from the child"), Turn::Say("from the parent")]);
    world.restart().await;
    let ended = world.end(parent.id).await;
    assert!(ended.output.unwrap().contains("from the parent"));
    assert_eq!(world.engine.children(parent.id).await.unwrap().len(), 1);
    assert_eq!(state(&world.end(child.id).await.run), StateName::Completed);
    assert!(world.steps(parent.id).await[1].result.to_string().contains("from the child"));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_child_that_nobody_heard_of_is_told_at_the_next_start() {
    let (mut world, parent, child) = apart().await;
    let cancel = Event::CancelAsked { by: "ada".to_owned(), reason: None };
    moved_behind_the_back(&world.store, child.id, cancel, world.engine.now()).await;
    assert!(waits(&world.store.run(parent.id).unwrap().unwrap().run), "the fault took effect");
    world.model.script([Turn::Say("never mind")]);
    world.restart().await;
    let ended = world.end(parent.id).await;
    assert!(ended.output.unwrap().contains("never mind"));
    let step = world.steps(parent.id).await.remove(1);
    assert_eq!((step.is_error, &step.result["error"]["cause"]), (true, &json!("run.child_cancelled")));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_parent_that_its_child_did_not_hear_of_ends_the_child() {
    let (mut world, parent, child) = apart().await;
    let cancel = Event::CancelAsked { by: "ada".to_owned(), reason: None };
    moved_behind_the_back(&world.store, parent.id, cancel, world.engine.now()).await;
    assert_eq!(
        state(&world.store.run(child.id).unwrap().unwrap().run),
        StateName::Pending,
        "the fault took effect"
    );
    world.restart().await;
    let ended = world.end(child.id).await.run;
    let State::Ended { outcome: Outcome::Cancelled { cancel }, .. } = ended.state else {
        panic!("{ended:?}")
    };
    assert_eq!(cancel.reason, Some(format!("its parent {} does not wait for it any more", parent.id)));
    idle(&world).await;
}

#[tokio::test(start_paused = true)]
async fn why_names_the_child_and_how_to_end_both() {
    let world = family("").await;
    world.model.script([Turn::Call("pack_child", json!({})), Turn::Hang]);
    let parent = world.submit("parent").await;
    let child = child_of(&world, parent.id).await;
    world.called(2).await;
    let says = world.engine.diagnose(Some(parent.id)).await.unwrap().says;
    assert!(says.contains(&format!("for the end of its child {}", child.id)), "{says}");
    assert!(says.contains(&format!("hale why {}", child.id)), "{says}");
}

#[tokio::test(start_paused = true)]
async fn a_deploy_warns_of_packs_that_are_not_there_and_of_circles() {
    let world = World::new().await;
    let warned = async |name: &str, more: &str| {
        let file = format!("{name}.md");
        let deployed =
            world.engine.deploy(&file, pack(name, more).as_bytes(), DryRun::No, &caller()).await.unwrap();
        let messages = deployed.info.warnings.iter().map(|warning| warning.message.clone());
        messages.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warned("a", "tools: [pack:b]").await, "pack:b: there is no pack b");
    assert_eq!(warned("b", "tools: [pack:c]").await, "pack:c: there is no pack c");
    assert_eq!(warned("c", "tools: [pack:a]").await, "pack:a comes back to this pack: c -> a -> b -> c");
    assert_eq!(warned("d", "tools: [pack:a@9.9.9]").await, "pack:a@9.9.9: the pack a has no version 9.9.9");
    assert_eq!(warned("e", "tools: [pack:a]").await, "");
    let itself = pack("f", "tools: [pack:f]");
    let refused = world.engine.deploy("f.md", itself.as_bytes(), DryRun::No, &caller()).await.unwrap_err();
    assert_eq!(refused.code, Code::E012);
    assert!(refused.message.contains("a tool of itself"), "{refused}");
}
