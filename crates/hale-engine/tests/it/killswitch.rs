//! The kill switch: refused orders, held lines, calls that do not start, runs that end, targets that come back.

use crate::recovery::join;
use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::RunId;
use hale_core::killswitch::{Force, Target};
use hale_core::run::{Run, StateName, StepKind};
use hale_core::time::Millis;
use hale_engine::Caller;
use hale_engine::facade::killswitch::Throw;
use hale_engine::facade::workers::Sync;
use hale_engine::worker::Order;
use hale_sandbox::Grant;
use hale_store::{AuditFilter, Phase, Store};
use serde_json::json;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn acme() -> Caller {
    Caller { tenant: Some("acme".into()), actor: "ada".into(), ..caller() }
}

fn throw(target: &str, force: Force) -> Throw {
    let target: Target = target.parse().unwrap();
    Throw { confirm: Some(target.to_string()), target, reason: "it runs wild".to_owned(), force }
}

async fn on(world: &World, target: &str, force: Force) {
    world.engine.switch_on(throw(target, force), &caller()).await.unwrap();
}

async fn off(world: &World, target: &str) {
    world.engine.switch_off(target.parse().unwrap(), "mended", &caller()).await.unwrap();
}

/// An agent that asks its model, which thinks for 300 ms, and calls a tool, again and again.
async fn busy() -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let grant: Grant = format!("{}:ro", root.display()).parse().unwrap();
    let world = World::with(|config| config.files_allow = vec![grant]).await;
    let more = format!(
        "tools: [files.list]\ngrants: {{ files: [\"{}:ro\"] }}\nlimits: {{ timeout: 1h, max_turns: 1000, max_tokens: 1000000 }}",
        root.display()
    );
    world.deploy("busy", &more).await;
    let path = root.display().to_string();
    let turn = || {
        Turn::Late(Duration::from_millis(300), Box::new(Turn::Call("files_list", json!({ "path": path }))))
    };
    world.model.script((0..400).map(|_| turn()));
    (world, folder)
}

async fn tools_done(world: &World, run: RunId) -> usize {
    let steps = world.steps(run).await;
    steps.iter().filter(|step| step.kind == StepKind::Tool && !step.is_error).count()
}

async fn now(world: &World, run: RunId) -> Run {
    world.engine.run(run).await.unwrap().run
}

/// An agent of many named steps: one model call after the other, and no tool between them.
async fn talks() -> (World, tempfile::TempDir) {
    let (world, folder) = busy().await;
    let steps: Vec<String> = (0..90).map(|n| format!("s{n}")).collect();
    let more = format!(
        "steps: [{}]\nlimits: {{ timeout: 1h, max_turns: 1000, max_tokens: 1000000 }}",
        steps.join(", ")
    );
    world.deploy("talks", &more).await;
    let mut turns = world.model.turns.lock().unwrap();
    turns.clear();
    turns.extend((0..400).map(|_| Turn::Late(Duration::from_millis(300), Box::new(Turn::Say("so it is")))));
    drop(turns);
    (world, folder)
}

