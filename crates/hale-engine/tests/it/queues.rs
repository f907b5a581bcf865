//! Queues: delayed runs, limits, weights, drained queues, workers that serve some queues, and the net below.

use crate::world::{Turn, World, caller, order, state};
use hale_core::code::Code;
use hale_core::id::{RunId, WorkerId};
use hale_core::limiter::{Limit, Rate};
use hale_core::queue::key_of;
use hale_core::run::{Order, PackRef, Priority, Run, StateName, Trigger, accept, event};
use hale_core::time::{Millis, Timestamp};
use hale_engine::facade::clear::Chosen;
use hale_engine::input::Hello;
use hale_engine::{Caller, DryRun, Submit};
use hale_store::{DeadFilter, Insert, Op, Store, WorkerKind};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);

async fn idle() -> World {
    World::with(|config| config.embedded_slots = 0).await
}

async fn delayed(world: &World, pack: &str, seconds: u64) -> Run {
    let due = Some(world.engine.now() + Millis::seconds(seconds));
    let submit = Submit { due, ..order(pack, json!({})) };
    world.engine.submit(submit, &caller()).await.unwrap().run
}

/// What waits for its turn: in memory and in the store, which must agree.
async fn waiting(world: &World) -> u64 {
    let stored = world.store.queue().unwrap().iter().map(|row| row.count).sum();
    assert_eq!(world.engine.look().await.unwrap().pending, stored, "memory and store count the same");
    stored
}

