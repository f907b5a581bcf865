//! What can go wrong in one call, by class, and what each class means for a run.
//!
//! Guarantees: every error names the provider and what we tried; its source is the chain below; the text of a
//! provider is quoted shortened and with anything that looks like a key masked.
//! Leaves to others: whether and when to try again ([`hale_core::retry`]), fallbacks ([`crate::call`]).
//! Read next: [`crate::call`].

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;

/// What lies below an error.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What a provider answered, shortened and masked; stands at the end of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Said(pub String);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("reach provider {provider} at {url}")]
    Unreachable { provider: String, url: String, source: Source },
    #[error("wait for {model} of provider {provider}: no whole answer within {after}")]
    Timeout { provider: String, model: String, after: Millis },
    #[error("call provider {provider}: it refuses the key (status {status})")]
    KeyRefused { provider: String, status: u16, source: Said },
    #[error("call provider {provider}: it needs a key and none is set; run: hale secrets set {name}")]
    KeyMissing { provider: String, name: String },
    #[error("read the key of provider {provider}")]
    KeyUnreadable { provider: String, source: crate::secret::Error },
    #[error("call {model} of provider {provider}: it limits the rate (status 429)")]
    RateLimited { provider: String, model: String, retry_after: Option<Millis>, source: Said },
    #[error("call {model} of provider {provider}: it failed (status {status})")]
    ServerError { provider: String, model: String, status: u16, retry_after: Option<Millis>, source: Said },
    #[error("call {model} of provider {provider}: it refuses the request (status {status})")]
    BadRequest { provider: String, model: String, status: u16, source: Said },
    #[error("call {model} of provider {provider}: it has no such model (status {status})")]
    ModelNotFound { provider: String, model: String, status: u16, source: Said },
    #[error("call {model}: no provider of that name is configured (there are: {known})")]
    ProviderUnknown { provider: String, model: String, known: String },
    #[error("read the answer of {model} of provider {provider}")]
    Garbled { provider: String, model: String, source: Source },
    #[error("read the answer of {model} of provider {provider}: the stream ended in the middle")]
    StreamCut { provider: String, model: String, source: Option<Source> },
    #[error("read the answer of {model} of provider {provider}: no chunk came for {after}")]
    Stalled { provider: String, model: String, after: Millis },
    #[error("use the address {url:?} of provider {provider}: {why}")]
    BadAddress { provider: String, url: String, why: String },
}

/// Code, cause and retry class of each kind of error.
struct Class {
    code: Code,
    cause: &'static str,
    retry: RetryClass,
}

impl Error {
    fn class(&self) -> Class {
        let class = |code, cause, retry| Class { code, cause, retry };
        match self {
            Self::Unreachable { .. } => class(Code::E006, "llm.unreachable", RetryClass::Model),
            Self::Timeout { .. } => class(Code::E006, "llm.timeout", RetryClass::Model),
            Self::KeyRefused { .. } => class(Code::E005, "llm.key_refused", RetryClass::Never),
            Self::KeyMissing { .. } | Self::KeyUnreadable { .. } => {
                class(Code::E005, "llm.key_missing", RetryClass::Never)
            }
            Self::RateLimited { .. } => class(Code::E006, "llm.rate_limited", RetryClass::Model),
            Self::ServerError { .. } => class(Code::E006, "llm.server_error", RetryClass::Model),
            Self::BadRequest { .. } | Self::BadAddress { .. } => {
                class(Code::E006, "llm.bad_request", RetryClass::Never)
            }
            Self::ModelNotFound { .. } | Self::ProviderUnknown { .. } => {
                class(Code::E006, "llm.model_not_found", RetryClass::Never)
            }
            Self::Garbled { .. } => class(Code::E006, "llm.garbled", RetryClass::Model),
            Self::StreamCut { .. } => class(Code::E006, "llm.stream_cut", RetryClass::Model),
            Self::Stalled { .. } => class(Code::E006, "llm.stalled", RetryClass::Model),
        }
    }

    /// The stable id of the cause, `llm.rate_limited`.
    pub fn cause(&self) -> &'static str {
        self.class().cause
    }

    pub fn provider(&self) -> &str {
        match self {
            Self::Unreachable { provider, .. }
            | Self::Timeout { provider, .. }
            | Self::KeyRefused { provider, .. }
            | Self::KeyMissing { provider, .. }
            | Self::KeyUnreadable { provider, .. }
            | Self::RateLimited { provider, .. }
            | Self::ServerError { provider, .. }
            | Self::BadRequest { provider, .. }
            | Self::ModelNotFound { provider, .. }
            | Self::ProviderUnknown { provider, .. }
            | Self::Garbled { provider, .. }
            | Self::StreamCut { provider, .. }
            | Self::Stalled { provider, .. }
            | Self::BadAddress { provider, .. } => provider,
        }
    }

    /// The status of a refusal over HTTP.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::RateLimited { .. } => Some(429),
            Self::KeyRefused { status, .. }
            | Self::ServerError { status, .. }
            | Self::BadRequest { status, .. }
            | Self::ModelNotFound { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether another model may serve instead: only for what the next try could mend. A refused key or a refused
    /// request must show, not be paid for twice.
    pub fn allows_fallback(&self) -> bool {
        self.class().retry != RetryClass::Never
    }

    /// What a run, a caller and a finding carry.
    pub fn failure(&self) -> Failure {
        let Class { code, cause, retry } = self.class();
        let origin = format!("provider:{}", self.provider());
        let mut failure = Failure::new(code, cause, &origin, self.to_string()).retried_as(retry);
        if let Some(source) = std::error::Error::source(self) {
            failure = failure.caused_by(source);
        }
        failure.http_status = self.http_status();
        failure.retry_after = self.retry_after();
        failure
    }

    /// How long the provider asked to be left alone.
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::ServerError { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
