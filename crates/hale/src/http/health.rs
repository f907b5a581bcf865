//! Whether the server lives, may be sent work, and is well.
//!
//! Guarantees: `/livez` asks nothing of anybody; health comes from probes with their age and is never a constant;
//! who has no key where one is wanted sees states and no details.
//! Read next: `hale-engine/src/health.rs`.

use super::problem::Refusal;
use super::{App, Stage};
use crate::access::Actor;
use crate::wire::{Component, Health};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hale_core::code::Code;
use hale_engine::health::{self as probes, STALE};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;

/// `GET /livez`: this process answers.
pub async fn livez() -> Json<serde_json::Value> {
    Json(json!({ "status": "live" }))
}

/// `GET /readyz`: send work, or do not yet, or no more.
pub async fn readyz(State(app): State<Arc<App>>) -> Result<Json<serde_json::Value>, Refusal> {
    let (cause, message) = match app.life.stage() {
        Stage::Serving if !app.shutdown.is_cancelled() => return Ok(Json(json!({ "status": "ready" }))),
        Stage::Starting => ("server.starting", "take work: the server is starting"),
        Stage::Serving | Stage::Draining => ("server.draining", "take work: the server is draining"),
    };
    Err(Refusal::new(Code::E014, cause, message))
}

/// `GET /health` and its other paths: 503 unless healthy or degraded, with the components either way.
pub async fn health(State(app): State<Arc<App>>, Extension(actor): Extension<Actor>) -> Response {
    app.engine.health_fresh().await;
    let mut health = judged(&app);
    let status = match health.status.as_str() {
        "healthy" | "degraded" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if actor.is_anonymous() {
        health.components.iter_mut().for_each(|component| component.detail.clear());
    }
    let mut response = (status, Json(health)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Health as last probed. A hard component whose probe is old is unknown, and the whole is unhealthy with it: a
/// prober that hangs must not leave its last good word standing.
pub(super) fn judged(app: &App) -> Health {
    let probes::Health { mut status, components } = app.engine.health();
    let now = app.engine.now();
    let shown = components.into_iter().map(|component| {
        let age = now.since(component.probed_at);
        let stale = component.hard && age > STALE;
        if stale {
            status = probes::Status::Unhealthy;
        }
        Component {
            name: component.name,
            status: if stale { probes::Status::Unknown } else { component.status }.name().to_owned(),
            detail: if stale {
                format!("not probed for {age}; then: {}", component.detail)
            } else {
                component.detail
            },
            probed_at: component.probed_at.rfc3339(),
            age_ms: age.0,
            hard: component.hard,
        }
    });
    let components = shown.collect();
    Health {
        schema: "hale.health/1".to_owned(),
        status: status.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        components,
    }
}

/// `GET /metrics`: the registry in the text format of Prometheus.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::with_capacity(4096);
    for (declared, value) in app.engine.meters().read() {
        let kind = match declared.kind {
            hale_core::meter::Kind::Counter => "counter",
            hale_core::meter::Kind::Gauge => "gauge",
        };
        let (name, help) = (declared.name, declared.help);
        // Writing to a String cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