/// Throws a switch at a moment of a run's life: from its answer on no call starts, and the run ends in its time.
async fn thrown_at((world, pack): (&World, &str), (target, force): (&str, Force), moment: u64) {
    let run = world.engine.submit(order(pack, json!({})), &acme()).await.unwrap().run.id;
    tokio::time::sleep(Duration::from_millis(moment)).await;
    let begun = world.engine.now();
    on(world, target, force).await;
    let (calls, at) = (world.model.count(), format!("{target} {force:?} {moment} ms"));
    let took = world.engine.now().since(begun);
    assert!(took < Millis(1000), "{at}: effective after {took}");
    let tools = tools_done(world, run).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    let held = now(world, run).await;
    assert_eq!(held.is_terminal(), force == Force::Immediate, "{at}: {:?}", held.state);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ended = now(world, run).await;
    assert_eq!(state(&ended), StateName::Cancelled, "{at}: {:?}", ended.state);
    let reason = format!("kill switch {target}: it runs wild");
    assert_eq!(ended.cancel.unwrap().reason.as_deref(), Some(reason.as_str()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.model.count(), calls, "{at}: a model was called");
    // A tool that was asked for before may have ended; none was begun.
    assert!(tools_done(world, run).await <= tools + 1, "{at}: a tool was called");
    assert_eq!(world.engine.look().await.unwrap().active, 0);
}

/// Every moment of an agent's round, for each kind of target.
// covers: AO-143, AO-144
#[tokio::test(start_paused = true)]
async fn no_call_starts_after_the_throw_was_answered_whenever_it_comes() {
    for target in ["all", "pack", "tenant:acme"] {
        for force in [Force::Graceful, Force::Immediate] {
            for moment in (0..1000).step_by(137) {
                for pack in ["busy", "talks"] {
                    let (world, _folder) = if pack == "busy" { busy().await } else { talks().await };
                    let target = if target == "pack" { format!("pack:{pack}") } else { target.to_owned() };
                    thrown_at((&world, pack), (&target, force), moment).await;
                }
            }
        }
    }
}

// covers: AO-144
#[tokio::test(start_paused = true)]
async fn a_run_that_does_not_stop_is_ended_at_sixty_seconds_without_its_workers_word() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo\nlimits: { timeout: 1h }").await;
    let run = world.submit("echo").await.id;
    let worker = join(&world, 1).await;
    world.until(run, |run| run.lease().is_some()).await;
    // The worker lives, holds the run and never says anything about it.
    let epoch = now(&world, run).await.epoch;
    let beat = async |world: &World| {
        let sync = Sync { holds: vec![(run, epoch)], ..Sync::default() };
        world.engine.worker_sync(worker, sync).await.unwrap();
    };
    on(&world, "pack:echo", Force::Graceful).await;
    let mut seen = Vec::new();
    for second in 0..62 {
        beat(&world).await;
        let run = now(&world, run).await;
        seen.push((second, state(&run), run.cancel.is_some()));
        tokio::time::sleep(SECOND).await;
    }
    let first =
        |what: &dyn Fn(&(i32, StateName, bool)) -> bool| seen.iter().find(|seen| what(seen)).unwrap().0;
    let (asked, ended) = (first(&|seen| seen.2), first(&|seen| seen.1 == StateName::Cancelled));
    assert!((30..=32).contains(&asked), "asked to stop after {asked} s");
    assert!((60..=61).contains(&ended), "ended after {ended} s");
}

