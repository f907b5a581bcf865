//! The model door: clients of other gateways call models here, in their own dialect.
//!
//! Guarantees: bodies are passed on as they came; errors have the form that the client's library knows, with our code
//! and the correlation id; the answer says which call it was and who gave it.
//! Leaves to others: the way of a call (`hale-gateway/src/relay.rs`), what a name stands for (`hale-engine`).
//! Read next: [`super::dialects`].

use super::App;
use super::correlation::Ids;
use super::dialects;
use super::extract::{Asked, Raw, Segment, id};
use super::guard::By;
use super::limits::{MODEL_BODY_BYTES, MODEL_CALL_MAX};
use super::problem::Refusal;
use crate::wire::Page;
use crate::wire::models::anthropic;
use crate::wire::models::{AttemptView, CallView, Model, ModelList, ProviderView, TokenCount};
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::time::Millis;
use hale_engine::Caller;
use hale_gateway::Tried;
use hale_gateway::calls::{CALLS_KEPT, Call, Outcome};
use hale_gateway::dialect::ask::BadAsk;
use hale_gateway::dialect::{Dialect, Version};
use hale_gateway::relay::shallow::{BadBody, Shallow};
use hale_gateway::relay::stream::Stream;
use hale_gateway::relay::{Answer, Endpoint, Head, Incoming, Look, Refused};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What `hale llm providers` looks back on.
const LATELY: Millis = Millis::seconds(300);
/// Which call it was: `hale why CALL` tells more.
const CALL: HeaderName = HeaderName::from_static("x-hale-call-id");
/// Who answered, as `provider/model`.
const MODEL: HeaderName = HeaderName::from_static("x-hale-model");
/// Attempts of other models, or of this one, before the answer.
const RETRIES: HeaderName = HeaderName::from_static("x-hale-attempts-failed");

/// What a handler of the door takes.
type Asking = (State<Arc<App>>, Extension<Ids>, By, HeaderMap, Raw<MODEL_BODY_BYTES>);

