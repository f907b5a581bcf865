//! One request on one connection.
//!
//! `http://` goes over hyper directly, so that a command starts without a TLS stack; `https://` goes through reqwest.
//! Guarantees: every wait has a limit, every body a bound; nothing runs in the background: the connection moves only
//! while somebody waits for it.
//! Read next: [`super::events`].

use super::find::connect;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// The largest body that is read whole: an artifact of the largest size, with some room.
const BODY_BYTES: usize = 300 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connect to {address}")]
    Connect {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("speak HTTP with {address}")]
    Http {
        address: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("wait for an answer of {address}: none within {within:?}")]
    Late { address: String, within: Duration },
    #[error("read the answer of {address}: it is longer than {BODY_BYTES} bytes")]
    TooLong { address: String },
}

/// An answer whose body is still coming.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Body,
    address: String,
}

enum Body {
    Plain { incoming: Incoming, driver: Driver },
    Tls(reqwest::Response),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The connection's own future; polled beside whatever waits for it.
struct Driver {
    connection: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
    over: bool,
}

impl Driver {
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if !self.over && self.connection.as_mut().poll(cx).is_ready() {
                self.over = true;
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

/// Sends a request, whose URI is a whole URL, and waits for the head of the answer.
///
/// # Errors
/// When the server cannot be reached or does not answer in time.
pub async fn send(url: &Url, request: Request<Full<Bytes>>, within: Duration) -> Result<Answer, Error> {
    let address = super::find::bare(url).to_owned();
    if url.scheme() == "https" {
        return send_tls(address, request, within).await;
    }
    let stream = connect(url).await.map_err(|source| Error::Connect { address: address.clone(), source })?;
    let http = |source: hyper::Error| Error::Http { address: address.clone(), source: source.into() };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let mut driver = Driver { connection: Box::pin(connection), over: false };
    let (mut parts, body) = request.into_parts();
    // On a direct connection the request line has the path alone; the host stands in its header.
    parts.uri = parts
        .uri
        .path_and_query()
        .map_or_else(|| "/".parse(), |path| path.as_str().parse())
        .unwrap_or_default();
    let answer = timeout(within, driver.during(sender.send_request(Request::from_parts(parts, body)))).await;
    let late = |_| Error::Late { address: address.clone(), within };
    let (head, incoming) = answer.map_err(late)?.map_err(http)?.into_parts();
    Ok(Answer { status: head.status, headers: head.headers, body: Body::Plain { incoming, driver }, address })
}

async fn send_tls(address: String, request: Request<Full<Bytes>>, within: Duration) -> Result<Answer, Error> {
    let http = |source: reqwest::Error| Error::Http { address: address.clone(), source: source.into() };
    // Fails only if one is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(http)?;
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let sent = client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send();
    let answer = timeout(within, sent).await.map_err(|_| Error::Late { address: address.clone(), within })?;
    let answer = answer.map_err(http)?;
    Ok(Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: Body::Tls(answer),
        address,
    })
}

impl Answer {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let address = &self.address;
        let http = |source: Box<dyn std::error::Error + Send + Sync>| Error::Http {
            address: address.clone(),
            source,
        };
        match &mut self.body {
            Body::Tls(answer) => answer.chunk().await.map_err(|error| http(error.into())),
            Body::Plain { incoming, driver } => loop {
                match driver.during(incoming.frame()).await {
                    None => return Ok(None),
                    Some(Err(error)) => return Err(http(error.into())),
                    // Trailers carry nothing of ours.
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// When it does not end in time, is too long, or the connection breaks.
    pub async fn whole(mut self, within: Duration) -> Result<Vec<u8>, Error> {
        let address = self.address.clone();
        let read = async {
            let mut whole = Vec::new();
            while let Some(chunk) = self.chunk().await? {
                if whole.len() + chunk.len() > BODY_BYTES {
                    return Err(Error::TooLong { address: self.address.clone() });
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(whole)
        };
        timeout(within, read).await.map_err(|_| Error::Late { address, within })?
    }
}
