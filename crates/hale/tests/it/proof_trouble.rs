//! Everything at once, at random: servers, workers and jobs are killed, workers are stopped, drained and scaled, and
//! clocks jump, while clients order, ask again, read and cancel.
//!
//! The judge is the history checker, which sees only what clients see; beside it the audit chain, the queues and the
//! dead letters must agree with the runs. In its long form the proof goes on in chapters, each on an empty folder, so
//! that what has to be judged at once stays bounded.

// needs: faketime

mod client;

use crate::world::{Http, Process, World, now_ms, until};
use client::{Chance, Client, Load, clients};
use hale_core::limits;
use hale_core::time::Timestamp;
use hale_lab::history::{Snapshot, check};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Acknowledged operations of one chapter.
const CHAPTER: u64 = 20_000;
const SHORT_STOP: &str = "worker stopped for a moment";
const LONG_STOP: &str = "worker stopped for longer than its lease";
/// All that is open ends within this, once the trouble is over: a lease that is lost last, and what is left of the queue.
const SETTLES: Duration = Duration::from_secs(120);
/// How far the clock is set off at most, in seconds: from one end to the other it is less than the day for which
/// idempotency keys are kept.
const MOST_AHEAD: u64 = 36_000;
/// External workers, and runs of each at a time.
const WORKERS: usize = 2;
const SLOTS: usize = 3;

/// A job that takes a moment, by an argument by which its process is found, and may be started again.
const DOZE: &str = "0.3517";

