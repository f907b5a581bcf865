//! How fast the store is on this machine: `cargo run --release -p hale-store --example bench -- [DIR] [RUNS] [SEED]`.
//!
//! RUNS no-op runs (born leased, then ended: two commits, eight records) from 64 callers through one committer, as the
//! engine does it; with SEED, that many runs are stored first and lists, start and claims are timed on them.

use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::run::event::VERSION;
use hale_core::run::{
    DEFAULT_QUEUE, Event, Order, PackRef, Priority, Record, Run, StateName, Step, StepKind, Trigger, accept,
    apply,
};
use hale_core::time::{Millis, Timestamp};
use hale_store::{
    Folder, Idempotency, Insert, Line, ListFilter, Op, OpResult, Options, Sqlite, Store, Update,
};
use std::path::Path;
use std::time::Instant;

const WORKER: WorkerId = WorkerId(7);
const START: i64 = 1_700_000_000_000;

struct Life {
    run: Run,
    records: Vec<Record>,
}

impl Life {
    fn new(n: u64, pack: &str) -> Self {
        let at = Timestamp(START + n as i64);
        let chance = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let order = Order {
            id: RunId::mint(at, chance),
            pack: PackRef { name: pack.into(), version: "1.0.0".into() },
            key: pack.into(),
            priority: Priority::Normal,
            limit: Millis::seconds(60),
            trigger: Trigger::Api,
            correlation: format!("{:032x}", chance).into(),
            traceparent: None,
            retry_of: None,
            queue: DEFAULT_QUEUE.into(),
            tenant: None,
            due: None,
            parent: None,
        };
        let (run, event, _) = accept(order, at);
        Self { run, records: vec![Record { v: VERSION, seq: 1, at, event }] }
    }

    fn then(mut self, event: Event) -> Self {
        let at = self.records.last().expect("never empty").at + Millis(1);
        self.run = apply(&self.run, &event, at).expect("the bench keeps to the table").0;
        self.records.push(Record { v: VERSION, seq: self.run.seq, at, event });
        self
    }

    fn leased(self) -> Self {
        self.then(Event::Leased { worker: WORKER, epoch: 1 }).then(Event::Initialized)
    }

    fn done(self) -> Self {
        let step = Step {
            index: 0,
            attempt: 1,
            kind: StepKind::Echo,
            name: "echo".to_owned(),
            request: serde_json::json!({"text": "hello"}),
            result: serde_json::json!({"text": "hello"}),
            took: Millis(1),
            waiting_on: "engine".to_owned(),
            usage: None,
            is_error: false,
        };
        self.then(Event::StepEnded { step: Box::new(step) })
            .then(Event::StageCompleted { n: 1, of: 1, name: "echo".to_owned() })
            .then(Event::Completing { artifacts: Vec::new() })
            .then(Event::Completed { output: serde_json::json!({"text": "hello"}) })
    }

