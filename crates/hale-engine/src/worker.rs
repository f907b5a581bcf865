//! A worker: takes leased runs, executes them, and writes what happened under its lease.
//!
//! The same code runs as tasks of the server and in a `hale worker` process; only the [`Link`] differs. A worker
//! never opens the store. When a write is fenced it stops that run at once and does nothing more for it. A worker that
//! leaves gives its runs back, so that nobody waits for a lease to run out.
//! Read next: [`host`], what a run may do, then [`agent`], the loop of turns, and [`waits`].

pub mod agent;
pub mod arm;
pub mod guarded;
pub mod host;
pub mod places;
pub mod job;
pub mod jobs;
pub mod switches;
pub mod telling;
pub mod results;
pub mod replay;
pub mod toolbox;
pub mod waits;
pub mod web;

use crate::clock::Clock;
use crate::input::{Append, Refusal};
use crate::live::Hub;
use crate::stow::Stow;
use hale_core::guard::Action;
use hale_core::id::{RunId, WorkerId};
use hale_core::killswitch::Switch;
use hale_core::pack::{Kind, Manifest};
use hale_core::port::Boxed;
use hale_core::run::{Event, Record, Run};
use hale_core::time::{Millis, Timestamp};
use hale_gateway::{Gateway, Route};
use hale_sandbox::Grant;
use hale_store::Blobs;
use host::{Halt, Host};
use jobs::Jobs;
use places::Places;
use results::Keep;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use switches::Switches;
use telling::Tell;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Where a worker's orders go. Bounded by its slots: one order to run and one to stop for each.
pub type Orders = mpsc::UnboundedSender<Order>;

/// How a worker writes: into the loop's inbox, or over the worker protocol.
pub type Link = Arc<dyn Fn(Append) -> Boxed<'static, Result<(), Refusal>> + Send + Sync>;

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    Run(Box<Assignment>),
    /// Drop the run at once: cancelled, or past its limit.
    Stop {
        run: RunId,
        epoch: u64,
    },
    /// The kill switches that are on, all of them; `now` is the server's.
    Switches {
        on: Vec<Switch>,
        now: Timestamp,
    },
}

/// A leased run with all that its execution needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    pub run: Run,
    /// JSON text.
    pub input: Arc<str>,
    /// The journal so far: a replay answers finished steps from it.
    pub records: Vec<Record>,
    pub manifest: Arc<Manifest>,
    /// The packs that are tools of this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<waits::Delegate>,
    pub route: Route,
    /// Time left of the run's limit when it was sent.
    #[serde(rename = "left_ms")]
    pub left: Millis,
    /// Retries of tools, where the pack says nothing.
    pub retries_max: u32,
    /// Calls of a tool that this worker may make at a time, where a limit is set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_limits: BTreeMap<String, u32>,
    /// For every write about the run, from a process of its own.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub token: Arc<str>,
}

/// What all runs of one worker share.
pub struct Worker {
    pub id: WorkerId,
    pub link: Link,
    pub gateway: Arc<Gateway>,
    pub hub: Hub,
    pub clock: Clock,
    /// Folders that may be granted here; checked again, since a worker may run on another machine.
    pub files_allow: Vec<Grant>,
    pub model_timeout: Millis,
    /// What the content guard does where a pack says nothing.
    pub guard_default: Action,
    /// Where large outputs go; none in a process of its own, which keeps them inline.
    pub blobs: Option<Arc<dyn Blobs>>,
    /// Runs whose output could not be stored yet.
    pub stow: Stow,
    /// Folders that no tool may see: the data folder holds keys.
    pub hidden: Vec<PathBuf>,
    /// Calls of limited tools that are under way.
    pub places: Places,
    /// How contents of jobs are kept; none means that they are not.
    pub keep: Option<Keep>,
    /// Where jobs live here; none means that this worker runs none.
    pub jobs: Option<Arc<Jobs>>,
    /// Where jobs tell what they say.
    pub tell: Tell,
    /// Kill switches; the embedded worker shares those of the loop.
    pub switches: Switches,
    running: Mutex<HashMap<RunId, Held>>,
    /// What comes from now on is given back unbegun.
    leaving: AtomicBool,
}

/// A run in hand.
#[derive(Clone, Debug)]
struct Held {
    epoch: u64,
    stop: CancellationToken,
    /// It is given back rather than stopped.
    release: Arc<AtomicBool>,
}

