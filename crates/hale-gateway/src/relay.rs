//! The way of an outside client's call: its bytes to a provider, over fallbacks and retries, and the answer back.
//!
//! The stages, in this order: limits and breaker of each model , attempt, classify, fall back or
//! retry, settle ([`settle`]).
//! Guarantees: one deadline and one budget of attempts for the whole call; until the first byte is let out another
//! model may answer instead, after it none does and what goes wrong is an event in the client's dialect; `Retry-After`
//! wins over our own wait, and a wait past the deadline is not started; nothing of a failed attempt, its headers
//! included, reaches the client; a call is recorded once, however it ends.
//! Leaves to others: who may call (the door), which models a name stands for (the engine).
//! Read next: [`stream`], the answer piece by piece.

mod attempt;
pub mod stream;
mod flow;
mod frames;
mod translated;
mod settle;
pub mod shallow;

use crate::call::{FALLBACK_NEEDS, Gateway, Route, Tried};
use crate::calls::{Call as Record, Outcome};
use crate::dialect::{Dialect, Version};
use crate::site::Speaks;
use attempt::{Attempt, Lost};
use bytes::Bytes;
use hale_core::failure::Failure;
use hale_core::id::CallId;
use hale_core::retry::{self, Verdict};
use hale_core::time::{Millis, Timestamp};
use reqwest::header::HeaderMap;
use settle::Settle;
use shallow::{BadBody, Shallow};
use std::sync::Arc;
use stream::Stream;
use tokio::time::{Instant, sleep};

/// Attempts of one call in all, whichever model they ask.
pub const ATTEMPTS_MAX: usize = 6;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Chat,
    Embeddings,
}

impl Endpoint {
    /// The path below the provider's base.
    pub fn path(self, speaks: Speaks) -> &'static str {
        match (self, speaks) {
            (Self::Chat, Speaks::OpenAi) => "chat/completions",
            (Self::Chat, Speaks::Anthropic(_)) => "messages",
            (Self::Chat, Speaks::Ollama) => "chat",
            (Self::Embeddings, Speaks::OpenAi | Speaks::Anthropic(_)) => "embeddings",
            (Self::Embeddings, Speaks::Ollama) => "embed",
        }
    }

    /// The field that every whole answer has.
    fn answer(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Embeddings, _) => "data",
            (Self::Chat, Dialect::Anthropic) => "content",
            (Self::Chat, _) => "choices",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }
}

/// A client's call.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub dialect: Dialect,
    /// Of the Anthropic dialect; the others have none.
    pub version: Version,
    pub endpoint: Endpoint,
    pub body: Bytes,
    pub look: Look,
    /// What the model's name stands for.
    pub route: Route,
    /// Another try after the last model failed, and how long to wait before it.
    pub retry: retry::Policy,
    /// The whole call ends by then.
    pub deadline: Instant,
    pub correlation_id: Arc<str>,
    pub traceparent: Option<Arc<str>>,
    pub tenant: Option<Arc<str>>,
}

/// What the way of a call depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// As the client named it.
    pub model: String,
    pub streamed: bool,
    /// The client wants the event that tells the usage.
    pub tells_usage: bool,
}

impl Look {
    /// Reads what is needed of a body and leaves the rest to the model.
    ///
    /// # Errors
    /// It is no JSON object, or names no model.
    pub fn at(body: &[u8]) -> Result<Self, BadBody> {
        #[derive(Default, serde::Deserialize)]
        struct Options {
            #[serde(default)]
            include_usage: Option<bool>,
        }
        let body = Shallow::read(body)?;
        let model: Option<String> = body.get("model")?;
        let model = model.filter(|model| !model.trim().is_empty());
        let model = model.ok_or_else(|| {
            BadBody::of("model", "find `model` in the body: name a model, such as sim/small")
        })?;
        let options: Options = body.get("stream_options")?.unwrap_or_default();
        Ok(Self {
            model,
            streamed: body.get("stream")?.unwrap_or(false),
            tells_usage: options.include_usage.unwrap_or(false),
        })
    }
}

/// An answer that has begun.
pub enum Answer {
    Whole { body: Bytes, head: Head },
    Stream { stream: Box<Stream>, head: Head },
}