    fn insert(&self, key: Option<String>) -> Op {
        Op::Insert(Box::new(Insert {
            run: self.run.clone(),
            input: r#"{"text":"hello"}"#.into(),
            records: self.records.clone(),
            output: None,
            idempotency: key.map(|key| Idempotency { key, digest: [1; 32], expires: Timestamp(i64::MAX) }),
        }))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let dir = arguments.first().map_or("/tmp/hale-bench", String::as_str);
    let (runs, seed): (u64, u64) = (number(1, 50_000), number(2, 0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let options = Options::default();
    let store = open(dir, &options);
    if seed > 0 {
        if store.queue().expect("a queue").is_empty() {
            fill(&store, seed, &runtime);
        }
        drop(store);
        let store = open(dir, &options);
        timed("queue", || format!("{:?}", store.queue().expect("a queue").len()));
        timed("active", || store.active().expect("active runs").len().to_string());
        timed("counts since ever", || format!("{:?}", store.counts(Timestamp(0)).expect("counts")));
        let late = Timestamp(START + seed as i64 - 10_000);
        timed("counts of ten seconds", || format!("{:?}", store.counts(late).expect("counts").ended_since));
        timed("freeable", || format!("{:?}", store.freeable(late).expect("an estimate")));
        lists(&store);
        noop(&store, (seed, runs), &options, &runtime);
        claims(&store, &runtime);
    } else {
        noop(&store, (0, runs), &options, &runtime);
    }
}

#[expect(clippy::print_stdout, reason = "an example for a person at a terminal")]
fn say(text: String) {
    println!("{text}");
}

fn open(dir: &str, options: &Options) -> Sqlite {
    let begun = Instant::now();
    let folder = Folder::lock(Path::new(dir)).expect("a free folder");
    let store = Sqlite::open(folder, options.clone()).expect("a store");
    say(format!("open: {:.1?}", begun.elapsed()));
    store
}

fn timed(what: &str, read: impl FnOnce() -> String) {
    let begun = Instant::now();
    let answer = read();
    say(format!("{what}: {:.1?}: {answer}", begun.elapsed()));
}

fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn noop(store: &Sqlite, (from, runs): (u64, u64), options: &Options, runtime: &tokio::runtime::Runtime) {
    // Lives are made outside the measured time: they are the engine's work.
    let lives: Vec<(Op, Op)> = (from..from + runs)
        .map(|n| {
            let leased = Life::new(n, "noop").leased();
            let insert = leased.insert(Some(format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))));
            let was = leased.run.seq;
            let done = leased.done();
            let update = Update {
                was,
                records: done.records.iter().filter(|record| record.seq > was).cloned().collect(),
                run: done.run,
                output: Some(r#"{"text":"hello"}"#.into()),
                artifacts: Vec::new(),
            };
            (insert, Op::Update(Box::new(update)))
        })
        .collect();
    let (begun, used, commits) = (Instant::now(), cpu(), options.meters.store_commits.get());
    let mut waves = lives.into_iter();
    let mut ending: Vec<Op> = Vec::new();
    loop {
        let (inserts, updates): (Vec<Op>, Vec<Op>) = waves.by_ref().take(32).unzip();
        let batch: Vec<Op> = inserts.into_iter().chain(std::mem::replace(&mut ending, updates)).collect();
        if batch.is_empty() {
            break;
        }
        let results = runtime.block_on(store.apply(batch)).expect("a commit");
        assert!(results.iter().all(|result| *result == OpResult::Done));
    }
    let (took, used) = (begun.elapsed().as_secs_f64(), cpu() - used);
    let commits = options.meters.store_commits.get() - commits;
    say(format!(
        "{runs} no-op runs: {:.0} runs/s, {:.1} us CPU a run, {:.1} ops a commit",
        runs as f64 / took,
        used / runs as f64 * 1e6,
        2.0 * runs as f64 / commits as f64
    ));
}

fn fill(store: &Sqlite, seed: u64, runtime: &tokio::runtime::Runtime) {
    let begun = Instant::now();
    let packs = ["hello", "log-triage", "search"];
    for from in (0..seed).step_by(512) {
        let batch = (from..(from + 512).min(seed)).map(|n| {
            let life = Life::new(n, packs[n as usize % 3]);
            match n % 1000 {
                0 => life.leased().insert(None),
                1..10 => {
                    let failure = Failure::new(
                        hale_core::code::Code::E006,
                        "llm.rate_limited",
                        "provider:sim",
                        "call the model",
                    );
                    life.leased().then(Event::Failed { failure: Box::new(failure) }).insert(None)
                }
                10..200 => life.insert(None),
                _ => life.leased().done().insert(None),
            }
        });
        runtime.block_on(store.apply(batch.collect())).expect("a commit");
    }
    let space = store.space().expect("space");
    say(format!("seeded {seed} runs in {:.1?}, {} MiB", begun.elapsed(), space.db_bytes >> 20));
}

fn lists(store: &Sqlite) {
    let some = |pack: &str| Some(pack.to_owned());
    let filters = [
        ("all", ListFilter::default()),
        ("failed", ListFilter { states: vec![StateName::Failed], ..Default::default() }),
        ("timeout (none)", ListFilter { states: vec![StateName::Timeout], ..Default::default() }),
        ("pack", ListFilter { pack: some("search"), ..Default::default() }),
        (
            "pack running",
            ListFilter { pack: some("search"), states: vec![StateName::Running], ..Default::default() },
        ),
        ("since", ListFilter { since: Some(Timestamp(START + 1000)), ..Default::default() }),
        ("until", ListFilter { until: Some(Timestamp(START + 1000)), ..Default::default() }),
        ("error", ListFilter { error_code: Some(hale_core::code::Code::E006), ..Default::default() }),
        (
            "error, other pack",
            ListFilter {
                error_code: Some(hale_core::code::Code::E006),
                pack: some("none"),
                ..Default::default()
            },
        ),
        ("correlation", ListFilter { correlation: some("0"), ..Default::default() }),
        ("text, not there", ListFilter { text: some("nowhere"), ..Default::default() }),
    ];
    for (name, filter) in filters {
        let begun = Instant::now();
        let page = store.list(&filter, None, 100).expect("a list");
        say(format!("list {name}: {} runs in {:.1?}", page.runs.len(), begun.elapsed()));
    }
}

fn claims(store: &Sqlite, runtime: &tokio::runtime::Runtime) {
    let begun = Instant::now();
    let mut claimed = 0;
    while claimed < 10_000 {
        let at = Timestamp(START + 10_000_000);
        let claim = Op::Claim { from: hello(), n: 32, worker: WORKER, at };
        let results = runtime.block_on(store.apply(vec![claim])).expect("a commit");
        let OpResult::Claimed(runs) = &results[0] else { break };
        if runs.is_empty() {
            break;
        }
        claimed += runs.len();
    }
    say(format!(
        "{claimed} claims of 32: {:.0} runs/s",
        f64::from(claimed as u32) / begun.elapsed().as_secs_f64()
    ));
}

/// The line of the runs of these tests.
fn hello() -> Line {
    Line { queue: DEFAULT_QUEUE.into(), key: "hello".into(), priority: Priority::Normal }
}
