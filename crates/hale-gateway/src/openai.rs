//! A provider that speaks the OpenAI chat dialect over HTTP: OpenAI itself and everything compatible.
//!
//! Guarantees: one request a call, always streamed, ended by the deadline, by the wait for the first chunk or by the
//! wait between chunks, whichever comes first; bytes of a stream and of a line are bounded; a key is sent only where
//! one is configured and there is one.
//! Leaves to others: fallbacks ([`crate::call`]), retries (the engine).
//! Read next: [`assembly`], how the pieces become an answer.

mod assembly;
mod reading;
pub mod refusal;
mod wire;

use crate::call::{KeySource, ProviderConfig, Timeouts};
use crate::egress::{self, Egress};
use crate::error::{Error, Source};
use crate::provider::{ChatReply, ChatRequest, Counted, Message, OnChunk, Provider, Usage};
use crate::secret::{Secret, Secrets};
use assembly::Flaw;
use hale_core::port::Boxed;
use hale_core::time::Millis;
use reading::Reading;
use refusal::Refusal;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// See the module.
pub struct OpenAi {
    name: String,
    chat_url: Url,
    models_url: Url,
    key: KeySource,
    timeouts: Timeouts,
    token_limit: wire::TokenLimit,
    secrets: Arc<Secrets>,
    egress: Egress,
}

/// One call under way: what errors need to know of it.
struct Call<'a> {
    provider: &'a str,
    model: &'a str,
    begun: Instant,
    key: Option<Secret>,
}

impl Call<'_> {
    fn names(&self) -> (String, String) {
        (self.provider.to_owned(), self.model.to_owned())
    }

    fn timeout(&self) -> Error {
        let (provider, model) = self.names();
        Error::Timeout { provider, model, after: Millis::from(self.begun.elapsed()) }
    }

    fn garbled(&self, source: impl Into<Source>) -> Error {
        let (provider, model) = self.names();
        Error::Garbled { provider, model, source: source.into() }
    }

    fn cut(&self, source: Option<Source>) -> Error {
        let (provider, model) = self.names();
        Error::StreamCut { provider, model, source }
    }

    fn stalled(&self, after: Duration) -> Error {
        let (provider, model) = self.names();
        Error::Stalled { provider, model, after: Millis::from(after) }
    }

    fn flaw(&self, flaw: Flaw) -> Error {
        match flaw {
            Flaw::Unfinished => self.cut(None),
            Flaw::Reported(error) => self.reported(&error),
            flaw => self.garbled(flaw.source()),
        }
    }

    /// An error in the middle of a stream has its status, if any, in its code.
    fn reported(&self, error: &serde_json::Value) -> Error {
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

    fn refused(&self, status: u16, retry_after: Option<Millis>, body: &[u8]) -> Error {
        let (provider, model, key) = (self.provider, self.model, self.key.as_ref());
        Refusal { provider, model, status, retry_after, body, key }.error()
    }
}

