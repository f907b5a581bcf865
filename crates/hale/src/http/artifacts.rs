//! Artifacts across runs, the stores that hold them, and retention over HTTP.
//!
//! Guarantees: bytes are verified against their hash before the first of them is sent, and are never shown as a page.
//! Leaves to others: the artifacts of one run ([`super::runs`]).
//! Read next: `hale-engine/src/facade/artifacts.rs`.

use super::App;
use super::extract::{Asked, Input, Raw, Segment, Shape};
use super::guard::By;
use super::limits::WORKER_BLOB_BYTES;
use super::problem::Refusal;
use super::runs::bytes;
use super::view;
use crate::access::Actor;
use crate::wire::artifacts::{
    ArtifactView, FailoverRequest, FailoverView, PruneKind, PruneRequest, PruneView, PutView, RetriedView,
    RetryArtifacts,
};
use crate::wire::{Component, Health, Page};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hale_core::code::Code;
use hale_core::filter::artifacts as filter;
use hale_core::id::RunId;
use hale_core::run::event::Artifact;
use hale_core::time::{Millis, Timestamp};
use hale_engine::DryRun;
use hale_engine::facade::artifacts::Put;
use hale_engine::health::Status;
use hale_store::{ArtifactCursor, ArtifactRow};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// An input that is put: it lies in memory while it is read and stored.
pub const PUT_BYTES: usize = WORKER_BLOB_BYTES;
/// Contents that one request verifies: each is read whole.
const VERIFY_MAX: u32 = 100;
/// A probe that was made within this is not made again for `/health/artifacts`.
const FRESH: Millis = Millis::seconds(1);

impl Shape for FailoverRequest {}
impl Shape for RetryArtifacts {}
impl Shape for PruneRequest {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    filter: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
    kind: Option<String>,
    verify: Option<bool>,
}

/// `GET /api/v1/artifacts`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<ArtifactView>>, Refusal> {
    let text = query.filter.as_deref().unwrap_or_default();
    let filter = filter::parse(text, app.engine.now()).map_err(|error| {
        let refusal = Refusal::invalid("filter", error.to_string());
        match error.suggestion {
            Some(meant) => refusal.fix(format!("did you mean {meant}?")),
            None => refusal.fix("hale artifacts list pack:hello since:1d"),
        }
    })?;
    let (limit, verify) = (view::page_size(query.limit)?, query.verify.unwrap_or(false));
    let limit = if verify { limit.min(VERIFY_MAX) } else { limit };
    let (mut items, next) = match query.kind.as_deref() {
        None | Some("run") => {
            let after = query.after.as_deref().map(cursor).transpose()?;
            let page = app.engine.artifacts(filter, after, limit).await?;
            let next = page.next.map(|next| format!("{}/{}", next.run, next.name));
            (page.rows.into_iter().map(of_run).collect::<Vec<_>>(), next)
        }
        Some("input") => inputs(&app, &filter, (query.after.as_deref(), limit)),
        Some(other) => {
            let message = format!("list artifacts of kind {other:?}: write run or input");
            return Err(Refusal::invalid("kind", message));
        }
    };
    if verify {
        for item in items.iter_mut().filter(|item| !item.expired) {
            item.problem = app.engine.verify_artifact(&item.hash).await?;
        }
    }
    Ok(Json(view::page("artifacts", items, next)))
}

fn cursor(text: &str) -> Result<ArtifactCursor, Refusal> {
    let read = || {
        let (run, name) = text.split_once('/')?;
        Some(ArtifactCursor { run: run.parse().ok()?, name: name.to_owned() })
    };
    read().ok_or_else(|| Refusal::invalid("after", "read the cursor: take it from next of the page before"))
}

/// Inputs are few: they are in memory, and a page goes on behind a hash.
fn inputs(
    app: &App,
    filter: &filter::Filter,
    (after, limit): (Option<&str>, u32),
) -> (Vec<ArtifactView>, Option<String>) {
    let all = app.engine.inputs();
    let begin = after.and_then(|after| all.iter().position(|(hash, _)| hash == after)).map_or(0, |at| at + 1);
    let fits = |(hash, put): &&(String, Put)| {
        let artifact = Artifact {
            name: put.name.clone(),
            hash: hash.clone(),
            bytes: put.bytes,
            media_type: String::new(),
        };
        let timeless = filter::Filter { since: None, until: None, ..filter.clone() };
        timeless.run.is_none()
            && timeless.pack.is_none()
            && timeless.takes(RunId::from_bytes([0; 16]), "", &artifact)
            && filter.since.is_none_or(|since| put.at >= since)
            && filter.until.is_none_or(|until| put.at < until)
    };
    let mut rows: Vec<&(String, Put)> = all[begin..].iter().filter(fits).collect();
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|(hash, _)| hash.clone());
    (rows.into_iter().map(|(hash, put)| of_input(hash, put)).collect(), next)
}

fn of_run(row: ArtifactRow) -> ArtifactView {
    ArtifactView {
        at: row.run.minted_at().rfc3339(),
        run: Some(row.run.to_string()),
        pack: Some(row.pack.to_string()),
        name: row.artifact.name,
        hash: row.artifact.hash,
        bytes: row.artifact.bytes,
        media_type: row.artifact.media_type,
        expired: row.expired,
        problem: None,
    }
}