#[tokio::test(start_paused = true)]
async fn queued_delayed_and_waiting_runs_keep_their_places_and_go_on_afterwards() {
    let mut world = World::with(|config| config.embedded_slots = 1).await;
    world.logs.expect(&["Failed to connect", "Retry"]);
    world.deploy("child", "kind: echo").await;
    world.deploy("asks", "tools: [pack:child]\napprove: [pack:child]").await;
    world.deploy("sleeps", "tools: [time.sleep]\nlimits: { timeout: 1h }").await;
    world.deploy("limited", "limits: { timeout: 1h }").await;
    world.model.script([Turn::Call("pack_child", json!({}))]);
    let asks = world.submit("asks").await.id;
    world.until(asks, |run| run.awaits.is_some()).await;
    world.model.script([Turn::Call("time_sleep", json!({"seconds": 20}))]);
    let sleeps = world.submit("sleeps").await.id;
    world.until(sleeps, |run| run.awaits.is_some()).await;
    world.model.script([Turn::Limited(Some(Millis::seconds(20)))]);
    let limited = world.submit("limited").await.id;
    world.until(limited, |run| matches!(run.state, hale_core::run::State::Waiting { .. })).await;
    let due = Some(world.engine.now() + Millis::seconds(20));
    let delayed = hale_engine::Submit { due, ..order("child", json!({})) };
    let delayed = world.engine.submit(delayed, &caller()).await.unwrap().run.id;
    on(&world, "all", Force::Graceful).await;
    let calls = world.model.count();
    tokio::time::sleep(Duration::from_secs(300)).await;
    for run in [sleeps, limited, delayed] {
        assert_eq!(state(&now(&world, run).await), StateName::Pending);
    }
    assert!(now(&world, asks).await.awaits.is_some(), "a question stands");
    // It holds over a restart.
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.model.count(), calls);
    assert_eq!(state(&now(&world, delayed).await), StateName::Pending);
    let refused = world.engine.submit(order("child", json!({})), &caller()).await.unwrap_err();
    assert_eq!((refused.code, refused.cause.as_str()), (Code::E011, "killswitch.on"));
    assert!(refused.message.contains("by local: it runs wild"), "{refused}");
    assert!(refused.message.contains("hale killswitch list"), "{refused}");
    let why = world.engine.diagnose(Some(delayed)).await.unwrap().says;
    assert!(why.starts_with("the kill switch all is on since"), "{why}");
    off(&world, "all").await;
    for run in [sleeps, limited, delayed] {
        assert_eq!(state(&world.end(run).await.run), StateName::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_taken_off_within_the_grace_costs_nothing() {
    let (world, _folder) = busy().await;
    world.model.turns.lock().unwrap().truncate(3);
    let run = world.engine.submit(order("busy", json!({})), &acme()).await.unwrap().run.id;
    tokio::time::sleep(Duration::from_millis(400)).await;
    on(&world, "pack:busy", Force::Graceful).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let held = now(&world, run).await;
    assert_eq!((state(&held), held.cancel), (StateName::Running, None));
    off(&world, "pack:busy").await;
    let ended = world.end(run).await.run;
    assert_eq!((state(&ended), ended.epoch), (StateName::Completed, 1));
}

// covers: AO-143
#[tokio::test(start_paused = true)]
async fn a_tool_that_is_switched_off_is_not_called_and_its_step_fails_with_its_own_cause() {
    for moment in (0..800).step_by(97) {
        let (world, _folder) = busy().await;
        world.logs.expect(&["Execution failed", "Step failed"]);
        let run = world.submit("busy").await.id;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        on(&world, "tool:files.list", Force::Graceful).await;
        let tools = tools_done(&world, run).await;
        let ended = world.end(run).await.run;
        let failure = ended.failure.clone().unwrap();
        assert_eq!((state(&ended), failure.cause.as_str()), (StateName::Failed, "tool.switched_off"));
        assert!(failure.message.contains("by local: it runs wild"), "{failure}");
        assert!(tools_done(&world, run).await <= tools + 1, "{moment} ms");
        // Packs go on, and so do other tools: new runs are taken.
        world.model.turns.lock().unwrap().clear();
        let other = world.submit("busy").await.id;
        assert_eq!(state(&world.end(other).await.run), StateName::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_not_asked_once_the_switch_is_on() {
    let world = World::new().await;
    world.logs.expect(&["Failed to connect", "Retry"]);
    world.deploy("agent", "model: sim/small\nfallback: [sim/backup]\nlimits: { timeout: 1h }").await;
    world.model.script([Turn::Late(SECOND, Box::new(Turn::Limited(None)))]);
    let run = world.submit("agent").await.id;
    world.called(1).await;
    on(&world, "pack:agent", Force::Graceful).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(world.model.count(), 1);
    assert!(!now(&world, run).await.is_terminal(), "it waits for the end of the switch");
    off(&world, "pack:agent").await;
    assert_eq!(state(&world.end(run).await.run), StateName::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_worker_process_is_told_at_once_and_again_when_it_joins() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let told = async |world: &World, worker| {
        let sync = Sync { wait_ms: 900, ..Sync::default() };
        let begun = world.engine.now();
        let orders = world.engine.worker_sync(worker, sync).await.unwrap().orders;
        assert!(world.engine.now().since(begun) < Millis(1000));
        let switches = orders.into_iter().find_map(|order| match order {
            Order::Switches { on, .. } => Some(on),
            _ => None,
        });
        switches.map(|on| on.iter().map(|switch| switch.target.to_string()).collect::<Vec<_>>())
    };
    let worker = join(&world, 1).await;
    on(&world, "pack:echo", Force::Graceful).await;
    assert_eq!(told(&world, worker).await, Some(vec!["pack:echo".to_owned()]));
    let late = join(&world, 2).await;
    assert_eq!(told(&world, late).await, Some(vec!["pack:echo".to_owned()]));
    off(&world, "pack:echo").await;
    assert_eq!(told(&world, worker).await, Some(Vec::new()));
}

// covers: AO-148
#[tokio::test(start_paused = true)]
async fn packs_come_back_two_a_minute_and_every_throw_is_in_the_audit_trail() {
    let world = World::new().await;
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        world.deploy(name, "kind: echo").await;
        let due = Some(world.engine.now() + Millis::seconds(5));
        let submit = hale_engine::Submit { due, ..order(name, json!({})) };
        runs.push(world.engine.submit(submit, &caller()).await.unwrap().run.id);
    }
    on(&world, "all", Force::Graceful).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let lifted = world.engine.now();
    off(&world, "all").await;
    let mut after = Vec::new();
    for run in runs {
        let started = world.end(run).await.run.started_at.unwrap();
        after.push(started.since(lifted).0 / 1000);
    }
    assert_eq!(after, [0, 0, 60, 60, 120]);
    let rows = world.store.audit(&AuditFilter::default(), 100).unwrap();
    let rows: Vec<_> = rows.iter().rev().filter(|row| row.operation.starts_with("killswitch.")).collect();
    let told: Vec<_> = rows.iter().map(|row| (row.operation.as_str(), row.phase)).collect();
    use Phase::{Intent, Outcome};
    let (on, off) = ("killswitch.on", "killswitch.off");
    assert_eq!(told, [(on, Intent), (on, Outcome), (off, Intent), (off, Outcome)]);
    assert!(rows.iter().all(|row| row.actor == "local" && row.target == "all"));
    assert!(rows[0].detail.contains("it runs wild") && rows[2].detail.contains("mended"));
    assert_eq!(rows[0].undo.as_deref(), Some("hale killswitch off all --reason TEXT"));
}

#[tokio::test(start_paused = true)]
async fn a_throw_that_makes_no_sense_is_refused_and_changes_nothing() {
    let world = World::new().await;
    world.deploy("plain", "kind: echo").await;
    world.deploy("money", "kind: echo\ncritical: true").await;
    let refused = async |order: Throw| {
        let failure = world.engine.switch_on(order, &caller()).await.unwrap_err();
        (failure.code, failure.cause)
    };
    let bare = |target: &str| Throw { confirm: None, ..throw(target, Force::Graceful) };
    let silent = Throw { reason: "  ".to_owned(), ..throw("pack:plain", Force::Graceful) };
    assert_eq!(refused(silent).await, (Code::E002, "killswitch.no_reason".to_owned()));
    assert_eq!(refused(bare("all")).await, (Code::E002, "killswitch.unconfirmed".to_owned()));
    assert_eq!(refused(bare("pack:money")).await, (Code::E002, "killswitch.unconfirmed".to_owned()));
    assert_eq!(refused(bare("pack:nope")).await.0, Code::E001);
    assert_eq!(refused(bare("tool:files.raed")).await, (Code::E002, "tool.not_found".to_owned()));
    let not_on = world.engine.switch_off("pack:plain".parse().unwrap(), "x", &caller()).await.unwrap_err();
    assert_eq!((not_on.code, not_on.cause.as_str()), (Code::E011, "killswitch.not_on"));
    assert!(world.engine.switches().on.is_empty());
    assert!(
        world
            .store
            .audit(&AuditFilter::default(), 100)
            .unwrap()
            .iter()
            .all(|row| !row.operation.starts_with("kill"))
    );
    on(&world, "pack:money", Force::Graceful).await;
    assert_eq!(refused(bare("pack:money")).await.1, "killswitch.unconfirmed");
    let again = throw("pack:money", Force::Graceful);
    assert_eq!(refused(again).await, (Code::E011, "killswitch.already_on".to_owned()));
    // From graceful to immediate is a step, not the same again.
    on(&world, "pack:money", Force::Immediate).await;
    world.logs.expect(&["batch", "memory not"]);
    // A server that is ill starts nothing anew.
    world.store.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let ill = world.engine.switch_off("pack:money".parse().unwrap(), "x", &caller()).await.unwrap_err();
    assert_eq!(ill.cause, "killswitch.unhealthy", "{ill}");
}
