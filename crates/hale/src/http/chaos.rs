//! Faults over HTTP, where the configuration lets them in: inject, list, clear.
//!
//! Read next: `hale-lab/src/chaos.rs`.

use super::App;
use super::extract::{Input, Segment, id, span};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::{self, FaultView, Page};
use axum::Json;
use axum::extract::State;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{FaultId, OperationId};
use hale_core::time::Timestamp;
use hale_engine::Caller;
use hale_engine::facade::operate::Deed;
use hale_lab::chaos::{Injected, Lab};
use http::StatusCode;
use std::sync::Arc;

fn lab(app: &App) -> Result<&Lab, Refusal> {
    app.lab.as_deref().ok_or_else(|| {
        let message =
            "inject faults here: chaos.allow is never, or loopback while others can reach this listener";
        let refusal = Refusal::new(Code::E013, "chaos.not_allowed", message);
        refusal.status(StatusCode::FORBIDDEN).fix("hale config explain chaos.allow")
    })
}

pub(super) fn shown(fault: &Injected) -> FaultView {
    FaultView {
        id: fault.id.to_string(),
        fault: fault.fault.to_string(),
        target: fault.target.clone(),
        since: fault.since.rfc3339(),
        until: fault.until.map(Timestamp::rfc3339),
        hits: fault.hits,
    }
}

/// `GET /api/v1/chaos`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<FaultView>> {
    let faults = app.lab.as_ref().map(|lab| lab.list()).unwrap_or_default();
    Json(view::page("faults", faults.iter().map(shown).collect(), None))
}

/// `POST /api/v1/chaos`.
pub async fn inject(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<wire::InjectFault>,
) -> Result<(StatusCode, Json<FaultView>), Refusal> {
    let lab = lab(&app)?;
    let span = order.r#for.as_deref().map(|text| span("for", text)).transpose()?;
    let deed = Deed {
        operation: "chaos.inject",
        target: order.fault.clone(),
        detail: span.map(|span| span.to_string()).unwrap_or_default(),
        undo: Some("hale chaos clear --all".to_owned()),
    };
    let operation = app.engine.intend(&deed, &caller).await?;
    let injected = lab.inject(&order.fault, span, order.params).await;
    told(&app, (operation, deed), &injected, &caller).await?;
    let injected = injected?;
    Ok((StatusCode::CREATED, Json(shown(&injected))))
}

/// `DELETE /api/v1/chaos/{id}`.
pub async fn clear(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(fault): Segment,
) -> Result<Json<FaultView>, Refusal> {
    let fault: FaultId = id(&fault)?;
    let lab = lab(&app)?;
    let deed = cleared(fault.to_string());
    let operation = app.engine.intend(&deed, &caller).await?;
    let ended = lab.clear(fault).await;
    told(&app, (operation, deed), &ended, &caller).await?;
    Ok(Json(shown(&ended?)))
}

/// `DELETE /api/v1/chaos`.
pub async fn clear_all(
    State(app): State<Arc<App>>,
    By(caller): By,
) -> Result<Json<Page<FaultView>>, Refusal> {
    let lab = lab(&app)?;
    let deed = cleared("all".to_owned());
    let operation = app.engine.intend(&deed, &caller).await?;
    let ended = lab.clear_all().await;
    told(&app, (operation, deed), &ended, &caller).await?;
    Ok(Json(view::page("faults", ended?.iter().map(shown).collect(), None)))
}

/// The outcome of a deed for the audit trail, good or bad.
async fn told<T>(
    app: &App,
    (operation, deed): (OperationId, Deed),
    result: &Result<T, Failure>,
    caller: &Caller,
) -> Result<(), Failure> {
    let detail = match result {
        Ok(_) => deed.detail.clone(),
        Err(failure) => format!("failed: {failure}"),
    };
    app.engine.outcome(operation, &Deed { detail, ..deed }, caller).await
}

fn cleared(target: String) -> Deed {
    Deed { operation: "chaos.clear", target, detail: String::new(), undo: None }
}