async fn claims(world: &World, n: usize) -> Vec<String> {
    for _ in 0..60_000 {
        if world.store.claims.lock().unwrap().len() >= n {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.store.claims.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_delayed_run_begins_when_its_time_comes_and_not_before() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let run = delayed(&world, "echo", 600).await;
    assert!(run.is_delayed(world.engine.now()));
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Pending);
    let ended = world.end(run.id).await.run;
    let late = ended.started_at.unwrap().since(run.due.unwrap());
    assert!(ended.started_at.unwrap() >= run.due.unwrap() && late < Millis(50), "{late} late");
    let past = Submit { due: Some(Timestamp(1)), ..order("echo", json!({})) };
    let now = world.engine.submit(past, &caller()).await.unwrap().run;
    assert_eq!(now.due, None, "a moment that is past means now");
    let far =
        Submit { due: Some(world.engine.now() + Millis::seconds(400 * 86_400)), ..order("echo", json!({})) };
    let refused = world.engine.submit(far, &caller()).await.unwrap_err();
    assert_eq!(refused.cause, "run.invalid_due");
}

#[tokio::test(start_paused = true)]
async fn delayed_runs_go_in_the_order_of_their_times_also_over_a_restart() {
    let mut world = World::with(|config| config.embedded_slots = 1).await;
    for pack in ["a", "b", "c"] {
        world.deploy(pack, "kind: echo").await;
    }
    for (pack, seconds) in [("a", 30), ("b", 10), ("c", 20)] {
        delayed(&world, pack, seconds).await;
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(claims(&world, 1).await, ["b"]);
    world.restart().await;
    assert_eq!(claims(&world, 3).await, ["b", "c", "a"]);
}

#[tokio::test(start_paused = true)]
async fn more_delayed_runs_than_one_batch_ripen_all() {
    let world = idle().await;
    world.deploy("echo", "kind: echo").await;
    let due = Some(world.engine.now() + Millis::seconds(60));
    let submits = (0..1200).map(|_| {
        let submit = Submit { due, ..order("echo", json!({})) };
        world.engine.submit(submit, Box::leak(Box::new(caller())))
    });
    for submit in submits {
        submit.await.unwrap();
    }
    assert_eq!(waiting(&world).await, 0);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(waiting(&world).await, 1200);
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_delayed_run_leaves_the_counters_of_its_line_exact() {
    let world = idle().await;
    world.deploy("echo", "kind: echo").await;
    world.submit("echo").await;
    let (early, late) = (delayed(&world, "echo", 60).await, delayed(&world, "echo", 600).await);
    assert_eq!(waiting(&world).await, 1);
    world.engine.cancel(late.id, None, &caller()).await.unwrap();
    assert_eq!(waiting(&world).await, 1, "what was in no line leaves none");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(waiting(&world).await, 2);
    world.engine.cancel(early.id, None, &caller()).await.unwrap();
    assert_eq!(waiting(&world).await, 1, "what was in the line leaves it");
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_the_ripening_is_on_its_way_leaves_the_counters_exact() {
    let world = idle().await;
    world.deploy("echo", "kind: echo").await;
    let (first, other) = (delayed(&world, "echo", 60).await, delayed(&world, "echo", 120).await);
    world.store.hold(true);
    tokio::time::sleep(Duration::from_secs(61)).await;
    // The ripening of the first is handed over and not durable; both are cancelled behind it.
    let cancel = |id: RunId| {
        let engine = world.engine.clone();
        async move { engine.cancel(id, None, &caller()).await.unwrap() }
    };
    let release = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.store.hold(false);
    };
    let (one, two, ()) = tokio::join!(cancel(first.id), cancel(other.id), release);
    assert_eq!((state(&one), state(&two)), (StateName::Cancelled, StateName::Cancelled));
    assert_eq!(waiting(&world).await, 0);
    world.submit("echo").await;
    assert_eq!(waiting(&world).await, 1, "nothing is owed any more");
}

#[tokio::test(start_paused = true)]
async fn a_pack_runs_no_more_than_its_limit_at_a_time_and_the_next_goes_when_one_ends() {
    let world = World::new().await;
    world.deploy("two", "limits: { concurrency: 2, timeout: 1h }").await;
    world.deploy("free", "kind: echo").await;
    world.model.script((0..5).map(|_| Turn::Hang));
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(world.submit("two").await);
    }
    world.called(2).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!((world.model.count(), waiting(&world).await), (2, 2), "4 slots, but 2 of the pack at a time");
    // Another key is not held up.
    let free = world.submit("free").await;
    assert_eq!(state(&world.end(free.id).await.run), StateName::Completed);
    let queue = world.engine.queue("default").await.unwrap();
    let key = queue.keys.iter().find(|key| key.key == "two").unwrap();
    assert_eq!((key.going, key.held, key.limit.concurrency), (2, true, Some(2)));
    world.engine.cancel(runs[0].id, None, &caller()).await.unwrap();
    world.called(3).await;
    // An operator's limit stands above the file's, and can be taken back.
    let wider = Limit { concurrency: Some(3), rate: None };
    let operation = world.engine.key_limit("two", Some(wider), &caller()).await.unwrap();
    world.called(4).await;
    world.engine.undo(operation, &caller()).await.unwrap();
    assert_eq!(world.engine.limit_of("two").concurrency, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_over_a_restart_for_what_is_leased_still() {
    let mut world = World::new().await;
    world.deploy("one", "limits: { concurrency: 1, timeout: 1h }").await;
    world.model.script((0..4).map(|_| Turn::Hang));
    for _ in 0..3 {
        world.submit("one").await;
    }
    world.called(1).await;
    world.restart().await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!((world.model.count(), waiting(&world).await), (2, 2), "leased again by one worker, once");
}

#[tokio::test(start_paused = true)]
async fn a_pack_starts_no_more_runs_in_a_span_than_its_rate_says() {
    let world = World::new().await;
    world.deploy("paced", "kind: echo\nlimits: { rate: 3/s }").await;
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(world.submit("paced").await.id);
    }
    let mut starts = Vec::new();
    for run in runs {
        starts.push(world.end(run).await.run.started_at.unwrap());
    }
    starts.sort();
    for four in starts.windows(4) {
        assert!(four[3].since(four[0]) >= Millis(1000), "{starts:?}");
    }
    let took = starts[9].since(starts[0]);
    assert!(took < Millis(3500), "nothing is held longer than it must: {took}");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_s_limit_is_its_own_and_the_pack_s_holds_for_all() {
    let world = World::new().await;
    world.deploy("agent", "limits: { timeout: 1h }").await;
    world.model.script((0..8).map(|_| Turn::Hang));
    let one = |n: u32| Limit { concurrency: Some(n), rate: None };
    world.engine.key_limit("acme/agent", Some(one(1)), &caller()).await.unwrap();
    world.engine.key_limit("agent", Some(one(3)), &caller()).await.unwrap();
    for tenant in ["acme", "acme", "zeta", "zeta", "zeta"] {
        let caller = Caller { tenant: Some(tenant.into()), ..caller() };
        let run = world.engine.submit(order("agent", json!({})), &caller).await.unwrap().run;
        assert_eq!((run.tenant.as_deref(), &*run.key), (Some(tenant), format!("{tenant}/agent").as_str()));
    }
    world.called(3).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.model.count(), 3);
    let queue = world.engine.queue("default").await.unwrap();
    let going = |key: &str| queue.keys.iter().find(|info| info.key == key).map(|info| info.going);
    assert_eq!((going("acme/agent"), going("zeta/agent")), (Some(1), Some(2)));
    for bad in ["", "a b", "/agent", "nobody"] {
        let refused = world.engine.key_limit(bad, Some(one(1)), &caller()).await.unwrap_err();
        assert!(
            ["queue.invalid_key", "pack.not_found"].contains(&refused.cause.as_str()),
            "{bad}: {refused}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_limited_tool_wait_and_say_for_what() {
    let places = hale_engine::worker::places::Places::default();
    let tool = "files.read".into();
    let first = places.try_take(&tool, 1).unwrap();
    assert!(places.try_take(&tool, 1).is_none());
    let second = places.take(&tool, 1);
    tokio::pin!(second);
    assert!(tokio::time::timeout(MINUTE, &mut second).await.is_err(), "the place is taken");
    drop(first);
    let second = tokio::time::timeout(MINUTE, second).await.unwrap();
    assert!(places.try_take(&tool, 2).is_some(), "a wider limit holds at once");
    drop(second);
    let doing = hale_engine::live::Doing {
        kind: hale_core::run::StepKind::Tool,
        name: tool.clone(),
        index: 0,
        attempt: 1,
        since: Timestamp(0),
        limited: true,
        note: None,
    };
    let world = World::new().await;
    world.deploy("agent", "limits: { timeout: 1h }").await;
    world.model.script([Turn::Hang]);
    let run = world.submit("agent").await;
    let run = world.until(run.id, |run| state(run) == StateName::Running).await;
    let says = hale_engine::evidence::run_facts::waiting_on(&run, Some(&doing));
    assert_eq!(says, "limit:tool:files.read");
    let refused = world.engine.tool_limit("files.reed", Some(1), &caller()).await.unwrap_err();
    assert!(refused.to_string().contains("did you mean files.read"), "{refused}");
    world.engine.tool_limit("files.read", Some(2), &caller()).await.unwrap();
    assert_eq!(world.engine.settings().tool_limits().get("files.read"), Some(&2));
}

// covers: AO-27
#[tokio::test(start_paused = true)]
async fn a_worker_takes_from_its_queues_only_and_a_queue_without_one_is_seen() {
    let world = idle().await;
    world.deploy("plain", "kind: echo").await;
    world.deploy("heavy", "kind: echo\nqueue: gpu").await;
    let id = WorkerId(7);
    let hello = Hello {
        id,
        kind: WorkerKind::Process,
        host: "h".into(),
        pid: 1,
        slots: 4,
        queues: vec!["gpu".into()],
        seat: None,
    };
    world.engine.worker_join(hello, (HashMap::new(), HashMap::new())).await.unwrap();
    let (plain, heavy) = (world.submit("plain").await, world.submit("heavy").await);
    let taken = world.until(heavy.id, |run| run.lease().is_some()).await;
    assert_eq!((taken.lease().unwrap().worker, &*taken.queue), (id, "gpu"));
    assert_eq!(state(&world.engine.run(plain.id).await.unwrap().run), StateName::Pending);
    let (default, gpu) =
        (world.engine.queue("default").await.unwrap(), world.engine.queue("gpu").await.unwrap());
    assert_eq!((default.workers, default.unserved, gpu.workers, gpu.unserved), (0, true, 1, false));
    let evidence = world.engine.evidence(None).await.unwrap();
    let told = serde_json::to_string(&evidence).unwrap();
    assert!(told.contains("queues.unserved"), "{told}");
    let unknown = world.engine.queue("gpus").await.unwrap_err();
    assert!(unknown.to_string().contains("did you mean gpu"), "{unknown}");
}

// covers: AO-99, AO-93
#[tokio::test(start_paused = true)]
async fn weights_decide_the_turns_and_no_class_starves() {
    let world = idle().await;
    world.deploy("high", "kind: echo\npriority: high").await;
    world.deploy("low", "kind: echo\npriority: low").await;
    for _ in 0..20 {
        world.submit("high").await;
        world.submit("low").await;
    }
    world.engine.queue_weights("default", Some([1, 1, 1]), &caller()).await.unwrap();
    assert!(world.engine.queue_weights("default", Some([1, 0, 1]), &caller()).await.is_err());
    world.engine.start_embedded(1).await.unwrap();
    let first = claims(&world, 10).await;
    assert_eq!(first.iter().take(10).filter(|pack| *pack == "high").count(), 5, "{first:?}");
    let queue = world.engine.queue("default").await.unwrap();
    assert!(queue.classes.iter().all(|class| class.weight == 1 && !class.starves));
}

// covers: AO-149, AO-154
#[tokio::test(start_paused = true)]
async fn a_drained_queue_takes_runs_and_gives_none_until_it_is_resumed_also_over_a_restart() {
    let mut world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let operation = world.engine.queue_drain("default", &caller()).await.unwrap();
    assert!(world.engine.queue_drain("default", &caller()).await.is_err(), "twice");
    let run = world.submit("echo").await;
    world.restart().await;
    tokio::time::sleep(MINUTE).await;
    let queue = world.engine.queue("default").await.unwrap();
    assert_eq!((queue.depth, queue.paused.as_deref()), (1, Some("local")));
    assert_eq!(queue.classes[1].arrived, 0, "a minute is over");
    world.engine.undo(operation, &caller()).await.unwrap();
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed);
    let queue = world.engine.queue("default").await.unwrap();
    assert_eq!((queue.depth, queue.paused, queue.classes[1].served), (0, None, 1));
}

// covers: AO-150, AO-151
#[tokio::test(start_paused = true)]
async fn a_queue_tells_depth_age_and_rates_and_its_first_runs_without_taking_them() {
    let world = idle().await;
    world.deploy("echo", "kind: echo").await;
    world.deploy("urgent", "kind: echo\npriority: high").await;
    let mut ids = Vec::new();
    for pack in ["echo", "echo", "urgent"] {
        ids.push(world.submit(pack).await.id);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let queue = world.engine.queue("default").await.unwrap();
    assert_eq!((queue.depth, queue.unserved), (3, true));
    assert!((3000..3010).contains(&queue.oldest.0), "{}", queue.oldest);
    assert_eq!(queue.classes.iter().map(|class| class.arrived).collect::<Vec<_>>(), [1, 2, 0]);
    let peeked = world.engine.peek("default", 2).await.unwrap();
    assert_eq!(peeked.iter().map(|run| run.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
    assert_eq!(waiting(&world).await, 3, "peeking takes nothing");
}

// covers: AO-145 CX-53
#[tokio::test(start_paused = true)]
async fn a_purge_cancels_what_waits_and_nothing_else_and_can_be_retried() {
    let world = idle().await;
    for pack in ["echo", "other"] {
        world.deploy(pack, "kind: echo").await;
    }
    for pack in ["echo", "echo", "other"] {
        world.submit(pack).await;
    }
    delayed(&world, "echo", 600).await;
    let filter = hale_core::filter::parse("pack:echo", world.engine.now()).unwrap();
    let chosen = Chosen { queue: Some("default".to_owned()), filter };
    let dry = world.engine.purge(&chosen, DryRun::Yes, &caller()).await.unwrap();
    assert_eq!((dry.matched, dry.changed, waiting(&world).await), (3, 0, 3));
    let done = world.engine.purge(&chosen, DryRun::No, &caller()).await.unwrap();
    assert_eq!((done.matched, done.changed, waiting(&world).await), (3, 3, 1));
    let cancelled = hale_core::filter::parse("status:cancelled queue:default", world.engine.now()).unwrap();
    let cancelled = world.engine.runs(&cancelled, None, 10).await.unwrap().runs;
    assert_eq!(cancelled.len(), 3);
    world.engine.retry(cancelled[0].id, None, &caller()).await.unwrap();
    assert_eq!(waiting(&world).await, 2);
    let rows = world.engine.operations(10).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.operation == "queues.purge").count(), 2, "intent and outcome");
}

// covers: AO-152
#[tokio::test(start_paused = true)]
async fn what_is_stuck_becomes_a_dead_letter_with_its_reason() {
    let world = idle().await;
    world.logs.expect(&["Execution failed"]);
    world.deploy("echo", "kind: echo").await;
    let stuck = world.submit("echo").await;
    let later = delayed(&world, "echo", 10_000).await;
    tokio::time::sleep(Duration::from_secs(3700)).await;
    let fresh = world.submit("echo").await;
    let (chosen, hour) =
        (Chosen { queue: Some("default".to_owned()), ..Chosen::default() }, Millis::seconds(3600));
    let dry = world.engine.move_stuck(&chosen, (hour, DryRun::Yes), &caller()).await.unwrap();
    assert_eq!((dry.matched, dry.changed), (1, 0));
    let done = world.engine.move_stuck(&chosen, (hour, DryRun::No), &caller()).await.unwrap();
    assert_eq!((done.matched, done.changed, waiting(&world).await), (1, 1, 1));
    let run = world.engine.run(stuck.id).await.unwrap().run;
    let failure = run.failure.unwrap();
    assert_eq!((run.state.name(), failure.cause.as_str()), (StateName::Failed, "queue.stuck"));
    assert!(failure.message.contains("local gave it up: stuck for more than 1h 00m"), "{failure}");
    let dead = world.store.dead(&DeadFilter::default(), 10).unwrap();
    assert_eq!(
        dead.iter().map(|row| (row.run, row.cause.as_str())).collect::<Vec<_>>(),
        [(stuck.id, "queue.stuck")]
    );
    for run in [later, fresh] {
        assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Pending);
    }
}

fn insert(n: u128, pack: &str, now: Timestamp) -> Op {
    let asked = Order {
        id: RunId::mint(now, n),
        pack: PackRef { name: pack.into(), version: "1.0.0".into() },
        key: key_of(None, pack),
        priority: Priority::Normal,
        limit: Millis::seconds(60),
        trigger: Trigger::Api,
        correlation: "c".into(),
        traceparent: None,
        retry_of: None,
        queue: "default".into(),
        tenant: None,
        due: None,
        parent: None,
    };
    let (run, first, _) = accept(asked, now);
    let records = vec![event::Record { v: event::VERSION, seq: run.seq, at: now, event: first }];
    Op::Insert(Box::new(Insert { run, input: "{}".into(), records, output: None, idempotency: None }))
}

#[tokio::test(start_paused = true)]
async fn a_run_that_memory_does_not_count_is_found_by_the_net() {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    let op = insert(1, "echo", world.engine.now());
    let Op::Insert(unseen) = &op else { unreachable!() };
    let id = unseen.run.id;
    world.store.apply(vec![op.clone()]).await.unwrap();
    let begun = world.engine.now();
    assert_eq!(state(&world.end(id).await.run), StateName::Completed);
    assert!(world.engine.now().since(begun) < Millis::seconds(12));
    assert!(
        world
            .logs
            .has(Level::WARN, "runs waited in the store that memory did not count; they are taken over")
    );
}

// covers: AO-87, AO-88
#[tokio::test(start_paused = true)]
async fn a_key_with_a_hundred_thousand_runs_costs_a_quiet_key_one_turn() {
    let mut world = idle().await;
    for pack in ["noisy", "quiet"] {
        world.deploy(pack, "kind: echo").await;
    }
    let now = world.engine.now();
    world.store.apply((0..100_000).map(|n| insert(n, "noisy", now)).collect()).await.unwrap();
    world.restart().await;
    assert_eq!(waiting(&world).await, 100_000);
    let quiet = world.submit("quiet").await;
    world.engine.start_embedded(1).await.unwrap();
    assert_eq!(state(&world.end(quiet.id).await.run), StateName::Completed);
    let order = world.store.claims.lock().unwrap().clone();
    let turn = order.iter().position(|pack| pack == "quiet").unwrap();
    assert!(turn <= 1, "one turn of the noisy key comes first: {turn}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_takes_what_was_decided_behind_it_with_it() {
    use std::sync::atomic::Ordering;
    let world = World::new().await;
    world.logs.expect(&["batch of"]);
    world.deploy("paced", "kind: echo\nlimits: { concurrency: 1 }").await;
    world.store.broken.store(true, Ordering::Relaxed);
    let refused = world.engine.submit(order("paced", json!({})), &caller()).await;
    assert!(refused.is_err());
    world.store.broken.store(false, Ordering::Relaxed);
    let run = world.submit("paced").await;
    assert_eq!(state(&world.end(run.id).await.run), StateName::Completed, "the refused run holds no place");
}

#[test]
fn a_rate_in_a_pack_reads_as_the_operator_s() {
    let rate: Rate = "3/s".parse().unwrap();
    assert_eq!(rate, Rate { n: 3, per: Millis(1000) });
}

#[tokio::test(start_paused = true)]
async fn more_runs_than_may_wait_are_refused_and_come_again_when_there_is_room() {
    let world = World::with(|config| (config.embedded_slots, config.queue_depth_max) = (0, 2)).await;
    world.deploy("echo", "kind: echo").await;
    let (first, second) = (world.submit("echo").await, world.submit("echo").await);
    let failure = world.engine.submit(order("echo", json!({})), &caller()).await.unwrap_err();
    assert_eq!((failure.code, failure.cause.as_str()), (Code::E004, "queue.full"));
    assert!(failure.message.contains("2 runs wait already, at most 2 may"), "{failure}");
    assert!(failure.retry_after.is_some(), "a client is told when to come again");
    assert_eq!(waiting(&world).await, 2, "what was refused does not wait");
    world.engine.start_embedded(1).await.unwrap();
    for run in [first.id, second.id] {
        assert_eq!(state(&world.end(run).await.run), StateName::Completed);
    }
    let third = world.submit("echo").await;
    assert_eq!(state(&world.end(third.id).await.run), StateName::Completed);
}
