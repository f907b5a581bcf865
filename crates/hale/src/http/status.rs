//! The server at a glance, and its end.
//!
//! Read next: [`super::health`].

use super::guard::By;
use super::problem::Refusal;
use super::{App, Stage, chaos, health, killswitch, workers};
use crate::wire::{FaultView, MachineView, Status};
use axum::Json;
use axum::extract::State;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::time::Timestamp;
use hale_engine::facade::operate::Deed;
use hale_engine::facade::runs::status_window;
use hale_sandbox::process::usage;
use hale_store::{Counts, QueueRow};
use http::StatusCode;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /api/v1/status`.
pub async fn status(State(app): State<Arc<App>>) -> Result<Json<Status>, Refusal> {
    app.engine.health_fresh().await;
    let since = status_window(app.engine.now());
    Ok(Json(gather(&app, since).await?))
}

/// How the server stands now, and what ended since a moment.
///
/// # Errors
/// E014 when the engine's loop does not answer, or what the store could not read.
pub async fn gather(app: &App, ended_since: Timestamp) -> Result<Status, Failure> {
    let (look, (counts, queue)) = tokio::try_join!(app.engine.look(), counted(app, ended_since))?;
    let now = app.engine.now();
    let health = health::judged(app);
    let oldest = queue.iter().filter_map(|row| row.oldest).min();
    let (approvals, approvals_stalled) = (look.approvals, look.approvals_stalled);
    let workers = look.workers.iter().map(|worker| workers::shown(worker, now));
    Ok(Status {
        schema: "hale.status/1".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        address: format!("http://{}", app.about.address),
        data: app.about.data.display().to_string(),
        pid: std::process::id(),
        started_at: app.engine.started_at().rfc3339(),
        uptime_ms: now.since(app.engine.started_at()).0,
        draining: look.closed || app.life.stage() == Stage::Draining,
        health: health.status,
        components: health.components,
        runs: by_name(&counts),
        oldest_pending_ms: oldest.map(|oldest| now.since(oldest).0),
        approvals,
        approvals_stalled,
        workers: workers.collect(),
        machine: machine(),
        packs: app.engine.packs().len() as u64,
        model: app.about.default_model.clone(),
        simulated: app.about.default_model.starts_with("sim/"),
        access: app.access.describe().to_owned(),
        faults: faults(app),
        switches: killswitch::shown(app),
    })
}

/// None where the system does not tell.
fn machine() -> Option<MachineView> {
    let (machine, own) = (usage::of_machine()?, usage::of_process(std::process::id())?);
    Some(MachineView {
        host: hale_engine::facade::hostname(),
        cpus: machine.cpus as u64,
        load_1m: machine.load_1m,
        memory_bytes: machine.memory_bytes,
        memory_available_bytes: machine.available_bytes,
        server_memory_bytes: own.memory_bytes,
    })
}

fn faults(app: &App) -> Vec<FaultView> {
    app.lab.as_ref().map(|lab| lab.list().iter().map(chaos::shown).collect()).unwrap_or_default()
}

/// What is active now, and what ended since then.
fn by_name(counts: &Counts) -> BTreeMap<String, u64> {
    let active = counts.by_state.iter().filter(|(state, _)| !state.is_terminal());
    active.chain(&counts.ended_since).map(|(state, n)| (state.name().to_owned(), *n)).collect()
}

/// Counts of the store, on a thread that may block.
async fn counted(app: &App, since: Timestamp) -> Result<(Counts, Vec<QueueRow>), Failure> {
    let store = app.engine.store().clone();
    let read = move || Ok((store.counts(since)?, store.queue()?));
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| {
        Failure::new(Code::E015, "store.reader_panicked", "store", "count runs").caused_by(&error)
    })?;
    read.map_err(|error: hale_store::Error| error.failure())
}

/// `POST /api/v1/shutdown`: answers, then drains and ends.
pub async fn shutdown(
    State(app): State<Arc<App>>,
    By(caller): By,
) -> Result<(StatusCode, Json<serde_json::Value>), Refusal> {
    let deed = Deed {
        operation: "server.drain",
        target: app.about.address.to_string(),
        detail: String::new(),
        undo: Some("hale up".to_owned()),
    };
    // A server whose disk is full must still be able to end.
    if let Err(failure) = app.engine.operate(deed, Vec::new(), &caller).await {
        tracing::error!(event = "audit_failed", error = %failure, "audit line of server.drain not written");
    }
    app.life.enter(Stage::Draining);
    app.shutdown.cancel();
    Ok((StatusCode::ACCEPTED, Json(json!({ "status": "draining", "pid": std::process::id() }))))
}
