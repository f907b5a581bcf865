//! What can go wrong with an arm, and whether the task may be sent again.
//!
//! Guarantees: a task that an arm may have begun is sent again only if the arm said that it does not mind; what it
//! surely did not begin (no connection, 429, 503) may be sent again in any case.
//! Read next: `hale-core/src/retry.rs`.

use crate::egress;
use crate::error::{Said, Source};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;

/// Whether a task may be sent twice under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Harmless,
    Harmful,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("use the address of arm {arm}")]
    Address { arm: String, source: egress::Error },
    #[error("reach arm {arm} at {url}")]
    Unreachable { arm: String, url: String, source: Source },
    #[error("call arm {arm}: it is busy (status {status})")]
    Busy { arm: String, status: u16, retry_after: Option<Millis>, source: Said },
    #[error("call arm {arm}: it failed (status {status})")]
    Failed { arm: String, status: u16, source: Said },
    #[error("call arm {arm}: it refuses the task (status {status})")]
    Refused { arm: String, status: u16, source: Said },
    #[error("wait for arm {arm}: no whole answer within {after}")]
    Timeout { arm: String, after: Millis },
    #[error("read the answer of arm {arm}: the connection ended in the middle")]
    Cut { arm: String, source: Source },
    #[error("read the answer of arm {arm}: it is not JSON")]
    Garbled { arm: String, source: Said },
    #[error("read the answer of arm {arm}: it has more than {most} bytes")]
    TooLong { arm: String, most: usize },
}

impl Error {
    /// The stable id of the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Address { .. } => "arm.address_refused",
            Self::Unreachable { .. } => "arm.unreachable",
            Self::Busy { .. } => "arm.busy",
            Self::Failed { .. } => "arm.server_error",
            Self::Refused { .. } => "arm.task_refused",
            Self::Timeout { .. } => "arm.timeout",
            Self::Cut { .. } => "arm.cut",
            Self::Garbled { .. } | Self::TooLong { .. } => "arm.garbled",
        }
    }

    fn arm(&self) -> &str {
        match self {
            Self::Address { arm, .. }
            | Self::Unreachable { arm, .. }
            | Self::Busy { arm, .. }
            | Self::Failed { arm, .. }
            | Self::Refused { arm, .. }
            | Self::Timeout { arm, .. }
            | Self::Cut { arm, .. }
            | Self::Garbled { arm, .. }
            | Self::TooLong { arm, .. } => arm,
        }
    }

    /// Whether the arm surely did not begin the task, may have begun it, or would answer the same again.
    fn retry(&self, repeat: Repeat) -> RetryClass {
        match (self, repeat) {
            (Self::Unreachable { .. } | Self::Busy { .. }, _) => RetryClass::Tool,
            (
                Self::Failed { .. } | Self::Timeout { .. } | Self::Cut { .. } | Self::Garbled { .. },
                Repeat::Harmless,
            ) => RetryClass::Tool,
            _ => RetryClass::Never,
        }
    }

    /// What a run carries.
    pub fn failure(&self, repeat: Repeat) -> Failure {
        let code = if matches!(self, Self::Address { .. }) { Code::E013 } else { Code::E006 };
        let retry = self.retry(repeat);
        let origin = format!("arm:{}", self.arm());
        let mut failure = Failure::new(code, self.cause(), &origin, self.to_string()).retried_as(retry);
        if let Some(source) = std::error::Error::source(self) {
            failure = failure.caused_by(source);
        }
        if retry == RetryClass::Never && self.retry(Repeat::Harmless) != RetryClass::Never {
            let why = "not tried again: the arm may have begun, and its pack does not say `idempotent: true`";
            failure.chain.push(why.to_owned());
        }
        if let Self::Busy { status, .. } | Self::Failed { status, .. } | Self::Refused { status, .. } = self {
            failure.http_status = Some(*status);
        }
        if let Self::Busy { retry_after, .. } = self {
            failure.retry_after = *retry_after;
        }
        failure
    }
}
