//! The routes of the simulated server: the dialect's own, and `/sim/…` to steer it from another process.
//!
//! Guarantees: request bodies are bounded in size and time; what a browser's page could send across origins does not
//! reach the controls.
//! Leaves to others: connections ([`super`]).
//! Read next: [`super::mind`].

use super::control::{CallLog, Chosen, Control, Fault, FaultSpec};
use super::stream::{self, Body};
use super::wire::{self, Answer, Asked};
use super::{MODELS, embed, mind};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A conversation with several files in it fits; more is a mistake of the caller.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// On a loopback connection a body that takes longer than this is stuck.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// What every request needs.
#[derive(Debug)]
pub(super) struct Site {
    pub seed: u64,
    pub api_key: Option<String>,
    pub control: Control,
}

impl Site {
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let (head, body) = request.into_parts();
        let body = tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, None, &error.to_string()),
            Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, None, "the body did not come in time"),
        };
        let path = head.uri.path();
        if path.starts_with("/sim/") && head.headers.contains_key(ORIGIN) {
            return refuse(StatusCode::FORBIDDEN, None, "the controls are not for web pages");
        }
        match (&head.method, path) {
            (&Method::POST, "/v1/chat/completions") => self.chat(&head.headers, &body),
            (&Method::POST, "/v1/embeddings") => self.embed(&head.headers, &body),
            (&Method::GET, "/v1/models") => self.models(&head.headers),
            (&Method::GET, "/sim/faults") => {
                json_of(StatusCode::OK, &json!({"faults": self.control.faults()}))
            }
            (&Method::POST, "/sim/faults") => self.set_fault(&body),
            (&Method::DELETE, "/sim/faults") => {
                self.control.clear_all();
                empty(StatusCode::NO_CONTENT)
            }
            (&Method::DELETE, path) => self.clear_fault(path),
            (&Method::GET, "/sim/calls") => {
                let (calls, total) = (self.control.calls(), self.control.calls_total());
                json_of(StatusCode::OK, &json!({"total": total, "calls": calls}))
            }
            _ => refuse(StatusCode::NOT_FOUND, None, "no such page; see /v1/models and /sim/faults"),
        }
    }

    fn set_fault(&self, body: &[u8]) -> Response<Body> {
        let spec: FaultSpec = match serde_json::from_slice(body) {
            Ok(spec) => spec,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, None, &error.to_string()),
        };
        match self.control.set(spec) {
            Ok(id) => json_of(StatusCode::CREATED, &json!({ "id": id })),
            Err(full) => refuse(StatusCode::CONFLICT, None, &full.to_string()),
        }
    }

    fn clear_fault(&self, path: &str) -> Response<Body> {
        let id = path.strip_prefix("/sim/faults/").and_then(|id| id.parse().ok());
        match id.is_some_and(|id| self.control.clear(id)) {
            true => empty(StatusCode::NO_CONTENT),
            false => refuse(StatusCode::NOT_FOUND, None, "no such fault"),
        }
    }

    /// The refusal, if the server wants a key and this is not it.
    fn locked(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let wanted = self.api_key.as_ref()?;
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        (given != wanted).then(|| key_refused(given))
    }

    fn models(&self, headers: &HeaderMap) -> Response<Body> {
        let list = || {
            let entry =
                |model: &&str| json!({"id": model, "object": "model", "created": 0, "owned_by": "hale-lab"});
            json!({"object": "list", "data": MODELS.iter().map(entry).collect::<Value>()})
        };
        self.locked(headers).unwrap_or_else(|| json_of(StatusCode::OK, &list()))
    }

    fn embed(&self, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        if let Some(locked) = self.locked(headers) {
            return locked;
        }
        let asked: embed::Asked = match serde_json::from_slice(body) {
            Ok(asked) => asked,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, None, &error.to_string()),
        };
        if !MODELS.contains(&asked.model.as_str()) {
            return no_such_model(&asked.model);
        }
        match embed::answer(asked, self.seed) {
            Ok(answer) => json_of(StatusCode::OK, &answer),
            Err(why) => refuse(StatusCode::BAD_REQUEST, None, &why),
        }
    }

    fn chat(&self, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let mut call = CallLog {
            at_ms: self.control.at_ms(),
            model: String::new(),
            idempotency_key: text("idempotency-key"),
            correlation_id: text("x-correlation-id"),
            traceparent: text("traceparent"),
            messages: 0,
            outcome: "answered".to_owned(),
        };
        let response = match self.admit(headers, body) {
            Err(refusal) => {
                call.outcome = format!("refused {}", refusal.status().as_u16());
                *refusal
            }
            Ok(asked) => {
                call.model.clone_from(&asked.model);
                call.messages = asked.messages.len();
                let chosen = self.control.choose(&asked.model, asked.tools.len());
                if let Some(chosen) = &chosen {
                    call.outcome = chosen.fault.kind().to_owned();
                }
                self.speak(&asked, chosen.as_ref())
            }
        };
        self.control.log(call);
        response
    }

    fn admit(&self, headers: &HeaderMap, body: &[u8]) -> Result<Asked, Box<Response<Body>>> {
        if let Some(locked) = self.locked(headers) {
            return Err(Box::new(locked));
        }
        let bad = |why: &str| Box::new(refuse(StatusCode::BAD_REQUEST, None, why));
        let asked: Asked = serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
        if !MODELS.contains(&asked.model.as_str()) {
            return Err(Box::new(no_such_model(&asked.model)));
        }
        match asked.flaw() {
            Some(flaw) => Err(bad(&flaw)),
            None => Ok(asked),
        }
    }

    /// Faults that replace the answer; the rest change how it goes out.
    fn speak(&self, asked: &Asked, chosen: Option<&Chosen>) -> Response<Body> {
        let Some(Chosen { id, fault }) = chosen else {
            return self.utter(asked, &mind::think(self.seed, asked), None);
        };
        if let Some(refusal) = instead(fault) {
            self.control.hit(*id);
            return refusal;
        }
        if *fault == Fault::LoopTools {
            self.control.hit(*id);
            return self.utter(asked, &mind::think_in_a_loop(self.seed, asked), None);
        }
        self.utter(asked, &mind::think(self.seed, asked), Some((*id, fault)))
    }

    fn utter(&self, asked: &Asked, answer: &Answer, fault: Option<(u64, &Fault)>) -> Response<Body> {
        let with_usage = asked.stream_options.as_ref().is_some_and(|options| options.include_usage);
        let (frames, kind) = match asked.stream {
            true => (stream::frames(answer, with_usage), "text/event-stream"),
            false => (vec![Bytes::from(answer.whole().to_string())], "application/json"),
        };
        let sent = stream::send(frames, fault, &self.control);
        let mut response = Response::new(sent.body);
        response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a constant is a valid header"));
        if let Some(length) = sent.length {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

fn instead(fault: &Fault) -> Option<Response<Body>> {
    match fault {
        Fault::RateLimit { retry_after } => {
            let why = "Rate limit reached (simulated)";
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, Some("rate_limit_exceeded"), why);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, (*seconds).into());
            }
            Some(response)
        }
        Fault::KeyRefused => Some(key_refused("")),
        Fault::ServerError => {
            let why = "The server had an error (simulated)";
            Some(refuse(StatusCode::INTERNAL_SERVER_ERROR, Some("server_error"), why))
        }
        Fault::Garbage => {
            let page = "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>\n";
            let mut response = Response::new(stream::full(page));
            let html = "text/html".parse().expect("a constant is a valid header");
            response.headers_mut().insert(CONTENT_TYPE, html);
            Some(response)
        }
        _ => None,
    }
}

fn no_such_model(model: &str) -> Response<Body> {
    let why = format!("The model `{model}` does not exist; there are {}.", MODELS.join(", "));
    refuse(StatusCode::NOT_FOUND, Some("model_not_found"), &why)
}

/// Quotes the key as real servers do, so that clients are seen to mask it.
fn key_refused(given: &str) -> Response<Body> {
    let why = format!("Incorrect API key provided: {given}. (simulated)");
    refuse(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), &why)
}

fn refuse(status: StatusCode, code: Option<&str>, why: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    json_of(status, &wire::error(kind, code, why))
}

fn json_of(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(stream::full(value.to_string()));
    *response.status_mut() = status;
    let json = "application/json".parse().expect("a constant is a valid header");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(stream::full(""));
    *response.status_mut() = status;
    response
}
