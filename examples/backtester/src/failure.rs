//! Why a back-test did not end well, in a form that a platform can sort.
//!
//! Guarantees: each class has one name and one exit code, and they never change; a message says what was wrong and
//! where, a fix says what to do.
//! Read next: [`crate::cli`], which prints them.

use serde::Serialize;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The command line makes no sense.
    UsageError,
    /// The data cannot be used.
    DataError,
    /// The rule or its parameters cannot be used.
    StrategyError,
    /// Something around us failed: a folder, a disk.
    OtherError,
}

impl Class {
    pub const ALL: [Class; 4] =
        [Class::UsageError, Class::DataError, Class::StrategyError, Class::OtherError];

    pub fn exit_code(self) -> u8 {
        match self {
            Class::OtherError => 1,
            Class::UsageError => 2,
            Class::DataError => 3,
            Class::StrategyError => 4,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub class: Class,
    /// What was wrong, and where.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Failure {
    pub fn usage(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { class: Class::UsageError, message: message.into(), fix: fix.into() }
    }

    pub fn data(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { class: Class::DataError, message: message.into(), fix: fix.into() }
    }

    pub fn strategy(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { class: Class::StrategyError, message: message.into(), fix: fix.into() }
    }

    pub fn other(message: impl Into<String>, fix: impl Into<String>) -> Failure {
        Failure { class: Class::OtherError, message: message.into(), fix: fix.into() }
    }
}
