//! Messages to people over HTTP.

use super::App;
use super::extract::{Input, Shape};
use super::guard::By;
use super::problem::Refusal;
use super::view;
use crate::wire::Page;
use crate::wire::notices::{ChannelView, NotifiedView, NotifyRequest};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

impl Shape for NotifyRequest {}

/// `GET /api/v1/notify`: the channels that are stored.
pub async fn channels(State(app): State<Arc<App>>) -> Result<Json<Page<ChannelView>>, Refusal> {
    let channels = app.engine.channels()?;
    let items = channels.into_iter().map(|channel| ChannelView { channel }).collect();
    Ok(Json(view::page("channels", items, None)))
}

/// `POST /api/v1/notify`.
pub async fn send(
    State(app): State<Arc<App>>,
    By(caller): By,
    Input(order): Input<NotifyRequest>,
) -> Result<Json<NotifiedView>, Refusal> {
    let sent = app.engine.notify(&order.channel, &order.message, &caller).await;
    let sent = sent.map_err(|failure| match failure.cause.as_str() {
        "notify.bad_message" => Refusal::from(failure).field("message"),
        "notify.unknown_channel" | "notify.bad_address" => {
            let fix = hale_gateway::notice::how_to_set(&order.channel);
            Refusal::from(failure).field("channel").fix(&fix)
        }
        _ => Refusal::from(failure),
    })?;
    Ok(Json(NotifiedView {
        schema: "hale.notified/1".to_owned(),
        channel: order.channel,
        status: sent.status,
        tries: sent.tries,
        operation: sent.operation.to_string(),
    }))
}
