//! Workers over HTTP: the list, and the batched protocol of worker processes.
//!
//! A worker joins, then syncs: heartbeat, writes and orders in one request each.
//! Read next: `hale-engine/src/facade/workers.rs`.

use super::App;
use super::extract::{Asked, Input, Raw, Segment, Shape, id};
use super::guard::By;
use super::limits::{WORKER_BLOB_BYTES, WORKER_BODY_BYTES};
use super::problem::Refusal;
use super::view;
use crate::wire::{self, Page, WorkerView};
use axum::Json;
use axum::extract::State;
use hale_core::id::{RunId, WorkerId};
use hale_core::time::Timestamp;
use hale_engine::WorkerLook;
use hale_engine::facade::workers::{Sync, Synced, Welcome};
use hale_engine::input::Hello;
use hale_engine::worker::results::Content;
use hale_store::WorkerRow;
use serde::Deserialize;
use std::sync::Arc;

impl Shape for Hello {}

impl Shape for Sync {
    const BYTES: usize = WORKER_BODY_BYTES;
}

/// `GET /api/v1/workers`.
pub async fn list(State(app): State<Arc<App>>) -> Result<Json<Page<WorkerView>>, Refusal> {
    let now = app.engine.now();
    let workers = app.engine.workers().await?;
    let items = workers.iter().map(|worker| {
        let load = Load::of(worker);
        shown(&worker.row, (load, &worker.runs), now)
    });
    Ok(Json(view::page("workers", items.collect(), None)))
}

/// What a worker has to do now.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub slots: u32,
    pub busy: u32,
    pub draining: bool,
    /// The queues that it takes from; empty means all.
    pub queues: Vec<String>,
}

impl Load {
    pub(super) fn of(worker: &WorkerLook) -> Self {
        let queues = worker.queues.iter().map(|name| name.to_string()).collect();
        Self { slots: worker.slots, busy: worker.busy, draining: worker.draining, queues }
    }
}

pub(super) fn shown(row: &WorkerRow, (load, runs): (Load, &[RunId]), now: Timestamp) -> WorkerView {
    let status = match (&row.ended, load.draining) {
        (Some(_), _) => "lost",
        (None, true) => "draining",
        (None, false) => "live",
    };
    WorkerView {
        id: row.id.to_string(),
        kind: match row.kind {
            hale_store::WorkerKind::Embedded => "embedded".to_owned(),
            hale_store::WorkerKind::Process => "process".to_owned(),
        },
        pid: row.pid,
        host: row.host.clone(),
        status: status.to_owned(),
        slots: load.slots,
        busy: load.busy,
        started_at: row.started_at.rfc3339(),
        seen_ms_ago: now.since(row.seen_at).0,
        queues: load.queues,
        runs: runs.iter().map(RunId::to_string).collect(),
    }
}

/// `POST /api/v1/workers`.
pub async fn join(State(app): State<Arc<App>>, Input(hello): Input<Hello>) -> Result<Json<Welcome>, Refusal> {
    Ok(Json(app.engine.worker_join(hello, app.about.providers.clone()).await?))
}

/// `POST /api/v1/workers/{id}/sync`.
pub async fn sync(
    State(app): State<Arc<App>>,
    Segment(worker): Segment,
    Input(sync): Input<Sync>,
) -> Result<Json<Synced>, Refusal> {
    let worker: WorkerId = id(&worker)?;
    Ok(Json(app.engine.worker_sync(worker, sync).await?))
}

/// `POST /api/v1/workers/{id}/leave`.
pub async fn leave(
    State(app): State<Arc<App>>,
    Segment(worker): Segment,
) -> Result<Json<serde_json::Value>, Refusal> {
    let worker: WorkerId = id(&worker)?;
    app.engine.worker_leave(worker).await?;
    Ok(Json(serde_json::json!({ "id": worker.to_string(), "status": "left" })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobQuery {
    run: String,
    epoch: u64,
}

/// `PUT /api/v1/workers/{id}/blobs?run=ID&epoch=N`: what a job of that run made.
pub async fn blob(
    State(app): State<Arc<App>>,
    Segment(worker): Segment,
    Asked(query): Asked<BlobQuery>,
    Raw(bytes): Raw<WORKER_BLOB_BYTES>,
) -> Result<Json<wire::jobs::Kept>, Refusal> {
    let (worker, run): (WorkerId, RunId) = (id(&worker)?, id(&query.run)?);
    let (size, content) = (bytes.len() as u64, Content { run, epoch: query.epoch, bytes: bytes.to_vec() });
    let hash = app.engine.worker_keep(worker, content).await?;
    Ok(Json(wire::jobs::Kept { schema: "hale.kept/1".to_owned(), hash, bytes: size }))
}

/// `POST /api/v1/workers/{id}/drain`.
pub async fn drain(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(worker): Segment,
) -> Result<Json<WorkerView>, Refusal> {
    let worker = app.engine.worker_drain(id(&worker)?, &caller).await?;
    let load = Load::of(&worker);
    Ok(Json(shown(&worker.row, (load, &worker.runs), app.engine.now())))
}

/// `POST /api/v1/workers/{id}/resume`.
pub async fn resume(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(worker): Segment,
) -> Result<Json<WorkerView>, Refusal> {
    let worker = app.engine.worker_resume(id(&worker)?, &caller).await?;
    let load = Load::of(&worker);
    Ok(Json(shown(&worker.row, (load, &worker.runs), app.engine.now())))
}
