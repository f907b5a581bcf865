//! Where a provider is, and how one request is sent there.
//!
//! Guarantees: a key is sent only where one is configured and there is one; connections are those of
//! [`crate::egress`]; what goes wrong on the way is a typed error that names the provider.
//! Leaves to others: what is sent and what the answer means ([`crate::openai`], [`crate::relay`]).
//! Read next: [`crate::openai`].

use crate::call::{KeySource, ProviderConfig, Timeouts};
use crate::dialect::{Dialect, Version};
use crate::egress::{self, Egress};
use crate::error::{Error, Source};
use crate::openai::assembly::Flaw;
use crate::openai::refusal::Refusal;
use crate::secret::{Secret, Secrets};
use hale_core::time::Millis;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    #[default]
    OpenAi,
    Anthropic(Version),
    Ollama,
}

impl Speaks {
    /// The words of the configuration.
    const NAMES: [(&'static str, Self); 4] = [
        ("openai", Self::OpenAi),
        ("anthropic", Self::Anthropic(Version::V2023_06_01)),
        ("anthropic-2026-10-21", Self::Anthropic(Version::V2026_10_21)),
        ("ollama", Self::Ollama),
    ];

    pub fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, speaks)| *speaks)
    }

    /// The dialect of its chats.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi => Dialect::OpenAiChat,
            Self::Anthropic(_) => Dialect::Anthropic,
            Self::Ollama => Dialect::OllamaChat,
        }
    }

    pub fn version(self) -> Option<Version> {
        match self {
            Self::Anthropic(version) => Some(version),
            Self::OpenAi | Self::Ollama => None,
        }
    }

    /// Where its models are listed, below the base.
    pub(crate) fn models_path(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic(_) => "models",
            Self::Ollama => "tags",
        }
    }
}

/// A provider's address, key and patience.
pub struct Site {
    pub(crate) name: String,
    base: Url,
    key: KeySource,
    pub(crate) timeouts: Timeouts,
    pub(crate) speaks: Speaks,
    secrets: Arc<Secrets>,
    egress: Egress,
}

/// One call under way: what errors need to know of it.
pub(crate) struct Call<'a> {
    pub provider: &'a str,
    pub model: &'a str,
    pub begun: Instant,
    pub key: Option<Secret>,
}

impl Call<'_> {
    pub(crate) fn names(&self) -> (String, String) {
        (self.provider.to_owned(), self.model.to_owned())
    }

    pub(crate) fn timeout(&self) -> Error {
        let (provider, model) = self.names();
        Error::Timeout { provider, model, after: Millis::from(self.begun.elapsed()) }
    }

    pub(crate) fn garbled(&self, source: impl Into<Source>) -> Error {
        let (provider, model) = self.names();
        Error::Garbled { provider, model, source: source.into() }
    }

    pub(crate) fn cut(&self, source: Option<Source>) -> Error {
        let (provider, model) = self.names();
        Error::StreamCut { provider, model, source }
    }

    pub(crate) fn stalled(&self, after: Duration) -> Error {
        let (provider, model) = self.names();
        Error::Stalled { provider, model, after: Millis::from(after) }
    }

    pub(crate) fn flaw(&self, flaw: Flaw) -> Error {
        match flaw {
            Flaw::Unfinished => self.cut(None),
            Flaw::Reported(error) => self.reported(&error),
            flaw => self.garbled(flaw.source()),
        }
    }

    /// An error in the middle of a stream has its status, if any, in its code.
    pub(crate) fn reported(&self, error: &serde_json::Value) -> Error {
        let code = error.get("code").or_else(|| error.get("status"));
        let number = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        let status = match (number, code.and_then(serde_json::Value::as_str)) {
            (Some(number @ 400..600), _) => u16::try_from(number).unwrap_or(500),
            (_, Some("rate_limit_exceeded")) => 429,
            _ => 500,
        };
        let body = serde_json::json!({ "error": error }).to_string();
        self.refused(status, None, body.as_bytes())
    }

    pub(crate) fn refused(&self, status: u16, retry_after: Option<Millis>, body: &[u8]) -> Error {
        let (provider, model, key) = (self.provider, self.model, self.key.as_ref());
        Refusal { provider, model, status, retry_after, body, key }.error()
    }
}

