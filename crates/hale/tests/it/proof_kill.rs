//! SIGKILL loses nothing: at random moments under load, and at durable system calls.
//!
//! The judge is the history checker, which sees only what clients see.

use crate::world::{Http, World, now_ms, order, prove_rounds, submit};
use hale_lab::history::{Snapshot, Submission, check};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
/// A client's pause: enough load to keep all slots busy, and a queue that drains.
const PAUSE: Duration = Duration::from_millis(12);

/// What the clients share: where the server is now, and what they asked and heard.
struct Load {
    address: Mutex<String>,
    submissions: Mutex<Vec<Submission>>,
    stop: AtomicBool,
}

impl Load {
    /// Orders one run after the other; a call that was not answered is sent again under the same key.
    fn client(&self, client: usize) {
        let mut http = Http::new("");
        for n in 0.. {
            let mut order = order(["stages", "echo", "hello", "echo"][n % 4], &format!("k-{client}-{n}"));
            // Every fifth is sent twice on purpose.
            let wanted = if n % 5 == 0 { 2 } else { 1 };
            while order.receipts.len() < wanted && !self.stop.load(Ordering::Relaxed) {
                let address = self.address.lock().unwrap().clone();
                if http.address != address {
                    http = Http::new(&address);
                }
                let heard = submit(&mut http, &mut order);
                let refused = heard.as_ref().is_ok_and(|answer| (400..500).contains(&answer.status));
                assert!(!refused, "{heard:?}");
                std::thread::sleep(PAUSE);
            }
            self.submissions.lock().unwrap().push(order);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn acknowledged(&self) -> Vec<String> {
        let submissions = self.submissions.lock().unwrap();
        let ids = submissions.iter().filter_map(|order| order.receipts.first()?["id"].as_str());
        ids.map(str::to_owned).collect()
    }
}

/// A small generator of our own: the seed is printed, so that a failure can be repeated as far as time allows.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The runs that the model was asked for last: those are under way.
fn asked_last(world: &mut World) -> Vec<String> {
    let (calls, _) = world.calls();
    let keys =
        calls.iter().rev().take(16).filter_map(|call| call["idempotency_key"].as_str()?.rsplit_once('-'));
    let ids: BTreeSet<String> = keys.map(|(run, _)| run.to_owned()).collect();
    ids.into_iter().collect()
}

/// Leases that were lost because of the kill at `when`.
fn hit(world: &mut World, under_way: &[String], when: i64) -> usize {
    let journals = world.snapshot(under_way).journals;
    let records = journals.values().flat_map(|history| history["records"].as_array().unwrap());
    let lost = records.filter(|record| record["event"]["type"] == "lease_lost");
    lost.filter(|record| record["at"].as_i64().is_some_and(|at| at >= when)).count()
}

/// One round: load, a look at some journals, SIGKILL, restart. Tells whether runs were under way.
fn round(world: &mut World, load: &Load, chance: &mut Chance) -> (Snapshot, bool) {
    std::thread::sleep(Duration::from_millis(150 + chance.below(350)));
    let known = load.acknowledged();
    let mut looked = asked_last(world);
    looked.extend(known.into_iter().rev().take(10));
    let snapshot = world.snapshot(&looked);
    std::thread::sleep(Duration::from_millis(chance.below(40)));
    let (under_way, when) = (asked_last(world), now_ms());
    world.kill_server();
    world.up();
    load.address.lock().unwrap().clone_from(&world.address);
    let hit = hit(world, &under_way, when) > 0;
    (snapshot, hit)
}

// covers: TR-10
#[test]
fn a_server_killed_under_load_loses_and_repeats_nothing() {
    let rounds = prove_rounds().unwrap_or(6);
    let mut chance = Chance(now_ms() as u64 | 1);
    println!("seed {}", chance.0);
    let mut world = World::new();
    world.model_does(&json!({"fault": {"kind": "slow", "first_token_ms": 60, "per_chunk_ms": 0}}));
    world.up();
    // They outlive the server, and go on under their leases when it is back.
    let _workers = [world.worker(), world.worker()];
    let (address, submissions) = (Mutex::new(world.address.clone()), Mutex::default());
    let load = Arc::new(Load { address, submissions, stop: AtomicBool::new(false) });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let load = load.clone();
            std::thread::spawn(move || load.client(client))
        })
        .collect();
    let (mut snapshots, mut counted, mut tried) = (Vec::new(), 0, 0);
    while counted < rounds && tried < 4 * rounds {
        let (snapshot, hit) = round(&mut world, &load, &mut chance);
        snapshots.push(snapshot);
        counted += usize::from(hit);
        tried += 1;
    }
    load.stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(counted, rounds, "of {tried} kills only {counted} hit while runs were under way");
    world.settle(Duration::from_secs(60));
    let submissions = std::mem::take(&mut *load.submissions.lock().unwrap());
    let acknowledged = submissions.iter().filter(|order| !order.receipts.is_empty()).count();
    let observed = world.observe(submissions, snapshots);
    println!("{tried} kills, {acknowledged} runs acknowledged, {} model calls", observed.calls.len());
    assert!(acknowledged > rounds * 10, "{acknowledged} runs are no load");
    let violations = check(&observed);
    assert!(violations.is_empty(), "{}", told(&violations));
}

