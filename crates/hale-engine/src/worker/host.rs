//! What a run may do: steps, each journaled, each executed at most until its result is stored.
//!
//! A step's result is written before the next step acts on the outside; the last one shares its commit with the
//! end of the run. Time, cancellation and fencing reach every step here.
//! Read next: [`super::agent`].

use super::places::Place;
use super::replay::Replay;
use super::waits::Delegate;
use super::{Assignment, Worker};
use crate::input::{Append, Refusal, Spawn};
use crate::live::{Doing, Live};
use crate::stow::Waiting;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::limits;
use hale_core::pack::Manifest;
use hale_core::retry::{Policy, RetryClass};
use hale_core::run::event::Artifact;
use hale_core::run::{Dispatch, Event, Run, Step, StepKind, StepSpec, Usage};
use hale_core::time::{Millis, Timestamp};
use hale_gateway::Route;
use hale_store::Blobs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two tries of a write that the server could not store.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// Past the run's limit before a call gives up by itself: the engine's timer must win, so that the run ends TIMEOUT.
const GRACE: Duration = Duration::from_millis(500);

/// Tries to store an output after which the run says again that it is completing: some two minutes.
const SAID_EVERY: u32 = 8;

/// The artifact that a large output becomes.
const OUTPUT: &str = "output.json";

/// Why a run's execution ends here.
#[derive(Debug)]
pub enum Halt {
    /// The run fails.
    Failed(Box<Failure>),
    /// It was told to stop.
    Stopped,
    /// The lease is gone, or the server is.
    Gone(Refusal),
    /// The engine has taken the run back: it waits, or has ended.
    Yielded,
}

impl Halt {
    pub fn failed(failure: Failure) -> Self {
        Halt::Failed(Box::new(failure))
    }
}

/// What a deed gives back.
#[derive(Debug)]
pub struct Done {
    pub value: Value,
    pub waiting_on: String,
    pub usage: Option<Usage>,
    pub is_error: bool,
}

pub struct Host<'a> {
    pub worker: &'a Worker,
    pub run: Run,
    pub manifest: Arc<Manifest>,
    pub route: Route,
    pub deadline: Instant,
    pub stop: CancellationToken,
    /// The packs that are tools here.
    pub delegates: Vec<Delegate>,
    /// For whatever is sent about the run.
    pub token: Arc<str>,
    input: Arc<str>,
    pub(super) replay: Replay,
    /// The server's time when the run came here: waits are told to it, and clocks of machines differ.
    began: (Timestamp, Instant),
    /// Tokens of all steps so far, children included.
    tokens: AtomicU64,
    retries_max: u32,
    tool_limits: BTreeMap<String, u32>,
    /// Events that are decided but not written: they go with the next write.
    pending: Mutex<Vec<Event>>,
    /// Contents that are durable and that the end of the run names.
    artifacts: Mutex<Vec<Artifact>>,
    next: Mutex<u32>,
}

/// Why a deed that ends by itself gives nothing.
#[derive(Debug)]
pub enum Broken {
    /// The step fails; its policy decides what then.
    Failed(Box<Failure>),
    /// The run's execution ends here.
    Halt(Halt),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Broken::Failed(Box::new(failure))
    }
}

impl<'a> Host<'a> {
    pub fn new(worker: &'a Worker, assignment: Assignment, stop: CancellationToken) -> Self {
        let Assignment { run, input, records, manifest, delegates, route, left, .. } = assignment;
        let now = Instant::now();
        let began = run.deadline().map_or_else(|| worker.clock.now(), |deadline| deadline - left);
        Self {
            worker,
            run,
            manifest,
            route,
            deadline: now + left.duration() + GRACE,
            stop,
            delegates,
            input,
            replay: Replay::of(records),
            began: (began, now),
            tokens: AtomicU64::new(0),
            retries_max: assignment.retries_max,
            tool_limits: assignment.tool_limits,
            token: assignment.token,
            pending: Mutex::default(),
            artifacts: Mutex::default(),
            next: Mutex::new(0),
        }
    }

