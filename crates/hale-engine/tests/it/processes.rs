//! Worker processes that the engine keeps: restarts, the breaker, numbers, and what is kept of an end.
//!
//! Processes that end at once are waited for on a thread, which holds the paused clock still; those that live are kept
//! in real time.

use crate::recovery::{join, poll, token};
use crate::world::{World, caller, state};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::run::{Event, StateName};
use hale_core::supervise::{Ended, beat};
use hale_core::time::Millis;
use hale_engine::facade::workers::{Sync, Synced};
use hale_engine::input::{Append, Refusal};
use hale_engine::supervisor::{Launch, SeatLook, Stands};
use hale_engine::worker::Order;
use hale_engine::worker::results::Content;
use hale_store::WorkerRow;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps `wanted` processes that do what the script says.
fn keep(world: &World, (wanted, script): (u32, &str)) {
    let launch = Launch {
        program: PathBuf::from("/bin/sh"),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        logs: world.engine.config().data.clone(),
        wanted,
        slots: 5,
        grace: Millis(100),
    };
    world.engine.supervise(launch).unwrap();
}

fn seats(world: &World) -> Vec<SeatLook> {
    world.engine.processes().seats
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..200_000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: never");
}

async fn ends(world: &World) -> Vec<(WorkerRow, Ended)> {
    let rows = world.engine.workers_ended(100).await.unwrap();
    let with = |row: WorkerRow| {
        let ended = serde_json::from_str(row.exit.as_deref().unwrap()).unwrap();
        (row, ended)
    };
    rows.into_iter().map(with).collect()
}

// covers: AX-17, AX-19, AX-20, AX-21, AX-22, AX-24
#[tokio::test(start_paused = true)]
async fn a_restart_loop_waits_longer_each_time_opens_its_breaker_and_is_told() {
    let world = World::new().await;
    world.logs.expect(&["restart loop"]);
    keep(&world, (1, "echo no such model >&2; exit 1"));
    let open = until("the breaker opens", || {
        seats(&world).into_iter().find(|seat| matches!(seat.stands, Stands::Open { .. }))
    })
    .await;
    assert_eq!((open.seat, open.restarts, open.ends), (1, 4, 5));
    let kept = ends(&world).await;
    assert_eq!(kept.len(), 5, "each end is kept");
    for (row, ended) in &kept {
        assert_eq!((ended.meaning.code, ended.seat), (Some(1), 1));
        assert_eq!(ended.facts.last_words, ["no such model"]);
        assert!(row.pid > 0 && row.ended.as_ref().unwrap().contains("exit code 1"), "{row:?}");
    }
    let ids: std::collections::BTreeSet<_> = kept.iter().map(|(row, _)| row.id).collect();
    assert_eq!(ids.len(), 5, "each start is an incarnation of its own");
    let mut starts: Vec<_> = kept.iter().map(|(row, _)| row.started_at).collect();
    starts.sort();
    let gaps: Vec<u64> = starts.windows(2).map(|two| two[1].since(two[0]).0).collect();
    for (gap, most) in gaps.iter().zip([1000, 2000, 4000, 8000]) {
        assert!((most * 3 / 4..=most + 50).contains(gap), "{gaps:?}");
    }
    assert_eq!(world.engine.meters().worker_restarts.get(), 4);
    let lines = world.logs.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("ERROR restart loop: the worker processes of seat 1")),
        "{lines:#?}"
    );
    let health = world.engine.probe().await;
    let workers = health.components.iter().find(|component| component.name == "workers").unwrap();
    assert!(workers.detail.contains("restart loop in 1 of 1 seats"), "{}", workers.detail);
    let evidence = format!("{:?}", world.engine.evidence(None).await.unwrap());
    assert!(evidence.contains("workers.breakers_open"), "{evidence}");

    // An hour later nothing has started; a person closes it, and the loop begins anew.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(ends(&world).await.len(), 5);
    world.engine.worker_restart("1", Millis(0), &caller()).await.unwrap();
    until("it starts again", || (seats(&world)[0].ends == 1).then_some(())).await;
    assert!(matches!(seats(&world)[0].stands, Stands::Waiting { .. }));
}

