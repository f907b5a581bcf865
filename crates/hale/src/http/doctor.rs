//! Diagnosis over HTTP: why a run is as it is, what ails the system, the evidence, and fixes.
//!
//! Read next: `hale-engine/src/remedy.rs`.

use super::App;
use super::extract::{Asked, Input, Segment, id};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::{self, Diagnosis, FixReport};
use axum::Json;
use axum::extract::State;
use hale_core::id::{OperationId, RunId};
use hale_engine::DryRun;
use hale_engine::evidence::Diagnosed;
use hale_engine::remedy::{FixOrder, Fixed};
use hale_playbooks::Evidence;
use serde::Deserialize;
use std::sync::Arc;

/// `GET /api/v1/runs/{id}/why`.
pub async fn why(State(app): State<Arc<App>>, Segment(run): Segment) -> Result<Json<Diagnosis>, Refusal> {
    let run: RunId = id(&run)?;
    let diagnosed = app.engine.diagnose(Some(run)).await;
    let diagnosed = diagnosed.map_err(|failure| Refusal::from(failure).run(run.to_string()))?;
    let route = app.engine.decision(run).await?;
    Ok(Json(Diagnosis { route, ..shown(&app, run.to_string(), diagnosed) }))
}

/// `GET /api/v1/doctor`.
pub async fn doctor(State(app): State<Arc<App>>) -> Result<Json<Diagnosis>, Refusal> {
    let diagnosed = app.engine.diagnose(None).await?;
    Ok(Json(shown(&app, "system".to_owned(), diagnosed)))
}

fn shown(app: &App, subject: String, diagnosed: Diagnosed) -> Diagnosis {
    let now = app.engine.now();
    Diagnosis {
        schema: "hale.diagnosis/1".to_owned(),
        subject,
        says: diagnosed.says,
        run: diagnosed.run.as_ref().map(|stored| view::stored(stored, now)),
        route: None,
        time_ms: view::spans(&diagnosed.time),
        verdict: diagnosed.verdict,
        took_ms: diagnosed.took.0,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceQuery {
    run: Option<String>,
}

/// `GET /api/v1/evidence`: what `hale doctor --evidence` judges offline.
pub async fn evidence(
    State(app): State<Arc<App>>,
    Asked(query): Asked<EvidenceQuery>,
) -> Result<Json<Evidence>, Refusal> {
    let run = query.run.as_deref().map(id).transpose()?;
    Ok(Json(app.engine.evidence(run).await?))
}

/// `POST /api/v1/doctor/fix`.
pub async fn fix(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<wire::FixRequest>,
) -> Result<Json<FixReport>, Refusal> {
    let run = order.run.as_deref().map(id).transpose()?;
    let dry_run = if order.dry_run { DryRun::Yes } else { DryRun::No };
    let order = FixOrder { cause: order.cause, run, dry_run, params: order.params };
    Ok(Json(report(app.engine.fix(order, &caller).await?)))
}

/// `POST /api/v1/doctor/undo`.
pub async fn undo_cause(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<wire::UndoRequest>,
) -> Result<Json<FixReport>, Refusal> {
    let undone = app.engine.undo_cause(&order.cause, &caller).await;
    let undone = undone.map_err(|failure| Refusal::from(failure).fix("hale operations list"))?;
    Ok(Json(report(undone)))
}

/// `POST /api/v1/operations/{id}/undo`.
pub async fn undo(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(operation): Segment,
) -> Result<Json<FixReport>, Refusal> {
    let operation: OperationId = id(&operation)?;
    Ok(Json(report(app.engine.undo(operation, &caller).await?)))
}

fn report(fixed: Fixed) -> FixReport {
    FixReport {
        schema: "hale.fix/1".to_owned(),
        cause: fixed.cause,
        fix: fixed.fix,
        risk: fixed.risk,
        dry_run: fixed.dry_run == DryRun::Yes,
        effects: fixed.effects,
        outcome: fixed.outcome.to_owned(),
        verified: fixed.verified.to_owned(),
        verify_detail: fixed.verify_detail,
        operation: fixed.operation.map(|operation| operation.to_string()),
        undo: fixed.undo,
    }
}
