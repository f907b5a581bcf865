//! What the tests share: stores to test, runs to store, and a clock that moves when told.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::retry::RetryClass;
use hale_core::run::event::VERSION;
use hale_core::run::{
    DEFAULT_QUEUE, Event, Order, PackRef, Parent, Priority, Record, Run, Step, StepKind, Trigger, accept,
    apply as core_apply,
};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Blobs, Folder, Idempotency, Insert, Memory, Op, OpResult, Options, Sqlite, Store, Update};
use std::future::Future;
use std::sync::Arc;

pub const WORKER: WorkerId = WorkerId(7);
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// A store under test, with what keeps it alive.
pub struct Subject {
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn Blobs>,
    _dir: Option<tempfile::TempDir>,
}

pub fn memory() -> Subject {
    let store = Memory::default();
    let blobs = store.blobs();
    Subject { store: Arc::new(store), blobs, _dir: None }
}

pub fn sqlite() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), small());
    let blobs = store.blobs();
    Subject { store: Arc::new(store), blobs, _dir: Some(dir) }
}

/// Options without a ballast to write, for tests that are not about it.
pub fn small() -> Options {
    Options { ballast_bytes: 4096, ..Options::default() }
}

pub fn open(dir: &std::path::Path, options: Options) -> Sqlite {
    Sqlite::open(Folder::lock(dir).unwrap(), options).unwrap()
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub fn apply(store: &dyn Store, batch: Vec<Op>) -> Vec<OpResult> {
    wait(store.apply(batch)).unwrap()
}

/// One op, one result.
pub fn one(store: &dyn Store, op: Op) -> OpResult {
    apply(store, vec![op]).pop().unwrap()
}

/// A run with everything that was written about it: the test's own truth.
#[derive(Clone, Debug)]
pub struct Life {
    pub run: Run,
    pub records: Vec<Record>,
}

pub struct Wish {
    pub id: RunId,
    pub pack: &'static str,
    pub key: &'static str,
    pub priority: Priority,
    pub correlation: String,
    pub due: Option<Timestamp>,
    pub parent: Option<Parent>,
}

/// The `n`th run of pack `hello`, submitted `n` milliseconds after the start.
pub fn wish(n: u64) -> Wish {
    let at = Timestamp(START.0 + n as i64);
    Wish {
        id: RunId::mint(at, u128::from(n)),
        pack: "hello",
        key: "hello",
        priority: Priority::Normal,
        correlation: format!("c-{n}"),
        due: None,
        parent: None,
    }
}

impl Wish {
    pub fn accepted(self) -> Life {
        let at = self.id.minted_at();
        let order = Order {
            id: self.id,
            pack: PackRef { name: self.pack.into(), version: "1.0.0".into() },
            key: self.key.into(),
            priority: self.priority,
            limit: Millis::seconds(60),
            trigger: Trigger::Api,
            correlation: self.correlation.into(),
            traceparent: None,
            retry_of: None,
            queue: DEFAULT_QUEUE.into(),
            tenant: None,
            due: self.due,
            parent: self.parent,
        };
        let (run, event, _) = accept(order, at);
        Life { run, records: vec![Record { v: VERSION, seq: 1, at, event }] }
    }
}

impl Life {
    pub fn then(mut self, event: Event) -> Self {
        self.happens(event);
        self
    }

    /// Moves the run by an event, a millisecond after the last one.
    pub fn happens(&mut self, event: Event) {
        let at = self.records.last().unwrap().at + Millis(1);
        let (run, _) = core_apply(&self.run, &event, at).unwrap();
        self.run = run;
        self.records.push(Record { v: VERSION, seq: self.run.seq, at, event });
    }

    pub fn leased(self) -> Self {
        let epoch = self.run.epoch + 1;
        self.then(Event::Leased { worker: WORKER, epoch }).then(Event::Initialized)
    }

    pub fn stepped(self) -> Self {
        let index = self.run.steps;
        self.then(Event::StepEnded { step: Box::new(step(index)) })
    }

    pub fn completed(self) -> Self {
        self.then(Event::Completing { artifacts: Vec::new() })
            .then(Event::Completed { output: serde_json::json!({"greeting": "hello"}) })
    }

    pub fn failed(self) -> Self {
        self.then(Event::Failed { failure: Box::new(failure()) })
    }

    pub fn insert(&self) -> Op {
        Op::Insert(Box::new(Insert {
            run: self.run.clone(),
            input: r#"{"name":"Ada"}"#.into(),
            records: self.records.clone(),
            output: None,
            idempotency: None,
        }))
    }

    pub fn insert_promised(&self, key: &str, digest: u8, expires: Timestamp) -> Op {
        let Op::Insert(mut insert) = self.insert() else { unreachable!() };
        insert.idempotency = Some(Idempotency { key: key.to_owned(), digest: [digest; 32], expires });
        Op::Insert(insert)
    }

    /// Everything since `was`, as one update.
    pub fn update_since(&self, was: u64) -> Op {
        Op::Update(Box::new(Update {
            run: self.run.clone(),
            was,
            records: self.records.iter().filter(|record| record.seq > was).cloned().collect(),
            output: None,
            artifacts: Vec::new(),
        }))
    }
}

pub fn failure() -> Failure {
    Failure::new(Code::E006, "llm.rate_limited", "provider:sim", "call the model")
        .retried_as(RetryClass::Model)
}

pub fn step(index: u32) -> Step {
    Step {
        index,
        attempt: 1,
        kind: StepKind::Echo,
        name: "echo".to_owned(),
        request: serde_json::json!({"text": "hi"}),
        result: serde_json::json!({"text": "hi"}),
        took: Millis(1),
        waiting_on: "engine".to_owned(),
        usage: None,
        is_error: false,
    }
}