macro_rules! doors {
    ($($(#[$doc:meta])* $name:ident: $endpoint:ident in $dialect:ident;)*) => {
        $($(#[$doc])*
        pub async fn $name(
            state: State<Arc<App>>,
            ids: Extension<Ids>,
            by: By,
            headers: HeaderMap,
            body: Raw<MODEL_BODY_BYTES>,
        ) -> Result<Response, Refusal> {
            relay((state, ids, by, headers, body), (Endpoint::$endpoint, Dialect::$dialect)).await
        })*
    };
}
doors! {
    /// `POST /v1/chat/completions`.
    chat: Chat in OpenAiChat;
    /// `POST /v1/embeddings`.
    embeddings: Embeddings in OpenAiChat;
    /// `POST /v1/responses`.
    responses: Chat in OpenAiResponses;
    /// `POST /v1/messages`.
    messages: Chat in Anthropic;
    /// `POST /api/chat`.
    ollama_chat: Chat in OllamaChat;
    /// `POST /api/generate`.
    ollama_generate: Chat in OllamaGenerate;
}

/// `POST /v1/messages/count_tokens`: our own count, at four bytes a token.
pub async fn count_tokens(
    headers: HeaderMap,
    Raw(body): Raw<MODEL_BODY_BYTES>,
) -> Result<Json<TokenCount>, Refusal> {
    let version = version(&headers)?;
    // The count takes no bound of an answer, which the dialect otherwise wants.
    let shallow = Shallow::read(&body).map_err(bad_body)?;
    let bounded = shallow.with(&[("max_tokens", "1")]);
    let ask = Dialect::Anthropic.read(&bounded, version).map_err(bad_ask)?;
    Ok(Json(TokenCount { input_tokens: ask.estimated_tokens() }))
}

/// `GET /v1/models`, in the form that the caller's library knows.
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let models = app.engine.models().await;
    if headers.contains_key("anthropic-version") {
        return Json(anthropic::list(&models)).into_response();
    }
    Json(ModelList { object: "list".to_owned(), data: models.into_iter().map(model).collect() })
        .into_response()
}

/// `GET /v1/models/{id}`; the id may hold a slash.
pub async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Segment(id): Segment,
) -> Result<Response, Refusal> {
    let models = app.engine.models().await;
    if models.contains(&id) {
        let is_anthropic = headers.contains_key("anthropic-version");
        let shown = if is_anthropic {
            Json(anthropic::model(&id)).into_response()
        } else {
            Json(model(id)).into_response()
        };
        return Ok(shown);
    }
    let failure = Failure::new(Code::E010, "llm.model_not_found", "gateway", format!("find model {id}"));
    Err(not_found(app.engine.model_not_found(&id, failure).await))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsQuery {
    limit: Option<u32>,
}

/// `GET /api/v1/calls`.
pub async fn calls(
    State(app): State<Arc<App>>,
    Asked(query): Asked<CallsQuery>,
) -> Result<Json<Page<CallView>>, Refusal> {
    let most = super::view::page_size(query.limit)?;
    let items = app.engine.gateway().calls().last(most as usize).into_iter().map(call).collect();
    Ok(Json(Page { schema: "hale.calls/1".to_owned(), items, next: None }))
}

/// `GET /api/v1/calls/{id}`.
pub async fn call_show(
    State(app): State<Arc<App>>,
    Segment(text): Segment,
) -> Result<Json<CallView>, Refusal> {
    let found = app.engine.gateway().calls().find(id(&text)?);
    let found = found.ok_or_else(|| {
        let message =
            format!("find call {text}: the last {CALLS_KEPT} calls are kept, until the server ends");
        Refusal::new(Code::E010, "llm.call_not_found", message).fix("hale llm calls")
    })?;
    Ok(Json(call(found)))
}

/// `GET /api/v1/providers`.
pub async fn providers(State(app): State<Arc<App>>) -> Json<Page<ProviderView>> {
    let calls = app.engine.gateway().stats().calls();
    let since = app.engine.now() - LATELY;
    let items = app.engine.gateway().names().into_iter().map(|name| {
        let of_it: Vec<_> = calls.iter().filter(|call| call.provider == name && call.at > since).collect();
        let causes = of_it.iter().filter_map(|call| call.cause.clone());
        let causes_5m = causes.fold(BTreeMap::new(), |mut counts, cause| {
            *counts.entry(cause).or_insert(0) += 1;
            counts
        });
        let mut answered: Vec<u64> =
            of_it.iter().filter(|call| call.cause.is_none()).map(|call| call.latency.0).collect();
        answered.sort_unstable();
        ProviderView {
            key: app.engine.gateway().key_source(&name).unwrap_or_else(|| "none".to_owned()),
            calls_5m: of_it.len() as u64,
            failed_5m: causes_5m.values().sum(),
            causes_5m,
            p95_ms: (answered.len() * 95)
                .div_ceil(100)
                .checked_sub(1)
                .and_then(|rank| answered.get(rank).copied()),
            name,
        }
    });
    Json(Page { schema: "hale.providers/1".to_owned(), items: items.collect(), next: None })
}

fn call(call: Call) -> CallView {
    let attempt =
        |tried: Tried| AttemptView { model: tried.model, failure: tried.failure, took_ms: tried.took.0 };
    CallView {
        schema: "hale.call/1".to_owned(),
        id: call.id.to_string(),
        at: call.at.rfc3339(),
        endpoint: call.endpoint,
        asked: call.asked,
        served_by: call.served_by,
        tenant: call.tenant,
        correlation_id: call.correlation_id,
        streamed: call.streamed,
        outcome: match call.outcome {
            Outcome::Answered => "answered",
            Outcome::Failed => "failed",
            Outcome::Left => "left",
        }
        .to_owned(),
        failure: call.failure,
        tried: call.tried.into_iter().map(attempt).collect(),
        input_tokens: call.usage.map(|usage| usage.input_tokens),
        output_tokens: call.usage.map(|usage| usage.output_tokens),
        first_byte_ms: call.first_byte.map(|took| took.0),
        took_ms: call.took.0,
    }
}

fn model(id: String) -> Model {
    let owned_by = id.split_once('/').map_or("hale", |(provider, _)| provider).to_owned();
    Model { id, object: "model".to_owned(), created: 0, owned_by }
}

async fn relay(
    (State(app), Extension(ids), By(caller), headers, Raw(body)): Asking,
    (endpoint, dialect): (Endpoint, Dialect),
) -> Result<Response, Refusal> {
    let version = if dialect == Dialect::Anthropic { version(&headers)? } else { Version::default() };
    let look = look(dialect, version, &body)?;
    let asked = look.model.clone();
    let Caller { correlation, traceparent, tenant, .. } = caller;
    let incoming = Incoming {
        dialect,
        version,
        endpoint,
        route: app.engine.model_route(&look.model).map_err(not_found)?,
        body,
        look,
        retry: app.engine.model_retry(),
        deadline: Instant::now() + patience(&headers),
        correlation_id: correlation,
        traceparent,
        tenant,
    };
    match app.engine.gateway().relay(&incoming).await {
        Ok(Answer::Whole { body, head }) => Ok(with_head(Body::from(body), "application/json", head)),
        Ok(Answer::Stream { stream, head }) => Ok(streamed(stream, dialect, head)),
        Err(refused) => Err(refusal(&app, *refused, &asked, &ids).await?),
    }
}

/// The version that the header names; without one the first.
fn version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let Some(given) = headers.get("anthropic-version") else { return Ok(Version::default()) };
    given.to_str().ok().and_then(Version::of).ok_or_else(|| {
        let message = format!("read anthropic-version {given:?}: send 2023-06-01 or 2026-10-21");
        Refusal::new(Code::E002, "request.invalid", message)
            .status(StatusCode::BAD_REQUEST)
            .field("anthropic-version")
    })
}

/// What the way of a call depends on. The OpenAI chat dialect is looked at only, since its providers judge it; the
/// others are understood here, so that what is wrong is told before anybody is asked.
fn look(dialect: Dialect, version: Version, body: &[u8]) -> Result<Look, Refusal> {
    if dialect == Dialect::OpenAiChat {
        return Look::at(body).map_err(bad_body);
    }
    let ask = dialect.read(body, version).map_err(bad_ask)?;
    Ok(Look { model: ask.model, streamed: ask.stream, tells_usage: true })
}

/// How long the client waits: what it says itself, where it says a number.
fn patience(headers: &HeaderMap) -> Duration {
    let said = ["x-stainless-read-timeout", "x-stainless-timeout"].into_iter().find_map(|name| {
        let seconds: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (seconds.is_finite() && seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
    });
    said.unwrap_or(MODEL_CALL_MAX).min(MODEL_CALL_MAX)
}

fn streamed(stream: Box<Stream>, dialect: Dialect, head: Head) -> Response {
    let pieces = stream::unfold(stream, |mut stream| async move {
        let bytes = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), stream))
    });
    let mut response = with_head(Body::from_stream(pieces), dialect.stream_type(), head);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would turn a live stream into a late one.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn with_head(body: Body, kind: &'static str, head: Head) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.extend(head.headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(RETRIES, HeaderValue::from(head.failed_attempts));
    for (name, value) in [(CALL, head.call.to_string()), (MODEL, head.served_by)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

fn bad_body(bad: BadBody) -> Refusal {
    bad_request(bad.message, bad.field)
}

fn bad_ask(bad: BadAsk) -> Refusal {
    // The sentence begins with the field.
    let message = match &bad.field {
        Some(field) => format!("{field} {}", bad.message),
        None => bad.message,
    };
    bad_request(message, bad.field)
}

fn bad_request(message: String, field: Option<String>) -> Refusal {
    let refusal = Refusal::new(Code::E002, "request.invalid", message).status(StatusCode::BAD_REQUEST);
    match field {
        Some(field) => refusal.field(field),
        None => refusal.field("body"),
    }
}

/// A name that no model has is the caller's to mend, whoever found it out.
fn not_found(failure: Failure) -> Refusal {
    let failure = Failure { code: Code::E010, ..failure };
    Refusal::from(failure).status(StatusCode::NOT_FOUND).field("model").fix("hale llm models")
}

/// No answer: the provider's own words where it does not take the request, else what went wrong in ours.
async fn refusal(app: &App, refused: Refused, asked: &str, ids: &Ids) -> Result<Refusal, Refusal> {
    let Refused { call, failure, said, .. } = refused;
    tracing::warn!(
        event = "call_failed",
        call = %call,
        model = asked,
        code = %failure.code,
        correlation_id = %ids.correlation,
        error = %failure,
        "a call was not answered"
    );
    let failure = match failure.cause.as_str() {
        "llm.model_not_found" => {
            return Ok(not_found(app.engine.model_not_found(asked, failure).await).spent(call));
        }
        _ => failure,
    };
    let status = dialects::status(&failure);
    let refusal = Refusal::from(failure).status(status).fix(format!("hale why {call}")).spent(call);
    Ok(match said {
        Some((status, words)) => {
            refusal.saying(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), words)
        }
        None => refusal,
    })
}
