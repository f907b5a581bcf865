//! Worker processes: join, heartbeat, orders and appends in batches. They never open the store.
//!
//! A worker keeps one long poll for orders and sends appends on another connection; both carry its heartbeat and its
//! model calls. The whole protocol is four shapes. Each order carries a token that every write about its run must bring
//! back: who only knows the id of a worker writes to no run.
//! Read next: [`calls`], then `hale/src/cli/worker.rs`, the other end.

pub mod calls;

use super::Engine;
use super::operate::Deed;
use crate::desk::WorkerLook;
use crate::input::{Append, Caller, Hello, Input, Refusal};
use crate::worker::Order;
use crate::worker::results::{Content, Keep};
use crate::worker::telling::{self, TOLD_MAX, Told, What};
use calls::{Calls, Taken};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{RunId, WorkerId};
use hale_core::limits;
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// While the server drains: workers may still hear that a run is to stop, and nobody waits long for the door.
const CLOSING_POLL: Duration = Duration::from_millis(500);

/// Orders that wait for their worker's next poll, and how far its calls are known.
struct Mailbox {
    orders: tokio::sync::Mutex<mpsc::UnboundedReceiver<Order>>,
    calls: Arc<Taken>,
    /// Polls that began.
    polls: AtomicU64,
    /// Another poll begins: its connection is the one that the worker reads.
    newer: Notify,
}

impl Mailbox {
    /// The loop has let go of the worker; it must join again before it gets anything.
    fn is_closed(&self) -> bool {
        self.orders.try_lock().is_ok_and(|orders| orders.is_closed())
    }
}

/// The mailboxes of workers that joined.
#[derive(Default)]
pub(crate) struct Mailboxes(Mutex<HashMap<WorkerId, Arc<Mailbox>>>);

impl Mailboxes {
    fn get(&self, id: WorkerId) -> Option<Arc<Mailbox>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Joining again keeps what is known of the worker's calls.
    fn put(&self, id: WorkerId, orders: mpsc::UnboundedReceiver<Order>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.remove(&id).map(|before| before.calls.clone()).unwrap_or_default();
        all.retain(|_, other| !other.is_closed());
        all.insert(
            id,
            Arc::new(Mailbox {
                orders: tokio::sync::Mutex::new(orders),
                calls,
                polls: AtomicU64::new(0),
                newer: Notify::new(),
            }),
        );
    }

    fn remove(&self, id: WorkerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What a joining worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub id: WorkerId,
    #[serde(rename = "renew_ms")]
    pub renew: Millis,
    /// Base URLs of providers by name; keys are the worker's own.
    pub providers: HashMap<String, String>,
    /// The dialects of providers by name, but for OpenAI's.
    #[serde(default)]
    pub dialects: HashMap<String, String>,
    /// Proves in every later request that it is this worker; its id stands in lists.
    pub token: String,
}

/// What a worker sends: its heartbeat with the runs it holds, its model calls, and writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sync {
    pub holds: Vec<(RunId, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub appends: Vec<Append>,
    #[serde(default, skip_serializing_if = "Calls::is_empty")]
    pub calls: Calls,
    /// What its jobs say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
    /// How long to wait for orders; zero for a mere write.
    #[serde(default)]
    pub wait_ms: u64,
}

/// What it gets: one result for each write, and orders.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Synced {
    pub results: Vec<Result<(), Refusal>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Order>,
}

impl Engine {
    /// A worker process joins, or joins again after the server was away.
    ///
    /// # Errors
    /// What kept it from joining.
    pub async fn worker_join(
        &self,
        hello: Hello,
        (providers, dialects): (HashMap<String, String>, HashMap<String, String>),
    ) -> Result<Welcome, Failure> {
        let id = hello.id;
        let hello = Hello { seat: hello.seat.filter(|seat| self.sits(id, *seat)), ..hello };
        let (orders, received) = mpsc::unbounded_channel();
        self.ask(|reply| Input::Join { hello, orders, reply }).await?;
        self.0.mailboxes.put(id, received);
        Ok(Welcome {
            id,
            renew: limits::LEASE_RENEW,
            providers,
            dialects,
            token: self.0.tokens.of_worker(id),
        })
    }

    /// Whether a worker of this id is known, so that joining as it needs its token.
    ///
    /// # Errors
    /// E014 when the loop does not answer.
    pub async fn worker_known(&self, id: WorkerId) -> Result<bool, Failure> {
        Ok(self.look().await?.workers.iter().any(|worker| worker.row.id == id))
    }

