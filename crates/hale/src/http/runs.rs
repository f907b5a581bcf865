//! Runs over HTTP: start, look, list, cancel, retry, resolve.
//!
//! A start is answered only when the run is durable. Read next: [`super::events`].

use super::App;
use super::extract::{Asked, Input, Segment, Segments, id, preferred_wait, span, wait};
use super::guard::By;
use super::limits::IDEMPOTENCY_KEY_LETTERS;
use super::problem::Refusal;
use super::view;
use crate::wire::{self, BulkReport, History, Page, RunView};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::code::Code;
use hale_core::filter::{self, Filter};
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;
use hale_engine::{DryRun, Receipt, Resolve, Submit};
use hale_store::Cursor;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use std::sync::Arc;

/// `POST /api/v1/runs`.
pub async fn start(
    State(app): State<Arc<App>>,
    By(caller): By,
    headers: HeaderMap,
    Input(order): Input<wire::StartRun>,
) -> Result<Response, Refusal> {
    let submit = submission(order, idempotency_key(&headers)?)?;
    let wait = preferred_wait(&headers);
    if wait.is_zero() {
        let receipt = app.engine.submit(submit, &caller).await?;
        let now = app.engine.now();
        return Ok(accepted(&receipt, view::run(&receipt.run, now)));
    }
    let (receipt, ended) = app.engine.submit_and_wait(submit, &caller, wait).await?;
    let now = app.engine.now();
    let shown = match ended {
        Some(ended) => {
            let output = ended.output.as_deref().map(view::json);
            RunView { output, ..view::run(&ended.run, now) }
        }
        // The first answer to this key waited, not this one; so this one looks.
        None if receipt.duplicate => view::stored(&app.engine.wait(receipt.run.id, wait).await?, now),
        None => view::run(&app.engine.run(receipt.run.id).await?.run, now),
    };
    Ok(accepted(&receipt, shown))
}

