//! The way of an outside client's call: its bytes to a provider, over fallbacks and retries, and the answer back.
//!
//! The stages, in this order: limits and breaker of each model ([`crate::gate`]), attempt, classify, fall back or
//! retry, settle ([`settle`]).
//! Guarantees: one deadline and one budget of attempts for the whole call; until the first byte is let out another
//! model may answer instead, after it none does and what goes wrong is an event in the client's dialect; `Retry-After`
//! wins over our own wait, and a wait past the deadline is not started; nothing of a failed attempt, its headers
//! included, reaches the client; a call is recorded once, however it ends.
//! Leaves to others: who may call (the door), which models a name stands for (the engine).
//! Read next: [`stream`], the answer piece by piece.

pub(crate) mod frames;
mod settle;
pub mod shallow;
pub mod stream;

use crate::call::{FALLBACK_NEEDS, Gateway, Route, Tried};
use crate::calls::{Call as Record, Outcome};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::openai::assembly::Flaw;
use crate::openai::{reading, refusal};
use crate::site::Call;
use crate::stats::CallRecord;
use bytes::Bytes;
use frames::{Frames, Tokens};
use hale_core::failure::Failure;
use hale_core::id::CallId;
use hale_core::retry::{self, Verdict};
use hale_core::time::{Millis, Timestamp};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use settle::Settle;
use shallow::{BadBody, Shallow};
use std::sync::Arc;
use stream::Stream;
use tokio::time::{Instant, sleep, timeout_at};

/// Attempts of one call in all, whichever model they ask.
pub const ATTEMPTS_MAX: usize = 6;
/// The longest whole answer: images come as text within it.
const WHOLE_BYTES_MAX: usize = 32 << 20;
/// What a client may see of the answer's own headers; they tell of limits and of the provider's id.
const PASSED_ON: [&str; 3] = ["openai-processing-ms", "openai-version", "openai-model"];
const PASSED_ON_BEGINNINGS: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Chat,
    Embeddings,
}

impl Endpoint {
    /// The path below the provider's base.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The field that every answer has.
    fn answer(self) -> &'static str {
        match self {
            Self::Chat => "choices",
            Self::Embeddings => "data",
        }
    }
}

/// A client's call.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub dialect: Dialect,
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
    Stream { stream: Stream, head: Head },
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

/// An attempt that came to nothing.
struct Lost {
    error: Error,
    said: Option<(u16, Bytes)>,
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        Self { error, said: None }
    }
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
                let mut attempt = Attempt { gateway: self, incoming, full, failed: tried.len(), id };
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
            endpoint: incoming.endpoint.path().to_owned(),
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

/// One model asked once.
struct Attempt<'a> {
    gateway: &'a Gateway,
    incoming: &'a Incoming,
    /// As `provider/model`.
    full: &'a str,
    /// Attempts before.
    failed: usize,
    id: CallId,
}

