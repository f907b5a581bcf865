//! What must not pass: secrets, cards, accounts, numbers of people, addresses, found in text as it streams by.
//!
//! Guarantees: [`Filter`] gives the same for a text however it is cut into pieces, and hands out nothing that a
//! match could still claim; what it holds back is bounded by [`LOOK`], and so is the work for each byte. No detector
//! goes back over what it has read.
//! Leaves to others: whose text it is, and what a block does to a run (`hale-engine`).
//! Read next: [`stream`], then [`scan`](../guard/scan/index.html) for who looks where.

pub mod json;
pub mod rules;
pub mod stream;

mod address;
mod bank;
mod countries;
mod phone;
mod scan;
mod secret;
mod token;
mod view;

pub use json::clean;
pub use rules::{Place, Rules};
pub use stream::{Filter, Released};
pub use view::LOOK;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What a detector finds. The first of two that fit one place gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A private key in PEM form, from its first line to its last.
    PrivateKey,
    AwsKey,
    AnthropicKey,
    OpenaiKey,
    GithubToken,
    SlackToken,
    GoogleApiKey,
    StripeKey,
    /// A key of another service that is known by how it begins.
    ApiKey,
    /// A JSON Web Token.
    Jwt,
    /// A payment card: issuer, length and Luhn digit fit.
    Card,
    /// A bank account: country, length and check digits fit.
    Iban,
    /// A US social security number, with its separators or with its name beside it.
    UsSsn,
    /// A value behind `password=`, `api_key:`, `Bearer` and their like that is no word.
    Secret,
    Email,
    /// `+` and a number of a country, or a number in a US form.
    Phone,
    /// An IPv4 or IPv6 address that is not this host's own.
    Ip,
}

/// Every kind, in the order of rank.
pub const KINDS: [Kind; 17] = {
    use Kind::*;
    [
        PrivateKey,
        AwsKey,
        AnthropicKey,
        OpenaiKey,
        GithubToken,
        SlackToken,
        GoogleApiKey,
        StripeKey,
        ApiKey,
        Jwt,
        Card,
        Iban,
        UsSsn,
        Secret,
        Email,
        Phone,
        Ip,
    ]
};

impl Kind {
    /// Its id in packs, logs and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::PrivateKey => "private_key",
            Kind::AwsKey => "aws_key",
            Kind::AnthropicKey => "anthropic_key",
            Kind::OpenaiKey => "openai_key",
            Kind::GithubToken => "github_token",
            Kind::SlackToken => "slack_token",
            Kind::GoogleApiKey => "google_api_key",
            Kind::StripeKey => "stripe_key",
            Kind::ApiKey => "api_key",
            Kind::Jwt => "jwt",
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::UsSsn => "us_ssn",
            Kind::Secret => "secret",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Ip => "ip",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done with a match; the later one is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Not looked for.
    Allow,
    /// Counted and told, nothing else.
    Shadow,
    /// `[kind]` stands in its place.
    Redact,
    /// Nothing from here on passes.
    Block,
}

/// Every action, the mildest first.
pub const ACTIONS: [Action; 4] = [Action::Allow, Action::Shadow, Action::Redact, Action::Block];

impl Action {
    pub const fn name(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Shadow => "shadow",
            Action::Redact => "redact",
            Action::Block => "block",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Action {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        ACTIONS.into_iter().find(|action| action.name() == text).ok_or(())
    }
}

/// The action for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    actions: [Action; KINDS.len()],
}

impl Policy {
    /// The same action for every kind.
    pub const fn all(action: Action) -> Self {
        Self { actions: [action; KINDS.len()] }
    }

    #[must_use]
    pub fn with(mut self, kind: Kind, action: Action) -> Self {
        self.actions[kind as usize] = action;
        self
    }

    pub fn of(&self, kind: Kind) -> Action {
        self.actions[kind as usize]
    }

    /// Whether nothing is looked for at all.
    pub fn allows_all(&self) -> bool {
        self.actions.iter().all(|action| *action == Action::Allow)
    }
}

/// A match in a whole text; matches that overlap are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub kind: Kind,
    /// Bytes.
    pub span: Range<usize>,
}

/// A match as it is told: never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub kind: Kind,
    pub action: Action,
}

/// Every match of every kind in a whole text, in the order of the text.
pub fn find(text: &str) -> Vec<Match> {
    Filter::new(Policy::all(Action::Shadow)).matches(text).0
}

/// How often a detector looks at a byte of this text: what shows that the work is linear.
pub fn cost(text: &str) -> u64 {
    Filter::new(Policy::all(Action::Shadow)).matches(text).1
}
