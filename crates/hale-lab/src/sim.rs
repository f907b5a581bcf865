//! A simulated model server: the OpenAI chat dialect over a real socket, without a model.
//!
//! Guarantees: the same seed, model and messages give the same bytes; it can call tools and sums up what they return;
//! it misbehaves on command ([`Control`], or `/sim/faults` from another process); it says that it is simulated.
//! `POST /v1/chat/completions`, `GET /v1/models`, `/sim/faults`, `/sim/calls`.
//! Leaves to others: everything that a model knows. It is for `hale up` without a provider, the demo and the tests.
//! Read next: [`mind`], what it answers; [`control`], how it is made to fail.

pub mod control;
mod http;
mod mind;
mod embed;
mod errand;
mod stream;
mod summary;
mod wire;

pub use control::{CallLog, Control, Fault, FaultSpec, FaultView};

use http::Site;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// The models, as they are called on the wire; in hale `sim/small` and so on.
pub const MODELS: [&str; 3] = ["small", "large", "backup"];
/// Callers at once; more wait to be accepted. The largest proof has 10,000 runs in the hands of workers, each with a call
/// under way, and what is still open of the workers before.
const CONNECTIONS_MAX: usize = 16_384;
/// A head that takes longer than this is no client of ours.
const HEADER_WAIT: Duration = Duration::from_secs(10);
/// After a failed accept (out of descriptors): long enough not to spin, short enough not to be missed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the server begins.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub faults: Vec<FaultSpec>,
    /// Callers without this key get 401.
    pub api_key: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("listen on {addr} for the simulated models")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("begin the script of the simulated models")]
    Script(#[from] control::Full),
}

/// A running server; ends, with its connections, when dropped.
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
    /// The address cannot be listened on, or the script has too many faults.
    pub async fn start(addr: SocketAddr, seed: u64, script: Script) -> Result<Self, Error> {
        let control = Control::default();
        for fault in script.faults {
            control.set(fault)?;
        }
        let listening = async {
            let listener = TcpListener::bind(addr).await?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (listener, addr) = listening.await.map_err(|source| Error::Listen { addr, source })?;
        let site = Arc::new(Site { seed, api_key: script.api_key, control: control.clone() });
        #[expect(
            clippy::disallowed_methods,
            reason = "the lab is not the engine: its one task is owned here"
        )]
        let accepting = tokio::spawn(accept(listener, site));
        Ok(Self { addr, control, accepting })
    }

    /// What a provider is configured with.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Stops listening and breaks what is under way; returns when the port is free.
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

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Owned by this task: when it ends, so do the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, _)) => {
                let site = Arc::clone(&site);
                connections.spawn(async move {
                    serve(socket, site).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(socket: TcpStream, site: Arc<Site>) {
    // Without this the pieces of a stream would wait for each other; if it cannot be set, they only come later.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .serve_connection(TokioIo::new(socket), service);
    // A connection that breaks is the client's affair, or what a fault ordered.
    let _ = connection.await;
}
