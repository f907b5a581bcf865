//! The API described: OpenAPI 3.1, made from the route table and the wire types.
//!
//! Shapes that belong to other crates are mirrored here; a test holds each mirror to what is really sent.
//! Read next: [`super::routes`].

use super::routes::{Door, Route, TABLE, Verb};
use crate::wire;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// What a request or an answer holds.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    Nothing,
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// JSON whose fields are documented elsewhere.
    Object,
    /// Server-sent [`wire::LiveEvent`]s.
    Events,
    Bytes,
    Text,
}

/// `hale_core::failure::Failure` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "Failure")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct FailureShape {
    /// `E001` to `E017`.
    code: String,
    /// Stable id `area.cause`, for example `llm.rate_limited`.
    cause: String,
    /// The component where it began.
    origin: String,
    message: String,
    /// The sources below it, outermost first.
    #[schemars(default)]
    chain: Vec<String>,
    /// `never`, `tool` or `model`.
    retry: String,
    /// What the other side asked us to wait, in milliseconds.
    retry_after: Option<u64>,
    http_status: Option<u16>,
}

/// `hale_core::run::event::Artifact` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "Artifact")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct ArtifactShape {
    name: String,
    /// BLAKE3 of the content, 64 hexadecimal letters.
    hash: String,
    bytes: u64,
    media_type: String,
}

/// `hale_core::run::Record` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "Record")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct RecordShape {
    /// Version of the event's shape.
    v: u32,
    /// 1 for the first event of the run; dense.
    seq: u64,
    /// Milliseconds since 1970.
    at: i64,
    /// `type` names the event; the other fields belong to it.
    event: Map<String, Value>,
}

/// `hale_playbooks::Verdict` as it is sent.
#[derive(JsonSchema)]
#[schemars(rename = "Verdict")]
#[expect(dead_code, reason = "a mirror for the schema; never made")]
pub struct VerdictShape {
    /// `hale.verdict/1`
    schema: String,
    /// `system` or `run:ID`.
    subject: String,
    /// Milliseconds since 1970.
    taken_at: i64,
    /// Symptoms that were looked for.
    checked: u64,
    /// Worst first.
    findings: Vec<Map<String, Value>>,
    undetermined: Vec<Map<String, Value>>,
    /// Symptoms that could not be judged.
    unknown: Vec<Map<String, Value>>,
}

/// `GET /openapi.json`.
pub async fn serve() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    ([(CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}

/// The whole document.
pub fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let problem = schemas.subschema_for::<wire::Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for route in TABLE {
        let operation = operation(route, &mut schemas);
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.verb.name().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hale",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs AI agents durably, and says why when they break.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {
                "Problem": {
                    "description": "An error: RFC 9457 with a stable code and the next command.",
                    "headers": headers(),
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
            "headers": {
                "X-Correlation-ID": { "schema": { "type": "string" }, "description": "The caller's id, or one that was made." },
                "X-Request-ID": { "schema": { "type": "string" }, "description": "The id of this request." },
            },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "hale_<id>_<secret>" },
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
            },
        },
        // Loopback listeners answer without a key.
        "security": [{}, { "bearer": [] }, { "key": [] }],
    })
}

fn headers() -> Value {
    json!({
        "X-Correlation-ID": { "$ref": "#/components/headers/X-Correlation-ID" },
        "X-Request-ID": { "$ref": "#/components/headers/X-Request-ID" },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    if let Some(body) = route.takes {
        operation["requestBody"] = json!({ "required": true, "content": content(body, schemas) });
    }
    if route.door == Door::Open {
        operation["security"] = json!([{}]);
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let segments = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = segments.map(|name| {
        json!({ "name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let others = route.params.iter().map(|param| {
        let kind = if matches!(param.name, "limit" | "from") { "integer" } else { "string" };
        json!({ "name": param.name, "in": param.place, "description": param.doc, "schema": { "type": kind } })
    });
    in_path.chain(others).collect()
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let (status, body) = route.gives;
    let given =
        json!({ "description": route.summary, "headers": headers(), "content": content(body, schemas) });
    let mut responses = json!({ status.to_string(): given });
    let always: &[u16] = if route.door == Door::Open { &[403] } else { &[401, 403] };
    let of_post: &[u16] = if route.verb == Verb::Post { &[415] } else { &[] };
    let of_body: &[u16] = if route.takes.is_some() { &[400, 408, 413, 422] } else { &[] };
    let of_query: &[u16] = if route.params.is_empty() { &[] } else { &[400] };
    for status in always.iter().chain(of_post).chain(of_body).chain(of_query).chain(route.also) {
        responses[status.to_string()] = match status {
            200..300 => given.clone(),
            // Bad health is told with the same document.
            503 if route.id.starts_with("health") => given.clone(),
            _ => json!({ "$ref": "#/components/responses/Problem" }),
        };
    }
    responses
}

fn content(body: Shown, schemas: &mut SchemaGenerator) -> Value {
    match body {
        Shown::Nothing => json!({}),
        Shown::Json(schema) => json!({ "application/json": { "schema": schema(schemas) } }),
        Shown::Object => json!({ "application/json": { "schema": { "type": "object" } } }),
        Shown::Events => {
            let event = schemas.subschema_for::<wire::LiveEvent>();
            json!({ "text/event-stream": { "schema": { "type": "string", "contentSchema": event } } })
        }
        Shown::Bytes => json!({ "application/octet-stream": {} }),
        Shown::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
    }
}
