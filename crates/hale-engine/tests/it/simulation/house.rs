//! One history's world: a store that outlives its engines, and one runtime for each life of the engine.
//!
//! A crash is the end of the runtime: every task is dropped where it stands, as by a kill, and nothing is drained. The
//! next life goes on at the same virtual moment, on a clock that never stood still.

use super::chance::Chance;
use super::hand::Hand;
use super::mind::Mind;
use crate::world::{Kept, caller, pack};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::meter::Meters;
use hale_core::time::{Millis, Timestamp};
use hale_engine::recorder::Recorder;
use hale_engine::{Clock, Config, DryRun, Engine, Parts};
use hale_gateway::Gateway;
use hale_gateway::secret::Secrets;
use hale_store::MemoryBlobs;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// What packs there are, and what their files say.
pub const PACKS: [(&str, &str); 4] = [
    ("alpha", "limits: { timeout: 60s }"),
    ("beta", "limits: { timeout: 20s }"),
    ("narrow", "limits: { timeout: 60s, concurrency: 1 }"),
    ("owl", "queue: night\nlimits: { timeout: 60s }"),
];
/// The clock's head start: real time between two lives must never be ahead of virtual time.
const HEAD_START: Duration = Duration::from_secs(36_000);
/// A caller waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a fault the engine gets this long before it is judged: its longest pause is two seconds.
const RECOVERS: Millis = Millis(3_500);

/// Everything that one history holds.
pub struct Sim {
    pub seed: u64,
    pub chance: Chance,
    pub store: Arc<Kept>,
    pub mind: Arc<Mind>,
    pub hands: Vec<Hand>,
    /// Hands there ever were.
    pub hired: u128,
    /// Runs in the order in which they were heard of.
    pub runs: Vec<RunId>,
    pub names: BTreeMap<RunId, usize>,
    /// Runs whose acceptance was answered.
    pub accepted: BTreeSet<RunId>,
    /// First answers by idempotency key.
    pub promised: BTreeMap<String, RunId>,
    /// Steps whose result was confirmed, with the mark of who wrote it.
    pub acked: BTreeMap<(RunId, u32), String>,
    /// Runs whose completion was confirmed.
    pub completed: BTreeSet<RunId>,
    /// When each worker may have been heard of last.
    pub heard: BTreeMap<u128, Timestamp>,
    /// Leases that were handed out.
    pub leases: BTreeMap<(RunId, u64), u128>,
    /// Nothing is judged before.
    pub well_from: Timestamp,
    pub counts: BTreeMap<&'static str, u64>,
    pub log: Vec<String>,
    pub violations: Vec<String>,
    engine: Option<Engine>,
    clock: Option<Clock>,
    began: Timestamp,
    /// When the present engine began.
    pub up_since: Timestamp,
    left_at: Option<Instant>,
    slots: u32,
    dir: tempfile::TempDir,
}

