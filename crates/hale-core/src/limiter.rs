//! How much of one key may go: runs at a time, and starts in a span of time.
//!
//! Guarantees: never more than `n` starts in any span of `per`, counted on the moments that are given; nothing here
//! reads a clock. Leaves holding and releasing keys to [`crate::queue`].
//! Read next: `hale-engine/src/gates.rs`, which asks before each turn.

use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

/// Starts in one span that a rate may allow: each is remembered for the span, 8 bytes a start.
pub const STARTS_MAX: u32 = 10_000;
/// The longest span of a rate: a day.
pub const PER_MAX: Millis = Millis::seconds(86_400);
/// Runs of one key at a time; more than all slots of a large fleet is no limit.
pub const CONCURRENCY_MAX: u32 = 100_000;

/// At most `n` starts in any span of `per`: `10/s`, `100/m`, `5/h`, `1/30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub n: u32,
    pub per: Millis,
}

/// Why a text is not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read {text:?} as a rate: write for example 10/s, 100/m, 5/h or 1/30s, at most {STARTS_MAX} in up to a day"
)]
pub struct Error {
    pub text: String,
}

impl FromStr for Rate {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error { text: text.chars().take(40).collect() };
        let (n, per) = text.trim().split_once('/').ok_or_else(bad)?;
        let n: u32 = n.trim().parse().map_err(|_| bad())?;
        let per = per.trim();
        let spelt = if per.starts_with(|first: char| first.is_ascii_digit()) {
            per.to_owned()
        } else {
            format!("1{per}")
        };
        let per: Millis = spelt.parse().map_err(|_| bad())?;
        let fits = (1..=STARTS_MAX).contains(&n) && per > Millis(0) && per <= PER_MAX;
        if fits { Ok(Self { n, per }) } else { Err(bad()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.0 {
            1000 => write!(f, "{}/s", self.n),
            60_000 => write!(f, "{}/m", self.n),
            3_600_000 => write!(f, "{}/h", self.n),
            86_400_000 => write!(f, "{}/d", self.n),
            ms if ms.is_multiple_of(1000) => write!(f, "{}/{}s", self.n, ms / 1000),
            ms => write!(f, "{}/{ms}ms", self.n),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What one key may use; nothing set means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Runs that execute at a time; one that waits holds no place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Limit {
    pub fn is_none(&self) -> bool {
        self.concurrency.is_none() && self.rate.is_none()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.concurrency, self.rate) {
            (Some(n), Some(rate)) => write!(f, "{n} at a time, {rate}"),
            (Some(n), None) => write!(f, "{n} at a time"),
            (None, Some(rate)) => write!(f, "{rate}"),
            (None, None) => f.write_str("no limit"),
        }
    }
}

/// The starts of the last span.
#[derive(Clone, Debug, Default)]
pub struct Window {
    starts: VecDeque<Timestamp>,
}

impl Window {
    /// When the next start may come: now, or when the oldest one is a span old.
    pub fn next_at(&mut self, rate: Rate, now: Timestamp) -> Timestamp {
        // A start leaves the window when a whole span has passed since it.
        while self.starts.front().is_some_and(|start| now.since(*start) >= rate.per) {
            self.starts.pop_front();
        }
        let over = self.starts.len().saturating_sub(rate.n as usize - 1);
        match over.checked_sub(1).and_then(|place| self.starts.get(place)) {
            Some(start) => *start + rate.per,
            None => now,
        }
    }

    pub fn started(&mut self, now: Timestamp) {
        self.starts.push_back(now);
        while self.starts.len() > STARTS_MAX as usize {
            self.starts.pop_front();
        }
    }
}
