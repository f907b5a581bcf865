//! Workers over HTTP: the list, the levers, and the batched protocol of worker processes.
//!
//! A worker joins, then syncs: heartbeat, writes and orders in one request each. Whoever speaks as a worker brings the
//! token that it was given when it joined; the id alone stands in lists.
//! Read next: `hale-engine/src/facade/workers.rs`.

use super::App;
use super::extract::{self, Asked, Input, Raw, Segment, Shape, id};
use super::guard::By;
use super::limits::{WORKER_BLOB_BYTES, WORKER_BODY_BYTES};
use super::problem::Refusal;
use super::view;
use crate::wire;
use crate::wire::queues::Moved;
use crate::wire::workers::{
    EndView, LimitWorker, RestartWorker, ScaleWorkers, SeatView, WorkerEvent, WorkerView, Workers,
};
use axum::Json;
use axum::extract::State;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, RunId, WorkerId};
use hale_core::kill::Grade;
use hale_core::supervise::Ended;
use hale_core::time::{Millis, Timestamp};
use hale_engine::WorkerLook;
use hale_engine::facade::workers::{Sync, Synced, Welcome};
use hale_engine::input::Hello;
use hale_engine::supervisor::{SeatLook, Stands};
use hale_engine::worker::results::Content;
use hale_sandbox::process::usage;
use hale_store::WorkerRow;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::sync::Arc;

/// The token of a worker.
pub const WORKER_TOKEN: &str = "x-hale-worker-token";
/// The token of a run's order.
pub const RUN_TOKEN: &str = "x-hale-run-token";
/// Comings and goings that a list of workers tells.
const EVENTS: usize = 10;
/// What a restart waits for runs in hand where nobody says.
const RESTART_WAIT: Millis = Millis::seconds(60);
/// The longest such wait: whoever wants longer drains first and looks.
const RESTART_WAIT_MAX: Millis = Millis::seconds(3600);

impl Shape for Hello {}
impl Shape for ScaleWorkers {}
impl Shape for LimitWorker {}
impl Shape for RestartWorker {}

impl Shape for Sync {
    const BYTES: usize = WORKER_BODY_BYTES;
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default)]
    all: bool,
    limit: Option<u32>,
}

/// `GET /api/v1/workers`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Workers>, Refusal> {
    let limit = view::page_size(query.limit)?;
    let now = app.engine.now();
    let mut items: Vec<WorkerView> =
        app.engine.workers().await?.iter().map(|worker| shown(worker, now)).collect();
    let most = if query.all { EVENTS.max(limit as usize) } else { EVENTS };
    let ended = app.engine.workers_ended(most).await?;
    let ended: Vec<WorkerView> = ended.iter().map(|row| shown_ended(row, now)).collect();
    let events = events(&items, &ended);
    if query.all {
        items.extend(ended.into_iter().take(limit as usize));
    }
    let processes = app.engine.processes();
    Ok(Json(Workers {
        schema: "hale.workers/1".to_owned(),
        items,
        wanted: processes.wanted,
        wanted_by: if processes.is_set { "set" } else { "config" }.to_owned(),
        seats: processes.seats.iter().map(|seat| shown_seat(seat, now)).collect(),
        events,
    }))
}

/// Who came and went last.
fn events(live: &[WorkerView], ended: &[WorkerView]) -> Vec<WorkerEvent> {
    let event = |worker: &WorkerView, at: &str, what: &str, alarming| WorkerEvent {
        at: at.to_owned(),
        worker: worker.id.clone(),
        seat: worker.seat,
        what: what.to_owned(),
        alarming,
    };
    let started = live.iter().chain(ended).map(|worker| event(worker, &worker.started_at, "started", false));
    let went = ended.iter().filter_map(|worker| {
        worker.end.as_ref().map(|end| event(worker, &end.at, &end.reason, end.alarming))
    });
    let mut all: Vec<WorkerEvent> = started.chain(went).collect();
    // RFC 3339 in UTC sorts as the time does.
    all.sort_by(|a, b| b.at.cmp(&a.at));
    all.truncate(EVENTS);
    all
}

/// `GET /api/v1/workers/{id}`: also one that has ended.
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(target): Segment,
) -> Result<Json<WorkerView>, Refusal> {
    let now = app.engine.now();
    let failure = match app.engine.worker(&target).await {
        Ok(worker) => return Ok(Json(shown(&worker, now))),
        Err(failure) => failure,
    };
    let ended = app.engine.workers_ended(usize::MAX).await?;
    match ended.iter().find(|row| row.id.to_string() == target) {
        Some(row) => Ok(Json(shown_ended(row, now))),
        None => Err(unknown(failure)),
    }
}

