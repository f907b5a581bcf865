//! An engine over a store in memory that counts and can break, and a model that follows a script.

use crate::logs::Logs;
use hale_core::filter::artifacts::Filter as Chosen;
use hale_core::id::{OperationId, RunId};
use hale_core::meter::Meters;
use hale_core::port::Boxed;
use hale_core::run::{Event, Record, Run, StateName, Step, Trigger};
use hale_core::time::{Millis, Timestamp};
use hale_engine::recorder::Recorder;
use hale_engine::{Caller, Clock, Config, DryRun, Engine, Parts, Submit};
use hale_gateway::provider::{ChatReply, ChatRequest, Chunk, Finish, OnChunk, Provider, ToolCall, Usage};
use hale_gateway::secret::Secrets;
use hale_gateway::{Error, Gateway};
use hale_store::audit::{Head, Sealed};
use hale_store::{
    ArtifactCursor, ArtifactPage, AuditFilter, AuditRow, BulkCounts, BulkItem, BulkRow, Counts, Cursor,
    DeadFilter, DeadGroup, DeadRow, Delayed, ItemFilter, KeyRow, Line, ListFilter, Memory, MemoryBlobs, Op,
    OpResult, PackHead, PackRow, Page, Pruned, QueueRow, Space, Store, StoredRun, WorkerRow,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

type Read<T> = Result<T, hale_store::Error>;

/// The model store; counts what is asked of it, tells what was claimed, refuses everything while it is broken and
/// takes its time while it is held.
#[derive(Default)]
pub struct Kept {
    inner: Arc<Memory>,
    pub batches: AtomicU64,
    pub reads: AtomicU64,
    /// Looks at the counts: one in each gathering of evidence.
    pub looks: AtomicU64,
    pub broken: AtomicBool,
    /// No room for new runs: a wait for a child is refused, all else is written.
    pub full: AtomicBool,
    /// How many times that took effect.
    pub refused: AtomicU64,
    /// The packs of claimed runs, in the order of the claims.
    pub claims: Arc<Mutex<Vec<String>>>,
    held: watch::Sender<bool>,
    silent: watch::Sender<bool>,
    /// Counts and space are not told while this is held.
    pub hangs: Mutex<()>,
}

impl Kept {
    fn hang(&self) {
        drop(self.hangs.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// From now on no batch becomes durable, until `hold(false)`.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// From now on batches become durable and nobody hears of it, until `silence(false)`.
    pub fn silence(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// Any of its faults is armed.
    pub fn is_ill(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || *self.held.borrow() || *self.silent.borrow()
    }

    /// The store below, and one more read.
    fn read(&self) -> &Memory {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }

    fn ok(&self) -> Read<()> {
        if self.broken.load(Ordering::Relaxed) { Err(hale_store::Error::SyncFailed) } else { Ok(()) }
    }
}

impl Store for Kept {
    fn apply(&self, batch: Vec<Op>) -> Boxed<'static, Read<Vec<OpResult>>> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.ok() {
            return Box::pin(std::future::ready(Err(error)));
        }
        let full = self.full.load(Ordering::Relaxed);
        if full && batch.iter().any(|op| matches!(op, Op::Delegate { .. })) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        let (inner, claims, mut held) = (self.inner.clone(), self.claims.clone(), self.held.subscribe());
        let mut silent = self.silent.subscribe();
        Box::pin(async move {
            held.wait_for(|held| !held).await.unwrap();
            let results = if full { without_room(&inner, batch).await? } else { inner.apply(batch).await? };
            silent.wait_for(|silent| !silent).await.unwrap();
            let claimed = results.iter().filter_map(|result| match result {
                OpResult::Claimed(claimed) => Some(claimed),
                _ => None,
            });
            let packs = claimed.flatten().map(|claimed| claimed.run.pack.name.to_string());
            claims.lock().unwrap().extend(packs);
            Ok(results)
        })
    }
    fn run(&self, id: RunId) -> Read<Option<StoredRun>> {
        self.read().run(id)
    }
    fn history(&self, id: RunId, from_seq: u64, limit: u32) -> Read<Vec<Record>> {
        self.read().history(id, from_seq, limit)
    }
    fn list(&self, filter: &ListFilter, after: Option<Cursor>, limit: u32) -> Read<Page> {
        self.read().list(filter, after, limit)
    }
    fn active(&self) -> Read<Vec<StoredRun>> {
        self.read().active()
    }
    fn queue(&self) -> Read<Vec<QueueRow>> {
        self.read().queue()
    }
    fn delayed(&self) -> Read<Delayed> {
        self.inner.delayed()
    }
    fn peek(&self, line: &Line, limit: u32) -> Read<Vec<Run>> {
        self.inner.peek(line, limit)
    }
    fn children(&self, parent: RunId) -> Read<Vec<Run>> {
        self.inner.children(parent)
    }
    fn dead(&self, filter: &DeadFilter, limit: u32) -> Read<Vec<DeadRow>> {
        self.inner.dead(filter, limit)
    }
    fn dead_groups(&self) -> Read<Vec<DeadGroup>> {
        self.inner.dead_groups()
    }
    fn dead_letter(&self, run: RunId) -> Read<Option<DeadRow>> {
        self.inner.dead_letter(run)
    }
    fn bulk(&self, id: OperationId) -> Read<Option<BulkRow>> {
        self.inner.bulk(id)
    }
    fn bulks(&self, limit: u32) -> Read<Vec<BulkRow>> {
        self.inner.bulks(limit)
    }
    fn bulks_open(&self) -> Read<Vec<BulkRow>> {
        self.inner.bulks_open()
    }
    fn bulks_of(&self, run: RunId) -> Read<Vec<BulkRow>> {
        self.inner.bulks_of(run)
    }
    fn bulk_items(&self, id: OperationId, filter: ItemFilter, limit: u32) -> Read<Vec<BulkItem>> {
        self.inner.bulk_items(id, filter, limit)
    }
    fn bulk_counts(&self, id: OperationId) -> Read<BulkCounts> {
        self.inner.bulk_counts(id)
    }
    fn counts(&self, since: Timestamp) -> Read<Counts> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.hang();
        self.read().counts(since)
    }
    fn packs(&self) -> Read<Vec<PackHead>> {
        self.read().packs()
    }
    fn pack_versions(&self, name: &str) -> Read<Vec<PackRow>> {
        self.read().pack_versions(name)
    }
    fn pack(&self, name: &str, version: Option<&str>) -> Read<Option<PackRow>> {
        self.read().pack(name, version)
    }
    fn settings(&self) -> Read<Vec<(String, String)>> {
        self.read().settings()
    }
    fn keys(&self) -> Read<Vec<KeyRow>> {
        self.read().keys()
    }
    fn workers(&self) -> Read<Vec<WorkerRow>> {
        self.read().workers()
    }
    fn audit(&self, filter: &AuditFilter, limit: u32) -> Read<Vec<AuditRow>> {
        self.read().audit(filter, limit)
    }
    fn audit_newest(&self, filter: &AuditFilter, before: Option<u64>, limit: u32) -> Read<Vec<Sealed>> {
        self.inner.audit_newest(filter, before, limit)
    }
    fn audit_oldest(&self, after: u64, limit: u32) -> Read<Vec<Sealed>> {
        self.inner.audit_oldest(after, limit)
    }
    fn audit_head(&self) -> Read<Option<Head>> {
        self.inner.audit_head()
    }
    fn audit_cuttable(&self, before: Timestamp) -> Read<u64> {
        self.inner.audit_cuttable(before)
    }
    fn space(&self) -> Read<Space> {
        self.ok()?;
        Ok(Space { ballast: true, ..self.read().space()? })
    }
    fn freeable(&self, before: Timestamp) -> Read<Pruned> {
        self.hang();
        self.read().freeable(before)
    }
    fn prune(&self, before: Timestamp, runs_max: u64) -> Read<Pruned> {
        self.read().prune(before, runs_max)
    }
    fn artifacts(&self, filter: &Chosen, after: Option<&ArtifactCursor>, limit: u32) -> Read<ArtifactPage> {
        self.read().artifacts(filter, after, limit)
    }
    fn expirable(&self, before: Timestamp) -> Read<Pruned> {
        self.read().expirable(before)
    }
    fn expire(&self, before: Timestamp, artifacts_max: u64) -> Read<Pruned> {
        self.read().expire(before, artifacts_max)
    }
}

/// As a full disk answers: a child is new work.
async fn without_room(inner: &Memory, batch: Vec<Op>) -> Read<Vec<OpResult>> {
    let mut results = Vec::with_capacity(batch.len());
    for op in batch {
        match op {
            Op::Delegate { .. } => results.push(OpResult::Full),
            op => results.extend(inner.apply(vec![op]).await?),
        }
    }
    Ok(results)
}

/// What the model does at one call.
pub enum Turn {
    Say(&'static str),
    /// The same, letter by letter.
    Stream(&'static str),
    Call(&'static str, Value),
    /// Several calls in one turn.
    Calls(Vec<(&'static str, Value)>),
    /// 429, with or without `Retry-After`.
    Limited(Option<Millis>),
    /// Thinks first.
    Late(Duration, Box<Turn>),
    /// Answers never.
    Hang,
    /// Answers, and says that it took so many tokens.
    Tokens(u64),
}

/// A model that follows its script; at its end it says `done`.
#[derive(Default)]
pub struct Scripted {
    pub turns: Mutex<VecDeque<Turn>>,
    pub calls: Mutex<Vec<ChatRequest>>,
    pub down: AtomicBool,
}

impl Scripted {
    pub fn script(&self, turns: impl IntoIterator<Item = Turn>) {
        self.turns.lock().unwrap().extend(turns);
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

fn reply(model: &str, text: &str, (calls, tokens): (Vec<ToolCall>, u64)) -> ChatReply {
    ChatReply {
        text: text.to_owned(),
        finish: if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls },
        tool_calls: calls,
        usage: Usage { input_tokens: tokens, output_tokens: 0, ..Usage::default() },
        model: model.to_owned(),
        provider: "sim".to_owned(),
        latency: Millis(1),
        time_to_first_chunk: None,
    }
}

impl Provider for Scripted {
    fn name(&self) -> &str {
        "sim"
    }

    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        hear: OnChunk<'a>,
    ) -> Boxed<'a, Result<ChatReply, Error>> {
        self.calls.lock().unwrap().push(request.clone());
        let turn = self.turns.lock().unwrap().pop_front().unwrap_or(Turn::Say("done"));
        let model = request.model.clone();
        Box::pin(async move {
            let turn = match turn {
                Turn::Late(thinks, then) => {
                    tokio::time::sleep(thinks).await;
                    *then
                }
                turn => turn,
            };
            match turn {
                Turn::Late(..) => unreachable!("no test thinks twice"),
                Turn::Say(text) => Ok(reply(&model, text, (Vec::new(), 10))),
                Turn::Stream(text) => {
                    text.char_indices().for_each(|(at, letter)| {
                        hear(Chunk::Text(&text[at..at + letter.len_utf8()]));
                    });
                    Ok(reply(&model, text, (Vec::new(), 10)))
                }
                Turn::Tokens(tokens) => {
                    let call =
                        ToolCall { id: "c".to_owned(), name: "nothing".to_owned(), arguments: json!({}) };
                    Ok(reply(&model, "", (vec![call], tokens)))
                }
                Turn::Call(name, arguments) => {
                    let call = ToolCall { id: "c1".to_owned(), name: name.to_owned(), arguments };
                    Ok(reply(&model, "", (vec![call], 10)))
                }
                Turn::Calls(calls) => {
                    let call = |(n, (name, arguments)): (usize, (&str, Value))| ToolCall {
                        id: format!("c{n}"),
                        name: name.to_owned(),
                        arguments,
                    };
                    Ok(reply(&model, "", (calls.into_iter().enumerate().map(call).collect(), 10)))
                }
                Turn::Limited(retry_after) => Err(Error::RateLimited {
                    provider: "sim".to_owned(),
                    model,
                    retry_after,
                    source: hale_gateway::error::Said("slow down".to_owned()),
                }),
                Turn::Hang => std::future::pending().await,
            }
        })
    }

    fn models(&self, _: tokio::time::Instant) -> Boxed<'_, Result<Vec<String>, Error>> {
        let down = self.down.load(Ordering::Relaxed);
        Box::pin(async move {
            if down {
                let source = Box::new(std::io::Error::other("connection refused"));
                return Err(Error::Unreachable { provider: "sim".into(), url: "http://x".into(), source });
            }
            Ok(vec!["small".to_owned()])
        })
    }
}

pub struct World {
    pub engine: Engine,
    pub model: Arc<Scripted>,
    pub store: Arc<Kept>,
    /// Removed with the world.
    pub _dir: tempfile::TempDir,
    pub logs: Logs,
}

pub fn caller() -> Caller {
    Caller {
        actor: "local".into(),
        correlation: "corr-1".into(),
        traceparent: None,
        trigger: Trigger::Api,
        tenant: None,
    }
}

pub fn pack(name: &str, more: &str) -> String {
    format!("---\nname: {name}\nversion: 1.0.0\ndescription: A pack of the tests.\n{more}\n---\nAnswer.\n")
}

pub fn order(pack: &str, input: Value) -> Submit {
    Submit { pack: pack.to_owned(), input, ..Submit::default() }
}

async fn engine(store: &Arc<Kept>, model: &Arc<Scripted>, config: Config) -> Engine {
    let clock = config.clock;
    let gateway = Gateway::new(
        Secrets::new(Arc::new(|_| None), config.data.join("secrets")),
        Arc::new(move || clock.now()),
    );
    gateway.replace(vec![model.clone()]);
    let parts = Parts {
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::default()),
        gateway: Arc::new(gateway),
        meters: Arc::new(Meters::default()),
        recorder: Recorder::open(&config.data).unwrap(),
    };
    Engine::start(config, parts).await.unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (logs, dir) = (Logs::catch(), tempfile::tempdir().unwrap());
        let (store, model) = (Arc::new(Kept::default()), Arc::new(Scripted::default()));
        let mut config = Config {
            embedded_slots: 4,
            model_timeout: Millis::seconds(600),
            ..Config::small(dir.path().to_owned(), Clock::start())
        };
        change(&mut config);
        let engine = engine(&store, &model, config).await;
        Self { engine, model, store, _dir: dir, logs }
    }

    /// Ends this process's engine and starts another one on the same store.
    pub async fn restart(&mut self) {
        self.restart_at(self.engine.clock()).await;
    }

    /// The next process begins with another clock.
    pub async fn restart_at(&mut self, clock: Clock) {
        self.engine.drain().await;
        let config = Config { clock, ..self.engine.config().clone() };
        self.engine = engine(&self.store, &self.model, config).await;
    }

    pub async fn deploy(&self, name: &str, more: &str) {
        let file = format!("{name}.md");
        self.engine.deploy(&file, pack(name, more).as_bytes(), DryRun::No, &caller()).await.unwrap();
    }

    pub async fn submit(&self, pack: &str) -> Run {
        self.engine.submit(order(pack, json!({})), &caller()).await.unwrap().run
    }

    /// The run at its end; fails when it does not come within an hour of virtual time.
    pub async fn end(&self, id: RunId) -> StoredRun {
        let stored = self.engine.wait(id, Duration::from_secs(3600)).await.unwrap();
        assert!(
            stored.run.is_terminal(),
            "{id} did not end: {:?}\n{:#?}",
            stored.run.state,
            self.logs.lines()
        );
        stored
    }

    /// Looks until the run satisfies the condition; fails after ten minutes of virtual time.
    pub async fn until(&self, id: RunId, what: impl Fn(&Run) -> bool) -> Run {
        for _ in 0..60_000 {
            let run = self.engine.run(id).await.unwrap().run;
            if what(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the run never came there: {:?}", self.engine.run(id).await.unwrap().run);
    }

    /// Looks until the model was called so often.
    pub async fn called(&self, times: usize) {
        for _ in 0..60_000 {
            if self.model.count() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the model was called {} times", self.model.count());
    }

    /// The steps whose result is in the journal.
    pub async fn steps(&self, id: RunId) -> Vec<Step> {
        let ended = |event| match event {
            Event::StepEnded { step } => Some(*step),
            _ => None,
        };
        self.events(id).await.into_iter().filter_map(ended).collect()
    }

    pub async fn events(&self, id: RunId) -> Vec<Event> {
        let records = self.engine.history(id, 1, 10_000).await.unwrap();
        records.into_iter().map(|record| record.event).collect()
    }
}

pub fn state(run: &Run) -> StateName {
    run.state.name()
}
