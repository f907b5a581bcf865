//! API keys over HTTP: list, make, revoke. A secret is told once, in the answer that makes it.
//!
//! Read next: [`crate::keys`].

use super::App;
use super::extract::{Input, Segment, span};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::keys::{self, Order, offline};
use crate::wire::{self, KeyView, Page};
use axum::Json;
use axum::extract::State;
use hale_store::KeyRow;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName};
use std::sync::Arc;

/// `GET /api/v1/keys`.
pub async fn list(State(app): State<Arc<App>>) -> Json<Page<KeyView>> {
    let items = app.engine.keys().iter().map(view::key).collect();
    Json(view::page("keys", items, None))
}

/// `POST /api/v1/keys`.
pub async fn create(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<wire::CreateKey>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<KeyView>), Refusal> {
    let expires_in = order.expires_in.as_deref().map(|text| span("expires_in", text)).transpose()?;
    let known = app.engine.keys();
    let order = Order { name: &order.name, expires_in, tenant: order.tenant.as_deref(), known: &known };
    let made = keys::make(&order, app.access.server_key(), app.engine.now());
    let (row, secret) =
        made.map_err(|error| Refusal::from(error.failure()).field("name").fix("hale keys list"))?;
    app.engine.key_put(row.clone(), "keys.create", &caller).await?;
    let shown = KeyView { secret: Some(secret.reveal()), ..view::key(&row) };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(shown)))
}

/// `DELETE /api/v1/keys/{id}`: by id or by name. Revoking twice changes nothing.
pub async fn revoke(
    State(app): State<Arc<App>>,
    By(caller): By,
    Segment(wanted): Segment,
) -> Result<Json<KeyView>, Refusal> {
    let keys = app.engine.keys();
    let row = offline::find(&keys, &wanted)
        .map_err(|failure| Refusal::from(failure).field("id").fix("hale keys list"))?;
    if row.revoked_at.is_some() {
        return Ok(Json(view::key(row)));
    }
    let row = KeyRow { revoked_at: Some(app.engine.now()), ..row.clone() };
    app.engine.key_put(row.clone(), "keys.revoke", &caller).await?;
    Ok(Json(view::key(&row)))
}
