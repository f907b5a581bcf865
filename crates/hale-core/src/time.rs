//! Time as a value: moments, spans, and how people write them.
//!
//! Moments are milliseconds since 1970 (UTC), spans are milliseconds. Nothing here reads a clock.
//! Read next: [`crate::limits`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds, `2026-11-22T03:05:00.000Z`.
    pub fn rfc3339(self) -> String {
        self.to_string()
    }
}

/// RFC 3339, with any offset.
impl FromStr for Timestamp {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| ())?;
        Ok(Self(moment.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{moment:.3}")
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

impl Add for Millis {
    type Output = Millis;
    fn add(self, other: Millis) -> Millis {
        Millis(self.0.saturating_add(other.0))
    }
}

impl Millis {
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    pub fn saturating_sub(self, other: Millis) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl From<std::time::Duration> for Millis {
    fn from(span: std::time::Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

/// As people write it: `250ms`, `4.2s`, `1m 32s`, `2h 05m`, `3d 04h`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, s) = (self.0, self.0 / 1000);
        match ms {
            0..1000 => write!(f, "{ms}ms"),
            1000..60_000 if ms.is_multiple_of(1000) => write!(f, "{s}s"),
            1000..60_000 => write!(f, "{}.{}s", s, ms % 1000 / 100),
            // The guides speak of their one minute in seconds: `Execution timeout exceeded (60s)`.
            60_000 => f.write_str("60s"),
            60_000..3_600_000 if s.is_multiple_of(60) => write!(f, "{}m", s / 60),
            60_001..3_600_000 => write!(f, "{}m {:02}s", s / 60, s % 60),
            3_600_000..86_400_000 => write!(f, "{}h {:02}m", s / 3600, s / 60 % 60),
            _ => write!(f, "{}d {:02}h", s / 86_400, s / 3600 % 24),
        }
    }
}

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {text:?} as a span of time: write for example 250ms, 60s, 5m, 1h 30m or 2d")]
pub struct Error {
    pub text: String,
}

/// Reads `60s`, `250ms`, `1.5s`, `1h30m`, `2 d`; a bare number is refused, since its unit would be a guess.
impl FromStr for Millis {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error { text: text.to_owned() };
        let mut rest = text.trim();
        let mut total = 0f64;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = rest[digits..].trim_start();
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => 1.0,
                "s" | "sec" => 1000.0,
                "m" | "min" => 60_000.0,
                "h" => 3_600_000.0,
                "d" => 86_400_000.0,
                _ => return Err(bad()),
            };
            total += number * unit;
            rest = rest[letters..].trim_start();
        }
        // A century: anything longer is a slip of the keyboard.
        if total > 3.2e12 { Err(bad()) } else { Ok(Millis(total.round() as u64)) }
    }
}

/// Serde for spans in files that people write: `"60s"`. Nothing is rounded: `"1h 30m 1s 250ms"`.
pub mod human {
    use super::Millis;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(span: &Millis, out: S) -> Result<S::Ok, S::Error> {
        let mut left = span.0;
        let mut parts: Vec<String> = Vec::new();
        for (unit, ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            // One minute stays `60s`, as it is everywhere else.
            if left >= ms && (left != 60_000 || unit == "s") {
                parts.push(format!("{}{unit}", left / ms));
                left %= ms;
            }
        }
        if parts.is_empty() {
            parts.push("0s".to_owned());
        }
        out.serialize_str(&parts.join(" "))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Millis, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
