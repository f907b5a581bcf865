//! Moments as people write them in such files: a date, or RFC 3339.
//!
//! A date is its midnight in UTC. A time without a zone is refused: guessing one shifts every bar.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use std::fmt;
use std::ops::Deref;

/// A point in time; written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Deref for Moment {
    type Target = Timestamp;

    fn deref(&self) -> &Timestamp {
        &self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

pub fn parse(text: &str) -> Result<Moment, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment(at));
    }
    if text.len() == "2024-01-31".len()
        && let Ok(date) = text.parse::<Date>()
    {
        return date
            .to_zoned(TimeZone::UTC)
            .map(|zoned| Moment(zoned.timestamp()))
            .map_err(|error| format!("`{text}` is out of range: {error}"));
    }
    let hint = if text.parse::<jiff::civil::DateTime>().is_ok() {
        ": it has no time zone"
    } else if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        ": it is a bare number"
    } else {
        ""
    };
    Err(format!("`{text}` is neither a date (2024-01-31) nor RFC 3339 (2024-01-31T09:30:00Z){hint}"))
}
