//! The HTTP door: a thin layer that checks caller and shape, asks the engine, and shows what it says.
//!
//! Guarantees: every answer carries its ids, every error is a problem document, every connection has deadlines.
//! Leaves to others: every decision (`hale-engine`), what the fields mean ([`crate::wire`]).
//! Read next: [`routes`], the whole API in one table; then [`listen`], the connections.

pub mod routes;
pub mod route;
pub mod listen;
pub mod limits;
mod stream;
mod body;
pub mod correlation;
pub mod problem;
pub mod guard;
pub mod extract;
pub mod view;
mod runs;
mod bulk;
mod dlq;
mod stats;
pub mod audit;
mod backtests;
mod tasks;
mod arms;
pub mod artifacts;
mod events;
mod packs;
mod doctor;
mod notices;
mod models;
pub mod dialects;
mod ollama;
mod operations;
mod queues;
mod schedules;
pub mod workers;
mod keys;
mod killswitch;
mod capabilities;
mod chaos;
mod approvals;
mod config;
pub mod status;
mod health;
pub mod openapi;

use crate::access::Access;
use crate::wire::ConfigEntry;
use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use hale_engine::Engine;
use hale_lab::chaos::Lab;
use http::StatusCode;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio_util::sync::CancellationToken;

/// What the handlers work with.
pub struct App {
    pub engine: Engine,
    pub access: Access,
    /// None where faults may not be injected: the listener is not loopback, or the configuration forbids it.
    pub lab: Option<Arc<Lab>>,
    /// The configuration with the source of each value; swapped in whole by a reload.
    pub config: ArcSwap<Vec<ConfigEntry>>,
    pub about: About,
    pub life: Life,
    /// Cancelled when the server is to drain and end; the listener and the event streams watch it.
    pub shutdown: CancellationToken,
    /// Keys whose last use is being written.
    pub touches: guard::Touches,
}

/// What stays the same while the server runs.
#[derive(Clone, Debug)]
pub struct About {
    pub address: SocketAddr,
    pub data: PathBuf,
    pub default_model: String,
    /// Base URLs of providers by name, for worker processes.
    pub providers: HashMap<String, String>,
    /// The dialects of providers by name, but for OpenAI's.
    pub dialects: HashMap<String, String>,
}

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Starting = 0,
    Serving = 1,
    Draining = 2,
}

/// The stage, for `/readyz`. Begins with [`Stage::Starting`].
#[derive(Debug, Default)]
pub struct Life(AtomicU8);

impl Life {
    pub fn enter(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Draining,
        }
    }
}

/// The service of a listener: every route of the table behind the guard, ids and log around all of it.
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for route in routes::TABLE {
        router = router.route(route.path, route.handler());
    }
    let meters = app.engine.meters().clone();
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), guard::layer))
        .layer(from_fn_with_state(meters, correlation::layer))
        .with_state(app)
}

async fn nowhere() -> impl IntoResponse {
    problem::of_status(StatusCode::NOT_FOUND)
}

/// Left bare, so that axum's `Allow` header stays; the outermost layer makes the problem of it.
async fn wrong_method() -> StatusCode {
    StatusCode::METHOD_NOT_ALLOWED
}