impl Sim {
    pub fn new(seed: u64) -> Self {
        let store = Arc::new(Kept::default());
        let mut chance = Chance::new(seed);
        Self {
            seed,
            slots: if chance.one_in(3) { 2 } else { 0 },
            chance,
            mind: Arc::new(Mind::new(store.clone(), seed)),
            store,
            hands: Vec::new(),
            hired: 0,
            runs: Vec::new(),
            names: BTreeMap::new(),
            accepted: BTreeSet::new(),
            promised: BTreeMap::new(),
            acked: BTreeMap::new(),
            completed: BTreeSet::new(),
            heard: BTreeMap::new(),
            leases: BTreeMap::new(),
            well_from: Timestamp(0),
            counts: BTreeMap::new(),
            log: Vec::new(),
            violations: Vec::new(),
            engine: None,
            clock: None,
            began: Timestamp(0),
            up_since: Timestamp(0),
            left_at: None,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The engine of this life.
    pub fn engine(&self) -> Engine {
        self.engine.clone().unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.map_or(Timestamp(0), |clock| clock.now())
    }

    /// Starts an engine on what the store holds.
    pub async fn begin(&mut self) {
        match self.left_at {
            None => {
                self.clock = Some(Clock::start());
                tokio::time::advance(HEAD_START).await;
                self.began = self.now();
            }
            Some(left) => {
                let down = Duration::from_millis(1 + self.chance.below(4_000));
                let gap = (left + down).checked_duration_since(Instant::now());
                tokio::time::advance(gap.unwrap()).await;
            }
        }
        let clock = self.clock.unwrap();
        let config = Config {
            embedded_slots: self.slots,
            model_timeout: Millis::seconds(600),
            ..Config::small(self.dir.path().to_owned(), clock)
        };
        let gateway = Gateway::new(
            Secrets::new(Arc::new(|_| None), config.data.join("secrets")),
            Arc::new(move || clock.now()),
        );
        gateway.replace(vec![self.mind.clone()]);
        let parts = Parts {
            store: self.store.clone(),
            blobs: Arc::new(MemoryBlobs::default()),
            gateway: Arc::new(gateway),
            meters: Arc::new(Meters::default()),
            recorder: Recorder::open(&config.data).unwrap(),
        };
        self.up_since = self.now();
        let engine = Engine::start(config, parts).await.unwrap();
        if self.left_at.is_none() {
            for (name, more) in PACKS {
                let file = format!("{name}.md");
                engine.deploy(&file, pack(name, more).as_bytes(), DryRun::No, &caller()).await.unwrap();
            }
        }
        self.engine = Some(engine);
        self.recovers();
        self.tell("engine starts");
    }

    /// The engine is gone, and all that it had in hand.
    pub fn crash(&mut self) {
        self.left_at = Some(Instant::now());
        self.engine = None;
        self.count("crash");
        self.tell("engine crashes");
    }

    /// What a store kept back in that life is lost, and what it kept silent about is heard of in the next.
    pub fn after_death(&mut self) {
        self.store.hold(false);
        self.store.silence(false);
        self.store.broken.store(false, Ordering::Relaxed);
    }

    /// What is wrong from now on is not judged for a while.
    pub fn recovers(&mut self) {
        self.well_from = self.now() + RECOVERS;
    }

    /// No fault of the store is armed, and the last one is long enough ago.
    pub fn is_well(&self) -> bool {
        !self.store.is_ill() && self.now() >= self.well_from
    }

    /// Ends every fault of the store.
    pub fn mend(&mut self) {
        if self.store.is_ill() {
            self.store.broken.store(false, Ordering::Relaxed);
            self.store.hold(false);
            self.store.silence(false);
            self.recovers();
            self.tell("store well again");
        }
    }

    /// The answer, unless it takes too long.
    pub async fn ask<T>(
        &mut self,
        deed: impl Future<Output = Result<T, Failure>>,
    ) -> Option<Result<T, Failure>> {
        let answer = tokio::time::timeout(PATIENCE, deed).await.ok();
        match &answer {
            None => self.count("no_answer"),
            Some(Err(failure)) if failure.code == Code::E015 => {
                self.violations.push(format!("an internal error: {failure}"));
            }
            Some(_) => {}
        }
        answer
    }

    /// Lets everything that is under way come to rest.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The run's number in this history.
    pub fn name(&mut self, run: RunId) -> usize {
        if let Some(known) = self.names.get(&run) {
            return *known;
        }
        let name = self.runs.len();
        self.runs.push(run);
        self.names.insert(run, name);
        name
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn tell(&mut self, what: impl std::fmt::Display) {
        let at = self.now().since(self.began);
        self.log.push(format!("{:>7} {what}", at.0));
    }

    pub fn wrong(&mut self, what: impl std::fmt::Display) {
        let line = format!("VIOLATION {what}");
        self.tell(&line);
        self.violations.push(line);
    }

    /// Milliseconds since the beginning, for what is compared between two tellings of one history.
    pub fn since_begin(&self, at: Timestamp) -> i64 {
        at.0 - self.began.0
    }
}
