//! Everything that can happen to the engine: one closed enum.
//!
//! Whoever wants something of the engine sends one of these and waits for the reply, which comes after the commit.
//! Read next: [`crate::engine`], the loop that drains them.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::routing::Decision;
use hale_core::run::{Event, Order, Run, Step, Trigger};
use hale_core::time::Timestamp;
use hale_store::{Idempotency, Op, WorkerRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Who asks, and under which correlation id.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `local`, a key's name, `engine`.
    pub actor: Arc<str>,
    pub correlation: Arc<str>,
    pub traceparent: Option<Arc<str>>,
    pub trigger: Trigger,
    /// For whom; none for the local user.
    pub tenant: Option<Arc<str>>,
}

impl Caller {
    /// The engine itself, on behalf of nobody.
    pub fn engine() -> Self {
        Self {
            actor: Arc::from("engine"),
            correlation: Arc::from("engine"),
            traceparent: None,
            trigger: Trigger::Probe,
            tenant: None,
        }
    }
}

/// What a caller wants to run.
#[derive(Clone, Debug, Default)]
pub struct Submit {
    pub pack: String,
    pub version: Option<String>,
    pub input: serde_json::Value,
    pub priority: Option<hale_core::run::Priority>,
    pub timeout: Option<hale_core::time::Millis>,
    pub idempotency: Option<String>,
    pub retry_of: Option<RunId>,
    /// Not to be leased before; a moment that is past means now.
    pub due: Option<Timestamp>,
    /// The pack was chosen among others.
    pub routed: Option<Box<Decision>>,
}

/// The durable answer to a submission.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub run: Run,
    /// The idempotency key had accepted this run before.
    pub duplicate: bool,
}

/// Whether to do it or only to say what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    Yes,
    No,
}

/// What becomes of a parked step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    Retry,
    Fail,
}

/// Whether dead letters that were decided about are meant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    Too,
    Not,
}

/// What is committed together with a new run, or not at all.
#[derive(Clone, Debug, Default)]
pub struct With {
    pub ops: Vec<Op>,
    /// The run begins with these steps of another one.
    pub fork: Option<(RunId, Vec<Step>)>,
}

/// `op` with what belongs to it, as one op.
pub(crate) fn together(mut ops: Vec<Op>, op: Op) -> Op {
    if ops.is_empty() {
        return op;
    }
    ops.push(op);
    Op::Together(ops)
}

/// What an operation over a few runs did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    pub matched: u64,
    pub changed: u64,
    /// Left alone, with the reason; at most 100.
    pub left: BTreeMap<RunId, String>,
}

/// A run that has ended, with its output.
#[derive(Clone, Debug)]
pub struct Ended {
    pub run: Run,
    pub output: Option<Arc<str>>,
}

/// Why a worker's write was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "refused")]
pub enum Refusal {
    /// The lease belongs to another epoch or worker: stop at once.
    #[error("write under epoch {epoch}: fenced, the run is at epoch {now_at} (E009)")]
    Fenced { epoch: u64, now_at: u64 },
    /// The run is in a state that does not take the event.
    #[error("write refused: {why}")]
    Unfit { why: String },
    /// Not by who holds the run: the token that came with the order was not there, or is another's.
    #[error("write refused: it does not carry the token of run {run} (E005)")]
    Untrusted { run: RunId },
    /// Not stored; try again while the lease lasts.
    #[error("write not stored: {why}")]
    Unavailable { why: String },
}

impl Refusal {
    pub fn failure(&self) -> Failure {
        let (code, cause) = match self {
            Refusal::Fenced { .. } => (Code::E009, "run.fenced"),
            Refusal::Unfit { .. } => (Code::E011, "run.conflict"),
            Refusal::Untrusted { .. } => (Code::E005, "run.untrusted_write"),
            Refusal::Unavailable { .. } => (Code::E008, "store.unavailable"),
        };
        Failure::new(code, cause, "engine", self.to_string())
    }
}

