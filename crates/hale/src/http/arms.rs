//! Arms over HTTP: list, show, register, deregister, conflicts.
//!
//! Registering answers 200, as the arms of the operators' guide expect it.
//! Read next: `hale-engine/src/facade/arms.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, Shape};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::Page;
use crate::wire::arms::ArmView;
use axum::Json;
use axum::extract::State;
use hale_core::arm::{Health, Registration};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::routing::Conflict;
use hale_core::time::Timestamp;
use hale_engine::facade::arms::ArmInfo;
use serde::Deserialize;
use std::sync::Arc;

impl Shape for Registration {}

/// `GET /api/v1/arms`, `GET /capabilities`. All of them: a server has tens.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<ArmView>> {
    let items = app.engine.arms().iter().map(shown).collect();
    Json(view::page("arms", items, None))
}

/// `GET /api/v1/arms/{name}`.
pub async fn show(State(app): State<Arc<App>>, Segment(name): Segment) -> Result<Json<ArmView>, Refusal> {
    Ok(Json(shown(&app.engine.arm(&name).map_err(listed)?)))
}

/// `POST /api/v1/arms/register`.
pub async fn register(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(registration): Input<Registration>,
) -> Result<Json<ArmView>, Refusal> {
    let registered = app.engine.register_arm(registration, &caller).await;
    let info = registered.map_err(|failure| match (failure.code, failure.cause.as_str()) {
        (Code::E013, _) => {
            Refusal::from(failure).field("url").fix("set arms.allow in hale.toml, and start again: hale up")
        }
        (Code::E011, _) => Refusal::from(failure).field("name").fix("hale arms list"),
        _ => Refusal::from(failure),
    })?;
    Ok(Json(shown(&info)))
}

/// `DELETE /api/v1/arms/{name}`.
pub async fn deregister(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<ArmView>, Refusal> {
    let info = app.engine.deregister_arm(&name, &caller).await.map_err(|failure| match failure.code {
        Code::E011 => Refusal::from(failure).fix(format!("hale packs disable {name}")),
        _ => listed(failure),
    })?;
    Ok(Json(shown(&info)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConflictsQuery {
    name: Option<String>,
}

/// `GET /api/v1/arms/conflicts`.
pub async fn conflicts(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ConflictsQuery>,
) -> Result<Json<Page<Conflict>>, Refusal> {
    let found = app.engine.arm_conflicts(query.name.as_deref()).map_err(listed)?;
    Ok(Json(view::page("arms.conflicts", found, None)))
}

fn listed(failure: Failure) -> Refusal {
    Refusal::from(failure).fix("hale arms list")
}

fn shown(info: &ArmInfo) -> ArmView {
    let manifest = &info.manifest;
    let (status, detail) = match (info.enabled, &info.health) {
        (false, _) => ("disabled", String::new()),
        (true, Health::Healthy) => ("healthy", String::new()),
        (true, Health::Unhealthy { why }) => ("unhealthy", why.clone()),
        (true, Health::Expired { why }) => ("expired", why.clone()),
    };
    ArmView {
        schema: "hale.arm/1".to_owned(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        kind: view::name(&manifest.kind),
        description: manifest.description.clone(),
        capabilities: manifest.capabilities.clone(),
        domain: manifest.domains.first().cloned(),
        domains: manifest.domains.clone(),
        keywords: manifest.keywords.clone(),
        properties: manifest.properties.clone(),
        url: manifest.endpoint.clone(),
        enabled: info.enabled,
        status: status.to_owned(),
        detail,
        failures: info.failures,
        registered_at: info.registered_at.map(Timestamp::rfc3339),
        last_seen: info.seen_at.map(Timestamp::rfc3339),
        probed_at: info.asked_at.map(Timestamp::rfc3339),
        ttl_seconds: info.ttl.map(|ttl| ttl.0 / 1000),
    }
}
