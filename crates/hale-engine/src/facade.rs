//! The engine's handle: what the doors may ask of it. Cheap to clone.
//!
//! Every call that changes something returns after its commit. Errors are [`Failure`]s with a code.
//! Read next: [`runs`], [`queues`], [`letters`], [`bulk`], [`tasks`], [`arms`], [`packs`], [`workers`], [`processes`], [`operate`].

pub mod approvals;
pub mod arms;
pub mod artifacts;
pub mod audit;
pub mod bulk;
pub mod clear;
pub mod killswitch;
pub mod letters;
pub mod models;
pub mod notices;
pub mod operate;
pub mod packs;
pub mod prune;
pub mod processes;
pub mod quarantine;
pub mod queues;
pub mod replay;
pub mod runs;
pub mod schedules;
pub mod stats;
pub mod tasks;
pub mod workers;

use crate::arms::Arms;
use crate::clock::Clock;
use crate::desk::{Batch, Desk, Look};
use crate::health::Probes;
use crate::input::{Hello, Input, Reply};
use crate::live::Hub;
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::settings::{Config, Settings};
use crate::stores::Stores;
use crate::stow::Stow;
use crate::supervisor::Supervisor;
use crate::tokens::Tokens;
use crate::worker::jobs::{Jobs, Owner};
use crate::worker::results::Keep;
use crate::worker::switches::Switches;
use crate::worker::{Link, Worker};
use arc_swap::ArcSwap;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{KeyId, WorkerId};
use hale_core::limits;
use hale_core::meter::Meters;
use hale_core::pack::Env;
use hale_core::time::Timestamp;
use hale_gateway::Gateway;
use hale_store::{Blobs, KeyRow, Store, WorkerKind};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// What the engine is built of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn Blobs>,
    pub gateway: Arc<Gateway>,
    pub meters: Arc<Meters>,
    pub recorder: Recorder,
}

pub(crate) struct Inner {
    pub config: Config,
    pub inbox: mpsc::Sender<Input>,
    pub store: Arc<dyn Store>,
    pub blobs: Arc<dyn Blobs>,
    pub gateway: Arc<Gateway>,
    pub registry: Registry,
    pub settings: Settings,
    pub meters: Arc<Meters>,
    pub hub: Hub,
    pub jobs: Option<Arc<Jobs>>,
    pub arms: Arms,
    pub mailboxes: workers::Mailboxes,
    pub tokens: Tokens,
    /// Keeps the worker processes, once there is a door for them.
    pub supervisor: OnceLock<Supervisor>,
    pub keys: ArcSwap<BTreeMap<KeyId, KeyRow>>,
    pub started_at: Timestamp,
    pub probes: Probes,
    /// An operation over many runs has something to do.
    pub bulk_wake: tokio::sync::Notify,
    /// One of them has ended.
    pub bulk_ended: tokio::sync::Notify,
    pub embedded: std::sync::Mutex<Option<(WorkerId, CancellationToken)>>,
    pub stop: CancellationToken,
    /// Cancelled when no more work is given: polls of workers end soon from then on, so that the door can close.
    pub closing: CancellationToken,
    /// Schedules changed.
    pub schedules_changed: tokio::sync::Notify,
    pub stores: Stores,
    pub stow: Stow,
    pub switches: Switches,
    /// Who throws or takes off a kill switch; one at a time, since each reads what stands.
    pub killswitch: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

impl Engine {
    /// Reads what the store holds and starts the loop, the embedded worker and the watched folder.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn start(config: Config, parts: Parts) -> Result<Self, Failure> {
        let Parts { store, blobs, gateway, meters, recorder } = parts;
        let env = Env { default_model: config.default_model.clone() };
        let jobs = jobs(&config);
        gateway.web().allow(config.web_allow.iter().cloned());
        let bounds = (config.files_allow.clone(), gateway.web().clone(), jobs.clone());
        let registry = Registry::load(store.clone(), env, bounds)?;
        let settings = Settings::new(store.settings().map_err(|error| error.failure())?);
        let keys = store.keys().map_err(|error| error.failure())?;
        let (inbox, received) = mpsc::channel(limits::INBOX);
        let (hub, arms, stop) = (Hub::default(), Arms::default(), CancellationToken::new());
        let desk = desk(&config, (&store, &registry, &settings), (&meters, &hub, &arms))?;
        let switches = desk.switches.clone();
        crate::tasks::spawn("loop", crate::engine::run(desk, received, stop.clone()));
        let inner = Inner {
            started_at: config.clock.now(),
            inbox,
            store,
            blobs,
            gateway,
            registry,
            settings,
            meters,
            hub,
            jobs,
            arms,
            mailboxes: workers::Mailboxes::default(),
            tokens: Tokens::open(&config.data)?,
            supervisor: OnceLock::new(),
            keys: ArcSwap::from_pointee(keys.into_iter().map(|key| (key.id, key)).collect()),
            probes: Probes::default(),
            bulk_wake: tokio::sync::Notify::new(),
            bulk_ended: tokio::sync::Notify::new(),
            embedded: std::sync::Mutex::default(),
            stop,
            closing: CancellationToken::new(),
            schedules_changed: tokio::sync::Notify::new(),
            stores: Stores::default(),
            stow: Stow::default(),
            switches,
            killswitch: tokio::sync::Mutex::default(),
            config,
        };
        let engine = Self(Arc::new(inner));
        engine.start_stores();
        engine.start_embedded(engine.0.config.embedded_slots).await?;
        crate::tasks::spawn("retention", prune::prune_for_ever(engine.clone()));
        engine.start_probes(recorder);
        crate::tasks::spawn("schedules", crate::schedules::follow(engine.clone()));
        crate::tasks::spawn("bulk", crate::bulk::work(engine.clone()));
        engine.start_arms();
        if let Some(dir) = engine.0.config.packs.clone() {
            crate::registry::watch::watch(engine.clone(), dir, engine.0.stop.clone()).await;
        }
        Ok(engine)
    }