// covers: AX-25
#[tokio::test(start_paused = true)]
async fn a_kill_is_told_as_137_with_the_counts_that_would_show_a_lack_of_memory() {
    let world = World::new().await;
    keep(&world, (1, "kill -9 $$"));
    until("it ended", || seats(&world).first().and_then(|seat| seat.last.clone())).await;
    let (row, ended) = ends(&world).await.remove(0);
    assert_eq!((ended.meaning.code, ended.meaning.signal.as_deref()), (Some(137), Some("SIGKILL")));
    assert!(ended.meaning.alarming && ended.meaning.evidence.iter().any(|line| line.contains("oom_kill")));
    assert!(row.ended.unwrap().starts_with("its process ended: "));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_not_there_is_an_end_with_its_reason() {
    let world = World::new().await;
    let launch = Launch {
        program: PathBuf::from("/nowhere/hale"),
        args: Vec::new(),
        env: Vec::new(),
        logs: world.engine.config().data.clone(),
        wanted: 1,
        slots: 1,
        grace: Millis(100),
    };
    world.engine.supervise(launch).unwrap();
    let last = until("it ended", || seats(&world).first().and_then(|seat| seat.last.clone())).await;
    assert_eq!(last.meaning.code, None);
    assert!(last.facts.last_words[0].contains("start /nowhere/hale"), "{last:?}");
}

// covers: AO-33, AX-27
#[tokio::test]
async fn the_number_is_changed_while_they_run_kept_and_taken_back() {
    let world = World::new().await;
    keep(&world, (1, "exec sleep 600"));
    let taken = |n: usize| {
        let seats = seats(&world);
        let all = seats.iter().all(|seat| matches!(seat.stands, Stands::Taken { .. }));
        (seats.len() == n && all).then_some(seats)
    };
    let first = until("one lives", || taken(1)).await;
    let operation = world.engine.workers_scale(Some(3), &caller()).await.unwrap();
    let three = until("three live", || taken(3)).await;
    assert_eq!(three[0].worker(), first[0].worker(), "the first goes on");
    assert_eq!(world.engine.settings().processes(), Some(3));
    world.engine.undo(operation, &caller()).await.unwrap();
    until("one lives again", || taken(1)).await;
    assert_eq!(world.engine.settings().processes(), None);
    let (_, ended) = ends(&world).await.remove(0);
    assert_eq!((ended.meaning.code, ended.meaning.alarming), (Some(143), false), "asked to end, not alarmed");
    assert_eq!(seats(&world)[0].ends, 0, "what was ordered is no sign of a loop");
    let refused = world.engine.workers_scale(Some(65), &caller()).await.unwrap_err();
    assert_eq!((refused.code, refused.cause.as_str()), (Code::E002, "worker.invalid_number"));
    world.engine.end_processes().await;
    assert!(seats(&world).is_empty());
    assert_eq!(ends(&world).await.len(), 3);
}

// covers: AO-33
#[tokio::test]
async fn a_process_that_joins_before_its_start_has_come_back_has_its_seat() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    // A start waits for the other end of a pipe where its log should be.
    let log = world.engine.config().data.join("worker-1.log");
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    keep(&world, (1, "exec sleep 600"));
    let id = until("it is being started", || seats(&world).first().and_then(SeatLook::worker)).await;
    assert!(matches!(seats(&world)[0].stands, Stands::Starting { .. }), "the fault did not take effect");
    let hello = hale_engine::input::Hello { seat: Some(1), ..hello(id) };
    world.engine.worker_join(hello, Default::default()).await.unwrap();
    let seated: Vec<_> = world.engine.workers().await.unwrap().iter().map(|worker| worker.seat).collect();
    assert_eq!(seated, [Some(1)]);
    let other = tokio::task::spawn_blocking(move || std::fs::File::open(&log).map(|file| (file, log)));
    let (_open, log) = other.await.unwrap().unwrap();
    std::fs::remove_file(log).unwrap();
    until("it has started", || {
        matches!(seats(&world)[0].stands, Stands::Taken { worker, .. } if worker == id).then_some(())
    })
    .await;
    world.engine.end_processes().await;
}

// covers: AO-32
#[tokio::test]
async fn a_restart_puts_another_incarnation_into_the_seat_and_one_that_ignores_it_is_killed() {
    let world = World::new().await;
    keep(&world, (1, "trap '' TERM; echo deaf; while :; do sleep 0.05; done"));
    let worker = || seats(&world).first().and_then(SeatLook::worker);
    let log = world.engine.config().data.join("worker-1.log");
    until("it is deaf", || std::fs::read_to_string(&log).ok().filter(|said| said.contains("deaf"))).await;
    let first = until("it lives", worker).await;
    let since = std::time::Instant::now();
    world.engine.worker_restart("1", Millis(0), &caller()).await.unwrap();
    let twice = world.engine.worker_restart("1", Millis(0), &caller()).await;
    assert_eq!(twice.map(|_| ()).unwrap_err().code, Code::E011);
    until("another one", || worker().filter(|worker| *worker != first)).await;
    assert!(since.elapsed() < PATIENCE);
    let (row, ended) = ends(&world).await.remove(0);
    assert_eq!((row.id, ended.meaning.code), (first, Some(137)));
    assert!(ended.meaning.says.contains("hale killed it"), "{}", ended.meaning.says);
    for (target, code) in [("7", Code::E010), ("wrk_none", Code::E010)] {
        let refused = world.engine.worker_restart(target, Millis(0), &caller()).await;
        assert_eq!(refused.map(|_| ()).unwrap_err().code, code, "{target}");
    }
    let embedded = world.engine.embedded().unwrap().to_string();
    let refused = world.engine.worker_restart(&embedded, Millis(0), &caller()).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().cause, "worker.not_supervised");
    world.engine.end_processes().await;
}

