//! A provider that speaks another dialect than OpenAI's: agents call it through the translation.
//!
//! Guarantees: as those of [`crate::openai`]: one request a call, always streamed, ended by the deadline, by the wait for
//! the first chunk or by the wait between chunks; bytes are bounded.
//! Leaves to others: fallbacks ([`crate::call`]), retries (the engine), what the dialects say ([`crate::dialect`]).
//! Read next: [`heard`], how the pieces become an answer.

mod heard;

use crate::call::ProviderConfig;
use crate::dialect::ask::{Ask, Part, Role, Tool, Turn};
use crate::egress::Egress;
use crate::error::{Error, Said};
use crate::openai::{self, reading};
use crate::provider::{ChatReply, ChatRequest, Message, OnChunk, Provider};
use crate::secret::Secrets;
use crate::site::{Call, Site, Speaks};
use hale_core::port::Boxed;
use hale_core::time::Millis;
use heard::Hearing;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The Anthropic dialect wants a bound; this one holds the answers of an agent's turn.
const TOKENS: u64 = 8192;
/// A list of models.
const LIST_BYTES_MAX: usize = 4 << 20;

/// See the module.
pub struct Spoken {
    site: Site,
}

impl Spoken {
    /// Opens nothing.
    ///
    /// # Errors
    /// [`Error::BadAddress`].
    pub fn new(config: &ProviderConfig, secrets: Arc<Secrets>, egress: Egress) -> Result<Self, Error> {
        Ok(Self { site: Site::new(config, secrets, egress)? })
    }

    async fn attempt(
        &self,
        request: &ChatRequest,
        on_chunk: OnChunk<'_>,
        call: &Call<'_>,
    ) -> Result<ChatReply, Error> {
        let (dialect, version) = (self.site.speaks.dialect(), self.site.speaks.version());
        let written = dialect.write(&ask(request), call.model, version.unwrap_or_default());
        let written = written.map_err(|bad| {
            let (provider, model) = call.names();
            Error::BadRequest { provider, model, status: 400, source: Said(bad.message) }
        })?;
        let path = match self.site.speaks {
            Speaks::OpenAi => "chat/completions",
            Speaks::Anthropic(_) => "messages",
            Speaks::Ollama => "chat",
        };
        let url = self.site.below(path);
        let mut post =
            self.site.client(&url)?.post(url).header(CONTENT_TYPE, "application/json").body(written.body);
        for (name, value) in openai::headers(request) {
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
        let mut hearing = Hearing::new(dialect, on_chunk);
        let time_to_first_chunk = self.hear(response, &mut hearing, call).await?;
        let answer = hearing.answer().map_err(|flaw| call.flaw(flaw))?;
        Ok(ChatReply {
            usage: answer.usage.unwrap_or_else(|| openai::estimate(request, &answer.text)),
            text: answer.text,
            tool_calls: answer.tool_calls,
            finish: answer.finish,
            model: answer.model.unwrap_or_else(|| request.model.clone()),
            provider: self.site.name.clone(),
            latency: Millis::from(call.begun.elapsed()),
            time_to_first_chunk,
        })
    }

    /// Reads to the end; answers how long the first bytes took.
    async fn hear(
        &self,
        mut response: Response,
        hearing: &mut Hearing<'_>,
        call: &Call<'_>,
    ) -> Result<Option<Millis>, Error> {
        let mut first_chunk = None;
        while !hearing.is_done() {
            let limit = match first_chunk {
                None => call.begun + self.site.timeouts.first_chunk,
                Some(_) => Instant::now() + self.site.timeouts.stall,
            };
            let bytes = match timeout_at(limit, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break,
                Ok(Err(_)) | Err(_) if hearing.is_whole() => break,
                Ok(Err(error)) => return Err(call.cut(Some(Box::new(error.without_url())))),
                Err(_) if first_chunk.is_none() => return Err(call.timeout()),
                Err(_) => return Err(call.stalled(self.site.timeouts.stall)),
            };
            first_chunk.get_or_insert_with(|| Millis::from(call.begun.elapsed()));
            hearing.push(&bytes).map_err(|flaw| call.flaw(flaw))?;
        }
        hearing.end();
        Ok(first_chunk)
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let call = self.site.call("the list of models")?;
        let url = self.site.below(self.site.speaks.models_path());
        let get = self.site.client(&url)?.get(url);
        let response = self.site.send(get, &call).await?;
        if !response.status().is_success() {
            return Err(reading::refused(response, &call).await);
        }
        let body =
            reading::read_bounded(response, LIST_BYTES_MAX).await.map_err(|error| call.cut(Some(error)))?;
        let list: Value = serde_json::from_slice(&body).map_err(|error| call.garbled(error))?;
        let (items, name) = match self.site.speaks {
            Speaks::Ollama => (&list["models"], "name"),
            Speaks::OpenAi | Speaks::Anthropic(_) => (&list["data"], "id"),
        };
        let Some(items) = items.as_array() else { return Err(call.cut(None)) };
        Ok(items.iter().filter_map(|item| item[name].as_str()).map(str::to_owned).collect())
    }
}

fn ask(request: &ChatRequest) -> Ask {
    let mut ask = Ask {
        model: request.model.clone(),
        max_tokens: Some(request.max_tokens.map_or(TOKENS, u64::from)),
        temperature: request.temperature.map(f64::from),
        seed: request.seed.and_then(|seed| i64::try_from(seed).ok()),
        stream: true,
        include_usage: true,
        ..Ask::default()
    };
    ask.tools = request
        .tools
        .iter()
        .map(|tool| Tool {
            name: tool.name.clone(),
            description: Some(tool.description.clone()),
            parameters: tool.parameters.clone(),
            strict: None,
        })
        .collect();
    for message in &request.messages {
        let (role, parts) = match message {
            Message::System { content } => {
                ask.system.push(content.clone());
                continue;
            }
            Message::User { content } => (Role::User, vec![Part::Text(content.clone())]),
            Message::Assistant { content, tool_calls } => {
                let text = (!content.is_empty()).then(|| Part::Text(content.clone()));
                let calls = tool_calls.iter().map(|call| Part::ToolUse {
                    id: call.id.clone(),
                    name: call.name.clone(),
                    arguments: call.arguments.clone(),
                });
                (Role::Assistant, text.into_iter().chain(calls).collect())
            }
            Message::Tool { call_id, content } => {
                let (id, parts) = (call_id.clone(), vec![Part::Text(content.clone())]);
                (Role::User, vec![Part::ToolResult { id, parts, is_error: false }])
            }
        };
        ask.turns.push(Turn { role, parts });
    }
    ask
}

impl Provider for Spoken {
    fn name(&self) -> &str {
        &self.site.name
    }

    fn key_source(&self) -> &'static str {
        self.site.key_source()
    }

    fn site(&self) -> Option<&Site> {
        Some(&self.site)
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
