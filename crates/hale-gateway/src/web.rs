//! The way to the web: one GET or HEAD of an address that a pack or its model names.
//!
//! Guarantees: every hop, the first and each redirect, is checked by the same policy before anything is sent, and its name
//! again where it is looked up; at most [`limits::WEB_REDIRECTS`] redirects, none from https to http; no header of the
//! caller goes along to another origin; what is read is bounded in bytes and time; each hop has a connection of its own, so
//! that no pack speaks over what another one opened.
//! Leaves to others: retries and their waits (the engine), what a page means (the model that asked).
//! Read next: [`crate::egress::policy`], then [`error`].

pub mod ask;
pub mod error;
pub mod page;

pub use ask::Ask;
pub use error::Error;
pub use page::Page;

use crate::egress::guard::{Guard, Lookup};
use crate::egress::policy::{Policy, covers};
use crate::egress::{self, Egress};
use hale_core::limits;
use hale_core::web::{Host, Site};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, Response};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::time::{Instant, timeout_at};
use url::Url;

/// One request as it is made.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub url: &'a str,
    pub method: Method,
    /// Bytes of the answer to read, at most [`limits::WEB_BYTES_MAX`].
    pub bytes_max: usize,
    /// Sent to the origin of `url` and to no other.
    pub headers: HeaderMap,
    pub deadline: Instant,
}

impl<'a> Request<'a> {
    /// What a tool call asks for: no headers of its own.
    pub fn of(ask: &'a Ask, deadline: Instant) -> Self {
        let Ask { url, method, bytes_max } = ask;
        Self { url, method: method.clone(), bytes_max: *bytes_max, headers: HeaderMap::new(), deadline }
    }
}

/// What the operator lets packs call; clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Web {
    allow: Arc<RwLock<Arc<[Site]>>>,
    lookup: Lookup,
}

/// Where a request stands between two hops.
struct Hop {
    url: Url,
    headers: HeaderMap,
}

impl Web {
    /// A way on which names lead where `lookup` says.
    pub fn looking_up(lookup: Lookup) -> Self {
        Self { allow: Arc::default(), lookup }
    }

    /// From now on packs may be granted these sites, and no others.
    pub fn allow(&self, sites: impl IntoIterator<Item = Site>) {
        *self.allow.write().unwrap_or_else(PoisonError::into_inner) = sites.into_iter().collect();
    }

    fn allowed(&self) -> Arc<[Site]> {
        self.allow.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a pack may be granted this.
    ///
    /// # Errors
    /// [`egress::Error::NotListed`].
    pub fn may_grant(&self, site: &Site) -> Result<(), egress::Error> {
        if covers(&self.allowed(), site) {
            return Ok(());
        }
        Err(egress::Error::NotListed { site: site.to_string() })
    }

    /// Whether a pack without a grant of its own may call public hosts.
    pub fn is_open(&self) -> bool {
        self.allowed().iter().any(|site| site.host == Host::Any)
    }

    /// Fetches what stands there, over redirects, for a pack with these grants.
    ///
    /// # Errors
    /// Every kind of [`Error`].
    pub async fn fetch(&self, grants: Arc<[Site]>, request: Request<'_>) -> Result<Page, Error> {
        let policy = Policy { allow: self.allowed(), grants };
        let begun = Instant::now();
        let deadline = request.deadline.min(begun + limits::WEB_TIMEOUT.duration());
        let host = host_in(request.url);
        timeout_at(deadline, self.follow(&policy, request))
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { host, after: begun.elapsed().into() }))
    }

    async fn follow(&self, policy: &Policy, request: Request<'_>) -> Result<Page, Error> {
        let Request { url, method, bytes_max, headers, .. } = request;
        let url = checked(policy, url)?;
        let mut hop = Hop { url, headers };
        let mut redirects: Vec<String> = Vec::new();
        loop {
            let response = self.send(policy, &method, &hop).await?;
            let Some(location) = location(&response) else {
                let bytes_max = bytes_max.min(limits::WEB_BYTES_MAX);
                return page::read(response, (&method, bytes_max), (hop.url, redirects)).await;
            };
            if redirects.len() == limits::WEB_REDIRECTS {
                return Err(Error::Redirects { host: host_of(&hop.url), most: limits::WEB_REDIRECTS });
            }
            let next = next(policy, &hop.url, &location)?;
            if next.origin() != hop.url.origin() {
                hop.headers.clear();
            }
            redirects.push(next.to_string());
            hop.url = next;
        }
    }

    async fn send(&self, policy: &Policy, method: &Method, hop: &Hop) -> Result<Response, Error> {
        let host = host_of(&hop.url);
        let port = hop.url.port_or_known_default().unwrap_or_default();
        let egress = Egress::guarded(Guard::of_pack(policy.clone(), port, self.lookup.clone()));
        let client =
            egress.client(&hop.url).map_err(|source| Error::Unprepared { host: host.clone(), source })?;
        let sent = client.request(method.clone(), hop.url.clone()).headers(hop.headers.clone()).send().await;
        let response = sent.map_err(|error| error::of_sending(host.clone(), error))?;
        error::of_status(host, response)
    }
}

/// Where a redirect leads, if it may be followed.
///
/// # Errors
/// [`Error::Refused`], [`Error::Location`] and [`Error::Downgrade`].
pub fn next(policy: &Policy, from: &Url, location: &str) -> Result<Url, Error> {
    let joined = from.join(location).map_err(|source| Error::Location { host: host_of(from), source })?;
    let next = checked(policy, joined.as_str())?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(Error::Downgrade { host: host_of(from), to: host_of(&next) });
    }
    Ok(next)
}

fn checked(policy: &Policy, url: &str) -> Result<Url, Error> {
    policy.check(url).map_err(|source| Error::Refused { host: host_in(url), source })
}

/// Where an answer sends its caller; none for an answer that is one.
fn location(response: &Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The host of what may be no address at all: for logs, which get nothing else of it.
fn host_in(url: &str) -> String {
    Url::parse(url).map(|url| host_of(&url)).unwrap_or_default()
}