impl Attempt<'_> {
    async fn run(&mut self, settle: &mut Settle) -> Result<Answer, Lost> {
        let begun = Instant::now();
        let answer = self.ask(settle).await;
        if let Err(lost) = &answer {
            self.note(begun, Some(&lost.error));
        } else {
            self.note(begun, None);
        }
        answer
    }

    /// For the evidence about providers, which looks at attempts.
    fn note(&self, begun: Instant, error: Option<&Error>) {
        let primary = &self.incoming.route.primary;
        self.gateway.stats().record(CallRecord {
            at: (self.gateway.clock)(),
            model: self.full.to_owned(),
            provider: self.full.split_once('/').map_or(self.full, |(provider, _)| provider).to_owned(),
            cause: error.map(|error| error.cause().to_owned()),
            status: error.and_then(Error::http_status),
            latency: begun.elapsed().into(),
            retry_after: error.and_then(Error::retry_after),
            instead_of: (self.full != primary).then(|| primary.clone()),
        });
    }

    async fn ask(&self, settle: &mut Settle) -> Result<Answer, Lost> {
        let target = self.gateway.target(self.full)?;
        let Some(site) = target.provider.site() else { return Err(self.gateway.unknown(self.full).into()) };
        let call = site.call(&target.model)?;
        let url = site.below(self.incoming.endpoint.path());
        let mut post = site.client(&url)?.post(url).body(self.body(&target.model));
        post = post.header(CONTENT_TYPE, "application/json");
        for (name, value) in self.headers() {
            post = post.header(name, value);
        }
        let first = self.incoming.deadline.min(call.begun + site.timeouts.first_chunk);
        let response = match timeout_at(first, site.send(post, &call)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(call.timeout().into()),
        };
        if !response.status().is_success() {
            return Err(refused_with_words(response, &call).await);
        }
        let head = self.head(&response);
        let is_json = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !self.incoming.look.streamed || is_json {
            return Ok(self.whole(response, (&call, head, first), settle).await?);
        }
        let frames = Frames::new(self.incoming.look.tells_usage);
        let mut stream = Stream::new(response, frames, (self.incoming, &target.full), site.timeouts, call);
        stream.begin(first).await?;
        stream.settle = Some(settle.served_by(self.full));
        Ok(Answer::Stream { stream, head })
    }

    /// The client's own bytes with the provider's name of the model, and a wish for the usage.
    fn body(&self, model: &str) -> Vec<u8> {
        let Ok(body) = Shallow::read(&self.incoming.body) else { return self.incoming.body.to_vec() };
        let model = serde_json::Value::from(model).to_string();
        let mut changes = vec![("model", model.as_str())];
        let options;
        if self.incoming.look.streamed && !self.incoming.look.tells_usage {
            let given = body.raw("stream_options").and_then(|raw| Shallow::read(raw.as_bytes()).ok());
            options = match given {
                Some(given) => {
                    String::from_utf8_lossy(&given.with(&[("include_usage", "true")])).into_owned()
                }
                None => r#"{"include_usage":true}"#.to_owned(),
            };
            changes.push(("stream_options", &options));
        }
        body.with(&changes)
    }

    fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let pairs = [
            ("x-correlation-id", Some(&self.incoming.correlation_id)),
            ("traceparent", self.incoming.traceparent.as_ref()),
        ];
        pairs.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(value?).ok()?))
        })
    }

    fn head(&self, response: &Response) -> Head {
        let may = |name: &HeaderName| {
            PASSED_ON.contains(&name.as_str())
                || PASSED_ON_BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning))
        };
        let headers = response.headers().iter().filter(|(name, _)| may(name));
        Head {
            call: self.id,
            served_by: self.full.to_owned(),
            failed_attempts: self.failed,
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    async fn whole(
        &self,
        response: Response,
        (call, head, first): (&Call<'_>, Head, Instant),
        settle: &mut Settle,
    ) -> Result<Answer, Error> {
        let body = match timeout_at(first, reading::read_bounded(response, WHOLE_BYTES_MAX)).await {
            Ok(read) => read.map_err(|source| call.cut(Some(source)))?,
            Err(_) => return Err(call.timeout()),
        };
        let usage = whole_usage(&body, self.incoming.endpoint).map_err(|flaw| call.flaw(flaw))?;
        let mut taken = settle.served_by(self.full);
        taken.first_byte();
        if let Some(record) = &mut taken.call {
            record.usage = usage;
        }
        taken.answered();
        Ok(Answer::Whole { body: body.into(), head })
    }
}

/// Whether a whole answer is one, and what it cost.
fn whole_usage(body: &[u8], endpoint: Endpoint) -> Result<Option<crate::provider::Usage>, Flaw> {
    let flawed = |source| Flaw::Json { part: refusal::excerpt(body), source };
    let answer: Shallow<'_> = serde_json::from_slice(body).map_err(flawed)?;
    if let Some(error) = answer.raw("error") {
        return Err(Flaw::Reported(serde_json::from_str(error).map_err(flawed)?));
    }
    if answer.raw(endpoint.answer()).is_none() {
        return Err(Flaw::Unfinished);
    }
    let usage: Option<Tokens> = answer.get("usage").unwrap_or(None);
    Ok(usage.map(Tokens::usage))
}

async fn refused_with_words(response: Response, call: &Call<'_>) -> Lost {
    let status = response.status().as_u16();
    let (error, body) = reading::refused_with_body(response, call).await;
    let is_about_the_request = matches!(error, Error::BadRequest { .. });
    // Words that hold a part of our key are not passed on; what is no JSON is nobody's dialect.
    let clean = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok()
        && call.key.as_ref().is_none_or(|key| !String::from_utf8_lossy(&body).contains(key.reveal()));
    let said = (is_about_the_request && clean).then(|| (status, body.into()));
    Lost { error, said }
}
