//! What can go wrong with a page, and whether it may be asked for again.
//!
//! Guarantees: only what passes by itself is tried again: no connection, a cut one, 429, 5xx, silence. What a policy
//! refused, a name that does not exist and a certificate that does not fit are answers for whoever asked.
//! Read next: `hale-core/src/retry.rs`.

use crate::egress;
use crate::error::Source;
use crate::openai::refusal::retry_after;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::pack::WEB_FETCH;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use reqwest::Response;
use std::time::SystemTime;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// By the policy; nothing was sent there.
    #[error("fetch from {host:?}")]
    Refused { host: String, source: egress::Error },
    #[error("fetch from {host}: it sends the caller on more than {most} times")]
    Redirects { host: String, most: usize },
    #[error("fetch from {host}: where it sends the caller on to is no address")]
    Location { host: String, source: url::ParseError },
    #[error("fetch from {host}: it sends the caller from https to http, at {to}")]
    Downgrade { host: String, to: String },
    #[error("prepare to call {host}")]
    Unprepared { host: String, source: egress::Error },
    #[error("look up {host}")]
    Lookup { host: String, passing: bool, source: Source },
    #[error("trust {host}: its certificate is refused")]
    Certificate { host: String, source: Source },
    #[error("reach {host}")]
    Unreachable { host: String, source: Source },
    #[error("fetch from {host}: the connection ended in the middle")]
    Cut { host: String, source: Source },
    #[error("fetch from {host}: it is busy (status {status})")]
    Busy { host: String, status: u16, retry_after: Option<Millis> },
    #[error("fetch from {host}: it failed (status {status})")]
    Failed { host: String, status: u16, retry_after: Option<Millis> },
    #[error("fetch from {host:?}: no whole answer within {after}")]
    Timeout { host: String, after: Millis },
}

impl Error {
    /// The stable id of the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Refused { .. } | Self::Downgrade { .. } => "web.refused",
            Self::Redirects { .. } | Self::Location { .. } => "web.redirects",
            Self::Unprepared { .. } => "web.unprepared",
            Self::Lookup { .. } => "web.unknown_host",
            Self::Certificate { .. } => "web.certificate",
            Self::Unreachable { .. } => "web.unreachable",
            Self::Cut { .. } => "web.cut",
            Self::Busy { .. } => "web.busy",
            Self::Failed { .. } => "web.server_error",
            Self::Timeout { .. } => "web.timeout",
        }
    }

    /// The host that was refused by policy.
    pub fn refused(&self) -> Option<&str> {
        match self {
            Self::Refused { host, .. } => Some(host),
            Self::Downgrade { to, .. } => Some(to),
            _ => None,
        }
    }

    fn retry(&self) -> RetryClass {
        match self {
            Self::Unreachable { .. }
            | Self::Cut { .. }
            | Self::Busy { .. }
            | Self::Failed { .. }
            | Self::Timeout { .. }
            | Self::Lookup { passing: true, .. } => RetryClass::Tool,
            _ => RetryClass::Never,
        }
    }

    /// What a run carries.
    pub fn failure(&self) -> Failure {
        let code = if self.refused().is_some() { Code::E013 } else { Code::E006 };
        let origin = format!("tool:{WEB_FETCH}");
        let mut failure =
            Failure::new(code, self.cause(), &origin, self.to_string()).retried_as(self.retry());
        if let Some(source) = std::error::Error::source(self) {
            failure = failure.caused_by(source);
        }
        if let Self::Busy { status, retry_after, .. } | Self::Failed { status, retry_after, .. } = self {
            failure.http_status = Some(*status);
            failure.retry_after = *retry_after;
        }
        failure
    }
}

/// An answer that passes by itself is none.
pub(super) fn of_status(host: String, response: Response) -> Result<Response, Error> {
    let status = response.status().as_u16();
    let retry_after = || retry_after(response.headers(), SystemTime::now());
    match status {
        429 => Err(Error::Busy { host, status, retry_after: retry_after() }),
        500.. => Err(Error::Failed { host, status, retry_after: retry_after() }),
        _ => Ok(response),
    }
}

/// What kept a request from its answer. What the guard says of a name comes up through the layers of the client.
pub(super) fn of_sending(host: String, error: reqwest::Error) -> Error {
    let connecting = error.is_connect();
    let source: Source = Box::new(error.without_url());
    let layers = std::iter::successors(Some(source.as_ref() as Layer<'_>), |layer| layer.source());
    match layers.filter_map(told).next() {
        Some(Told::Leads(ip)) => {
            Error::Refused { host: host.clone(), source: egress::Error::Leads { host, ip } }
        }
        Some(Told::Lookup { passing }) => Error::Lookup { host, passing, source },
        Some(Told::Certificate) => Error::Certificate { host, source },
        None if connecting => Error::Unreachable { host, source },
        None => Error::Cut { host, source },
    }
}

type Layer<'e> = &'e (dyn std::error::Error + 'static);

enum Told {
    Leads(std::net::IpAddr),
    Lookup { passing: bool },
    Certificate,
}

fn told(layer: Layer<'_>) -> Option<Told> {
    match layer.downcast_ref() {
        Some(egress::Error::Leads { ip, .. }) => return Some(Told::Leads(*ip)),
        Some(egress::Error::Lookup { source, .. }) => {
            return Some(Told::Lookup { passing: passes(source) });
        }
        _ => {}
    }
    let inner = layer.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let refused = |error: Option<&rustls::Error>| matches!(error, Some(rustls::Error::InvalidCertificate(_)));
    let certificate = refused(layer.downcast_ref()) || refused(inner.and_then(|inner| inner.downcast_ref()));
    certificate.then_some(Told::Certificate)
}

/// Whether a lookup may succeed the next time; the library of the system tells it in words only.
fn passes(error: &std::io::Error) -> bool {
    let said = error.to_string().to_lowercase();
    said.contains("temporar") || said.contains("again")
}
