//! Words to people: one POST of JSON to the webhook of a channel.
//!
//! A channel is a secret of the name `notify-CHANNEL` that holds an address, since whoever knows a webhook may use it;
//! messages name its host only.
//! Guarantees: one attempt a call, ended by its deadline; redirects are not followed; every attempt of one notice
//! carries the same idempotency key.
//! Leaves to others: whether and when to try again.
//! Read next: [`crate::secret`].

use crate::egress::{self, Egress};
use crate::error::{Said, Source};
use crate::openai::refusal::{excerpt, retry_after};
use crate::secret::store::stored_names;
use crate::secret::{self, Secrets, variables};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::{Instant, timeout_at};

/// Before the name of the channel in the name of its secret.
const PREFIX: &str = "notify-";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("notify {channel}: there is no such channel")]
    Unknown { channel: String },
    #[error("notify {channel}: its address cannot be read")]
    Unreadable { channel: String, source: secret::Error },
    #[error("notify {channel}: what is stored as its address is none")]
    Address { channel: String, source: egress::Error },
    #[error("notify {channel}: {host} is not reached")]
    Unreachable { channel: String, host: String, source: Source },
    #[error("notify {channel}: {host} answers {status}")]
    Refused { channel: String, host: String, status: u16, retry_after: Option<Millis>, source: Said },
    #[error("notify {channel}: no answer of {host} within {after}")]
    Timeout { channel: String, host: String, after: Millis },
}

impl Error {
    /// The stable id of the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "notify.unknown_channel",
            Self::Unreadable { .. } | Self::Address { .. } => "notify.bad_address",
            Self::Unreachable { .. } => "notify.unreachable",
            Self::Refused { .. } => "notify.refused",
            Self::Timeout { .. } => "notify.timeout",
        }
    }

    /// The error as a failure; one that may go by itself is classed as that of a tool.
    pub fn failure(&self) -> Failure {
        let (code, retry) = match self {
            Self::Unknown { .. } => (Code::E010, RetryClass::Never),
            Self::Unreadable { .. } | Self::Address { .. } => (Code::E002, RetryClass::Never),
            Self::Refused { status, .. } if !matches!(status, 429 | 500..) => (Code::E006, RetryClass::Never),
            _ => (Code::E006, RetryClass::Tool),
        };
        let mut failure = Failure::new(code, self.cause(), "notify", self.to_string()).retried_as(retry);
        if let Some(source) = std::error::Error::source(self) {
            failure = failure.caused_by(source);
        }
        if let Self::Refused { status, retry_after, .. } = self {
            failure.http_status = Some(*status);
            failure.retry_after = *retry_after;
        }
        failure
    }
}

/// One notice as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    pub channel: &'a str,
    pub body: &'a Value,
    /// The same for every attempt.
    pub idempotency_key: &'a str,
    pub deadline: Instant,
}

/// The channels and the way to them.
#[derive(Clone)]
pub struct Notices {
    secrets: Arc<Secrets>,
    egress: Egress,
}

/// What to set so that the channel is there.
pub fn how_to_set(channel: &str) -> String {
    let [_, variable] = variables(&format!("{PREFIX}{channel}"));
    format!("store its webhook address: hale secrets set {PREFIX}{channel}, or set {variable} for the server")
}

impl Notices {
    pub(crate) fn new(secrets: Arc<Secrets>, egress: Egress) -> Self {
        Self { secrets, egress }
    }

    /// The channels that are stored, sorted; those of the environment are found by name only.
    ///
    /// # Errors
    /// A secrets folder that cannot be read.
    pub fn channels(&self) -> Result<Vec<String>, secret::Error> {
        let names = stored_names(self.secrets.dir())?;
        Ok(names.iter().filter_map(|name| name.strip_prefix(PREFIX)).map(str::to_owned).collect())
    }

    /// Sends the notice once and answers the status.
    ///
    /// # Errors
    /// Every kind of [`Error`].
    pub async fn send(&self, notice: Notice<'_>) -> Result<u16, Error> {
        let channel = notice.channel.to_owned();
        let found = self.secrets.resolve(&format!("{PREFIX}{channel}"));
        let found = found.map_err(|source| Error::Unreadable { channel: channel.clone(), source })?;
        let Some((secret, _)) = found else { return Err(Error::Unknown { channel }) };
        let address = |source| Error::Address { channel: channel.clone(), source };
        // The address is a secret: what is wrong with it is told without it.
        let url = egress::check(secret.reveal()).map_err(without_url).map_err(address)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = self.egress.client(&url).map_err(address)?.post(url);
        let request = request.json(notice.body).header("idempotency-key", notice.idempotency_key);
        let begun = Instant::now();
        let Ok(answer) = timeout_at(notice.deadline, request.send()).await else {
            return Err(Error::Timeout { channel, host, after: begun.elapsed().into() });
        };
        let response = answer.map_err(|error| Error::Unreachable {
            channel: channel.clone(),
            host: host.clone(),
            source: Box::new(error.without_url()),
        })?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(status);
        }
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let said = timeout_at(notice.deadline, first_bytes(response)).await.unwrap_or_default();
        Err(Error::Refused { channel, host, status, retry_after, source: Said(excerpt(&said)) })
    }
}

fn without_url(error: egress::Error) -> egress::Error {
    let url = "(kept secret)".to_owned();
    match error {
        egress::Error::Unreadable { source, .. } => egress::Error::Unreadable { url, source },
        egress::Error::Scheme { scheme, .. } => egress::Error::Scheme { url, scheme },
        other => other,
    }
}

/// Enough of a refusal to be understood.
async fn first_bytes(mut response: reqwest::Response) -> Vec<u8> {
    const MOST: usize = 4 << 10;
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(MOST - bytes.len())]);
        if bytes.len() >= MOST {
            break;
        }
    }
    bytes
}