// covers: AO-97
#[tokio::test(start_paused = true)]
async fn slots_are_set_while_a_worker_runs_survive_its_joining_again_and_are_forgotten_with_it() {
    let world = World::with(|config| config.embedded_slots = 2).await;
    world.deploy("echo", "kind: echo").await;
    let id = join(&world, 7).await;
    let slots = async |id: WorkerId| world.engine.worker(&id.to_string()).await.unwrap().slots;
    let operation = world.engine.worker_limit(&id.to_string(), Some(9), &caller()).await.unwrap();
    assert_eq!(slots(id).await, 9);
    join(&world, 7).await;
    assert_eq!(slots(id).await, 9, "it asked for one, and the operator's word stands");
    world.engine.undo(operation, &caller()).await.unwrap();
    assert_eq!(slots(id).await, 1);
    world.engine.worker_limit("embedded", Some(6), &caller()).await.unwrap();
    assert_eq!(slots(world.engine.embedded().unwrap()).await, 6);
    for bad in [0, limits::WORKER_CONCURRENCY_MAX + 1] {
        let refused = world.engine.worker_limit("embedded", Some(bad), &caller()).await.unwrap_err();
        assert_eq!((refused.code, refused.cause.as_str()), (Code::E002, "worker.invalid_slots"));
    }
    world.engine.worker_limit(&id.to_string(), Some(3), &caller()).await.unwrap();
    world.engine.worker_leave(id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(world.engine.settings().below("worker.slots.").len(), 1, "only that of the embedded one");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_idle_workers_cost_less_than_a_store_call_a_second_and_do_not_beat_together() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    let beats: Arc<Mutex<Vec<u64>>> = Arc::default();
    for n in 0..100 {
        let (id, engine, beats) = (join(&world, 1000 + n).await, world.engine.clone(), beats.clone());
        hale_engine::tasks::spawn("beats", async move {
            for n in 0.. {
                beats.lock().unwrap().push(engine.now().0 as u64);
                let sync = Sync { wait_ms: beat(id.0, n, false).0, ..Sync::default() };
                engine.worker_sync(id, sync).await.unwrap();
            }
        });
    }
    let calls = || world.store.reads.load(Ordering::Relaxed) + world.store.batches.load(Ordering::Relaxed);
    let before = calls();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let cost = calls() - before;
    assert!(cost <= 120, "{cost} calls of the store in two minutes");
    let live = world.engine.workers().await.unwrap();
    assert_eq!(live.len(), 100, "none was lost");
    let rows = hale_store::Store::workers(&*world.store).unwrap();
    let stale = rows.iter().map(|row| world.engine.now().since(row.seen_at)).max().unwrap();
    let most = limits::IDLE_BEAT_MAX.0 + 2 * limits::SEEN_STORED.0;
    assert!(stale <= Millis(most), "heard of {stale} ago, says the store");
    let now = world.engine.now().0 as u64;
    let mut bins = std::collections::BTreeMap::new();
    for at in beats.lock().unwrap().iter().filter(|at| **at > now - 30_000) {
        *bins.entry(at / 100).or_insert(0) += 1;
    }
    let (all, most) = (bins.values().sum::<i32>(), bins.values().max().copied().unwrap());
    println!("{cost} calls of the store in two minutes, {all} beats in 30 s, at most {most} within 100 ms");
    assert!((90..=130).contains(&all) && most <= 10, "{all} beats, {most} of them within 100 ms");
}

async fn names(world: &World, run: RunId) -> Vec<&'static str> {
    world.events(run).await.iter().map(Event::name).collect()
}

/// A poll for as long as the server allows, as a task of its own.
fn waits(world: &World, id: WorkerId) -> tokio::task::JoinHandle<Result<Synced, Failure>> {
    let (engine, sync) = (world.engine.clone(), Sync { wait_ms: 30_000, ..Sync::default() });
    hale_engine::tasks::spawn("poll", async move { engine.worker_sync(id, sync).await })
}

