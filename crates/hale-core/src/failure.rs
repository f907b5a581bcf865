//! What went wrong, recorded and not inferred: code, cause, origin and the chain below it.
//!
//! Every error that reaches a run, a caller or a finding is one of these, so that the run's status, the waiting
//! caller and `hale why` all carry the same root.
//! Read next: [`crate::retry`].

use crate::code::Code;
use crate::retry::RetryClass;
use crate::time::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A failure with its provenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: Code,
    /// Stable id `area.cause`, for example `llm.rate_limited`.
    pub cause: String,
    /// The component where it began: `provider:sim`, `tool:files.read`, `worker`, `store`, `engine`.
    pub origin: String,
    /// What we tried and on what; lower case, no full stop.
    pub message: String,
    /// The sources below it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    pub retry: RetryClass,
    /// What the other side asked us to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

impl Failure {
    /// A failure that no retry can mend.
    pub fn new(code: Code, cause: &str, origin: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.to_owned(),
            origin: origin.to_owned(),
            message: message.into(),
            chain: Vec::new(),
            retry: RetryClass::Never,
            retry_after: None,
            http_status: None,
        }
    }

    pub fn retried_as(mut self, class: RetryClass) -> Self {
        self.retry = class;
        self
    }

    /// Appends the chain of `error` below this failure.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.chain.extend(chain(error));
        self
    }
}

/// An error and its sources, each in its own words, nearest first.
pub fn chain<'e>(error: &'e (dyn std::error::Error + 'static)) -> impl Iterator<Item = String> + use<'e> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string)
}

/// One line with the whole chain: `message: source: source`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.chain.iter().try_for_each(|source| write!(f, ": {source}"))
    }
}

impl std::error::Error for Failure {}