/// Everything that a worker writes about a run it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Append {
    pub run: RunId,
    pub epoch: u64,
    pub events: Vec<Event>,
    /// The child that the last of the events waits for: stored with them, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawn: Option<Box<Spawn>>,
    /// Proves that the run was ordered of whoever writes; a worker in the server's own process needs none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub token: Arc<str>,
}

/// A run of another pack, as a step of this one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spawn {
    /// Chosen by the worker, so that the same write makes the same child.
    pub run: RunId,
    pub pack: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub input: serde_json::Value,
    /// Model turns and tokens that the parent has left.
    pub turns: u32,
    pub tokens: u64,
}

/// A worker that introduces itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub id: WorkerId,
    /// Whoever joins over the wire is a process of its own.
    #[serde(skip, default = "process")]
    pub kind: hale_store::WorkerKind,
    pub host: String,
    pub pid: u32,
    pub slots: u32,
    /// The queues that it takes from; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<Arc<str>>,
    /// Its place among the processes that the server keeps; heard only from those that the server started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
}

fn process() -> hale_store::WorkerKind {
    hale_store::WorkerKind::Process
}

/// A change that an operator orders for one run.
#[derive(Clone, Debug)]
pub enum Change {
    Cancel {
        reason: Option<String>,
    },
    Resolve(Resolve),
    /// A run that waits for its turn is cancelled; one that executes by now is left alone.
    Withdraw {
        reason: String,
    },
    /// A run that waits for its turn becomes a dead letter.
    GiveUp {
        reason: String,
    },
    Decide(crate::consent::Decision),
}

pub type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// A checked order; `ended` hears of the end without another question.
    Submit {
        order: Box<Order>,
        /// What follows the acceptance in the same commit.
        first: Vec<Event>,
        input: Arc<str>,
        idempotency: Option<Idempotency>,
        with: With,
        reply: Reply<Receipt>,
        ended: Option<oneshot::Sender<Ended>>,
    },
    /// Wants to hear of the run's end.
    Watch { run: RunId, ended: oneshot::Sender<Ended> },
    /// An operator changes one run; `with` is committed together with the change, or neither is.
    Change { run: RunId, change: Change, by: Arc<str>, with: Vec<Op>, tries: u32, reply: Reply<Run> },
    /// A pack was let out of quarantine.
    Released { pack: Arc<str> },
    /// A worker writes.
    Append { worker: WorkerId, append: Append, reply: oneshot::Sender<Result<(), Refusal>> },
    /// A worker joins; its orders go into `orders`.
    Join { hello: Hello, orders: crate::worker::Orders, reply: Reply<()> },
    /// A worker lives and holds these runs. Answered with whether it has anything in hand, as far as the loop knows;
    /// none when it is not known.
    Heartbeat { worker: WorkerId, holds: Vec<(RunId, u64)>, reply: oneshot::Sender<Option<bool>> },
    /// The connection ended over which a worker waited for orders.
    PollGone { worker: WorkerId },
    /// A worker takes no more work, or takes it again.
    Drain { worker: WorkerId, drain: bool, reply: Reply<()> },
    /// A worker ends by its own will and holds nothing any more: what is leased to it is released at once.
    Depart { worker: WorkerId, reply: Reply<()> },
    /// A worker is gone: its leases end at once.
    Leave { worker: WorkerId, why: String },
    /// The process of a worker has ended; what it held is lost at once. The row may be that of one that never joined.
    ProcessEnded { row: Box<WorkerRow>, reply: Reply<()> },
    /// Writes that touch no run: packs, settings, audit, keys.
    Write { ops: Vec<Op>, reply: Reply<()> },
    /// Who waits for a person?
    Approvals { reply: oneshot::Sender<Vec<Run>> },
    /// How things stand in memory.
    Look { reply: oneshot::Sender<crate::desk::Look> },
    /// How the queues stand in memory.
    LookQueues { reply: oneshot::Sender<crate::facade::queues::QueuesLook> },
    /// Operators changed weights, pauses or limits.
    Retune { reply: oneshot::Sender<()> },
    /// Take no more orders, stop leasing.
    Close { reply: oneshot::Sender<()> },
}

/// A moment that is told with every decision.
pub type Now = Timestamp;
