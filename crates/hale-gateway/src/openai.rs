//! A provider that speaks the OpenAI chat dialect over HTTP: OpenAI itself and everything compatible.
//!
//! Guarantees: one request a call, always streamed, ended by the deadline, by the wait for the first chunk or by the
//! wait between chunks, whichever comes first; bytes of a stream and of a line are bounded.
//! Leaves to others: fallbacks ([`crate::call`]), retries (the engine).
//! Read next: [`assembly`], how the pieces become an answer.

pub(crate) mod assembly;
pub(crate) mod reading;
pub mod refusal;
mod wire;

use crate::call::ProviderConfig;
use crate::egress::Egress;
use crate::error::Error;
use crate::provider::{ChatReply, ChatRequest, Counted, Message, OnChunk, Provider, Usage};
use crate::secret::Secrets;
use crate::site::{Call, Site};
use hale_core::port::Boxed;
use hale_core::time::Millis;
use reading::Reading;
use reqwest::header::{HeaderName, HeaderValue};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// See the module.
pub struct OpenAi {
    site: Site,
    chat_url: Url,
    models_url: Url,
    token_limit: wire::TokenLimit,
}

impl OpenAi {
    /// Opens nothing.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn new(config: &ProviderConfig, secrets: Arc<Secrets>, egress: Egress) -> Result<Self, Error> {
        let site = Site::new(config, secrets, egress)?;
        Ok(Self {
            chat_url: site.below("chat/completions"),
            models_url: site.below("models"),
            token_limit: wire::TokenLimit::of(site.host()),
            site,
        })
    }

    async fn attempt(
        &self,
        request: &ChatRequest,
        on_chunk: OnChunk<'_>,
        call: &Call<'_>,
    ) -> Result<ChatReply, Error> {
        let body = wire::body(request, self.token_limit);
        let mut post = self.site.client(&self.chat_url)?.post(self.chat_url.clone()).json(&body);
        for (name, value) in headers(request) {
            post = post.header(name, value);
        }
        let first = call.begun + self.site.timeouts.first_chunk;
        let response = match timeout_at(first, self.site.send(post, call)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(call.timeout()),
        };
        if !response.status().is_success() {
            return Err(reading::refused(response, call).await);
        }
        let mut reading = Reading { call, on_chunk, timeouts: self.site.timeouts, first_chunk: None };
        let answer = reading.answer(response).await?;
        let estimate = || estimate(request, &answer.text);
        Ok(ChatReply {
            usage: answer.usage.unwrap_or_else(estimate),
            text: answer.text,
            tool_calls: answer.tool_calls,
            finish: answer.finish,
            model: answer.model.unwrap_or_else(|| request.model.clone()),
            provider: self.site.name.clone(),
            latency: Millis::from(call.begun.elapsed()),
            time_to_first_chunk: reading.first_chunk,
        })
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let call = self.site.call("the list of models")?;
        let get = self.site.client(&self.models_url)?.get(self.models_url.clone());
        let response = self.site.send(get, &call).await?;
        if !response.status().is_success() {
            return Err(reading::refused(response, &call).await);
        }
        reading::model_list(response, &call).await
    }
}

impl Provider for OpenAi {
    fn key_source(&self) -> &'static str {
        self.site.key_source()
    }

    fn site(&self) -> Option<&Site> {
        Some(&self.site)
    }

    fn name(&self) -> &str {
        &self.site.name
    }

    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        on_chunk: OnChunk<'a>,
    ) -> Boxed<'a, Result<ChatReply, Error>> {
        Box::pin(async move {
            let call = self.site.call(&request.model)?;
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
                    provider: self.site.name.clone(),
                    model: "the list of models".to_owned(),
                    after: Millis::from(begun.elapsed()),
                }),
            }
        })
    }
}

pub(crate) fn headers(request: &ChatRequest) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
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

/// Four bytes a token: what every provider's own rule of thumb says for English.
pub(crate) fn estimate(request: &ChatRequest, answer: &str) -> Usage {
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
