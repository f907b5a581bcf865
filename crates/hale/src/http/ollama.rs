//! What clients of Ollama ask beside chats: which models there are, and who we are.
//!
//! Read next: [`super::models`].

use super::App;
use super::extract::Raw;
use super::problem::Refusal;
use axum::Json;
use axum::extract::State;
use hale_core::code::Code;
use hale_gateway::relay::shallow::Shallow;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// The name of a model.
const BODY_BYTES: usize = 64 << 10;
/// The version of Ollama whose answers ours have the form of.
const VERSION: &str = "0.12.0";
/// A provider does not say when a model changed; the dialect wants a moment.
const SOMETIME: &str = "1970-01-01T00:00:00Z";

/// `GET /api/tags`.
pub async fn tags(State(app): State<Arc<App>>) -> Json<Value> {
    let models: Vec<Value> = app.engine.models().await.iter().map(|name| model(name)).collect();
    Json(json!({ "models": models }))
}

/// `GET /api/ps`: every model answers at once, so all of them count as loaded.
pub async fn ps(State(app): State<Arc<App>>) -> Json<Value> {
    tags(State(app)).await
}

/// `GET /api/version`.
pub async fn version() -> Json<Value> {
    Json(json!({ "version": VERSION }))
}

/// `POST /api/show`.
pub async fn show(State(app): State<Arc<App>>, Raw(body): Raw<BODY_BYTES>) -> Result<Json<Value>, Refusal> {
    let bad = |message: String| {
        Refusal::new(Code::E002, "request.invalid", message).status(StatusCode::BAD_REQUEST)
    };
    let body = Shallow::read(&body).map_err(|error| bad(error.message))?;
    let given = ["model", "name"].into_iter().find_map(|field| body.get::<String>(field).ok().flatten());
    let name =
        given.ok_or_else(|| bad("find `model` in the body: name a model".to_owned()).field("model"))?;
    if !app.engine.models().await.contains(&name) {
        let message = format!("find model {name}; GET /api/tags lists every model");
        return Err(Refusal::new(Code::E010, "llm.model_not_found", message).field("model"));
    }
    let shown = json!({
        "modelfile": "", "parameters": "", "template": "", "license": "",
        "details": details(), "model_info": {}, "capabilities": ["completion", "tools"], "modified_at": SOMETIME,
    });
    Ok(Json(shown))
}

fn model(name: &str) -> Value {
    json!({"name": name, "model": name, "modified_at": SOMETIME, "size": 0, "digest": "", "details": details()})
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "", "family": "", "families": [], "parameter_size": "", "quantization_level": "",
    })
}