impl OpenAi {
    /// Opens nothing.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn new(config: ProviderConfig, secrets: Arc<Secrets>, egress: Egress) -> Result<Self, Error> {
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
        let below = |path: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
            url
        };
        Ok(Self {
            chat_url: below("chat/completions"),
            models_url: below("models"),
            token_limit: wire::TokenLimit::of(base.host_str().unwrap_or_default()),
            name: config.name,
            key: config.key,
            timeouts: config.timeouts,
            secrets,
            egress,
        })
    }

    fn call<'a>(&'a self, model: &'a str) -> Result<Call<'a>, Error> {
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

    fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        self.egress.client(url).map_err(|source| self.unreachable(url, source))
    }

    fn unreachable(&self, url: &Url, source: impl Into<Source>) -> Error {
        let (provider, url) = (self.name.clone(), url.origin().ascii_serialization());
        Error::Unreachable { provider, url, source: source.into() }
    }

    async fn send(&self, request: RequestBuilder, call: &Call<'_>) -> Result<Response, Error> {
        let request = match call.key.as_ref().and_then(bearer) {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        request.send().await.map_err(|error| {
            // The address is named in our own message; the source need not repeat it.
            let error = error.without_url();
            if error.is_connect() {
                self.unreachable(&self.chat_url, error)
            } else if is_not_http(&error) {
                call.garbled(error)
            } else {
                call.cut(Some(Box::new(error)))
            }
        })
    }

    async fn attempt(
        &self,
        request: &ChatRequest,
        on_chunk: OnChunk<'_>,
        call: &Call<'_>,
    ) -> Result<ChatReply, Error> {
        let body = wire::body(request, self.token_limit);
        let mut post = self.client(&self.chat_url)?.post(self.chat_url.clone()).json(&body);
        for (name, value) in headers(request) {
            post = post.header(name, value);
        }
        let first = call.begun + self.timeouts.first_chunk;
        let response = match timeout_at(first, self.send(post, call)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(call.timeout()),
        };
        if !response.status().is_success() {
            return Err(reading::refused(response, call).await);
        }
        let mut reading = Reading { call, on_chunk, timeouts: self.timeouts, first_chunk: None };
        let answer = reading.answer(response).await?;
        let estimate = || estimate(request, &answer.text);
        Ok(ChatReply {
            usage: answer.usage.unwrap_or_else(estimate),
            text: answer.text,
            tool_calls: answer.tool_calls,
            finish: answer.finish,
            model: answer.model.unwrap_or_else(|| request.model.clone()),
            provider: self.name.clone(),
            latency: Millis::from(call.begun.elapsed()),
            time_to_first_chunk: reading.first_chunk,
        })
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let call = self.call("the list of models")?;
        let get = self.client(&self.models_url)?.get(self.models_url.clone());
        let response = self.send(get, &call).await?;
        if !response.status().is_success() {
            return Err(reading::refused(response, &call).await);
        }
        reading::model_list(response, &call).await
    }
}

impl Provider for OpenAi {
    fn key_source(&self) -> &'static str {
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

    fn name(&self) -> &str {
        &self.name
    }

    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        on_chunk: OnChunk<'a>,
    ) -> Boxed<'a, Result<ChatReply, Error>> {
        Box::pin(async move {
            let call = self.call(&request.model)?;
            match timeout_at(request.deadline, self.attempt(request, on_chunk, &call)).await {
                Ok(answer) => answer,
                Err(_) => Err(call.timeout()),
            }
        })
    }

    fn models(&self, deadline: Instant) -> Boxed<'_, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let begun = Instant::now();
            match timeout_at(deadline, self.list()).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Timeout {
                    provider: self.name.clone(),
                    model: "the list of models".to_owned(),
                    after: Millis::from(begun.elapsed()),
                }),
            }
        })
    }
}

fn headers(request: &ChatRequest) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let pairs = [
        ("x-correlation-id", Some(&request.correlation_id)),
        ("traceparent", request.traceparent.as_ref()),
        ("idempotency-key", Some(&request.idempotency_key)),
    ];
    // The door checks what callers send; a value that no header can carry is ours to leave away, not to fail for.
    pairs.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value.filter(|value| !value.is_empty())?).ok()?;
        Some((HeaderName::from_static(name), value))
    })
}

/// Marked as sensitive, so that no layer below prints it.
fn bearer(key: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).ok()?;
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

/// Four bytes a token: what every provider's own rule of thumb says for English.
fn estimate(request: &ChatRequest, answer: &str) -> Usage {
    let bytes = |message: &Message| match message {
        Message::System { content } | Message::User { content } | Message::Tool { content, .. } => {
            content.len()
        }
        Message::Assistant { content, tool_calls } => {
            content.len() + tool_calls.iter().map(|call| call.arguments.to_string().len()).sum::<usize>()
        }
    };
    let input: usize = request.messages.iter().map(bytes).sum();
    let tokens = |bytes: usize| bytes.div_ceil(4) as u64;
    Usage { input_tokens: tokens(input), output_tokens: tokens(answer.len()), counted: Counted::Estimate }
}