pub(super) fn shown(worker: &WorkerLook, now: Timestamp) -> WorkerView {
    let here = worker.row.host == hale_engine::facade::hostname();
    let used = here.then(|| usage::of_process(worker.row.pid)).flatten();
    WorkerView {
        memory_bytes: used.map(|used| used.memory_bytes),
        cpu_ms: used.map(|used| used.cpu.0),
        status: if worker.draining { "draining" } else { "live" }.to_owned(),
        slots: worker.slots,
        busy: worker.busy,
        progress_ms_ago: worker.progress_at.map(|at| now.since(at).0),
        seat: worker.seat,
        queues: worker.queues.iter().map(|name| name.to_string()).collect(),
        runs: worker.runs.iter().map(RunId::to_string).collect(),
        end: None,
        ..shown_ended(&worker.row, now)
    }
}

fn shown_ended(row: &WorkerRow, now: Timestamp) -> WorkerView {
    let known: Option<Ended> = row.exit.as_deref().and_then(|exit| serde_json::from_str(exit).ok());
    let seat = known.as_ref().map(|ended| ended.seat);
    let mut end = known.map_or_else(EndView::default, |ended| shown_end(&ended));
    end.at = row.seen_at.rfc3339();
    end.reason = row.ended.clone().unwrap_or_default();
    WorkerView {
        id: row.id.to_string(),
        kind: match row.kind {
            hale_store::WorkerKind::Embedded => "embedded".to_owned(),
            hale_store::WorkerKind::Process => "process".to_owned(),
        },
        pid: row.pid,
        host: row.host.clone(),
        status: "ended".to_owned(),
        slots: row.slots,
        busy: 0,
        started_at: row.started_at.rfc3339(),
        memory_bytes: None,
        cpu_ms: None,
        seen_ms_ago: now.since(row.seen_at).0,
        progress_ms_ago: None,
        seat,
        queues: Vec::new(),
        runs: Vec::new(),
        end: Some(end),
    }
}

fn shown_end(ended: &Ended) -> EndView {
    let meaning = &ended.meaning;
    let grade = match meaning.grade {
        Grade::Unknown => "unknown",
        Grade::Likely => "likely",
        Grade::Proved => "proved",
    };
    EndView {
        at: ended.at.rfc3339(),
        reason: format!("its process ended: {}", meaning.says),
        exit_code: meaning.code,
        signal: meaning.signal.clone(),
        means: Some(meaning.says.clone()),
        grade: Some(grade.to_owned()),
        alarming: meaning.alarming,
        advice: Some(meaning.advice.clone()),
        evidence: meaning.evidence.clone(),
    }
}

fn shown_seat(look: &SeatLook, now: Timestamp) -> SeatView {
    let (state, pid, since, until) = match look.stands {
        Stands::Starting { since, .. } => ("starting", None, Some(since), None),
        Stands::Taken { pid, since, .. } => ("taken", Some(pid), Some(since), None),
        Stands::Ending { pid, since, .. } => ("ending", Some(pid), Some(since), None),
        Stands::Waiting { until } => ("waiting", None, None, Some(until)),
        Stands::Open { since } => ("open", None, Some(since), None),
    };
    SeatView {
        seat: look.seat,
        state: state.to_owned(),
        worker: look.worker().map(|worker| worker.to_string()),
        pid,
        since: since.map(Timestamp::rfc3339),
        restart_in_ms: until.map(|until| until.since(now).0),
        restarts: look.restarts,
        ends_5m: look.ends as u64,
        last_end: look.last.as_ref().map(shown_end),
    }
}