fn told(violations: &[hale_lab::history::Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The system calls by which something becomes durable.
const DURABLE: [&str; 3] = ["fdatasync", "fsync", "pwrite64"];
/// Time in the test run, enough for all points on an idle machine; a busy one takes a spread sample. The long form
/// takes them all.
const TIME: Duration = Duration::from_secs(20);
const POINTS_MIN: usize = 8;

/// The same few runs every time. A call that fails, because the server was killed, is tried again after a restart.
struct Canon {
    orders: Vec<Submission>,
}

impl Canon {
    fn new() -> Self {
        let packs = [("echo", "one"), ("stages", "two"), ("echo", "three")];
        Self { orders: packs.map(|(pack, key)| order(pack, key)).into() }
    }

    /// Orders what has no receipt yet and waits for every end; an error means that the server is gone.
    fn work(&mut self, world: &World) -> std::io::Result<()> {
        let mut http = world.http();
        for order in &mut self.orders {
            if order.receipts.is_empty() {
                let answer = submit(&mut http, order)?;
                // 200 for one that had ended when the server was killed.
                assert!(matches!(answer.status, 200 | 202), "{}", answer.text);
            }
            let id = order.receipts[0]["id"].as_str().unwrap();
            let seen = http.get(&format!("/api/v1/runs/{id}?wait=20s"))?;
            assert_eq!(seen.json()["state"], "COMPLETED", "{}", seen.text);
        }
        Ok(())
    }
}

fn strace(arguments: &[&str]) -> Vec<String> {
    // Without --seccomp-bpf: with it, injected signals do not arrive.
    let fixed = ["strace", "-D", "-f", "-qq"];
    fixed.iter().chain(arguments).map(|text| (*text).to_owned()).collect()
}

/// What the server finds at its start. strace counts calls by thread, and the thread that opens the store makes most of
/// them in an empty folder; in a used one the writer does, so that its calls are reached too.
#[derive(Clone, Copy, Debug)]
enum Found {
    Empty,
    Used,
}

fn lay_out(world: &mut World, found: Found) {
    world.begin_anew();
    if matches!(found, Found::Empty) {
        return;
    }
    let used = world.path("used");
    if !used.exists() {
        world.up();
        world.kill_server();
        std::fs::rename(&world.data, &used).unwrap();
        world.begin_anew();
    }
    copy(&used, &world.data);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// How often each durable call is made by the thread that makes it most.
fn counted(world: &mut World, found: Found) -> Vec<(&'static str, usize)> {
    lay_out(world, found);
    let log = world.path(&format!("calls-{found:?}.log"));
    let trace = format!("trace={}", DURABLE.join(","));
    let line = strace(&["-o", log.to_str().unwrap(), "-e", &trace]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    world.up_with(&mut world.server_command(&line));
    Canon::new().work(world).unwrap();
    world.kill_server();
    let text = std::fs::read_to_string(&log).unwrap();
    let most = |call: &str| {
        let mut by_thread: BTreeMap<&str, usize> = BTreeMap::new();
        for line in text.lines().filter(|line| line.contains(&format!(" {call}("))) {
            *by_thread.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        by_thread.into_values().max().unwrap_or(0)
    };
    DURABLE.into_iter().map(|call| (call, most(call))).filter(|(_, n)| *n > 0).collect()
}

fn strace_there() {
    #[expect(clippy::disallowed_methods, reason = "a proof about processes starts processes")]
    let tried = std::process::Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    let how = "install it with: apt-get install strace";
    assert!(tried.is_ok_and(|status| status.success()), "this proof needs strace 5.3 or newer; {how}");
}

/// Kills the server at the `n`th call, restarts it, ends the workload, and lets the checker judge.
fn kill_at(world: &mut World, found: Found, (call, n): (&str, usize)) -> bool {
    lay_out(world, found);
    let inject = format!("inject={call}:signal=KILL:when={n}");
    let line = strace(&["-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let mut canon = Canon::new();
    let killed = match world.try_start(&mut world.server_command(&line)) {
        Ok(()) => {
            let done = canon.work(world);
            let server = world.server.as_mut().unwrap();
            let since = Instant::now();
            // After an error it is ending; after success it may still write.
            let patience = Duration::from_millis(if done.is_err() { 5000 } else { 0 });
            while server.ended().is_none() && since.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(2));
            }
            server.ended() == Some(Some(libc::SIGKILL))
        }
        Err(signal) => signal == Some(libc::SIGKILL),
    };
    world.server = None;
    let finished: Vec<String> = canon
        .orders
        .iter()
        .filter_map(|order| Some(order.receipts.first()?["id"].as_str()?.to_owned()))
        .collect();
    world.up();
    let snapshot = world.snapshot(&finished);
    let worked = canon.work(world);
    assert!(worked.is_ok(), "after a kill at {call} {n}: {worked:?}\n{}", world.log());
    world.settle(Duration::from_secs(30));
    let observed = world.observe(canon.orders, vec![snapshot]);
    let violations = check(&observed);
    assert!(violations.is_empty(), "after a kill at {call} {n}:\n{}", told(&violations));
    let _ = std::fs::remove_dir_all(&world.data);
    killed
}

fn kill_at_points(found: Found) -> String {
    strace_there();
    let mut world = World::new();
    let calls = counted(&mut world, found);
    let all: Vec<(&str, usize)> = calls.iter().flat_map(|(call, n)| (1..=*n).map(|n| (*call, n))).collect();
    assert!(all.len() > 10, "the workload makes only {calls:?}");
    // Bits read backwards: every beginning of this order is spread over the whole.
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|at| at.reverse_bits());
    let (since, mut points, mut killed) = (Instant::now(), 0, 0);
    for at in order {
        if prove_rounds().is_none() && points >= POINTS_MIN && since.elapsed() > TIME {
            break;
        }
        points += 1;
        killed += usize::from(kill_at(&mut world, found, all[at]));
    }
    // The last calls of a counted run are not always made again: timers and the group commit differ.
    assert!(killed * 4 >= points * 3, "only {killed} of {points} kills took effect");
    format!("{killed} kills at {points} of {} points: {calls:?}", all.len())
}

// covers: TR-10
#[test]
fn a_server_killed_at_a_durable_call_of_its_first_start_loses_and_repeats_nothing() {
    println!("{}", kill_at_points(Found::Empty));
}

// covers: TR-10
#[test]
fn a_server_killed_at_a_durable_call_of_its_work_loses_and_repeats_nothing() {
    println!("{}", kill_at_points(Found::Used));
}