    /// Whether this process has heard of the worker since it began.
    pub fn worker_has_joined(&self, id: WorkerId) -> bool {
        self.0.mailboxes.get(id).is_some()
    }

    /// Whether a request that calls itself this worker's is.
    pub fn worker_proven(&self, id: WorkerId, token: &str) -> bool {
        self.0.tokens.is_worker(id, token)
    }

    /// Heartbeat, calls, writes, and orders. Calls are taken first: a write may say what became of one.
    ///
    /// # Errors
    /// E010 when the server does not know the worker: it must join (again). E002 for too many calls.
    pub async fn worker_sync(&self, id: WorkerId, sync: Sync) -> Result<Synced, Failure> {
        let Some(mailbox) = self.0.mailboxes.get(id) else { return Err(unknown(id)) };
        mailbox.calls.take(sync.calls, (id, self.gateway().stats()), self.now())?;
        self.hear(id, (sync.told, &sync.holds))?;
        let (reply, known) = oneshot::channel();
        self.send(Input::Heartbeat { worker: id, holds: sync.holds, reply }).await?;
        let mut waiting = Vec::with_capacity(sync.appends.len());
        for append in sync.appends {
            let (reply, answer) = oneshot::channel();
            if self.trusts(id, &append) {
                self.send(Input::Append { worker: id, append, reply }).await?;
            } else {
                let _ = reply.send(Err(Refusal::Untrusted { run: append.run }));
            }
            waiting.push(answer);
        }
        let Some(in_hand) = known.await.ok().flatten() else { return Err(unknown(id)) };
        let mut synced = Synced::default();
        for answer in waiting {
            let ended = Err(Refusal::Unavailable { why: "the engine gave no answer".to_owned() });
            synced.results.push(answer.await.unwrap_or(ended));
        }
        if sync.wait_ms > 0 {
            let most = if in_hand { limits::BEAT_MAX } else { limits::IDLE_BEAT_MAX };
            let wait = Duration::from_millis(sync.wait_ms.min(most.0));
            let poll = Poll::begin(self, (id, &mailbox));
            for order in poll.orders(wait).await {
                synced.orders.push(self.entrusted(id, order));
            }
            poll.end();
        }
        Ok(synced)
    }

    /// Whether a write carries the token that went out with the order of its run and epoch to this worker.
    fn trusts(&self, id: WorkerId, append: &Append) -> bool {
        let trusted = self.0.tokens.is_run((id, append.run, append.epoch), &append.token);
        if !trusted {
            tracing::warn!(event = "write_untrusted", worker = %id, run_id = %append.run, code = "E005", "write refused: it does not carry the token of its run");
        }
        trusted
    }

    fn entrusted(&self, id: WorkerId, order: Order) -> Order {
        match order {
            Order::Run(mut assignment) => {
                let run = &assignment.run;
                assignment.token = self.0.tokens.of_run((id, run.id, run.epoch)).into();
                Order::Run(assignment)
            }
            other @ (Order::Stop { .. } | Order::Switches { .. }) => other,
        }
    }

    /// The worker ends by its own will: what is still leased to it, such as an order that it never fetched, is
    /// released at once.
    ///
    /// # Errors
    /// E010 when there is no such worker.
    pub async fn worker_leave(&self, id: WorkerId) -> Result<(), Failure> {
        self.0.mailboxes.remove(id);
        self.ask(|reply| Input::Depart { worker: id, reply }).await
    }

    /// Tells our log and watchers what a worker's jobs said, of runs that it holds.
    fn hear(&self, id: WorkerId, (told, holds): (Vec<Told>, &[(RunId, u64)])) -> Result<(), Failure> {
        if told.len() > TOLD_MAX || !told.iter().all(Told::fits) {
            let message =
                format!("take {} lines of worker {id}: at most {TOLD_MAX}, each bounded", told.len());
            return Err(Failure::new(Code::E002, "worker.too_many_lines", "engine", message));
        }
        // The last words of a run come when it is held no more; what would make it look alive does not.
        let held = |told: &Told| {
            !matches!(told.what, What::Begun { .. } | What::Note { .. })
                || holds.iter().any(|(run, _)| *run == told.run)
        };
        for told in told.into_iter().filter(held) {
            telling::here(self.hub(), told, self.now());
        }
        Ok(())
    }