impl Site {
    /// Opens nothing.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn new(config: &ProviderConfig, secrets: Arc<Secrets>, egress: Egress) -> Result<Self, Error> {
        let bad = |why: String| Error::BadAddress {
            provider: config.name.clone(),
            url: config.base_url.clone(),
            why,
        };
        let base = egress::check(&config.base_url).map_err(|error| match error {
            // The address may hold a password: it is not repeated.
            egress::Error::UserInfo { .. } => Error::BadAddress {
                provider: config.name.clone(),
                url: "(hidden)".to_owned(),
                why: error.to_string(),
            },
            error => bad(error.to_string()),
        })?;
        Ok(Self {
            name: config.name.clone(),
            key: config.key.clone(),
            timeouts: config.timeouts,
            speaks: config.speaks,
            base,
            secrets,
            egress,
        })
    }

    /// The address of this path below the base.
    pub(crate) fn below(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// What a call to this model needs to know; resolves the key.
    ///
    /// # Errors
    /// [`Error::KeyMissing`], [`Error::KeyUnreadable`].
    pub(crate) fn call<'a>(&'a self, model: &'a str) -> Result<Call<'a>, Error> {
        let (name, needed) = match &self.key {
            KeySource::NotNeeded => (None, None),
            KeySource::Optional(name) => (Some(name), None),
            KeySource::Required(name) => (Some(name), Some(name)),
        };
        let unreadable = |source| Error::KeyUnreadable { provider: self.name.clone(), source };
        let found = name.map(|name| self.secrets.resolve(name)).transpose().map_err(unreadable)?.flatten();
        if let (None, Some(name)) = (&found, needed) {
            return Err(Error::KeyMissing { provider: self.name.clone(), name: name.clone() });
        }
        let key = found.map(|(secret, _)| secret);
        Ok(Call { provider: &self.name, model, begun: Instant::now(), key })
    }

    pub(crate) fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        self.egress.client(url).map_err(|source| self.unreachable(url, source))
    }

    fn unreachable(&self, url: &Url, source: impl Into<Source>) -> Error {
        let (provider, url) = (self.name.clone(), url.origin().ascii_serialization());
        Error::Unreachable { provider, url, source: source.into() }
    }

    /// Sends with the key; the answer may be a refusal.
    ///
    /// # Errors
    /// What kept an answer from beginning.
    pub(crate) async fn send(&self, request: RequestBuilder, call: &Call<'_>) -> Result<Response, Error> {
        let request = match (call.key.as_ref(), self.speaks.version()) {
            (Some(key), Some(Version::V2023_06_01)) => match sensitive(key.reveal()) {
                Some(value) => request.header("x-api-key", value),
                None => request,
            },
            (Some(key), _) => match sensitive(&format!("Bearer {}", key.reveal())) {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            },
            (None, _) => request,
        };
        let request = match self.speaks.version() {
            Some(version) => request.header("anthropic-version", version.header()),
            None => request,
        };
        request.send().await.map_err(|error| {
            // The address is named in our own message; the source need not repeat it.
            let error = error.without_url();
            if error.is_connect() {
                self.unreachable(&self.base, error)
            } else if is_not_http(&error) {
                call.garbled(error)
            } else {
                call.cut(Some(Box::new(error)))
            }
        })
    }

    /// Where the key comes from now: `env`, `file`, `store`, or `none`.
    pub(crate) fn key_source(&self) -> &'static str {
        let name = match &self.key {
            KeySource::NotNeeded => return "none",
            KeySource::Optional(name) | KeySource::Required(name) => name,
        };
        match self.secrets.resolve(name) {
            Ok(Some((_, crate::secret::Source::Env(_)))) => "env",
            Ok(Some((_, crate::secret::Source::EnvFile { .. }))) => "file",
            Ok(Some((_, crate::secret::Source::Stored(_)))) => "store",
            Ok(None) | Err(_) => "none",
        }
    }
}

/// Marked as sensitive, so that no layer below prints it.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether what answered does not speak HTTP at all.
fn is_not_http(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        source = error.source();
    }
    false
}