fn operations() -> u64 {
    std::env::var("HALE_PROVE_OPERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(CHAPTER)
}

/// The trouble, and what came of it.
struct Trouble {
    world: World,
    load: Arc<Load>,
    chance: Chance,
    /// Kinds of trouble that are still to come before all come again: chance alone leaves some out.
    deck: Vec<u64>,
    workers: Vec<Process>,
    /// The worker that is stopped, since when and for how long.
    stopped: Option<(Process, Instant, Duration)>,
    snapshots: Vec<Snapshot>,
    /// How often each kind took effect.
    made: BTreeMap<&'static str, u64>,
}

impl Trouble {
    /// Milliseconds until the next one.
    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(60 + self.chance.below(300)));
        self.go_on();
    }

    fn next(&mut self) {
        if self.deck.is_empty() {
            self.deck = (0..16).collect();
        }
        let card = self.deck.swap_remove(self.chance.below(self.deck.len() as u64) as usize);
        let made = match card {
            0..=2 => self.kill_server(),
            3 => self.kill_worker(),
            4 | 15 => self.stop_worker(),
            5 | 6 => self.kill_kept(),
            7..=9 => self.kill_job(),
            10 | 11 => self.order_a_worker("drain"),
            12 => self.order_a_worker("restart"),
            13 => self.scale(),
            _ => self.clock_jumps(),
        };
        if let Some(kind) = made {
            *self.made.entry(kind).or_default() += 1;
        }
        // What is drained for good does no more work.
        self.resume_some();
    }

    fn kill_server(&mut self) -> Option<&'static str> {
        let runs = self.world.runs();
        let open = runs.iter().filter(|run| run["ended_at"].is_null()).count();
        let some: Vec<String> =
            runs.iter().take(16).map(|run| run["id"].as_str().unwrap().to_owned()).collect();
        let snapshot = self.world.snapshot(&some);
        self.snapshots.push(snapshot);
        self.world.kill_server();
        self.clock_jumps();
        up(&mut self.world);
        self.load.address.lock().unwrap().clone_from(&self.world.address);
        self.see_the_jump();
        (open > 0).then_some("server killed with runs under way")
    }

    /// A clock that did not jump proves nothing.
    fn see_the_jump(&self) {
        let told = std::fs::read_to_string(clock_file(&self.world, "server")).unwrap();
        let ahead: i64 = told.trim().trim_end_matches('s').parse().unwrap();
        let status = self.world.http().get("/api/v1/status").unwrap().json();
        let began: Timestamp = status["started_at"].as_str().unwrap().parse().unwrap();
        let off = began.0 - (now_ms() + ahead * 1_000);
        // It began a while ago, on a busy machine some seconds.
        assert!((-60_000..20_000).contains(&off), "the clock is set {told}, and the server began at {began}");
    }

    fn kill_worker(&mut self) -> Option<&'static str> {
        let n = self.chance.below(self.workers.len() as u64) as usize;
        self.workers[n].kill();
        self.workers[n] = worker(&self.world);
        Some("worker killed")
    }

    fn stop_worker(&mut self) -> Option<&'static str> {
        if self.stopped.is_some() {
            return None;
        }
        let n = self.chance.below(self.workers.len() as u64) as usize;
        let another = worker(&self.world);
        let stopped = std::mem::replace(&mut self.workers[n], another);
        stopped.signal(libc::SIGSTOP);
        let long = !self.made.contains_key(LONG_STOP) || self.chance.below(4) == 0;
        let ms = if long { 17_000 + self.chance.below(3_000) } else { 200 + self.chance.below(3_000) };
        self.stopped = Some((stopped, Instant::now(), Duration::from_millis(ms)));
        None
    }

    /// One whose time is over wakes up, and takes the place of the one that came for it. Tells whether one sleeps on.
    fn go_on(&mut self) -> bool {
        let Some((process, since, long)) = self.stopped.take() else { return false };
        if since.elapsed() < long {
            self.stopped = Some((process, since, long));
            return true;
        }
        process.signal(libc::SIGCONT);
        let n = self.chance.below(self.workers.len() as u64) as usize;
        self.workers[n] = process;
        let kind = if long.as_millis() > u128::from(limits::LEASE.0) { LONG_STOP } else { SHORT_STOP };
        *self.made.entry(kind).or_default() += 1;
        false
    }

    fn kill_kept(&mut self) -> Option<&'static str> {
        let kept: Vec<u64> = self
            .live()
            .iter()
            .filter(|worker| worker["seat"].is_u64())
            .filter_map(|worker| worker["pid"].as_u64())
            .collect();
        let pid = *kept.get(self.chance.below(kept.len().max(1) as u64) as usize)?;
        kill(pid).then_some("kept worker process killed")
    }

    fn kill_job(&mut self) -> Option<&'static str> {
        let line = format!("sleep\0{DOZE}\0");
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let ours = |pid: &u64| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|found| found.ends_with(line.as_bytes()))
        };
        let pid = pids.filter(ours).last()?;
        kill(pid).then_some("job killed")
    }

    fn live(&self) -> Vec<Value> {
        let page = self.world.http().get("/api/v1/workers").unwrap().json();
        page["items"].as_array().unwrap().clone()
    }

    fn order_a_worker(&mut self, what: &'static str) -> Option<&'static str> {
        // Only kept processes can be restarted.
        let fit = |worker: &Value| what == "drain" || worker["seat"].is_u64();
        let live: Vec<Value> = self.live().into_iter().filter(fit).collect();
        let worker = live.get(self.chance.below(live.len().max(1) as u64) as usize)?;
        let id = worker["id"].as_str().unwrap();
        let answer = self.world.http().post(&format!("/api/v1/workers/{id}/{what}"), &json!({})).unwrap();
        (answer.status < 300).then_some(if what == "drain" {
            "worker drained"
        } else {
            "kept worker restarted in order"
        })
    }

    fn resume_some(&mut self) {
        let draining = self.live().into_iter().filter(|worker| worker["status"] == "draining");
        for worker in draining.collect::<Vec<_>>() {
            if self.chance.below(3) == 0 {
                resume(&self.world, &worker);
            }
        }
    }

    fn scale(&mut self) -> Option<&'static str> {
        let processes = 1 + self.chance.below(3);
        let answer =
            self.world.http().post("/api/v1/workers/scale", &json!({ "processes": processes })).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        Some("scaled")
    }

    /// The wall clock of the server, or of the workers, jumps by up to ten hours in either direction.
    fn clock_jumps(&mut self) -> Option<&'static str> {
        let file = clock_file(&self.world, ["server", "workers"][self.chance.below(2) as usize]);
        let most = [5, 60, 3_600, MOST_AHEAD][self.chance.below(4) as usize];
        let sign = ["+", "-"][self.chance.below(2) as usize];
        std::fs::write(file, format!("{sign}{}s\n", self.chance.below(most))).unwrap();
        Some("clock jumped")
    }

    /// No more trouble: everything works again.
    fn over(&mut self) {
        while self.go_on() {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.world.http().post("/api/v1/workers/scale", &json!({ "processes": 1 })).unwrap();
        self.live()
            .iter()
            .filter(|worker| worker["status"] == "draining")
            .for_each(|worker| resume(&self.world, worker));
    }
}