/// Whoever speaks as this worker must bring its token.
fn prove(app: &App, worker: WorkerId, headers: &HeaderMap) -> Result<(), Refusal> {
    if app.engine.worker_proven(worker, header(headers, WORKER_TOKEN)) {
        return Ok(());
    }
    let message = format!("speak as worker {worker}: the request does not carry the token of its joining");
    let refusal = Refusal::new(Code::E005, "worker.untrusted", message).status(StatusCode::FORBIDDEN);
    Err(refusal.field(WORKER_TOKEN).fix("hale worker"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// `POST /api/v1/workers`.
pub async fn join(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Input(hello): Input<Hello>,
) -> Result<Json<Welcome>, Refusal> {
    if app.engine.worker_known(hello.id).await? {
        prove(&app, hello.id, &headers)?;
    }
    Ok(Json(app.engine.worker_join(hello, (app.about.providers.clone(), app.about.dialects.clone())).await?))
}

/// `POST /api/v1/workers/{id}/sync`.
pub async fn sync(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Segment(worker): Segment,
    Input(sync): Input<Sync>,
) -> Result<Json<Synced>, Refusal> {
    let worker: WorkerId = id(&worker)?;
    // One that the server does not know hears that first: it has to join again.
    if app.engine.worker_has_joined(worker) {
        prove(&app, worker, &headers)?;
    }
    Ok(Json(app.engine.worker_sync(worker, sync).await?))
}

/// `POST /api/v1/workers/{id}/leave`.
pub async fn leave(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Segment(worker): Segment,
) -> Result<Json<serde_json::Value>, Refusal> {
    let worker: WorkerId = id(&worker)?;
    prove(&app, worker, &headers)?;
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
    headers: HeaderMap,
    Segment(worker): Segment,
    Asked(query): Asked<BlobQuery>,
    Raw(bytes): Raw<WORKER_BLOB_BYTES>,
) -> Result<Json<wire::jobs::Kept>, Refusal> {
    let (worker, run): (WorkerId, RunId) = (id(&worker)?, id(&query.run)?);
    prove(&app, worker, &headers)?;
    let token = header(&headers, RUN_TOKEN).into();
    let size = bytes.len() as u64;
    let content = Content { run, epoch: query.epoch, bytes: bytes.to_vec(), token };
    let hash = app.engine.worker_keep(worker, content).await?;
    Ok(Json(wire::jobs::Kept { schema: "hale.kept/1".to_owned(), hash, bytes: size }))
}

/// `POST /api/v1/workers/{id}/drain`.
pub async fn drain(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(target): Segment,
) -> Result<Json<WorkerView>, Refusal> {
    let id = app.engine.worker(&target).await.map_err(unknown)?.row.id;
    Ok(Json(shown(&app.engine.worker_drain(id, &caller).await?, app.engine.now())))
}

/// `POST /api/v1/workers/{id}/resume`.
pub async fn resume(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(target): Segment,
) -> Result<Json<WorkerView>, Refusal> {
    let id = app.engine.worker(&target).await.map_err(unknown)?.row.id;
    Ok(Json(shown(&app.engine.worker_resume(id, &caller).await?, app.engine.now())))
}

/// `POST /api/v1/workers/{id}/restart`: answered when it is ordered.
pub async fn restart(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(target): Segment,
    Input(order): Input<RestartWorker>,
) -> Result<(StatusCode, Json<SeatView>), Refusal> {
    let wait = order.wait.as_deref().map(|text| extract::span("wait", text)).transpose()?;
    let wait = wait.unwrap_or(RESTART_WAIT);
    if wait > RESTART_WAIT_MAX {
        let message = format!("wait {wait} for the runs of a worker: at most {RESTART_WAIT_MAX}");
        return Err(Refusal::invalid("wait", message).fix("hale workers drain ID --wait 2h"));
    }
    let seat = app.engine.worker_restart(&target, wait, &caller).await.map_err(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(shown_seat(&seat, app.engine.now()))))
}

/// `POST /api/v1/workers/scale`.
pub async fn scale(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<ScaleWorkers>,
) -> Result<Json<Moved>, Refusal> {
    let wanted = match (order.processes, order.by) {
        (Some(_), Some(_)) => {
            let message = "scale the workers: a number and a difference are both named; one is taken";
            return Err(Refusal::invalid("by", message.to_owned()));
        }
        (None, Some(by)) => {
            let kept = app.engine.processes().wanted;
            let wanted = kept.checked_add_signed(by).ok_or_else(|| {
                let message = format!("keep {by} worker processes than the {kept} now: fewer than none");
                Refusal::invalid("by", message).fix("hale workers scale 0")
            })?;
            Some(wanted)
        }
        (processes, None) => processes,
    };
    let operation = app.engine.workers_scale(wanted, &caller).await;
    let operation = operation.map_err(|failure| Refusal::from(failure).field("processes"))?;
    Ok(Json(moved("worker processes".to_owned(), operation)))
}

/// `POST /api/v1/workers/{id}/limits`.
pub async fn limits(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(target): Segment,
    Input(order): Input<LimitWorker>,
) -> Result<Json<Moved>, Refusal> {
    let operation = app.engine.worker_limit(&target, order.slots, &caller).await.map_err(|failure| {
        let field = if failure.cause == "worker.invalid_slots" { "slots" } else { "id" };
        unknown(failure).field(field)
    })?;
    Ok(Json(moved(target, operation)))
}

fn moved(target: String, operation: OperationId) -> Moved {
    let undo = format!("hale operations undo {operation}");
    Moved { schema: "hale.operation/1".to_owned(), target, operation: operation.to_string(), undo }
}

fn unknown(failure: Failure) -> Refusal {
    Refusal::from(failure).fix("hale workers list")
}