    pub fn now(&self) -> Timestamp {
        self.0.config.clock.now()
    }

    pub fn clock(&self) -> Clock {
        self.0.config.clock
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn meters(&self) -> &Arc<Meters> {
        &self.0.meters
    }

    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.0.gateway
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    /// Where this process's jobs live; none when their folder could not be made.
    pub fn jobs(&self) -> Option<&Arc<Jobs>> {
        self.0.jobs.as_ref()
    }

    /// Sends an input and waits for its reply.
    pub(crate) async fn ask<T>(&self, input: impl FnOnce(Reply<T>) -> Input) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(input(reply)).await?;
        answer.await.map_err(|_| gone())?
    }

    pub(crate) async fn send(&self, input: Input) -> Result<(), Failure> {
        let sent = self.0.inbox.send_timeout(input, limits::INBOX_WAIT.duration()).await;
        sent.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => {
                let message = format!("reach the engine: its inbox of {} is full", limits::INBOX);
                Failure::new(Code::E014, "engine.overloaded", "engine", message)
            }
            mpsc::error::SendTimeoutError::Closed(_) => gone(),
        })
    }

    /// How things stand in memory.
    ///
    /// # Errors
    /// E014 when the loop does not answer within two seconds: it hangs or has ended.
    pub async fn look(&self) -> Result<Look, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Input::Look { reply }).await?;
        match tokio::time::timeout(Duration::from_secs(2), answer).await {
            Ok(Ok(look)) => Ok(look),
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Failure::new(
                Code::E014,
                "engine.hangs",
                "engine",
                "ask the loop how things stand: no answer in 2s",
            )),
        }
    }

    /// Starts the embedded worker, unless it runs or has no slots.
    ///
    /// # Errors
    /// What kept it from joining.
    pub async fn start_embedded(&self, slots: u32) -> Result<Option<WorkerId>, Failure> {
        let engine = self.clone();
        // In a task: a caller who goes away would leave a worker behind that has joined and does nothing.
        let started = crate::tasks::spawn("worker-start", async move { engine.begin_embedded(slots).await });
        started.await.unwrap_or_else(|error| {
            let failure = Failure::new(Code::E015, "worker.start_panicked", "engine", "start the worker");
            Err(failure.caused_by(&error))
        })
    }

    async fn begin_embedded(&self, slots: u32) -> Result<Option<WorkerId>, Failure> {
        if slots == 0 || self.embedded().is_some() {
            return Ok(self.embedded());
        }
        let id = WorkerId::mint(self.now(), chance());
        let (orders, received) = mpsc::unbounded_channel();
        let hello = Hello {
            id,
            kind: WorkerKind::Embedded,
            host: hostname(),
            pid: std::process::id(),
            slots,
            queues: Vec::new(),
            seat: None,
        };
        self.ask(|reply| Input::Join { hello, orders, reply }).await?;
        let token = self.0.stop.child_token();
        *self.embedded_cell() = Some((id, token.clone()));
        let mut worker =
            Worker::new(id, self.link(id), self.0.gateway.clone(), self.0.hub.clone(), self.clock());
        worker.switches = self.0.switches.clone();
        worker.files_allow.clone_from(&self.0.config.files_allow);
        worker.model_timeout = self.0.config.model_timeout;
        worker.guard_default = self.0.config.guard_default;
        worker.blobs = Some(self.0.blobs.clone());
        worker.stow = self.0.stow.clone();
        worker.keep = Some(Keep::here(self.0.blobs.clone()));
        worker.jobs.clone_from(&self.0.jobs);
        worker.hidden = vec![self.0.config.data.clone()];
        crate::tasks::spawn("worker", Arc::new(worker).work(received, token));
        tracing::info!(event = "worker_started", worker = %id, slots, "embedded worker started");
        Ok(Some(id))
    }

    /// Ends the embedded worker at once, as a crash would: its leases are lost.
    pub async fn kill_embedded(&self, why: &str) -> Option<WorkerId> {
        let (id, token) = self.embedded_cell().take()?;
        token.cancel();
        let _ = self.send(Input::Leave { worker: id, why: why.to_owned() }).await;
        Some(id)
    }

    pub fn embedded(&self) -> Option<WorkerId> {
        self.embedded_cell().as_ref().map(|(id, _)| *id)
    }

    fn embedded_cell(&self) -> std::sync::MutexGuard<'_, Option<(WorkerId, CancellationToken)>> {
        self.0.embedded.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The link of a worker in this process.
    fn link(&self, worker: WorkerId) -> Link {
        let inbox = self.0.inbox.clone();
        Arc::new(move |append| {
            let inbox = inbox.clone();
            Box::pin(async move {
                let unavailable = |why: &str| crate::input::Refusal::Unavailable { why: why.to_owned() };
                let (reply, answer) = oneshot::channel();
                let sent = inbox.send(Input::Append { worker, append, reply }).await;
                sent.map_err(|_| unavailable("the engine has ended"))?;
                answer.await.map_err(|_| unavailable("the engine gave no answer"))?
            })
        })
    }

    /// Takes no more runs and gives none to workers.
    pub async fn close(&self) {
        self.0.closing.cancel();
        let (reply, closed) = oneshot::channel();
        if self.send(Input::Close { reply }).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Takes no more runs, lets work in progress end within [`limits::DRAIN`], then stops. What is left is leased
    /// again by the next process.
    pub async fn drain(&self) {
        self.close().await;
        let give_up = tokio::time::Instant::now() + limits::DRAIN.duration();
        while tokio::time::Instant::now() < give_up {
            match self.look().await {
                Ok(look) if look.active > 0 => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => break,
            }
        }
        self.0.stop.cancel();
        crate::tasks::join(Duration::from_secs(2)).await;
    }
}

