//! The worker's end of the wire: one long poll for orders, one batch of writes at a time.
//!
//! A write that the server could not take is answered as unavailable, and the run tries again while its lease lasts;
//! a server that does not know us any more (it was restarted) is joined again under the same incarnation. Every
//! request carries the model calls that the server has not acknowledged.
//! Read next: `hale-engine/src/facade/workers.rs`, the other end.

use crate::client::{Ask, Client};
use crate::exit::{Error, Exit};
use crate::http::limits::WORKER_BLOB_BYTES;
use crate::http::workers::{RUN_TOKEN, WORKER_TOKEN};
use crate::wire::jobs::Kept;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::port::Boxed;
use hale_core::retry::RetryClass;
use hale_core::supervise::beat;
use hale_engine::facade::workers::calls::Calls;
use hale_engine::facade::workers::{Sync, Synced, Welcome};
use hale_engine::input::{Append, Hello, Refusal};
use hale_engine::worker::results::{Content, Keep};
use hale_engine::worker::telling::{TOLD_MAX, Tell, Told};
use hale_engine::worker::{Link, Orders, Worker};
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Writes in one request.
const BATCH: usize = 64;
/// How long writing "released" may take; what is not written by then is leased again when its lease runs out.
const GIVING_BACK: Duration = Duration::from_secs(5);
/// Between two bundles of lines: a watcher sees them at once, and a chatty program makes five requests a second.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// The largest content over a slow line.
const UPLOAD: Duration = Duration::from_secs(120);
/// Between two tries when the server is away, and some by chance.
const AGAIN: Duration = Duration::from_millis(300);

/// A write and who waits for its answer.
pub struct Write {
    append: Append,
    reply: oneshot::Sender<Result<(), Refusal>>,
}

/// The link of a worker in a process of its own.
pub fn link(writes: mpsc::Sender<Write>) -> Link {
    Arc::new(move |append| {
        let writes = writes.clone();
        Box::pin(async move {
            let unavailable = || Refusal::Unavailable { why: "the worker ends".to_owned() };
            let (reply, answer) = oneshot::channel();
            writes.send(Write { append, reply }).await.map_err(|_| unavailable())?;
            answer.await.map_err(|_| unavailable())?
        })
    })
}

/// Jobs that say more than the server takes lose lines, not time.
pub fn tell(tells: mpsc::Sender<Told>) -> Tell {
    Arc::new(move |told| drop(tells.try_send(told)))
}

/// The server as this worker sees it.
#[derive(Clone)]
pub struct Server {
    client: Arc<Client>,
    hello: Arc<Hello>,
    /// The last model call that the server has acknowledged.
    told: Arc<AtomicU64>,
    /// Proves that we are the worker that joined.
    token: Arc<str>,
}

impl Server {
    pub fn new(client: Arc<Client>, hello: Hello, token: &str) -> Self {
        Self { client, hello: Arc::new(hello), told: Arc::default(), token: Arc::from(token) }
    }

    fn proven(&self, ask: Ask) -> Ask {
        ask.header(WORKER_TOKEN, &*self.token)
    }

    async fn sync(&self, worker: &Worker, appends: Vec<Append>, wait: Duration) -> Result<Synced, Error> {
        self.sync_told(worker, (appends, Vec::new()), wait).await
    }

    async fn sync_told(
        &self,
        worker: &Worker,
        (appends, lines): (Vec<Append>, Vec<Told>),
        wait: Duration,
    ) -> Result<Synced, Error> {
        let told = self.told.load(Ordering::Relaxed);
        let calls = Calls::after(worker.gateway.stats(), told, worker.clock.now());
        let last = calls.last();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let sync = Sync { holds: worker.holds(), appends, calls, told: lines, wait_ms };
        let path = format!("/api/v1/workers/{}/sync", self.hello.id);
        let result = self.client.ask(self.proven(Ask::post(path, &sync)).patient(wait)).await;
        if let (Ok(_), Some(last)) = (&result, last) {
            self.told.fetch_max(last, Ordering::Relaxed);
        }
        if let Err(error) = &result
            && error.exit == Exit::NotFound
        {
            // The server began anew and has forgotten us.
            let ask = self.proven(Ask::post("/api/v1/workers", &*self.hello));
            let joined: Result<Welcome, Error> = self.client.ask(ask).await;
            if joined.is_ok() {
                tracing::info!(event = "worker_joined", "joined again as {}", self.hello.id);
            }
        }
        result
    }

