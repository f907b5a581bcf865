//! The worker processes that a server keeps: as many as wanted, started again when they end.
//!
//! Guarantees: each has a seat, numbered from 1; one that ended is kept in the store with what its end means, and what
//! it held is lost at once rather than when its lease runs out; a seat whose breaker is open starts nothing until a
//! person says so; they end with this process.
//! Leaves to others: when to start again and what an end means (`core::supervise`), starting and signalling
//! (`hale-sandbox`), what operators may order (`facade/processes.rs`).
//! Read next: [`keeper`], the task that does it.

mod keeper;
mod seat;

use crate::facade::Engine;
use arc_swap::ArcSwap;
use hale_core::failure::Failure;
use hale_core::id::WorkerId;
use hale_core::supervise::Ended;
use hale_core::time::{Millis, Timestamp};
use hale_sandbox::process::nursery::Nursery;
use keeper::Keeper;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Orders and ends that wait for the keeper: each process ends once, each order is a person's.
const HEARD_MAX: usize = 256;

/// How a worker process is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub program: PathBuf,
    /// `--id`, `--seat` and `--slots` follow.
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    /// Each seat writes `worker-N.log` here.
    pub logs: PathBuf,
    /// How many are wanted while no operator says otherwise.
    pub wanted: u32,
    /// Runs that each executes at a time, unless an operator says otherwise.
    pub slots: u32,
    /// How long one that was told to end lets its runs go on.
    pub grace: Millis,
}

/// How a seat stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// A process is being started in it: it may join before its start is known to have gone well.
    Starting { worker: WorkerId, since: Timestamp },
    /// A process is in it.
    Taken { worker: WorkerId, pid: u32, since: Timestamp },
    /// Its process ends by order.
    Ending { worker: WorkerId, pid: u32, since: Timestamp },
    /// A process starts in it at this moment.
    Waiting { until: Timestamp },
    /// Its breaker is open.
    Open { since: Timestamp },
}

/// One seat, for whoever looks.
#[derive(Clone, Debug)]
pub struct SeatLook {
    pub seat: u32,
    pub stands: Stands,
    /// Restarts that nobody ordered, since the server began.
    pub restarts: u64,
    /// Ends of the last five minutes that nobody ordered.
    pub ends: usize,
    pub last: Option<Ended>,
}

impl SeatLook {
    pub fn worker(&self) -> Option<WorkerId> {
        match self.stands {
            Stands::Starting { worker, .. }
            | Stands::Taken { worker, .. }
            | Stands::Ending { worker, .. } => Some(worker),
            Stands::Waiting { .. } | Stands::Open { .. } => None,
        }
    }
}

/// What the keeper hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Another number is wanted.
    Changed,
    /// End the process of a seat when it has nothing in hand, at the latest after `wait`, and start another one.
    Restart { seat: u32, wait: Millis, reply: oneshot::Sender<Result<(), Failure>> },
    /// A process ended; its wait status, where the kernel told one.
    Ended { seat: u32, worker: WorkerId, status: Option<i32> },
    /// End them all and keep none.
    Close { reply: oneshot::Sender<()> },
}

/// The handle.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub wanted: u32,
    pub heard: mpsc::Sender<Heard>,
    pub seats: Arc<ArcSwap<Vec<SeatLook>>>,
}

impl Supervisor {
    /// Begins to keep processes.
    ///
    /// # Errors
    /// When the system gives no thread for starting them.
    pub(crate) fn start(engine: Engine, launch: Launch) -> std::io::Result<Self> {
        let (heard, hears) = mpsc::channel(HEARD_MAX);
        let seats: Arc<ArcSwap<Vec<SeatLook>>> = Arc::default();
        let wanted = launch.wanted;
        let keeper = Keeper::new(engine, (launch, Nursery::open()?), (heard.clone(), seats.clone()));
        crate::tasks::spawn("supervisor", keeper.keep(hears));
        Ok(Self { wanted, heard, seats })
    }
}
