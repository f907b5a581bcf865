//! The way of one call: from `provider/model` to an answer, over the fallbacks if need be.
//!
//! Guarantees: each model of a route is tried at most once and nothing sleeps in between; a fallback is tried only
//! for what another try could mend (429, 5xx, timeouts, connections, garbled or cut answers), never for a refused
//! key or a refused request, and only while [`FALLBACK_NEEDS`] of the deadline is left; every attempt is recorded.
//! Leaves to others: retries with waits (the engine journals them), the line in the log about a fallback
//! ([`Served::tried`] has what it needs).
//! Read next: [`crate::stats`] for what remains of a call, [`crate::openai`] for the wire.

use crate::arm::Arms;
use crate::calls::Calls;
use crate::egress::Egress;
use crate::error::Error;
use crate::notice::Notices;
use crate::openai::OpenAi;
use crate::provider::{ChatReply, ChatRequest, Chunk, OnChunk, Provider};
use crate::secret::Secrets;
use crate::site::Speaks;
use crate::spoken::Spoken;
use crate::stats::{CallRecord, CallStats};
use crate::web::Web;
use hale_core::failure::Failure;
use hale_core::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Less than this is not enough for any model to answer: the failure that we have says more than a timeout would.
pub const FALLBACK_NEEDS: Duration = Duration::from_secs(1);

/// The models of a call, each as `provider/model`, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub primary: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
}

impl Route {
    pub fn to(primary: impl Into<String>) -> Self {
        Self { primary: primary.into(), fallback: Vec::new() }
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// As `provider/model`.
    pub model: String,
    pub failure: Failure,
    pub took: Millis,
}

/// An answer, and what was tried before it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Served {
    pub reply: ChatReply,
    /// As `provider/model`; differs from the primary if a fallback answered.
    pub served_by: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

/// No answer. `failure` is the primary's, since that is the one to mend; its chain ends with what each fallback
/// met. `tried` has them all in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{failure}")]
pub struct Failed {
    pub failure: Failure,
    pub tried: Vec<Tried>,
}

/// Where the key of a provider comes from; the name is that of [`crate::secret::resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Never sends a key.
    NotNeeded,
    /// Sends the key if there is one: local servers that may or may not ask.
    Optional(String),
    /// Fails with `llm.key_missing` if there is none.
    Required(String),
}

/// How long to wait for what, inside the deadline of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first chunk of an answer: large models think before they speak.
    pub first_chunk: Duration,
    /// Between two chunks: a stream that is silent for this long is dead.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { first_chunk: Duration::from_secs(120), stall: Duration::from_secs(30) }
    }
}

/// A provider, as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The prefix of its models.
    pub name: String,
    /// Up to and with the version: `https://api.openai.com/v1`.
    pub base_url: String,
    pub key: KeySource,
    pub speaks: Speaks,
    pub timeouts: Timeouts,
}

/// What time of day it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

type Providers = BTreeMap<String, Arc<dyn Provider>>;

/// All providers, and what became of the last calls. Shared by reference; providers can be replaced at any time,
/// and calls under way end with the provider that they began with.
pub struct Gateway {
    providers: RwLock<Arc<Providers>>,
    secrets: Arc<Secrets>,
    egress: Egress,
    arms: Arms,
    web: Web,
    stats: CallStats,
    pub(crate) calls: Arc<Calls>,
    pub(crate) clock: Clock,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("providers", &self.names()).finish_non_exhaustive()
    }
}

/// One model of a route, found.
pub(crate) struct Target {
    /// As `provider/model`.
    pub full: String,
    pub model: String,
    pub provider: Arc<dyn Provider>,
}

impl Gateway {
    /// A gateway without providers. Opens nothing.
    pub fn new(secrets: Secrets, clock: Clock) -> Self {
        Self {
            providers: RwLock::default(),
            secrets: Arc::new(secrets),
            egress: Egress::default(),
            arms: Arms::default(),
            web: Web::default(),
            stats: CallStats::default(),
            calls: Arc::default(),
            clock,
        }
    }

    /// Replaces all providers by these.
    ///
    /// # Errors
    /// [`Error::BadAddress`] for the first base URL that cannot be used; then nothing is replaced.
    pub fn configure(&self, configs: Vec<ProviderConfig>) -> Result<(), Error> {
        let build = |config: ProviderConfig| -> Result<Arc<dyn Provider>, Error> {
            let (secrets, egress) = (Arc::clone(&self.secrets), self.egress.clone());
            Ok(match config.speaks {
                Speaks::OpenAi => Arc::new(OpenAi::new(&config, secrets, egress)?),
                Speaks::Anthropic(_) | Speaks::Ollama => Arc::new(Spoken::new(&config, secrets, egress)?),
            })
        };
        let providers = configs.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        self.replace(providers);
        Ok(())
    }

