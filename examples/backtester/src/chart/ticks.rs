//! Where ticks stand and what they say: round amounts, real dates.
//!
//! Guarantees: at most nine ticks on an axis; amounts step by 1, 2 or 5 times a power of ten, dates by whole minutes,
//! hours, days, months or years.

use crate::bars::moment::Moment;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

/// So many dates fit side by side without touching.
const DATES_MAX: usize = 9;
const AMOUNTS_MAX: f64 = 6.0;
const DAY: i64 = 86_400;

pub struct Scale {
    pub name: &'static str,
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<(f64, String)>,
}

/// An axis of amounts around the given ones.
pub fn amounts(low: f64, high: f64) -> Scale {
    // A flat line gets room above and below.
    let room = ((high - low) * 0.04).max(high.abs() * 0.005).max(1e-6);
    let (low, high) = ((low - room).max(0.0), high + room);
    let step = round_step((high - low) / AMOUNTS_MAX);
    let digits = (-step.log10().floor()).clamp(0.0, 8.0) as usize;
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    let tick = |count: i64| (count as f64 * step, amount(count as f64 * step, digits));
    Scale { name: "equity", low, high, ticks: (first..=last).map(tick).collect() }
}

/// From nothing down to the deepest drawdown.
pub fn depths(deepest: f64) -> Scale {
    let deepest = deepest.min(-0.001);
    let step = round_step(-deepest / 3.0);
    let digits = (-(step * 100.0).log10().floor()).clamp(0.0, 3.0) as usize;
    let count = (-deepest / step).ceil() as i64;
    let tick = |count: i64| {
        let value = -(count as f64) * step;
        let words =
            if count == 0 { "0 %".to_owned() } else { minus(&format!("{:.digits$} %", value * 100.0)) };
        (value, words)
    };
    Scale { name: "drawdown", low: -(count as f64) * step, high: 0.0, ticks: (0..=count).map(tick).collect() }
}

/// The next of 1, 2, 5, 10, … that is not smaller.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= least * 0.999_999);
    step.unwrap_or(10.0) * power
}

/// Dates and times within the span, with their words.
pub fn times((first, last): (f64, f64)) -> Vec<(f64, String)> {
    let (first, last) = (first as i64, last as i64);
    for step in [60, 300, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY, 14 * DAY] {
        if (last - first) / step < DATES_MAX as i64 {
            let start = first + (step - first.rem_euclid(step)) % step;
            let seconds = (0..).map(|count| start + count * step).take_while(|second| *second <= last);
            let form = if step < DAY { "%-d %b %H:%M" } else { "%-d %b %Y" };
            return seconds.map(|second| (second as f64, words(second, form))).collect();
        }
    }
    months(first, last)
}

fn months(first: i64, last: i64) -> Vec<(f64, String)> {
    let (from, to) = (civil(first), civil(last));
    let month = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let (begin, end) = (month(from), month(to));
    // Steps of ten years fit ninety; a longer span is cut in four.
    let fits = |step: &i64| (end - begin) / step < DATES_MAX as i64;
    let step = [1, 2, 3, 6, 12, 24, 60, 120].into_iter().find(fits).unwrap_or((end - begin) / 4);
    let form = if step < 12 { "%b %Y" } else { "%Y" };
    let firsts = (begin..=end).filter(|month| month % step == 0).filter_map(|month| {
        let first = date(i16::try_from(month / 12).ok()?, (month % 12 + 1) as i8, 1);
        let at = first.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        (at >= first_second(from) && at <= last).then(|| (at as f64, words(at, form)))
    });
    firsts.collect()
}

fn first_second(date: Date) -> i64 {
    date.to_zoned(TimeZone::UTC).map_or(i64::MIN, |zoned| zoned.timestamp().as_second())
}

fn civil(second: i64) -> Date {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date()
}

fn words(second: i64, form: &str) -> String {
    Timestamp::from_second(second).map_or_else(|_| String::new(), |at| at.strftime(form).to_string())
}

pub fn day(at: Moment) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// `12,345.60`
pub fn amount(value: f64, digits: usize) -> String {
    let plain = format!("{:.digits$}", value.abs());
    let (whole, part) = plain.split_once('.').map_or((plain.as_str(), ""), |(whole, part)| (whole, part));
    let mut grouped = String::new();
    for (index, sign) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(sign);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    if part.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{part}") }
}

/// `+12.3 %`, `−4.0 %`
pub fn signed_percent(part: f64) -> String {
    let tenths = (part * 1_000.0).round();
    if tenths == 0.0 { "0.0 %".to_owned() } else { minus(&format!("{:+.1} %", tenths / 10.0)) }
}

/// A minus sign instead of a hyphen.
pub fn minus(text: &str) -> String {
    text.replace('-', "−")
}