impl Worker {
    pub fn new(id: WorkerId, link: Link, gateway: Arc<Gateway>, hub: Hub, clock: Clock) -> Self {
        let (near, wall) = (hub.clone(), clock);
        let tell: Tell = Arc::new(move |told| telling::here(&near, told, wall.now()));
        Self {
            id,
            link,
            gateway,
            hub,
            clock,
            files_allow: Vec::new(),
            model_timeout: Millis::seconds(120),
            guard_default: Action::Shadow,
            blobs: None,
            stow: Stow::default(),
            hidden: Vec::new(),
            places: Places::default(),
            keep: None,
            jobs: None,
            tell,
            switches: Switches::default(),
            running: Mutex::default(),
            leaving: AtomicBool::new(false),
        }
    }

    /// Runs and epochs in hand.
    pub fn holds(&self) -> Vec<(RunId, u64)> {
        self.running().iter().map(|(run, held)| (*run, held.epoch)).collect()
    }

    /// From here on runs that are ordered are given back unbegun, so that another worker takes them at once.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Gives back what is in hand: each run ends where it stands, keeps what it finished, and its lease is released.
    /// Answers how many; [`Self::holds`] is empty when all are written.
    pub fn release(&self) -> usize {
        let running = self.running();
        for held in running.values() {
            held.release.store(true, Ordering::Release);
            held.stop.cancel();
        }
        running.len()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Held>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows orders until their sender is gone or `stop`, which ends the runs in hand where they stand.
    pub async fn work(self: Arc<Self>, mut orders: mpsc::UnboundedReceiver<Order>, stop: CancellationToken) {
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                () = stop.cancelled() => None,
            };
            match order {
                Some(Order::Run(assignment)) => self.begin(*assignment),
                Some(Order::Stop { run, epoch }) => self.stop(run, epoch),
                Some(Order::Switches { on, now }) => self.switches.set(&on, now),
                None => break,
            }
        }
        for held in self.running().values() {
            held.stop.cancel();
        }
    }

    fn begin(self: &Arc<Self>, assignment: Assignment) {
        let (id, epoch, stop) = (assignment.run.id, assignment.run.epoch, CancellationToken::new());
        let release = Arc::new(AtomicBool::new(self.leaving.load(Ordering::Acquire)));
        let held = Held { epoch, stop, release };
        self.running().insert(id, held.clone());
        let worker = self.clone();
        crate::tasks::spawn("run", async move {
            worker.execute(assignment, held).await;
            let mut running = worker.running();
            if running.get(&id).is_some_and(|held| held.epoch == epoch) {
                running.remove(&id);
            }
        });
    }

    fn stop(&self, run: RunId, epoch: u64) {
        if let Some(held) = self.running().get(&run)
            && held.epoch == epoch
        {
            held.stop.cancel();
        }
    }

    async fn execute(&self, assignment: Assignment, held: Held) {
        let (id, epoch) = (assignment.run.id, assignment.run.epoch);
        let host = Host::new(self, assignment, held.stop);
        let result = match host.manifest.kind {
            _ if held.release.load(Ordering::Acquire) => Err(Halt::Stopped),
            Kind::Echo => echo(&host).await,
            Kind::Agent => agent::run(&host).await,
            Kind::Job => job::run(&host).await,
            Kind::Arm => arm::run(&host).await,
        };
        let last = match result {
            Ok(output) => host.finish(output).await,
            Err(Halt::Failed(failure)) => host.write(vec![Event::Failed { failure }]).await,
            Err(Halt::Stopped) if held.release.load(Ordering::Acquire) => {
                tracing::info!(run_id = %id, worker = %self.id, event = "run_released", "run released: its worker ends");
                host.write(vec![Event::Released { worker: self.id, epoch }]).await
            }
            Err(Halt::Stopped) => host.write(vec![Event::Stopped]).await,
            Err(Halt::Gone(refusal)) => Err(Halt::Gone(refusal)),
            Err(Halt::Yielded) => Ok(()),
        };
        self.hub.step_over(id);
        if let Err(Halt::Gone(refusal)) = last {
            tracing::warn!(run_id = %id, worker = %self.id, event = "run_dropped", error = %refusal, "run dropped by its worker");
        }
    }
}

/// The whole of an `echo` pack: one journaled step that answers with its input.
async fn echo(host: &Host<'_>) -> Result<serde_json::Value, Halt> {
    let input: serde_json::Value = host.input()?;
    host.echo(input).await
}