    /// Replaces all providers by these, whatever they speak.
    pub fn replace(&self, providers: Vec<Arc<dyn Provider>>) {
        let table = providers.into_iter().map(|provider| (provider.name().to_owned(), provider)).collect();
        *self.providers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    /// The way to services that take tasks.
    pub fn arms(&self) -> &Arms {
        &self.arms
    }

    /// The way to pages that packs and models name.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// The way to people.
    pub fn notices(&self) -> Notices {
        Notices::new(Arc::clone(&self.secrets), self.egress.clone())
    }

    /// Where the provider's key comes from now; none when there is no such provider.
    pub fn key_source(&self, provider: &str) -> Option<String> {
        self.table().get(provider).map(|provider| provider.key_source().to_owned())
    }

    fn table(&self) -> Arc<Providers> {
        Arc::clone(&self.providers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The names of the providers, sorted.
    pub fn names(&self) -> Vec<String> {
        self.table().keys().cloned().collect()
    }

    pub fn stats(&self) -> &CallStats {
        &self.stats
    }

    /// The calls of outside clients.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Asks a provider for its models: proves address and key, costs nothing, and is not counted as a call.
    ///
    /// # Errors
    /// The failure, as a call would have met it.
    pub async fn probe(&self, provider: &str, deadline: Instant) -> Result<Vec<String>, Failure> {
        let found = self.table().get(provider).map(Arc::clone);
        let found = found.ok_or_else(|| self.unknown(provider).failure())?;
        found.models(deadline).await.map_err(|error| error.failure())
    }

    pub(crate) fn unknown(&self, full: &str) -> Error {
        let names = self.names();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let provider = full.split_once('/').map_or(full, |(provider, _)| provider);
        Error::ProviderUnknown { provider: provider.to_owned(), model: full.to_owned(), known }
    }

    pub(crate) fn target(&self, full: &str) -> Result<Target, Error> {
        let (provider, model) = full.split_once('/').ok_or_else(|| self.unknown(full))?;
        let provider = self.table().get(provider).map(Arc::clone).ok_or_else(|| self.unknown(full))?;
        Ok(Target { full: full.to_owned(), model: model.to_owned(), provider })
    }

    /// Asks the primary, and at once each fallback in order if that could help. Never sleeps.
    ///
    /// # Errors
    /// The primary's failure with what was tried.
    pub async fn chat(
        &self,
        route: &Route,
        request: ChatRequest,
        on_chunk: OnChunk<'_>,
    ) -> Result<Served, Failed> {
        self.chat_while(route, request, (on_chunk, &|| true)).await
    }

    /// As [`Self::chat`], but asks no fallback once `may` says no.
    ///
    /// # Errors
    /// As [`Self::chat`].
    pub async fn chat_while(
        &self,
        route: &Route,
        mut request: ChatRequest,
        (on_chunk, may): (OnChunk<'_>, &(dyn Fn() -> bool + Sync)),
    ) -> Result<Served, Failed> {
        let mut tried: Vec<Tried> = Vec::new();
        let heard = AtomicBool::new(false);
        let listen = |chunk: Chunk<'_>| {
            heard.store(true, Ordering::Relaxed);
            on_chunk(chunk);
        };
        for full in std::iter::once(&route.primary).chain(&route.fallback) {
            let left = request.deadline.saturating_duration_since(Instant::now());
            if !tried.is_empty() && !may() {
                return Err(failed(tried, None));
            }
            if !tried.is_empty() && left < FALLBACK_NEEDS {
                return Err(failed(tried, Some(full)));
            }
            if heard.swap(false, Ordering::Relaxed) {
                on_chunk(Chunk::Restart { model: full });
            }
            let begun = Instant::now();
            let answer = match self.target(full) {
                Ok(target) => {
                    request.model.clone_from(&target.model);
                    let answer = target.provider.chat(&request, &listen).await;
                    self.record(&target, route, begun, &answer);
                    answer
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok(reply) => return Ok(Served { reply, served_by: full.clone(), tried }),
                Err(error) => {
                    let took = Millis::from(begun.elapsed());
                    tried.push(Tried { model: full.clone(), failure: error.failure(), took });
                    if !error.allows_fallback() {
                        break;
                    }
                }
            }
        }
        Err(failed(tried, None))
    }

    fn record(&self, target: &Target, route: &Route, begun: Instant, answer: &Result<ChatReply, Error>) {
        let refused = answer.as_ref().err();
        self.stats.record(CallRecord {
            at: (self.clock)(),
            model: target.full.clone(),
            provider: target.provider.name().to_owned(),
            cause: refused.map(|error| error.cause().to_owned()),
            status: refused.and_then(Error::http_status),
            latency: Millis::from(begun.elapsed()),
            retry_after: refused.and_then(Error::retry_after),
            instead_of: (target.full != route.primary).then(|| route.primary.clone()),
        });
    }
}

fn failed(tried: Vec<Tried>, too_late_for: Option<&String>) -> Failed {
    let mut attempts = tried.iter();
    let mut failure = match attempts.next() {
        Some(primary) => primary.failure.clone(),
        None => unreachable!("the primary is always tried"),
    };
    failure
        .chain
        .extend(attempts.map(|fallback| format!("fallback {}: {}", fallback.model, fallback.failure)));
    failure.chain.extend(too_late_for.map(|model| {
        format!(
            "fallback {model}: not tried, less than {} of the deadline is left",
            Millis::from(FALLBACK_NEEDS)
        )
    }));
    Failed { failure, tried }
}