fn resume(world: &World, worker: &Value) {
    let id = worker["id"].as_str().unwrap();
    let answer = world.http().post(&format!("/api/v1/workers/{id}/resume"), &json!({})).unwrap();
    // It may have ended meanwhile, or be ending by order.
    assert!(answer.status < 500, "{}", answer.text);
}

fn kill(pid: u64) -> bool {
    #[expect(
        unsafe_code,
        reason = "kill(2) takes two numbers; the pid is that of a process of our own server"
    )]
    // SAFETY: no memory is involved.
    let sent = unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    sent == 0
}

fn clock_file(world: &World, whose: &str) -> PathBuf {
    world.path(&format!("clock-{whose}"))
}

/// The library by which a process sees the wall clock that a file tells; monotonic time is left alone.
fn with_clock<'a>(world: &World, command: &'a mut Command, whose: &str) -> &'a mut Command {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = folders.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|path| path.exists());
    let library = library.expect("libfaketime is not there: apt-get install faketime");
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock_file(world, whose));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_CACHE_DURATION", "1")
}

fn up(world: &mut World) {
    let mut command = world.server_command(&[]);
    command.args(["--workers", "1"]);
    with_clock(world, &mut command, "server");
    world.up_with(&mut command);
}

fn worker(world: &World) -> Process {
    world.worker_clocked(SLOTS, |command| {
        with_clock(world, command, "workers");
    })
}

fn lay_out(world: &mut World) {
    for whose in ["server", "workers"] {
        std::fs::write(clock_file(world, whose), "+0s\n").unwrap();
    }
    let path = world.path("packs/doze.md");
    let keys = format!("run: [sleep, \"{DOZE}\"]\nidempotent: true\nlimits: {{ timeout: 60s }}");
    std::fs::write(&path, format!("---\nname: doze\nversion: 1.0.0\nkind: job\n{keys}\n---\n")).unwrap();
    let before = SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
}

/// What a server says of itself must agree with its runs, now that all is quiet. Tells what there was.
fn agrees(world: &World) -> String {
    let mut http = world.http();
    let audit = http.get("/api/v1/audit/verify").unwrap().json();
    assert_eq!((&audit["well"], audit["rows"].as_u64() > Some(0)), (&json!(true), true), "{audit:#}");
    let queues = http.get("/api/v1/queues").unwrap().json();
    for queue in queues["items"].as_array().unwrap() {
        assert_eq!(queue["depth"], 0, "all runs have ended, and one is counted as waiting: {queue:#}");
    }
    let runs = world.runs();
    let bad = runs.iter().filter(|run| ["FAILED", "TIMEOUT"].contains(&run["state"].as_str().unwrap()));
    let bad: BTreeSet<&str> = bad.map(|run| run["id"].as_str().unwrap()).collect();
    let letters = letters(&mut http);
    let dead: BTreeSet<&str> = letters.iter().map(|letter| letter["run"].as_str().unwrap()).collect();
    assert_eq!(dead.len(), letters.len(), "a run has two dead letters: {letters:?}");
    assert_eq!(dead, bad, "dead letters, and runs that came to no good end");
    let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
    letters.iter().for_each(|letter| *causes.entry(letter["cause"].as_str().unwrap()).or_default() += 1);
    // Jobs that somebody killed may come to no good end, and runs whose worker lived on while the clock was set forward.
    for letter in letters.iter().filter(|letter| letter["cause"] != "job.killed") {
        let run = runs.iter().find(|run| run["id"] == letter["run"]).unwrap();
        let set_forward = letter["cause"] == "run.timeout" && was_set_forward(&mut http, run);
        assert!(set_forward, "{}", world.told(run));
    }
    format!("{} audit rows, {} runs, dead letters {causes:?}", audit["rows"], runs.len())
}

