//! Sleeping: without a slot, to the moment, over restarts, never past the limit.

use crate::world::{Turn, World, order, pack, state};
use hale_core::code::Code;
use hale_core::run::event::VERSION;
use hale_core::run::{Event, Record, State, StateName, Step, StepKind, WaitOn};
use hale_core::time::{Millis, Timestamp};
use hale_engine::clock::Clock;
use hale_engine::worker::replay::Replay;
use serde_json::json;

const SLEEPER: &str = "tools: [time.sleep]";

fn sleeps(run: &hale_core::run::Run) -> bool {
    matches!(run.state, State::Waiting { on: WaitOn::Timer, .. })
}

#[tokio::test(start_paused = true)]
async fn a_run_that_sleeps_holds_no_slot_and_wakes_at_its_moment() {
    let world = World::with(|config| config.embedded_slots = 1).await;
    world.deploy("sleeper", SLEEPER).await;
    world.deploy("echo", "kind: echo").await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 30}))]);
    let begun = world.engine.now();
    let run = world.submit("sleeper").await;
    let waiting = world.until(run.id, sleeps).await;
    assert_eq!(waiting.lease(), None);
    let look = world.engine.look().await.unwrap();
    assert_eq!((look.workers[0].busy, look.waiting), (0, 1));
    let other = world.submit("echo").await;
    assert_eq!(state(&world.end(other.id).await.run), StateName::Completed, "the only slot is free");
    assert!(world.engine.now().since(begun) < Millis::seconds(10));
    let ended = world.end(run.id).await.run;
    assert_eq!(state(&ended), StateName::Completed);
    let slept = world.engine.now().since(begun);
    assert!(slept >= Millis::seconds(30) && slept < Millis::seconds(31), "{slept}");
    let steps = world.steps(run.id).await;
    assert_eq!((steps[1].kind, steps[1].name.as_str()), (StepKind::Timer, "time.sleep"));
    assert_eq!(steps[1].waiting_on, "timer");
    assert!(steps[1].took >= Millis::seconds(30) && steps[1].took < Millis::seconds(31), "{}", steps[1].took);
    let heard = format!("{:?}", world.model.calls.lock().unwrap()[1].messages);
    assert!(heard.contains("slept_ms"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_past_the_limit_fails_the_run_at_once() {
    let world = World::new().await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("sleeper", &format!("{SLEEPER}\nlimits: {{ timeout: 20s }}")).await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 21}))]);
    let begun = world.engine.now();
    let run = world.submit("sleeper").await;
    let ended = world.end(run.id).await.run;
    assert!(world.engine.now().since(begun) < Millis::seconds(1));
    let failure = ended.failure.unwrap();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E003, "run.wait_too_long"));
    assert_eq!(world.engine.look().await.unwrap().workers[0].busy, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sleep_goes_on_over_a_restart_and_its_step_ends_once() {
    let mut world = World::new().await;
    world.deploy("sleeper", SLEEPER).await;
    let until = (world.engine.now() + Millis::seconds(40)).rfc3339();
    world.model.script([Turn::Call("time_sleep", json!({ "until": until })), Turn::Hang, Turn::Say("awake")]);
    let run = world.submit("sleeper").await;
    world.until(run.id, sleeps).await;
    world.restart().await;
    assert!(sleeps(&world.engine.run(run.id).await.unwrap().run), "it sleeps still");
    // It wakes, and its worker dies in the turn that follows.
    world.called(2).await;
    world.engine.kill_embedded("killed by the test").await.unwrap();
    world.engine.start_embedded(1).await.unwrap();
    let ended = world.end(run.id).await;
    assert!(ended.output.unwrap().contains("awake"));
    let steps = world.steps(run.id).await;
    assert_eq!(steps.iter().filter(|step| step.kind == StepKind::Timer).count(), 1);
    assert!(steps[1].took <= Millis::seconds(40) && steps[1].took > Millis::seconds(30), "{}", steps[1].took);
    let waits = world.events(run.id).await;
    let awaiting = waits.iter().filter(|event| matches!(event, Event::Awaiting { .. })).count();
    assert_eq!(awaiting, 1, "it does not sleep twice");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_no_wait_longer_than_it_was_meant_to_be() {
    let mut world = World::new().await;
    world.deploy("sleeper", &format!("{SLEEPER}\nlimits: {{ timeout: 2m }}")).await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 40}))]);
    let run = world.submit("sleeper").await;
    world.until(run.id, sleeps).await;
    let before = world.engine.now();
    world.restart_at(Clock::at(before - Millis::seconds(86_400))).await;
    let begun = world.engine.now();
    assert!(begun < before, "the fault did not take effect");
    let ended = world.end(run.id).await.run;
    let waited = world.engine.now().since(begun);
    assert_eq!(state(&ended), StateName::Completed);
    assert!((Millis::seconds(39)..Millis::seconds(42)).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_makes_no_sense_is_an_answer() {
    let world = World::new().await;
    world.deploy("sleeper", SLEEPER).await;
    let wrong = [
        json!({"seconds": -1}),
        json!({"seconds": "ten"}),
        json!({"seconds": 86_401}),
        json!({"until": "tomorrow"}),
        json!({"until": "2999-01-01T00:00:00Z"}),
        json!({"seconds": 1, "until": "2999-01-01T00:00:00Z"}),
        json!({}),
    ];
    let calls = wrong.iter().map(|arguments| ("time_sleep", arguments.clone())).collect();
    world.model.script([Turn::Calls(calls)]);
    let run = world.submit("sleeper").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let steps = world.steps(run.id).await;
    for (step, arguments) in steps[1..].iter().zip(&wrong) {
        assert!(step.is_error, "{arguments}");
        assert_eq!(step.result["error"]["cause"], "tool.invalid_arguments", "{arguments}");
    }
    assert_eq!(steps.len(), wrong.len() + 2);
    // A moment that lies behind is over at once.
    world.model.script([Turn::Call("time_sleep", json!({"until": "2001-01-01T00:00:00Z"}))]);
    let run = world.submit("sleeper").await;
    world.end(run.id).await;
    assert_eq!(world.steps(run.id).await[1].result["slept_ms"], 0);
}

#[tokio::test(start_paused = true)]
async fn why_says_how_long_a_run_sleeps_and_what_ends_it() {
    let world = World::new().await;
    world.deploy("sleeper", SLEEPER).await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 30}))]);
    let run = world.submit("sleeper").await;
    world.until(run.id, sleeps).await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    let why = world.engine.diagnose(Some(run.id)).await.unwrap();
    assert!(why.says.contains("sleeps in step 2 (time.sleep) since 10"), "{}", why.says);
    assert!(why.says.contains(&format!("hale runs cancel {}", run.id)), "{}", why.says);
    assert!(why.time["waits"] >= Millis::seconds(10), "{:?}", why.time);
}

