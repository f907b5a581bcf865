//! The way to an arm: `POST /execute` for a task, `GET /health` for a probe.
//!
//! Guarantees: one attempt a call, ended by its deadline; answers are bounded in bytes and are JSON; every task carries
//! its idempotency key and its correlation; addresses are checked by the guard at every call; redirects are not
//! followed.
//! Leaves to others: retries and their waits (the engine), what an arm's answer means (the run that asked).
//! Read next: [`error`], what can go wrong and whether it may be tried again.

pub mod error;

pub use error::{Error, Repeat};

use crate::egress::Egress;
use crate::egress::guard::Guard;
use crate::error::Said;
use crate::openai::refusal::{excerpt, retry_after};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::time::SystemTime;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// The largest answer of an arm: it becomes a step in the journal. More belongs into a place that the answer names.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Of a refusal or a health page no more is read.
const EXCERPT_BYTES_MAX: usize = 16 << 10;

/// An arm as it is called.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub arm: &'a str,
    /// The base address.
    pub endpoint: &'a str,
    pub deadline: Instant,
}

/// A task for an arm.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub body: &'a Value,
    /// The same for every try of one step.
    pub idempotency_key: &'a str,
    pub correlation_id: &'a str,
    pub traceparent: Option<&'a str>,
}

/// The clients for arms, and which of them may be called.
#[derive(Clone)]
pub struct Arms {
    guard: Guard,
    egress: Egress,
}

impl Default for Arms {
    fn default() -> Self {
        let guard = Guard::default();
        Self { egress: Egress::guarded(guard.clone()), guard }
    }
}

impl Arms {
    /// Hosts that may be called beside this machine.
    pub fn allow(&self, hosts: impl IntoIterator<Item = String>) {
        self.guard.allow(hosts);
    }

    /// Whether an arm may be there.
    ///
    /// # Errors
    /// [`Error::Address`].
    pub fn check(&self, arm: &str, endpoint: &str) -> Result<(), Error> {
        self.below(Target { arm, endpoint, deadline: Instant::now() }, "health").map(drop)
    }

    fn below(&self, target: Target<'_>, path: &str) -> Result<Url, Error> {
        let refused = |source| Error::Address { arm: target.arm.to_owned(), source };
        let mut url = self.guard.check(target.endpoint).map_err(refused)?;
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        Ok(url)
    }

    /// Sends a task and reads the answer.
    ///
    /// # Errors
    /// Every kind of [`Error`].
    pub async fn execute(&self, target: Target<'_>, task: Task<'_>) -> Result<Value, Error> {
        let url = self.below(target, "execute")?;
        let client = self.client(target, &url)?;
        let mut post = client
            .post(url.clone())
            .json(task.body)
            .header(ACCEPT, "application/json")
            .header("idempotency-key", task.idempotency_key)
            .header("x-correlation-id", task.correlation_id);
        if let Some(traceparent) = task.traceparent {
            post = post.header("traceparent", traceparent);
        }
        let exchange = async {
            let response = self.send(target, (post, &url)).await?;
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or_default().to_owned();
            let bytes = read(target, response, ANSWER_BYTES_MAX).await?;
            serde_json::from_slice(&bytes).map_err(|error| {
                let said = Said(format!("{error}; it sent {kind:?}: {}", excerpt(&bytes)));
                Error::Garbled { arm: target.arm.to_owned(), source: said }
            })
        };
        within(target, exchange).await
    }

    /// Asks for a sign of life: any answer of 200 to 299 is one.
    ///
    /// # Errors
    /// Every kind of [`Error`] but a garbled answer.
    pub async fn health(&self, target: Target<'_>) -> Result<(), Error> {
        let url = self.below(target, "health")?;
        let get = self.client(target, &url)?.get(url.clone());
        within(target, async { self.send(target, (get, &url)).await.map(drop) }).await
    }

    fn client(&self, target: Target<'_>, url: &Url) -> Result<&reqwest::Client, Error> {
        self.egress.client(url).map_err(|source| Error::Address { arm: target.arm.to_owned(), source })
    }

    async fn send(
        &self,
        target: Target<'_>,
        (request, url): (RequestBuilder, &Url),
    ) -> Result<Response, Error> {
        let (arm, address) = (target.arm.to_owned(), url.origin().ascii_serialization());
        let response = request.send().await.map_err(|error| {
            let (connecting, source) = (error.is_connect(), Box::new(error.without_url()));
            match connecting {
                true => Error::Unreachable { arm: arm.clone(), url: address, source },
                false => Error::Cut { arm: arm.clone(), source },
            }
        })?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let bytes = read(target, response, EXCERPT_BYTES_MAX).await.unwrap_or_default();
        let source = Said(excerpt(&bytes));
        Err(match status {
            429 | 503 => Error::Busy { arm, status, retry_after, source },
            500.. => Error::Failed { arm, status, source },
            _ => Error::Refused { arm, status, source },
        })
    }
}

async fn within<T>(target: Target<'_>, exchange: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let begun = Instant::now();
    timeout_at(target.deadline, exchange)
        .await
        .unwrap_or_else(|_| Err(Error::Timeout { arm: target.arm.to_owned(), after: begun.elapsed().into() }))
}

/// The body, if it is no longer than `most`.
async fn read(target: Target<'_>, mut response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let cut = |error: reqwest::Error| Error::Cut {
        arm: target.arm.to_owned(),
        source: Box::new(error.without_url()),
    };
    while let Some(chunk) = response.chunk().await.map_err(cut)? {
        if bytes.len() + chunk.len() > most {
            return Err(Error::TooLong { arm: target.arm.to_owned(), most });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
