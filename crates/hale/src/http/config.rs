//! The configuration over HTTP: every key with its value's source, and who changed what while the server ran.
//!
//! Secrets are fingerprints already when they come here.
//! Read next: [`crate::config`].

use super::App;
use super::problem::Refusal;
use super::view;
use crate::wire::{ConfigEntry, OperationView, Page};
use axum::Json;
use axum::extract::State;
use hale_core::limits;
use std::sync::Arc;

/// Operations that change settings.
const CHANGES: [&str; 4] = ["config.", "model.", "limits.", "secrets."];

/// `GET /api/v1/config`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<ConfigEntry>> {
    Json(view::page("config", app.config.load().to_vec(), None))
}

/// `GET /api/v1/config/history`.
pub async fn history(State(app): State<Arc<App>>) -> Result<Json<Page<OperationView>>, Refusal> {
    let mut rows = app.engine.operations(limits::PAGE_MAX * 2).await?;
    rows.retain(|row| CHANGES.iter().any(|area| row.operation.starts_with(area)));
    let mut items = view::operations(&rows);
    items.truncate(limits::PAGE_MAX as usize);
    Ok(Json(view::page("operations", items, None)))
}