/// Whether a minute and more passed under one lease in which nothing takes a second.
fn was_set_forward(http: &mut Http, run: &Value) -> bool {
    let history = http.get(&format!("/api/v1/runs/{}/history", run["id"].as_str().unwrap())).unwrap().json();
    let records = history["records"].as_array().unwrap();
    let leased = |record: &Value| record["event"]["type"] == "initialized";
    let at = |record: &Value| record["at"].as_i64().unwrap();
    records.windows(2).any(|pair| leased(&pair[0]) && at(&pair[1]) - at(&pair[0]) > 60_000)
}

fn letters(http: &mut Http) -> Vec<Value> {
    let (mut letters, mut after) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/api/v1/dlq?limit=1000{after}")).unwrap().json();
        letters.extend(page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return letters,
        }
    }
}

/// What a chapter leaves behind.
struct Chapter {
    world: World,
    acknowledged: u64,
    made: BTreeMap<&'static str, u64>,
    found: String,
}

/// Trouble until as many operations are acknowledged; then quiet, and the judge.
fn chapter(world: World, target: u64, chance: &mut Chance) -> Chapter {
    let address = Mutex::new(world.address.clone());
    let load = Arc::new(Load { address, acknowledged: AtomicU64::new(0), stop: AtomicBool::new(false) });
    let clients = clients(&load, chance);
    let workers = (0..WORKERS).map(|_| worker(&world)).collect();
    let (deck, stopped, snapshots, made) = (Vec::new(), None, Vec::new(), BTreeMap::new());
    let mut trouble = Trouble {
        world,
        load: load.clone(),
        chance: chance.clone(),
        deck,
        workers,
        stopped,
        snapshots,
        made,
    };
    let since = Instant::now();
    trouble.stop_worker();
    while load.acknowledged.load(Ordering::Relaxed) < target {
        trouble.pause();
        trouble.next();
        assert!(
            since.elapsed() < Duration::from_secs(600),
            "the clients got nowhere\n{}",
            trouble.world.log()
        );
    }
    load.stop.store(true, Ordering::Relaxed);
    trouble.over();
    let clients: Vec<Client> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let Trouble { mut world, snapshots, made, chance: after, .. } = trouble;
    *chance = after;
    world.settle(SETTLES);
    let found = agrees(&world);
    let (mut orders, mut sightings) = (Vec::new(), Vec::new());
    for client in clients {
        orders.extend(client.orders);
        sightings.extend(client.sightings);
    }
    let mut observed = world.observe(orders, snapshots);
    observed.sightings = sightings;
    let violations = check(&observed);
    assert!(
        violations.is_empty(),
        "{}",
        violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
    Chapter { world, acknowledged: load.acknowledged.load(Ordering::Relaxed), made, found }
}

/// What has to have taken effect, or nothing is proven.
const KINDS: [&str; 9] = [
    "server killed with runs under way",
    "worker killed",
    LONG_STOP,
    "kept worker process killed",
    "kept worker restarted in order",
    "job killed",
    "worker drained",
    "scaled",
    "clock jumped",
];

#[test]
fn under_every_trouble_at_once_nothing_acknowledged_is_lost_and_nothing_done_is_repeated() {
    let wanted = operations();
    let mut chance = Chance(now_ms() as u64 | 1);
    println!("seed {}", chance.0);
    let mut world = World::new();
    world.model_does(&json!({"fault": {"kind": "slow", "first_token_ms": 60, "per_chunk_ms": 0}}));
    lay_out(&mut world);
    let (mut done, mut made) = (0, BTreeMap::new());
    while done < wanted {
        world.begin_anew();
        up(&mut world);
        until("a pack is there", Duration::from_secs(20), || {
            (world.http().get("/api/v1/packs/doze").ok()?.status == 200).then_some(())
        });
        let chapter = chapter(world, CHAPTER.min(wanted - done), &mut chance);
        world = chapter.world;
        done += chapter.acknowledged;
        for (kind, n) in chapter.made {
            *made.entry(kind).or_insert(0) += n;
        }
        println!("{}", chapter.found);
        println!("{done} operations acknowledged, 0 violations; so far {made:?}");
    }
    for kind in KINDS {
        assert!(made.contains_key(kind), "never: {kind}; the trouble was {made:?}");
    }
}