fn of_input(hash: &str, put: &Put) -> ArtifactView {
    ArtifactView {
        run: None,
        pack: None,
        name: put.name.clone(),
        hash: hash.to_owned(),
        bytes: put.bytes,
        media_type: put.media_type.clone(),
        at: put.at.rfc3339(),
        expired: false,
        problem: None,
    }
}

/// `GET /api/v1/artifacts/{hash}`: the bytes.
pub async fn get(State(app): State<Arc<App>>, Segment(hash): Segment) -> Result<Response, Refusal> {
    let content = app.engine.artifact(&hash).await.map_err(|failure| {
        let gone = failure.chain.is_empty() && failure.message.contains("there is none");
        let code = if gone { Code::E010 } else { failure.code };
        let refusal = Refusal::new(code, &failure.cause, failure.to_string());
        refusal.field("hash").fix("hale artifacts list, or for one of a run: hale artifacts get RUN NAME")
    })?;
    Ok(bytes(content, "application/octet-stream", &hash))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutQuery {
    name: String,
    media_type: Option<String>,
}

/// `PUT /api/v1/artifacts?name=…`: keeps the body.
pub async fn put(
    State(app): State<Arc<App>>,
    By(caller): By,
    Asked(query): Asked<PutQuery>,
    Raw(content): Raw<PUT_BYTES>,
) -> Result<Json<PutView>, Refusal> {
    let media_type = query.media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let kept = app.engine.artifact_put((query.name, media_type), content.to_vec(), &caller).await;
    let (hash, put) = kept.map_err(|failure| Refusal::from(failure).field("name"))?;
    let artifact = of_input(&hash, &put);
    Ok(Json(PutView {
        schema: "hale.artifact/1".to_owned(),
        artifact,
        reference: json!({ "artifact": hash }),
    }))
}

/// `POST /api/v1/artifacts/failover`.
pub async fn failover(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<FailoverRequest>,
) -> Result<Json<FailoverView>, Refusal> {
    let done = app.engine.artifacts_failover(&order.to, &order.reason, &caller).await;
    let done = done.map_err(|failure| {
        let fix = match failure.cause.as_str() {
            "artifacts.no_reason" => "hale artifacts failover --to backup --reason TEXT",
            "artifacts.no_store" => {
                "set artifacts.secondary in hale.toml to an absolute folder, then start again"
            }
            "artifacts.probe_failed" => "mend the folder, then look: hale artifacts stores",
            _ => "hale artifacts stores",
        };
        Refusal::from(failure).field("to").fix(fix)
    })?;
    let operation = done.operation.to_string();
    let undo = format!("hale operations undo {operation}");
    Ok(Json(FailoverView {
        schema: "hale.failover/1".to_owned(),
        from: done.from,
        to: done.to,
        operation,
        undo,
    }))
}

/// `POST /api/v1/artifacts/retry`.
pub async fn retry(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<RetryArtifacts>,
) -> Result<Json<RetriedView>, Refusal> {
    let within = order.failed_since.as_deref().map(|text| {
        hale_core::ago::parse(text).map_err(|error| Refusal::invalid("failed_since", error.to_string()))
    });
    let done = app.engine.artifacts_retry(within.transpose()?, &caller).await?;
    let pushed = done.pushed;
    Ok(Json(RetriedView {
        schema: "hale.artifacts_retry/1".to_owned(),
        stored: pushed.stored,
        bytes: pushed.bytes,
        left: pushed.left,
        error: pushed.error,
        runs: done.runs,
    }))
}

/// `POST /api/v1/prune`.
pub async fn prune(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<PruneRequest>,
) -> Result<Json<PruneView>, Refusal> {
    let dry_run = if order.dry_run { DryRun::Yes } else { DryRun::No };
    let report = app.engine.prune(dry_run, &caller).await?;
    let kinds = report.kinds.into_iter().map(|kind| PruneKind {
        kind: kind.kind.to_owned(),
        count: kind.count,
        bytes: kind.bytes,
        before: kind.before.map(Timestamp::rfc3339),
    });
    Ok(Json(PruneView {
        schema: "hale.prune/1".to_owned(),
        dry_run: order.dry_run,
        kinds: kinds.collect(),
        over_bytes: report.over,
        operation: report.operation.map(|id| id.to_string()),
    }))
}

/// `GET /health/artifacts`: every store, probed now; 503 unless the active one works.
pub async fn health(State(app): State<Arc<App>>, Extension(actor): Extension<Actor>) -> Response {
    let parts = app.engine.store_health(FRESH).await;
    let now = app.engine.now();
    let works =
        parts.iter().all(|part| part.status != Status::Unhealthy || !part.detail.starts_with("active"));
    let well = works && parts.iter().all(|part| part.status <= Status::Unknown);
    let status = match (works && !parts.is_empty(), well) {
        (true, true) => "healthy",
        (true, false) => "degraded",
        (false, _) => "unhealthy",
    };
    let shown = |part: hale_engine::health::Component| Component {
        age_ms: now.since(part.probed_at).0,
        probed_at: part.probed_at.rfc3339(),
        name: part.name,
        status: part.status.name().to_owned(),
        detail: if actor.is_anonymous() { String::new() } else { part.detail },
        hard: part.hard,
    };
    let health = Health {
        schema: "hale.health/1".to_owned(),
        status: status.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        components: parts.into_iter().map(shown).collect(),
    };
    let code = if status == "unhealthy" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(health)).into_response()
}
