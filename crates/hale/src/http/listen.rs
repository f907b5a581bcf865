//! The listener: our own accept loop, because a door without deadlines is closed by the first thousand idle peers.
//!
//! Guarantees: at most `connections` are open; heads, bodies, readers and idle connections have deadlines, counted in
//! `http_deadline_closed`; running out of descriptors slows accepting and never ends it; at shutdown requests under
//! way may end, up to `drain`.
//! Leaves to others: what is answered (the router).
//! Read next: [`super::stream`], then [`super::routes`].

use super::body::{Answer, Watched};
use super::limits::Limits;
use super::stream::{Guarded, Phase};
use axum::Router;
use axum::body::Body;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::meter::Meters;
use hale_engine::tasks;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Without descriptors, accepting pauses this long at first; it doubles up to a second.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that carry no request are dropped this soon after a shutdown began.
const IDLE_AT_SHUTDOWN: Duration = Duration::from_secs(1);
/// A peer that is refused for want of a place gets this long to read why.
const REFUSAL_LINGERS: Duration = Duration::from_millis(500);

/// Why the address could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("read {address:?} as an address to listen on: write host:port, for example 127.0.0.1:8080")]
    Address {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("listen on {address}: another process has this port")]
    Taken {
        address: SocketAddr,
        /// A port that was free a moment ago.
        free: Option<u16>,
        #[source]
        source: io::Error,
    },
    #[error("listen on {address}")]
    Refused {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

impl BindError {
    /// The next command.
    pub fn fix(&self) -> String {
        match self {
            BindError::Address { .. } => "hale up --listen 127.0.0.1:8080".to_owned(),
            BindError::Taken { address, free, .. } => {
                format!("hale up --listen {}", SocketAddr::new(address.ip(), free.unwrap_or(0)))
            }
            BindError::Refused { address, source } if source.kind() == ErrorKind::PermissionDenied => {
                format!("hale up --listen {}:8080 (ports below 1024 need a privilege)", address.ip())
            }
            BindError::Refused { .. } => {
                "hale up --listen 127.0.0.1:0 (the address must be one of this machine)".to_owned()
            }
        }
    }

    pub fn failure(&self) -> Failure {
        let (code, cause) = match self {
            BindError::Address { .. } => (Code::E002, "listen.bad_address"),
            BindError::Taken { .. } => (Code::E011, "listen.port_taken"),
            BindError::Refused { .. } => (Code::E002, "listen.refused"),
        };
        let source = std::error::Error::source(self);
        let failure = Failure::new(code, cause, "http", self.to_string());
        source.map(|source| failure.clone().caused_by(source)).unwrap_or(failure)
    }
}

/// Takes `address`, which may end in `:0` for any free port.
///
/// # Errors
/// Says why the address cannot be had; a taken port comes with one that is free.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let bad = |source| BindError::Address { address: address.to_owned(), source };
    let mut found = tokio::net::lookup_host(address).await.map_err(bad)?;
    let first = found.next().ok_or_else(|| bad(ErrorKind::NotFound.into()))?;
    match TcpListener::bind(first).await {
        Ok(listener) => Ok(listener),
        Err(source) if source.kind() == ErrorKind::AddrInUse => {
            let free = TcpListener::bind(SocketAddr::new(first.ip(), 0)).await;
            let free = free.and_then(|other| other.local_addr()).map(|other| other.port()).ok();
            Err(BindError::Taken { address: first, free, source })
        }
        Err(source) => Err(BindError::Refused { address: first, source }),
    }
}

/// How a listener treats connections, and where it counts.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub limits: Limits,
    pub meters: Arc<Meters>,
}

impl Terms {
    /// The default limits, counted in `meters`.
    pub fn of(meters: Arc<Meters>) -> Self {
        Self { limits: Limits::default(), meters }
    }
}

/// Serves `router` until `shutdown`, then lets requests under way end.
pub async fn serve(listener: TcpListener, router: Router, terms: Terms, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(terms.limits.connections));
    let refusals = Arc::new(Semaphore::new(terms.limits.refusals));
    let open = TaskTracker::new();
    let mut pause = ACCEPT_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_peer(&error) => continue,
            Err(error) => {
                tracing::warn!(event = "http_accept_paused", error = %error, "accepting pauses");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
        };
        pause = ACCEPT_PAUSE;
        if let Ok(place) = places.clone().try_acquire_owned() {
            let connection = connection(stream, router.clone(), terms.clone(), shutdown.clone());
            tasks::spawn(
                "http-connection",
                open.track_future(async move {
                    connection.await;
                    drop(place);
                }),
            );
        } else if let Ok(place) = refusals.clone().try_acquire_owned() {
            tasks::spawn("http-refusal", async move {
                refuse(stream).await;
                drop(place);
            });
        }
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(terms.limits.drain + Duration::from_secs(1), open.wait()).await.is_err() {
        tracing::warn!(
            event = "http_drain_cut",
            connections = open.len(),
            "connections were cut at shutdown"
        );
    }
}

/// An error of accepting that says nothing about the next peer.
fn is_of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Tells a peer beyond the cap to come again; its request is not read.
async fn refuse(mut stream: TcpStream) {
    let id = super::correlation::new_id("req");
    let body = format!(
        r#"{{"type":"urn:hale:error:E014","title":"server unavailable","status":503,"detail":"all connections are taken","code":"E014","cause":"http.connections_full","correlation_id":"{id}","retryable":true,"fix":"hale status"}}"#
    );
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nx-correlation-id: {id}\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection and lose the answer.
        let mut unread = [0u8; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(REFUSAL_LINGERS, answer).await;
}

/// One connection from accept to close.
async fn connection(stream: TcpStream, router: Router, terms: Terms, shutdown: CancellationToken) {
    terms.meters.http_connections.add(1);
    let Terms { limits, meters } = terms.clone();
    let _ = stream.set_nodelay(true);
    let phase = Phase::default();
    let stream = Guarded::new(stream, phase.clone(), limits, meters.clone());
    let service = service_fn({
        let phase = phase.clone();
        move |request| answer(request, router.clone(), terms.clone(), phase.clone())
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_header_size(limits.head_bytes)
        .max_headers(limits.head_fields)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            let patience = if phase.is_busy() { limits.drain } else { IDLE_AT_SHUTDOWN };
            tokio::time::timeout(patience, served).await.unwrap_or(Ok(()))
        }
    };
    meters.http_connections.add(-1);
    if let Err(error) = ended {
        tracing::debug!(event = "http_connection_closed", error = %error, "connection closed");
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    terms: Terms,
    phase: Phase,
) -> Result<Response<Answer<Body>>, Infallible> {
    phase.turn();
    let request = request.map(|body| Body::new(Watched::new(body, terms.limits, terms.meters)));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Answer::new(body, phase)))
}