/// What stands above an answer.
#[derive(Clone, Debug)]
pub struct Head {
    pub call: CallId,
    /// As `provider/model`.
    pub served_by: String,
    /// Attempts before this one.
    pub failed_attempts: usize,
    /// Those of the provider's headers that the client may see.
    pub headers: HeaderMap,
}

/// No answer.
#[derive(Clone, Debug)]
pub struct Refused {
    pub call: CallId,
    /// That of the first model, since that is the one to mend.
    pub failure: Failure,
    pub tried: Vec<Tried>,
    /// The provider's own words about a request that it does not take, in the client's dialect.
    pub said: Option<(u16, Bytes)>,
}

impl Gateway {
    /// Passes a call on and answers as soon as the first byte may be let out.
    ///
    /// # Errors
    /// [`Refused`], once nothing more is to be tried.
    pub async fn relay(&self, incoming: &Incoming) -> Result<Answer, Box<Refused>> {
        let begun = Instant::now();
        let id = settle::id(&self.clock);
        let mut settle = Settle::new(self.record_of(incoming, id), begun, Arc::clone(&self.calls));
        let mut tried: Vec<Tried> = Vec::new();
        for round in 1u32.. {
            let mut last = None;
            for full in std::iter::once(&incoming.route.primary).chain(&incoming.route.fallback) {
                if tried.len() >= ATTEMPTS_MAX || !tried.is_empty() && left(incoming) < FALLBACK_NEEDS {
                    break;
                }
                let attempted = Instant::now();
                let attempt = Attempt { gateway: self, incoming, full, failed: tried.len(), id };
                match attempt.run(&mut settle).await {
                    Ok(answer) => return Ok(answer),
                    Err(lost) => {
                        let failure = lost.error.failure();
                        tried.push(Tried { model: full.clone(), failure, took: attempted.elapsed().into() });
                        settle.tried(&tried);
                        let is_final = !lost.error.allows_fallback();
                        last = Some(lost);
                        if is_final {
                            return Err(refused(&mut settle, id, tried, last));
                        }
                    }
                }
            }
            match self.wait_before(round, incoming, &tried) {
                Some(wait) if tried.len() < ATTEMPTS_MAX => sleep(wait.duration()).await,
                _ => return Err(refused(&mut settle, id, tried, last)),
            }
        }
        unreachable!("the rounds have no end but those above")
    }

    /// How long to wait before all models are tried again; none if that is over.
    fn wait_before(&self, round: u32, incoming: &Incoming, tried: &[Tried]) -> Option<Millis> {
        let now: Timestamp = (self.clock)();
        let retry_after = tried.iter().rev().find_map(|tried| tried.failure.retry_after);
        let chance = incoming
            .correlation_id
            .bytes()
            .fold(u64::from(round), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let deadline = now + Millis::from(left(incoming));
        let tried = retry::Tried { tries: round, retry_after, deadline, chance };
        match incoming.retry.decide(tried, now) {
            Verdict::Wait(wait) => Some(wait),
            Verdict::Exhausted | Verdict::TooLate(_) => None,
        }
    }

    fn record_of(&self, incoming: &Incoming, id: CallId) -> Record {
        Record {
            id,
            at: (self.clock)(),
            endpoint: incoming.endpoint.name().to_owned(),
            asked: incoming.look.model.clone(),
            served_by: None,
            tenant: incoming.tenant.as_deref().map(str::to_owned),
            correlation_id: incoming.correlation_id.to_string(),
            streamed: incoming.look.streamed,
            outcome: Outcome::Left,
            failure: None,
            tried: Vec::new(),
            usage: None,
            first_byte: None,
            took: Millis(0),
        }
    }
}

fn left(incoming: &Incoming) -> std::time::Duration {
    incoming.deadline.saturating_duration_since(Instant::now())
}

fn refused(settle: &mut Settle, call: CallId, tried: Vec<Tried>, last: Option<Lost>) -> Box<Refused> {
    let mut failure = match tried.first() {
        Some(first) => first.failure.clone(),
        None => unreachable!("the first model is always tried"),
    };
    let others = tried.iter().skip(1).map(|tried| format!("then {}: {}", tried.model, tried.failure));
    failure.chain.extend(others);
    settle.failed(failure.clone());
    // Another model's words would explain nothing about the failure of the first.
    let said = last.filter(|_| tried.len() == 1).and_then(|lost| lost.said);
    Box::new(Refused { call, failure, tried, said })
}
