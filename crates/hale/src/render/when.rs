//! Moments and spans for people.
//!
//! Guarantees: on a terminal a moment is an age (`3s ago`), elsewhere RFC 3339 as it came.

use super::paint::{Look, Times};
use hale_core::time::{Millis, Timestamp};

/// A moment of the wire.
pub fn parse(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(moment.as_millisecond()))
}

/// `3s ago`, `in 2m`, or the moment itself.
pub fn moment(look: &Look, text: &str) -> String {
    let at = match (look.times, parse(text)) {
        (Times::Relative, Some(at)) => at,
        _ => return text.to_owned(),
    };
    if at > look.now {
        return format!("in {}", coarse(at.since(look.now)));
    }
    format!("{} ago", coarse(look.now.since(at)))
}

/// A span in its largest unit: enough for an age.
pub fn coarse(span: Millis) -> String {
    let seconds = span.0 / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A span in milliseconds as people write it.
pub fn span(ms: u64) -> String {
    Millis(ms).to_string()
}

/// Bytes as people write them: `1.2 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}
