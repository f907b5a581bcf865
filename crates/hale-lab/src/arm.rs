//! A simulated arm: a service that takes tasks over a real socket, and misbehaves on command.
//!
//! `POST /execute`, `GET /health`, `GET /capabilities`; `POST /arm/behave` and `GET /arm/calls` steer and watch it from
//! another process. Guarantees: it remembers every task with its headers; a task that comes twice under one
//! idempotency key is answered the same and done once.
//! Leaves to others: everything that an arm could do. Read next: `hale-gateway/src/arm.rs`, which calls it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A task is a page of text with some input; more is a mistake of the caller.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Tasks that are remembered.
const CALLS_MAX: usize = 10_000;
/// After a failed accept (out of descriptors): long enough not to spin, short enough not to be missed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How it answers tasks; all but `Well` and `Slow` make it look ill to a probe too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mode {
    #[default]
    Well,
    /// 500.
    Fail,
    /// After this long.
    Slow { ms: u64 },
    /// 200 with a page that is not JSON.
    Garbage,
    /// 503 with `Retry-After`.
    Busy { retry_after: u64 },
    /// 422: a mind of its own. Its health is fine.
    Refuse,
    /// Begins, and closes the connection without a word.
    HangUp,
    /// Begins, and never answers.
    Hang,
}

/// A task that came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub idempotency_key: Option<String>,
    pub correlation_id: Option<String>,
    pub traceparent: Option<String>,
    pub body: Value,
}

#[derive(Debug, thiserror::Error)]
#[error("listen on {addr} for the simulated arm")]
pub struct Error {
    addr: SocketAddr,
    source: std::io::Error,
}

#[derive(Debug, Default)]
struct Kept {
    mode: Mode,
    calls: Vec<Call>,
    probes: u64,
    /// Answers by idempotency key.
    done: HashMap<String, Value>,
}

/// The handle by which it is steered; clones share it.
#[derive(Clone, Debug)]
pub struct Control {
    kept: Arc<Mutex<Kept>>,
    count: watch::Sender<usize>,
}

impl Default for Control {
    fn default() -> Self {
        Self { kept: Arc::default(), count: watch::Sender::new(0) }
    }
}

impl Control {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn behave(&self, mode: Mode) {
        self.kept().mode = mode;
    }

    /// Every task that came.
    pub fn calls(&self) -> Vec<Call> {
        self.kept().calls.clone()
    }

    /// How often its health was asked for.
    pub fn probes(&self) -> u64 {
        self.kept().probes
    }

    /// Tasks that were done, not counting those that came again.
    pub fn done(&self) -> usize {
        self.kept().done.len()
    }

    /// Returns when so many tasks have come.
    pub async fn called(&self, times: usize) {
        // The sender is ours: it cannot be gone.
        let _ = self.count.subscribe().wait_for(|count| *count >= times).await;
    }

    fn keep(&self, call: Call) {
        let mut kept = self.kept();
        if kept.calls.len() < CALLS_MAX {
            kept.calls.push(call);
        }
        drop(kept);
        self.count.send_modify(|count| *count += 1);
    }

    fn answer(&self, call: &Call) -> Value {
        let mut kept = self.kept();
        let nth = kept.done.len() + 1;
        let goal = call.body.get("goal").cloned().unwrap_or_default();
        let answer =
            json!({ "answer": format!("done: {}", goal.as_str().unwrap_or("something")), "nth": nth });
        let key = call.idempotency_key.clone().unwrap_or_else(|| format!("none-{nth}"));
        kept.done.entry(key).or_insert(answer).clone()
    }
}

/// A running arm; ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Server {
    pub addr: SocketAddr,
    pub control: Control,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens and serves. Port 0 takes a free one; see `addr`.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(addr: SocketAddr) -> Result<Self, Error> {
        let control = Control::default();
        let listening = async {
            let listener = TcpListener::bind(addr).await?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (listener, addr) = listening.await.map_err(|source| Error { addr, source })?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the lab is not the engine: its one task is owned here"
        )]
        let accepting = tokio::spawn(accept(listener, control.clone()));
        Ok(Self { addr, control, accepting })
    }

    /// What it registers with.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// It is gone: nothing listens any more.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // It was aborted: there is nothing to learn from how it ended.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, control: Control) {
    // Owned by this task: when it ends, so do the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((socket, _)) => {
                connections.spawn(serve(socket, control.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(socket: TcpStream, control: Control) {
    let service = service_fn(move |request| {
        let control = control.clone();
        async move { respond(&control, request).await }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service);
    // A connection that breaks is the client's affair, or what was ordered.
    let _ = connection.await;
}

/// An error closes the connection without an answer.
async fn respond(
    control: &Control,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "the task is too large" })));
    };
    let path = head.uri.path();
    if path.starts_with("/arm/") && head.headers.contains_key(ORIGIN) {
        return Ok(answer(StatusCode::FORBIDDEN, &json!({ "error": "the controls are not for web pages" })));
    }
    match (&head.method, path) {
        (&Method::POST, "/execute") => {
            let text = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
            let call = Call {
                idempotency_key: text("idempotency-key"),
                correlation_id: text("x-correlation-id"),
                traceparent: text("traceparent"),
                body: serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
            };
            execute(control, call).await
        }
        (&Method::GET, "/health") => Ok(health(control)),
        (&Method::GET, "/capabilities") => {
            Ok(answer(StatusCode::OK, &json!({ "capabilities": ["simulated"] })))
        }
        (&Method::GET, "/arm/calls") => Ok(answer(StatusCode::OK, &json!({ "calls": control.calls() }))),
        (&Method::POST, "/arm/behave") => Ok(match serde_json::from_slice(&body.to_bytes()) {
            Ok(mode) => {
                control.behave(mode);
                answer(StatusCode::OK, &json!(mode))
            }
            Err(error) => answer(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
        }),
        _ => Ok(answer(StatusCode::NOT_FOUND, &json!({ "error": "see /execute, /health and /arm/behave" }))),
    }
}

fn health(control: &Control) -> Response<Full<Bytes>> {
    let mut kept = control.kept();
    kept.probes += 1;
    match kept.mode {
        Mode::Well | Mode::Slow { .. } | Mode::Refuse => {
            answer(StatusCode::OK, &json!({ "status": "healthy" }))
        }
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "unhealthy" })),
    }
}

async fn execute(control: &Control, call: Call) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let mode = control.kept().mode;
    control.keep(call.clone());
    Ok(match mode {
        Mode::Well => answer(StatusCode::OK, &control.answer(&call)),
        Mode::Fail => answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "it broke (simulated)" })),
        Mode::Slow { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            answer(StatusCode::OK, &control.answer(&call))
        }
        Mode::Garbage => {
            let mut page = Response::new(Full::from("<!DOCTYPE html><h1>It works!</h1>"));
            page.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/html"));
            page
        }
        Mode::Busy { retry_after } => {
            let mut busy = answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": "busy (simulated)" }));
            busy.headers_mut().insert(RETRY_AFTER, retry_after.into());
            busy
        }
        Mode::Refuse => {
            answer(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": "not my work (simulated)" }))
        }
        Mode::HangUp => {
            control.answer(&call);
            return Err(std::io::Error::other("hangs up as it was told"));
        }
        Mode::Hang => std::future::pending().await,
    })
}

fn answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
