//! The loop: receive, decide, store, act. One task owns all state of active runs.
//!
//! Guarantees: inputs are drained (at most [`limits::LOOP_BATCH`]), decided in memory and submitted as one batch; the
//! next batch is decided while one syncs; nobody is answered and nothing is done before its own batch is durable; a
//! refused batch reloads what it touched, and the store gets a moment's rest before the next. It has no beat: it sleeps until an input, a commit, or the next moment at
//! which time itself has something to say.
//! Read next: [`crate::decide`] for what is decided, [`crate::act`] for what follows a commit.

use crate::desk::{Batch, Desk};
use crate::input::Input;
use hale_core::limits;
use hale_core::port::Boxed;
use hale_store::{Error, OpResult, Store};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Commit = Boxed<'static, Result<Vec<OpResult>, Error>>;

/// Runs until `stop`, then until the batch under way is durable.
pub(crate) async fn run(mut desk: Desk, mut inbox: mpsc::Receiver<Input>, stop: CancellationToken) {
    let mut received = Vec::with_capacity(limits::LOOP_BATCH);
    let mut in_flight: Option<(Commit, Batch)> = None;
    loop {
        let room = limits::LOOP_BATCH.saturating_sub(desk.undurable());
        let wake = desk.next_wake();
        tokio::select! {
            biased;
            result = committed(&mut in_flight) => {
                if let Some((_, batch)) = in_flight.take() {
                    desk.flying = false;
                    desk.act(batch, result).await;
                }
            }
            n = inbox.recv_many(&mut received, room), if room > 0 => {
                if n == 0 { break }
                let now = desk.now();
                for input in received.drain(..) {
                    desk.decide(input, now);
                }
            }
            () = tokio::time::sleep_until(wake) => desk.wake(),
            () = stop.cancelled(), if in_flight.is_none() && desk.undurable() == 0 && inbox.is_empty() => break,
        }
        desk.claim();
        desk.count();
        if in_flight.is_none() && !desk.rests() {
            in_flight = desk.take_batch().map(|batch| submit(&desk.store, batch));
            desk.flying = in_flight.is_some();
        }
    }
}

/// Hands the batch to the store, whose writer begins at once.
fn submit(store: &Arc<dyn Store>, mut batch: Batch) -> (Commit, Batch) {
    let ops = std::mem::take(&mut batch.ops);
    (store.apply(ops), batch)
}

async fn committed(in_flight: &mut Option<(Commit, Batch)>) -> Result<Vec<OpResult>, Error> {
    match in_flight {
        Some((commit, _)) => commit.await,
        None => std::future::pending().await,
    }
}