/// Workers that are not known to be gone.
async fn known(world: &World) -> usize {
    world.engine.workers().await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_may_be_silent_for_longer_than_one_that_has_something_to_lose() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let id = join(&world, 1).await;
    world.engine.worker_sync(id, Sync::default()).await.unwrap();
    tokio::time::sleep(limits::LEASE.duration() + Duration::from_secs(10)).await;
    assert_eq!(known(&world).await, 1, "it has nothing in hand");
    // From the moment on at which it is given a run, it is a lease that it has.
    let run = world.submit("echo").await;
    tokio::time::sleep(limits::LEASE.duration() + Duration::from_secs(3)).await;
    let events = names(&world, run.id).await;
    assert!(events.contains(&"lease_lost"), "{events:?}");
    assert_eq!(known(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_poll_breaks_off_gets_nothing_until_it_is_heard_of_again() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let id = join(&world, 1).await;
    // One that a newer poll takes the place of is answered, and is no sign of an end.
    let older = waits(&world, id);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let newer = waits(&world, id);
    assert!(older.await.unwrap().unwrap().orders.is_empty());
    // The connection of this one ends, as that of a killed process.
    newer.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let run = world.submit("echo").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&world, run.id).await, ["accepted"], "nobody is there to take it");
    let orders = waits(&world, id).await.unwrap().unwrap().orders;
    assert!(matches!(&orders[..], [Order::Run(given)] if given.run.id == run.id), "{orders:?}");
    // A poll that began before the worker knew of its order is as short as those of one that has something in hand.
    let began = world.engine.now();
    waits(&world, id).await.unwrap().unwrap();
    assert!(world.engine.now().since(began) <= limits::BEAT_MAX, "its lease could end within this poll");
    // Its end is noticed within a lease all the same.
    assert_eq!(known(&world).await, 1);
    tokio::time::sleep(limits::LEASE.duration() + Duration::from_secs(2)).await;
    assert_eq!(known(&world).await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_knows_a_worker_but_not_the_token_of_its_run_writes_nothing() {
    let mut world = World::with(|config| config.embedded_slots = 0).await;
    world.deploy("echo", "kind: echo").await;
    let id = join(&world, 1).await;
    let run = world.submit("echo").await;
    assert_eq!(poll(&world, id, Vec::new()).await.len(), 1);
    let right = token(run.id, 1);
    assert!(right.len() == 64, "{right}");
    let before = world.events(run.id).await.len();
    let write = async |world: &World, token: Arc<str>| {
        let events = vec![Event::Completing { artifacts: Vec::new() }];
        let append = Append { run: run.id, epoch: 1, events, spawn: None, token };
        let sync = Sync { appends: vec![append], ..Sync::default() };
        world.engine.worker_sync(id, sync).await.unwrap().results.remove(0)
    };
    let other = right.chars().rev().collect::<String>();
    for wrong in ["", "0", &other] {
        let refused = write(&world, wrong.into()).await.unwrap_err();
        assert_eq!(refused, Refusal::Untrusted { run: run.id });
        assert_eq!(refused.failure().code, Code::E005);
    }
    let content = Content { run: run.id, epoch: 1, bytes: vec![1], token: "".into() };
    assert_eq!(world.engine.worker_keep(id, content).await.unwrap_err().code, Code::E005);
    assert_eq!(world.events(run.id).await.len(), before, "nothing was written");
    // The secret is the folder's, so that a restart of the server takes no token away.
    world.restart().await;
    join(&world, 1).await;
    write(&world, right).await.unwrap();
    assert_eq!(state(&world.engine.run(run.id).await.unwrap().run), StateName::Completing);
    assert!(
        world
            .engine
            .worker_proven(id, &world.engine.worker_join(hello(id), Default::default()).await.unwrap().token)
    );
    assert!(!world.engine.worker_proven(WorkerId(2), ""));
}

fn hello(id: WorkerId) -> hale_engine::input::Hello {
    let kind = hale_store::WorkerKind::Process;
    hale_engine::input::Hello { id, kind, host: "h".into(), pid: 1, slots: 1, queues: vec![], seat: None }
}

#[tokio::test(start_paused = true)]
async fn polls_end_when_the_server_closes_and_are_short_while_it_drains() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    let id = join(&world, 1).await;
    let polling = waits(&world, id);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let closed = world.engine.now();
    world.engine.close().await;
    assert!(polling.await.unwrap().unwrap().orders.is_empty());
    assert!(world.engine.now().since(closed) < Millis(100), "the poll kept the door open");
    waits(&world, id).await.unwrap().unwrap();
    let took = world.engine.now().since(closed);
    assert!((Millis(400)..Millis(1_000)).contains(&took), "{took}: neither long nor a busy loop");
}
