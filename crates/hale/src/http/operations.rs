//! The audit trail over HTTP: what operators did, newest first.
//!
//! Read next: `hale-core/src/operation.rs`.

use super::App;
use super::extract::Asked;
use super::problem::Refusal;
use super::view;
use crate::wire::{OperationView, Page};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    limit: Option<u32>,
}

/// `GET /api/v1/operations`.
pub async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Page<OperationView>>, Refusal> {
    let limit = view::page_size(query.limit)?;
    // An operation has two rows at most.
    let rows = app.engine.operations(limit * 2).await?;
    let mut items = view::operations(&rows);
    items.truncate(limit as usize);
    Ok(Json(view::page("operations", items, None)))
}