/// 202 for a run that goes on, 200 for one that has ended.
fn accepted(receipt: &Receipt, shown: RunView) -> Response {
    let status = if shown.ended_at.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = HeaderValue::from_str(&format!("/api/v1/runs/{}", shown.id));
    let mut response = (status, Json(shown)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    if receipt.duplicate {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}

fn submission(order: wire::StartRun, idempotency: Option<String>) -> Result<Submit, Refusal> {
    let priority = order.priority.map(|name| {
        name.parse().map_err(|()| {
            Refusal::invalid("priority", format!("read {name:?} as a priority: write high, normal or low"))
        })
    });
    Ok(Submit {
        pack: order.pack,
        version: order.version,
        input: if order.input.is_null() { serde_json::json!({}) } else { order.input },
        priority: priority.transpose()?,
        timeout: order.timeout.map(|text| span("timeout", &text)).transpose()?,
        idempotency,
        ..Submit::default()
    })
}

/// 1 to 255 visible ASCII letters; the engine scopes it by caller.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(value) = given.next() else { return Ok(None) };
    let key = value.as_bytes();
    let fits = (1..=IDEMPOTENCY_KEY_LETTERS).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(key) {
        Ok(key) if fits && given.next().is_none() => Ok(Some(key.to_owned())),
        _ => {
            let message = format!(
                "read Idempotency-Key: send one key of 1 to {IDEMPOTENCY_KEY_LETTERS} visible ASCII letters"
            );
            Err(Refusal::invalid("Idempotency-Key", message))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    filter: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

/// `GET /api/v1/runs`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<RunView>>, Refusal> {
    let now = app.engine.now();
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), now)?;
    let limit = view::page_size(query.limit)?;
    let after = query.after.as_deref().map(|text| {
        let cursor = text.parse::<RunId>().map(Cursor);
        cursor.map_err(|_| Refusal::invalid("after", "read the cursor: take it from next of the page before"))
    });
    let page = app.engine.runs(&filter, after.transpose()?, limit).await?;
    let hub = app.engine.hub();
    let shown = page.runs.iter().map(|run| view::doing(view::run(run, now), run, hub.doing(run.id).as_ref()));
    Ok(Json(view::page("runs", shown.collect(), page.next.map(|next| next.0.to_string()))))
}

fn chosen(text: &str, now: Timestamp) -> Result<Filter, Refusal> {
    filter::parse(text, now).map_err(|error| {
        let refusal = Refusal::invalid("filter", error.to_string());
        match error.suggestion {
            Some(meant) => refusal.fix(format!("did you mean {meant}?")),
            None => refusal.fix("hale runs list status:failed since:1h"),
        }
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    wait: Option<String>,
}

/// `GET /api/v1/runs/{id}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(run): Segment,
    Asked(query): Asked<WaitQuery>,
) -> Result<Json<RunView>, Refusal> {
    let run: RunId = id(&run)?;
    let wait = wait(query.wait.as_deref())?;
    let stored = match wait.is_zero() {
        true => app.engine.run(run).await,
        false => app.engine.wait(run, wait).await,
    };
    let stored = of(run, stored)?;
    let shown = view::stored(&stored, app.engine.now());
    Ok(Json(view::doing(shown, &stored.run, app.engine.hub().doing(run).as_ref())))
}

/// Says with an error of which run it is.
fn of<T>(run: RunId, result: Result<T, hale_core::failure::Failure>) -> Result<T, Refusal> {
    result.map_err(|failure| {
        let missing = failure.code == Code::E010;
        let refusal = Refusal::from(failure).run(run.to_string());
        if missing { refusal.fix("hale runs list") } else { refusal }
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    from: Option<u64>,
    limit: Option<u32>,
}

/// `GET /api/v1/runs/{id}/history`.
pub async fn history(
    State(app): State<Arc<App>>,
    Segment(run): Segment,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Json<History>, Refusal> {
    let run: RunId = id(&run)?;
    let limit = match query.limit {
        // The whole journal of most runs.
        None => limits::PAGE_MAX,
        asked => view::page_size(asked)?,
    };
    let records = of(run, app.engine.history(run, query.from.unwrap_or(1), limit).await)?;
    Ok(Json(History { schema: "hale.history/1".to_owned(), run: run.to_string(), records }))
}

/// `GET /api/v1/runs/{id}/artifacts`.
pub async fn artifacts(
    State(app): State<Arc<App>>,
    Segment(run): Segment,
) -> Result<Json<Page<Artifact>>, Refusal> {
    let run: RunId = id(&run)?;
    let stored = of(run, app.engine.run(run).await)?;
    Ok(Json(view::page("artifacts", stored.artifacts, None)))
}

/// `GET /api/v1/runs/{id}/artifacts/{name}`: the bytes. Never shown as a page: an agent wrote them.
pub async fn artifact(
    State(app): State<Arc<App>>,
    Segments(run, name): Segments,
) -> Result<Response, Refusal> {
    let run: RunId = id(&run)?;
    let stored = of(run, app.engine.run(run).await)?;
    let Some(artifact) = stored.artifacts.into_iter().find(|artifact| artifact.name == name) else {
        let message = format!("find artifact {name:?} of run {run}");
        let refusal = Refusal::new(Code::E010, "artifact.not_found", message).run(run.to_string());
        return Err(refusal.fix(format!("hale runs artifacts {run}")));
    };
    let bytes = of(run, app.engine.artifact(&artifact.hash).await)?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let kind = text(&artifact.media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, kind);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    // The name is the content's hash, so the bytes can never change.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if let Some(etag) = text(&format!("\"{}\"", artifact.hash)) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}

/// `POST /api/v1/runs/{id}/cancel`.
pub async fn cancel(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<wire::CancelRun>,
) -> Result<Json<RunView>, Refusal> {
    let run: RunId = id(&run)?;
    let cancelled = of(run, app.engine.cancel(run, order.reason, &caller).await)?;
    Ok(Json(view::run(&cancelled, app.engine.now())))
}

/// `POST /api/v1/runs/{id}/retry`.
pub async fn retry(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<wire::RetryRun>,
) -> Result<Response, Refusal> {
    let run: RunId = id(&run)?;
    let receipt = of(run, app.engine.retry(run, order.input, &caller).await)?;
    let shown = view::run(&receipt.run, app.engine.now());
    Ok(accepted(&receipt, shown))
}

/// `POST /api/v1/runs/{id}/resolve`.
pub async fn resolve(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(run): Segment,
    Input(order): Input<wire::ResolveRun>,
) -> Result<Json<RunView>, Refusal> {
    let run: RunId = id(&run)?;
    let how = match order.r#as.as_str() {
        "retry" => Resolve::Retry,
        "fail" => Resolve::Fail,
        other => {
            return Err(Refusal::invalid("as", format!("resolve a step as {other:?}: write retry or fail")));
        }
    };
    let resolved = of(run, app.engine.resolve(run, how, &caller).await)?;
    Ok(Json(view::run(&resolved, app.engine.now())))
}

/// `POST /api/v1/runs/cancel`: all that match; everything only if it is said.
pub async fn cancel_many(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<wire::CancelMany>,
) -> Result<Json<BulkReport>, Refusal> {
    let filter = chosen(&order.filter, app.engine.now())?;
    if filter.is_empty() && !order.all {
        let message = "cancel runs by an empty filter: it would match every run; narrow it, or say all";
        return Err(Refusal::invalid("filter", message).fix("hale runs cancel status:pending --dry-run"));
    }
    let dry_run = if order.dry_run { DryRun::Yes } else { DryRun::No };
    let bulk = app.engine.cancel_many(filter, dry_run, &caller).await?;
    Ok(Json(BulkReport {
        schema: "hale.bulk/1".to_owned(),
        dry_run: order.dry_run,
        matched: bulk.matched,
        changed: bulk.changed,
        left: bulk.left.into_iter().map(|(run, why)| (run.to_string(), why)).collect(),
    }))
}