    /// The run's input.
    ///
    /// # Errors
    /// Halts when the stored text is not JSON, which is a defect.
    pub fn input(&self) -> Result<Value, Halt> {
        serde_json::from_str(&self.input).map_err(|error| {
            let failure = Failure::new(Code::E015, "run.input_unreadable", "worker", "read the stored input");
            Halt::failed(failure.caused_by(&error))
        })
    }

    /// Now, by the server's clock.
    pub fn now(&self) -> Timestamp {
        let (at, since) = self.began;
        at + Millis::from(since.elapsed())
    }

    /// Tokens that the run has used.
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of the next step: the same at every replay, since a pack's course depends on results only.
    pub fn next_index(&self) -> Result<u32, Halt> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let index = *next;
        *next += 1;
        if index >= limits::STEPS_MAX {
            let message = format!("begin step {index}: a run has at most {} steps", limits::STEPS_MAX);
            return Err(Halt::failed(Failure::new(Code::E004, "run.step_limit", "worker", message)));
        }
        Ok(index)
    }

    /// A named stage of the pack is done; said once, also over replays.
    pub fn stage_completed(&self, n: u32, of: u32, name: &str) {
        if n > self.replay.stages() {
            self.pending().push(Event::StageCompleted { n, of, name: name.to_owned() });
        }
    }

    /// Executes `deed` as a step, or answers from the journal.
    ///
    /// # Errors
    /// [`Halt`]: the step failed, the run must stop, or the lease is gone.
    pub async fn step<F, Fut>(&self, spec: StepSpec, deed: F) -> Result<Value, Halt>
    where
        F: FnOnce(u32) -> Fut,
        Fut: Future<Output = Result<Done, Failure>>,
    {
        let cut = |attempt| async move {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(Broken::Halt(Halt::Stopped)),
                result = deed(attempt) => result.map_err(Broken::from),
            }
        };
        self.step_whole(spec, cut).await
    }

    /// As [`Host::step`], for a deed that watches [`Host::stop`] itself, because it has to clear up.
    ///
    /// # Errors
    /// As [`Host::step`].
    pub async fn step_whole<F, Fut>(&self, spec: StepSpec, deed: F) -> Result<Value, Halt>
    where
        F: FnOnce(u32) -> Fut,
        Fut: Future<Output = Result<Done, Broken>>,
    {
        if let Some(step) = self.replay.done(spec.index) {
            return self.replayed(step, &spec);
        }
        let attempt = self.replay.failed(spec.index) + 1;
        // Once before the note that the step is about to act, and once after it, since its commit takes its time.
        self.border().await?;
        self.dispatch(&spec, attempt).await?;
        self.border().await?;
        let name: Arc<str> = Arc::from(spec.name.as_str());
        let since = self.worker.clock.now();
        let (kind, index) = (spec.kind, spec.index);
        let doing = Doing { kind, name, index, attempt, since, limited: false, note: None };
        self.worker.hub.step(self.run.id, doing);
        let begun = Instant::now();
        let result = deed(attempt).await;
        let took = Millis::from(begun.elapsed());
        match result {
            Ok(done) => {
                let value = done.value.clone();
                self.end(spec, (attempt, took), done);
                Ok(value)
            }
            Err(Broken::Failed(failure)) => self.step_failed(spec, (attempt, took), failure).await,
            Err(Broken::Halt(halt)) => Err(halt),
        }
    }

    /// Notes a step's result; it goes with the next write.
    pub(super) fn end(&self, spec: StepSpec, (attempt, took): (u32, Millis), done: Done) {
        let StepSpec { index, kind, name, request, .. } = spec;
        let Done { value, waiting_on, usage, is_error } = done;
        self.used(usage);
        let step =
            Step { index, attempt, kind, name, request, result: value, took, waiting_on, usage, is_error };
        self.pending().push(Event::StepEnded { step: Box::new(step) });
    }

    fn used(&self, usage: Option<Usage>) {
        self.tokens.fetch_add(usage.map_or(0, Usage::total), Ordering::Relaxed);
    }

    /// The answer of a finished step; another step in its place means that the pack or hale changed under the run.
    pub(super) fn replayed(&self, step: &Step, spec: &StepSpec) -> Result<Value, Halt> {
        if step.kind == spec.kind && step.name == spec.name {
            self.used(step.usage);
            return Ok(step.result.clone());
        }
        let message = format!(
            "replay step {}: expected {} {}, the journal has {} {}",
            spec.index,
            spec.kind.name(),
            spec.name,
            step.kind.name(),
            step.name
        );
        Err(Halt::failed(Failure::new(Code::E015, "run.journal_mismatch", "worker", message)))
    }

    /// Writes what is pending, and the note that a step which must not be repeated blindly is about to act.
    async fn dispatch(&self, spec: &StepSpec, attempt: u32) -> Result<(), Halt> {
        let mut events = Vec::new();
        match self.replay.in_flight(spec.index) {
            Some(Dispatch::Park | Dispatch::Reconcile) => {
                events.push(Event::Parked { index: spec.index, name: spec.name.clone() });
                self.write(events).await?;
                return Err(Halt::Yielded);
            }
            Some(Dispatch::Retry | Dispatch::Idempotent) | None => {}
        }
        if spec.dispatch != Dispatch::Idempotent {
            let (index, kind, name, policy) = (spec.index, spec.kind, spec.name.clone(), spec.dispatch);
            events.push(Event::StepDispatched { index, attempt, kind, name, policy });
        }
        if self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        if events.is_empty() && self.pending().is_empty() { Ok(()) } else { self.write(events).await }
    }

    async fn step_failed(
        &self,
        spec: StepSpec,
        (attempt, took): (u32, Millis),
        failure: Box<Failure>,
    ) -> Result<Value, Halt> {
        let policy = self.policy(&failure);
        let StepSpec { index, kind, name, .. } = spec;
        let mut chance = [0u8; 8];
        // Without chance the jitter is zero, which is a worse spread and no error.
        let _ = getrandom::fill(&mut chance);
        let chance = u64::from_le_bytes(chance);
        self.write(vec![Event::StepFailed { index, attempt, kind, name, took, failure, policy, chance }])
            .await?;
        Err(Halt::Yielded)
    }

    fn policy(&self, failure: &Failure) -> Policy {
        match failure.retry {
            RetryClass::Never => RetryClass::Never.policy(),
            RetryClass::Tool => {
                let class = Policy { retries_max: self.retries_max, ..RetryClass::Tool.policy() };
                self.manifest.retry.unwrap_or(class)
            }
            RetryClass::Model => self.manifest.retry.unwrap_or(RetryClass::Model.policy()),
        }
    }

    /// Writes pending events and `events` in one commit, and waits until it is durable. What cannot be stored now
    /// is tried again while the lease lasts.
    ///
    /// # Errors
    /// [`Halt::Gone`] when the write is fenced or the server stays away for a whole lease.
    pub async fn write(&self, events: Vec<Event>) -> Result<(), Halt> {
        self.write_with(events, None).await
    }

    /// As [`Host::write`], with the child that the last event waits for.
    ///
    /// # Errors
    /// As [`Host::write`].
    pub(super) async fn write_with(&self, events: Vec<Event>, spawn: Option<Spawn>) -> Result<(), Halt> {
        let spawn = spawn.map(Box::new);
        let mut all = std::mem::take(&mut *self.pending());
        all.extend(events);
        if all.is_empty() {
            return Ok(());
        }
        let give_up = Instant::now() + limits::LEASE.duration();
        loop {
            let append = Append {
                run: self.run.id,
                epoch: self.run.epoch,
                events: all.clone(),
                spawn: spawn.clone(),
                token: self.token.clone(),
            };
            match (self.worker.link)(append).await {
                Ok(()) => return Ok(()),
                Err(Refusal::Unavailable { .. }) if Instant::now() < give_up && !self.stop.is_cancelled() => {
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
                Err(refusal) => return Err(Halt::Gone(refusal)),
            }
        }
    }

    /// The last step, COMPLETING and COMPLETED in one commit. A large output becomes an artifact, whose blob is
    /// synced before that commit names it.
    ///
    /// # Errors
    /// As [`Host::write`].
    pub async fn finish(&self, output: Value) -> Result<(), Halt> {
        let text = output.to_string();
        let (large, output) = match self.worker.blobs.clone() {
            Some(blobs) if text.len() > limits::STEP_BYTES => {
                let (artifact, told) = self.stowed(&blobs, &Arc::from(text)).await?;
                (Some(artifact), told)
            }
            _ => (None, output),
        };
        let mut artifacts = std::mem::take(&mut *self.artifacts());
        artifacts.extend(large);
        self.write(vec![Event::Completing { artifacts }, Event::Completed { output }]).await
    }

    /// Stores a large output, however long that takes: what the run did is durable and it stays in COMPLETING until
    /// a try succeeds, or its time is up, or it is told to stop.
    async fn stowed(&self, blobs: &Arc<dyn Blobs>, text: &Arc<str>) -> Result<(Artifact, Value), Halt> {
        let (mut tries, mut waits, since) = (0, None, self.now());
        loop {
            let failure = match stored(blobs.clone(), text.clone()).await {
                Ok(stored) => return Ok(stored),
                Err(failure) => failure,
            };
            if tries == 0 {
                let (run_id, error) = (self.run.id, failure.to_string());
                tracing::warn!(event = "output_waits", run_id = %run_id, error, "the output waits to be stored");
            }
            // Also said later on: who does not say anything for long is taken for stuck.
            if tries % SAID_EVERY == 0 {
                let artifacts = self.artifacts().clone();
                self.write(vec![Event::Completing { artifacts }]).await?;
            }
            if waits.is_none() {
                let waiting = Waiting { since, error: failure.to_string() };
                waits = Some(self.worker.stow.enter(self.run.id, waiting));
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                () = self.worker.stow.again(tries) => {}
            }
            tries += 1;
        }
    }

    /// Durable contents that the end of the run shall name.
    pub fn keep(&self, artifacts: Vec<Artifact>) {
        self.artifacts().extend(artifacts);
    }

    fn artifacts(&self) -> std::sync::MutexGuard<'_, Vec<Artifact>> {
        self.artifacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at a limited tool; none where no limit is set. While it waits, the run says so.
    pub async fn place(&self, tool: &str) -> Option<Place<'_>> {
        let most = *self.tool_limits.get(tool)?;
        let tool: Arc<str> = Arc::from(tool);
        if let Some(place) = self.worker.places.try_take(&tool, most) {
            return Some(place);
        }
        self.worker.hub.limited(self.run.id, true);
        let place = self.worker.places.take(&tool, most).await;
        self.worker.hub.limited(self.run.id, false);
        Some(place)
    }

    /// The one step of an `echo` pack.
    ///
    /// # Errors
    /// As [`Host::step`].
    pub async fn echo(&self, input: Value) -> Result<Value, Halt> {
        let spec = StepSpec {
            index: self.next_index()?,
            kind: StepKind::Echo,
            name: "echo".to_owned(),
            dispatch: Dispatch::Idempotent,
            request: Value::Null,
        };
        let done = Done { value: input, waiting_on: "engine".to_owned(), usage: None, is_error: false };
        self.step(spec, |_| std::future::ready(Ok(done))).await
    }

    /// Text of the model as it comes.
    pub fn chunk(&self, index: u32, attempt: u32, offset: u64, text: &str) {
        self.worker.hub.chunk(self.run.id, || Live::Chunk { index, attempt, offset, text: text.into() });
    }
}

/// One try to keep an output as an artifact; gives what stands in its place.
async fn stored(blobs: Arc<dyn Blobs>, text: Arc<str>) -> Result<(Artifact, Value), Failure> {
    let bytes = text.len() as u64;
    let stored = tokio::task::spawn_blocking(move || blobs.put(text.as_bytes())).await;
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(Code::E007, "artifact.not_stored", "store", "keep the output as an artifact")
            .caused_by(error)
    };
    let hash = stored.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let (name, media_type) = (OUTPUT.to_owned(), "application/json".to_owned());
    let artifact = Artifact { name, hash: hash.to_string(), bytes, media_type };
    let told = serde_json::json!({ "artifact": OUTPUT, "bytes": bytes, "hash": artifact.hash });
    Ok((artifact, told))
}
