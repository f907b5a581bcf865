//! Packs over HTTP: list, show, deploy, validate, roll back, enable, disable, reload.
//!
//! Read next: `hale-engine/src/registry.rs`.

use super::App;
use super::extract::{Asked, Input, Segment};
use super::guard::By;
use super::problem::Refusal;
use super::view::{self, Detail};
use crate::wire::{self, PackView, Page};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hale_core::failure::Failure;
use hale_engine::registry::{Outcome, PackInfo};
use hale_engine::{Caller, DryRun};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// `GET /api/v1/packs`. All of them: a server has tens, and the registry holds them in memory.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<PackView>> {
    let items = app.engine.packs().iter().map(|info| view::pack(info, Detail::Line)).collect();
    Json(view::page("packs", items, None))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowQuery {
    version: Option<String>,
}

/// `GET /api/v1/packs/{name}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
    Asked(query): Asked<ShowQuery>,
) -> Result<Json<PackView>, Refusal> {
    let info = app.engine.pack(&name, query.version.as_deref()).await?;
    Ok(Json(view::pack(&info, Detail::Whole)))
}

/// `POST /api/v1/packs`.
pub async fn deploy(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(pack): Input<wire::packs::DeployPack>,
) -> Result<Response, Refusal> {
    let dry_run = if pack.dry_run { DryRun::Yes } else { DryRun::No };
    put(&app, pack, dry_run, &caller).await
}

/// `POST /api/v1/packs/validate`.
pub async fn validate(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(pack): Input<wire::packs::DeployPack>,
) -> Result<Response, Refusal> {
    put(&app, pack, DryRun::Yes, &caller).await
}

async fn put(
    app: &App,
    pack: wire::packs::DeployPack,
    dry_run: DryRun,
    caller: &Caller,
) -> Result<Response, Refusal> {
    let name = plain_name(&pack.file_name)?;
    let deployed =
        app.engine.deploy(name, pack.source.as_bytes(), dry_run, caller).await.map_err(|failure| {
            Refusal::from(failure).field("source").fix(format!("hale packs validate {name}"))
        })?;
    let mut shown = view::pack(&deployed.info, Detail::Whole);
    let (outcome, status) = match deployed.outcome {
        Outcome::New => ("deployed", StatusCode::CREATED),
        Outcome::Unchanged => ("unchanged", StatusCode::OK),
        Outcome::WouldDeploy => ("would deploy", StatusCode::OK),
    };
    shown.outcome = outcome.to_owned();
    Ok((status, Json(shown)).into_response())
}

/// A file name is a label here; one that looks like a path is a mistake or an attempt.
fn plain_name(name: &str) -> Result<&str, Refusal> {
    let fits = (1..=255).contains(&name.len()) && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
    if fits {
        return Ok(name);
    }
    Err(Refusal::invalid(
        "file_name",
        "read file_name: send the bare name of the pack's file, such as hello.md",
    ))
}

/// `POST /api/v1/packs/{name}/rollback`.
pub async fn rollback(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
    Input(order): Input<wire::packs::RollbackPack>,
) -> Result<Json<PackView>, Refusal> {
    shown(app.engine.rollback(&name, order.to.as_deref(), &caller).await)
}

/// `POST /api/v1/packs/{name}/enable`.
pub async fn enable(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<PackView>, Refusal> {
    shown(app.engine.enable(&name, &caller).await)
}

/// `POST /api/v1/packs/{name}/disable`.
pub async fn disable(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<PackView>, Refusal> {
    shown(app.engine.disable(&name, &caller).await)
}

/// `POST /api/v1/packs/{name}/reload`.
pub async fn reload(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(name): Segment,
) -> Result<Json<PackView>, Refusal> {
    shown(app.engine.reload(&name, &caller).await)
}

fn shown(result: Result<PackInfo, Failure>) -> Result<Json<PackView>, Refusal> {
    Ok(Json(view::pack(&result?, Detail::Line)))
}
