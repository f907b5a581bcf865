//! The one place where connections to the outside are made.
//!
//! Guarantees: clients are built on first use, so commands that call nobody pay nothing; redirects are not followed,
//! proxies of the environment are ignored, connecting is bounded; TLS is rustls with ring and the system's roots,
//! which are read only when an `https` address is called, so that a machine without them can still speak to a local
//! model.
//! Addresses of providers are the operator's own, so loopback and private ones are allowed; those that a pack, a model or
//! an arm names go through [`guard`].
//! Read next: [`guard`], then [`crate::openai`].

pub mod address;
pub mod guard;
pub mod policy;

use guard::Guard;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use url::Url;

/// A host that does not answer a connect within this is down for our purposes: three lost SYNs fit into it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections kept to a host; more than the calls that run at once on a busy server would be waste.
const IDLE_MAX: usize = 64;
/// Shorter than the idle limit of common load balancers (60 s), so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {url:?} as an address")]
    Unreadable { url: String, source: url::ParseError },
    #[error("use {url:?} as an address: only http and https are allowed, not {scheme}")]
    Scheme { url: String, scheme: String },
    #[error(
        "use the address of {host:?}: a name or password in it would end up in logs; set the key as a secret"
    )]
    UserInfo { host: String },
    #[error("call {host}: arms may be on this machine, or on a host that the setting `arms.allow` names")]
    NotAllowed { host: String },
    #[error("call {host}: {ip} is link-local, unspecified or multicast, and such addresses are never called")]
    Never { host: String, ip: IpAddr },
    #[error("call {host}: its name leads to {ip}, where it may not lead")]
    Leads { host: String, ip: IpAddr },
    #[error("call {host}: machines in clouds keep their credentials there, and it is never called")]
    Innards { host: String },
    #[error(
        "call {site}: the setting `web.allow` does not cover it; whoever runs the server may add {site:?} there"
    )]
    NotListed { site: String },
    #[error("call {site}: the pack is granted {granted}; add {site:?} to `web` in its `grants`")]
    NotGranted { site: String, granted: String },
    #[error("use an address of more than {most} bytes")]
    TooLong { most: usize },
    #[error("look up {host}")]
    Lookup { host: String, source: std::io::Error },
    #[error("build the client for {scheme} addresses")]
    Build { scheme: &'static str, source: reqwest::Error },
}

/// The shared clients; clones share them.
#[derive(Clone, Default)]
pub struct Egress {
    clients: Arc<Clients>,
    /// Where names may lead; none for the operator's own addresses.
    guard: Option<Guard>,
}

#[derive(Default)]
struct Clients {
    plain: OnceLock<reqwest::Client>,
    tls: OnceLock<reqwest::Client>,
}

/// Checks an address from the configuration: `http` or `https`, a host, no user info.
///
/// # Errors
/// What is wrong with it and what to write instead.
pub fn check(url: &str) -> Result<Url, Error> {
    let parsed = Url::parse(url).map_err(|source| Error::Unreadable { url: url.to_owned(), source })?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Error::Scheme { url: url.to_owned(), scheme: parsed.scheme().to_owned() });
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::UserInfo { host: parsed.host_str().unwrap_or_default().to_owned() });
    }
    Ok(parsed)
}

impl Egress {
    /// Clients for addresses that others chose: what the guard lets through.
    pub fn guarded(guard: Guard) -> Self {
        Self { clients: Arc::default(), guard: Some(guard) }
    }

    /// The client for this address.
    ///
    /// # Errors
    /// [`Error::Build`], for example when the machine has no root certificates and the address is `https`.
    pub fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        let (cell, scheme) = match url.scheme() {
            "https" => (&self.clients.tls, "https"),
            _ => (&self.clients.plain, "http"),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let built = build(scheme, self.guard.clone()).map_err(|source| Error::Build { scheme, source })?;
        Ok(cell.get_or_init(|| built))
    }
}

fn build(scheme: &'static str, guard: Option<Guard>) -> Result<reqwest::Client, reqwest::Error> {
    // Fails only if a provider is already installed, which is then the one that is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("hale/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    let builder = match guard {
        Some(guard) => builder.dns_resolver(Arc::new(guard)),
        None => builder,
    };
    match scheme {
        "https" => builder.build(),
        // No roots: this client never speaks TLS, and must build on a machine that has none.
        _ => builder.tls_certs_only([]).build(),
    }
}