    /// Sends writes in batches until their sender is gone.
    pub async fn write(self, worker: Arc<Worker>, mut writes: mpsc::Receiver<Write>) {
        let mut batch = Vec::with_capacity(BATCH);
        while writes.recv_many(&mut batch, BATCH).await > 0 {
            let appends = batch.iter().map(|write| write.append.clone()).collect();
            let results = match self.sync(&worker, appends, Duration::ZERO).await {
                Ok(synced) => synced.results,
                Err(error) => {
                    let why = error.message.clone();
                    vec![Err(Refusal::Unavailable { why }); batch.len()]
                }
            };
            for (write, result) in batch.drain(..).zip(results) {
                let _ = write.reply.send(result);
            }
        }
    }

    /// Sends what jobs say, in bundles; what the server does not take is lost, since nobody waits for it.
    pub async fn tell(self, worker: Arc<Worker>, mut told: mpsc::Receiver<Told>) {
        let mut batch = Vec::with_capacity(TOLD_MAX);
        while told.recv_many(&mut batch, TOLD_MAX).await > 0 {
            let lines = std::mem::take(&mut batch);
            if let Err(error) = self.sync_told(&worker, (Vec::new(), lines), Duration::ZERO).await {
                tracing::debug!(event = "lines_lost", error = %error.message, "lines of jobs were not taken");
            }
            tokio::time::sleep(TELL_EVERY).await;
        }
    }

    /// Contents of jobs go to the server, which has the store.
    pub fn keep(&self) -> Keep {
        let (server, client, worker) = (self.clone(), self.client.clone(), self.hello.id);
        let put = move |content: Content| -> Boxed<'static, Result<String, Failure>> {
            let (server, client) = (server.clone(), client.clone());
            Box::pin(async move {
                let Content { run, epoch, bytes, token } = content;
                let path = format!("/api/v1/workers/{worker}/blobs?run={run}&epoch={epoch}");
                let ask = server.proven(Ask::put(path, bytes)).header(RUN_TOKEN, &*token).patient(UPLOAD);
                let kept: Result<Kept, Error> = client.ask(ask).await;
                kept.map(|kept| kept.hash).map_err(|error| {
                    let failure = Failure::new(
                        Code::E007,
                        "artifact.not_stored",
                        "worker",
                        format!("send a result of run {run} to the server: {}", error.message),
                    );
                    failure.retried_as(RetryClass::Tool)
                })
            })
        };
        Keep { put: Arc::new(put), most: WORKER_BLOB_BYTES as u64 }
    }

    /// Asks for orders until `stop`. A poll is the heartbeat of all runs in hand, and each lasts a little longer or
    /// shorter than others: many workers that began together do not beat together for long.
    pub async fn poll(self, worker: Arc<Worker>, orders: Orders, stop: CancellationToken) {
        for n in 0.. {
            let wait = beat(self.hello.id.0, n, !worker.holds().is_empty()).duration();
            let polled = tokio::select! {
                () = stop.cancelled() => return,
                polled = self.sync(&worker, Vec::new(), wait) => polled,
            };
            match polled {
                Ok(synced) => {
                    for order in synced.orders {
                        if orders.send(order).is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(event = "worker_poll_failed", error = %error.message, "no orders: the server did not answer");
                    let spread = beat(self.hello.id.0, n, true).duration() / 10;
                    tokio::time::sleep(AGAIN + spread).await;
                }
            }
        }
    }

    /// Takes no more work, lets what is in hand end within `grace` (or until `now`), and gives the rest back.
    pub async fn drain(
        &self,
        worker: &Worker,
        (grace, now): (Duration, impl Future<Output = ()>),
        stop: &CancellationToken,
    ) {
        // Whatever was leased to us and is still on its way is given back unbegun.
        worker.leave();
        let path = format!("/api/v1/workers/{}/drain", self.hello.id);
        let _: Result<Value, Error> = self.client.post(path, &serde_json::json!({})).await;
        tokio::select! {
            () = ended(worker, grace) => {}
            () = now => {}
        }
        let given_back = worker.release();
        if given_back > 0 {
            tracing::info!(event = "worker_released", runs = given_back, "{given_back} runs given back");
        }
        ended(worker, GIVING_BACK).await;
        // Polling on would join again. An order may still be on its way to us: the server gives it back in our name.
        stop.cancel();
        let path = format!("/api/v1/workers/{}/leave", self.hello.id);
        let ask = self.proven(Ask::post(path, &serde_json::json!({})));
        let _: Result<Value, Error> = self.client.ask(ask).await;
    }
}

/// Until nothing is in hand, at most `within`.
async fn ended(worker: &Worker, within: Duration) {
    let give_up = tokio::time::Instant::now() + within;
    while !worker.holds().is_empty() && tokio::time::Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