#[tokio::test(start_paused = true)]
async fn a_pack_without_the_tool_does_not_sleep() {
    let world = World::new().await;
    world.deploy("agent", "").await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 1}))]);
    let run = world.engine.submit(order("agent", json!({})), &crate::world::caller()).await.unwrap().run;
    world.end(run.id).await;
    let steps = world.steps(run.id).await;
    assert_eq!((steps[1].kind, &steps[1].result["error"]["code"]), (StepKind::Tool, &json!("E013")));
    assert!(pack("agent", "").contains("name: agent"));
}

#[test]
fn the_steps_of_another_run_are_done_and_a_wait_has_its_answer_and_its_time() {
    let step = |index| Step {
        index,
        attempt: 1,
        kind: StepKind::Echo,
        name: "echo".to_owned(),
        request: json!(null),
        result: json!(index),
        took: Millis(1),
        waiting_on: "engine".to_owned(),
        usage: None,
        is_error: false,
    };
    let from = hale_core::id::RunId(7);
    let events = [
        (0, Event::Forked { from, steps: vec![step(0), step(1)] }),
        (
            1_000,
            Event::Awaiting {
                index: 2,
                kind: StepKind::Timer,
                name: "time.sleep".to_owned(),
                wait: hale_core::run::Wait::Timer,
                until: Timestamp(6_000),
            },
        ),
        (6_000, Event::Awaited { index: 2, answer: hale_core::run::Answer::Fired }),
    ];
    let record = |(seq, (at, event))| Record { v: VERSION, seq, at: Timestamp(at), event };
    let replay = Replay::of((1..).zip(events).map(record).collect());
    assert_eq!(replay.done(1).map(|step| &step.result), Some(&json!(1)));
    assert_eq!(replay.done(2), None);
    assert_eq!(replay.answered(2).map(|(_, waited)| waited), Some(Millis(5_000)));
}