/// The jobs of the server, once what a former one left running is ended. Without their folder there are no jobs, and
/// everything else goes on.
fn jobs(config: &Config) -> Option<Arc<Jobs>> {
    match Jobs::open(&config.data, Owner::Server, config.jobs.clone()) {
        Ok((jobs, reaped)) => {
            for one in reaped.iter().filter(|one| one.killed + one.survivors > 0) {
                tracing::warn!(
                    event = "job_reaped", job = %one.job, killed = one.killed, survivors = one.survivors,
                    "a job of a former process was left running and was ended"
                );
            }
            Some(Arc::new(jobs))
        }
        Err(error) => {
            let data = config.data.display();
            tracing::error!(event = "jobs_off", error = %error, "no jobs: make the folder jobs in {data}");
            None
        }
    }
}

fn desk(
    config: &Config,
    (store, registry, settings): (&Arc<dyn Store>, &Registry, &Settings),
    (meters, hub, arms): (&Arc<Meters>, &Hub, &Arms),
) -> Result<Desk, Failure> {
    let mut desk = Desk {
        config: config.clone(),
        store: store.clone(),
        registry: registry.clone(),
        settings: settings.clone(),
        meters: meters.clone(),
        hub: hub.clone(),
        arms: arms.clone(),
        active: Default::default(),
        departing: Default::default(),
        queue: Default::default(),
        workers: BTreeMap::new(),
        timers: Default::default(),
        watchers: Default::default(),
        blamed: Default::default(),
        next: Batch::default(),
        flying: false,
        closed: false,
        rests_until: config.clock.now(),
        began: config.clock.now(),
        looked_at: config.clock.now(),
        lease_ends: config.clock.now(),
        gates: Default::default(),
        ripening: Default::default(),
        flows: Default::default(),
        owed: BTreeMap::new(),
        placed: BTreeMap::new(),
        doubted: Default::default(),
        reloaded: Default::default(),
        checked_at: config.clock.now(),
        seen_stored_at: config.clock.now(),
        standing: Default::default(),
        switches: Switches::default(),
        returns: None,
    };
    let rows = store.workers().map_err(|error| error.failure())?;
    desk.remember_workers(rows);
    desk.load().map_err(|error| error.failure())?;
    desk.wake_due();
    desk.look_round();
    Ok(desk)
}

fn gone() -> Failure {
    Failure::new(Code::E014, "engine.ended", "engine", "reach the engine: it has ended")
}

/// 128 bits of chance from the operating system.
pub(crate) fn chance() -> u128 {
    let mut bytes = [0u8; 16];
    // Ids are unique by time and by the store's key as well; a system without entropy is told there.
    let _ = getrandom::fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

/// The machine's name, as workers tell it.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