    /// Keeps a content that a worker's job made; the run's end names it.
    ///
    /// # Errors
    /// E005 without the run's token, E009 when the run is not the worker's, E007 when it cannot be stored.
    pub async fn worker_keep(&self, id: WorkerId, content: Content) -> Result<String, Failure> {
        if !self.0.tokens.is_run((id, content.run, content.epoch), &content.token) {
            let message =
                format!("keep a result of run {}: the request does not carry its token", content.run);
            return Err(Failure::new(Code::E005, "run.untrusted_write", "engine", message));
        }
        let run = self.run(content.run).await?.run;
        let holds = run.lease().is_some_and(|lease| lease.worker == id) && run.epoch == content.epoch;
        if !holds {
            let message = format!("keep a result of run {}: worker {id} does not hold it", run.id);
            return Err(Failure::new(Code::E009, "run.fenced", "engine", message));
        }
        (Keep::here(self.0.blobs.clone()).put)(content).await
    }

    /// The worker takes no more work; what it holds goes on.
    ///
    /// # Errors
    /// E010 when there is no such worker.
    pub async fn worker_drain(&self, id: WorkerId, caller: &Caller) -> Result<WorkerLook, Failure> {
        let undo = Some(format!("hale workers resume {id}"));
        let deed = Deed { operation: "worker.drain", target: id.to_string(), detail: String::new(), undo };
        self.turn(deed, (id, true), caller).await
    }

    /// The worker takes work again.
    ///
    /// # Errors
    /// E010 when there is no such worker.
    pub async fn worker_resume(&self, id: WorkerId, caller: &Caller) -> Result<WorkerLook, Failure> {
        let undo = Some(format!("hale workers drain {id}"));
        let deed =
            Deed { operation: "worker.start", target: id.to_string(), detail: "resume".to_owned(), undo };
        self.turn(deed, (id, false), caller).await
    }

    async fn turn(
        &self,
        deed: Deed,
        (id, drain): (WorkerId, bool),
        caller: &Caller,
    ) -> Result<WorkerLook, Failure> {
        let operation = self.intend(&deed, caller).await?;
        self.ask(|reply| Input::Drain { worker: id, drain, reply }).await?;
        self.outcome(operation, &deed, caller).await?;
        let look = self.look().await?;
        look.workers.into_iter().find(|worker| worker.row.id == id).ok_or_else(|| unknown(id))
    }

    /// Every worker that is not known to be gone.
    ///
    /// # Errors
    /// E014 when the loop does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerLook>, Failure> {
        Ok(self.look().await?.workers)
    }
}

/// A poll that is open. One that ends without its answer, because its connection has, is told to the loop: a process
/// that was killed closes what it had open, and gets no work that would lie there until its lease runs out.
struct Poll<'a> {
    engine: &'a Engine,
    worker: WorkerId,
    mailbox: &'a Mailbox,
    n: u64,
    answered: bool,
}

impl<'a> Poll<'a> {
    fn begin(engine: &'a Engine, (worker, mailbox): (WorkerId, &'a Mailbox)) -> Self {
        let n = mailbox.polls.fetch_add(1, Ordering::SeqCst) + 1;
        mailbox.newer.notify_waiters();
        Self { engine, worker, mailbox, n, answered: false }
    }

    /// What there is for the worker, waited for until there is something or another poll takes this one's place.
    async fn orders(&self, wait: Duration) -> Vec<Order> {
        let mut orders = self.mailbox.orders.lock().await;
        let closing = &self.engine.0.closing;
        let (closes, wait) = match closing.is_cancelled() {
            true => (true, wait.min(CLOSING_POLL)),
            false => (false, wait),
        };
        let newer = self.mailbox.newer.notified();
        let mut came = Vec::new();
        if self.is_last() {
            let first = tokio::time::timeout(wait, orders.recv());
            tokio::select! {
                biased;
                first = first => came.extend(first.ok().flatten()),
                () = newer => return came,
                () = closing.cancelled(), if !closes => return came,
            }
        }
        while !came.is_empty()
            && let Ok(order) = orders.try_recv()
        {
            came.push(order);
        }
        came
    }

    fn is_last(&self) -> bool {
        self.mailbox.polls.load(Ordering::SeqCst) == self.n
    }

    fn end(mut self) {
        self.answered = true;
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        // One that the worker has replaced by another says nothing.
        if !self.answered && self.is_last() {
            let _ = self.engine.0.inbox.try_send(Input::PollGone { worker: self.worker });
        }
    }
}

fn unknown(id: WorkerId) -> Failure {
    Failure::new(Code::E010, "worker.not_found", "engine", format!("find worker {id}: it must join again"))
}
