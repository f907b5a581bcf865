//! Runs over HTTP: start, look, list, cancel, retry, resolve.
//!
//! A start is answered only when the run is durable. Read next: [`super::events`].

use super::App;
use super::extract::{Asked, Input, Segment, Segments, id, preferred_wait, span, wait};
use super::guard::By;
use super::limits::IDEMPOTENCY_KEY_LETTERS;
use super::problem::Refusal;
use super::view;
use crate::wire::{self, History, Page, RunView};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::code::Code;
use hale_core::filter::{self, Filter};
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::Priority;
use hale_core::run::event::Artifact;
use hale_core::time::Timestamp;
use hale_engine::{Receipt, Resolve, Submit};
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
    let submit = submission(order, idempotency_key(&headers)?, app.engine.now())?;
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

fn submission(order: wire::StartRun, idempotency: Option<String>, now: Timestamp) -> Result<Submit, Refusal> {
    let due = due((order.due.as_deref(), order.delay.as_deref()), now)?;
    Ok(Submit {
        pack: order.pack,
        version: order.version,
        input: if order.input.is_null() { serde_json::json!({}) } else { order.input },
        priority: priority(order.priority)?,
        timeout: order.timeout.map(|text| span("timeout", &text)).transpose()?,
        idempotency,
        due,
        ..Submit::default()
    })
}

/// The class of a run by its name.
pub(super) fn priority(name: Option<String>) -> Result<Option<Priority>, Refusal> {
    let read = name.map(|name| {
        name.parse().map_err(|()| {
            Refusal::invalid("priority", format!("read {name:?} as a priority: write high, normal or low"))
        })
    });
    read.transpose()
}

/// When a run may begin: a moment, or a span from now.
fn due((due, delay): (Option<&str>, Option<&str>), now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
    match (due, delay) {
        (Some(_), Some(_)) => {
            Err(Refusal::invalid("delay", "delay the run by due and by delay: send one of them"))
        }
        (None, Some(text)) => Ok(Some(now + span("delay", text)?)),
        (Some(text), None) => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(Some(Timestamp(moment.as_millisecond()))),
            Err(_) => {
                let message = format!(
                    "read {text:?} as a moment: write RFC 3339 with its zone, such as 2026-11-23T08:00:00Z"
                );
                Err(Refusal::invalid("due", message))
            }
        },
        (None, None) => Ok(None),
    }
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
    pub(super) filter: Option<String>,
    pub(super) limit: Option<u32>,
    pub(super) after: Option<String>,
}

/// The run after which a page begins.
///
/// # Errors
/// E002 for what is no run.
pub(super) fn cursor(after: Option<&str>) -> Result<Option<RunId>, Refusal> {
    let unread = |_| Refusal::invalid("after", "read the cursor: take it from next of the page before");
    after.map(|text| text.parse::<RunId>().map_err(unread)).transpose()
}

/// `GET /api/v1/runs`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<RunView>>, Refusal> {
    let now = app.engine.now();
    let filter = chosen(query.filter.as_deref().unwrap_or_default(), now)?;
    let limit = view::page_size(query.limit)?;
    let after = cursor(query.after.as_deref())?.map(Cursor);
    let page = app.engine.runs(&filter, after, limit).await?;
    let hub = app.engine.hub();
    let shown = page.runs.iter().map(|run| view::doing(view::run(run, now), run, hub.doing(run.id).as_ref()));
    Ok(Json(view::page("runs", shown.collect(), page.next.map(|next| next.0.to_string()))))
}

/// The filter that a request names.
///
/// # Errors
/// E002 with the place of the word that is not understood.
pub(super) fn chosen(text: &str, now: Timestamp) -> Result<Filter, Refusal> {
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
    pub(super) wait: Option<String>,
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
    let shown = match stored.run.children {
        0 => shown,
        _ => view::with_children(shown, &of(run, app.engine.children(run).await)?),
    };
    Ok(Json(view::doing(shown, &stored.run, app.engine.hub().doing(run).as_ref())))
}

/// Says with an error of which run it is.
pub(super) fn of<T>(run: RunId, result: Result<T, hale_core::failure::Failure>) -> Result<T, Refusal> {
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
    content(&app, run, &name).await
}

/// The bytes of an artifact of a run.
///
/// # Errors
/// E010 when there is none of that name, E007 when its content is lost.
pub(super) async fn content(app: &App, run: RunId, name: &str) -> Result<Response, Refusal> {
    let stored = of(run, app.engine.run(run).await)?;
    let Some(artifact) = stored.artifacts.into_iter().find(|artifact| artifact.name == name) else {
        let message = format!("find artifact {name:?} of run {run}");
        let refusal = Refusal::new(Code::E010, "artifact.not_found", message).run(run.to_string());
        return Err(refusal.fix(format!("hale runs artifacts {run}")));
    };
    let content = of(run, app.engine.artifact(&artifact.hash).await)?;
    Ok(bytes(content, &artifact.media_type, &artifact.hash))
}

/// Verified bytes that no browser shows as a page.
pub(super) fn bytes(content: Vec<u8>, media_type: &str, hash: &str) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).ok();
    let kind = text(media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_TYPE, kind);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("content-security-policy", HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    // The name is the content's hash, so the bytes can never change.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if let Some(etag) = text(&format!("\"{hash}\"")) {
        headers.insert(ETAG, etag);
    }
    response
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
