//! When a schedule fires: the five fields of cron, in a time zone.
//!
//! Minute, hour, day of month, month, day of week; lists, ranges, steps, names, and `@daily` and its kin. When both day
//! fields are narrowed, either may match, as in every cron. Where a clock is set forward, a time that does not exist
//! that day fires as much later; where it is set back, a time that comes twice fires once. A line that takes every
//! hour follows real time instead: it neither skips nor doubles anything.
//! Guarantees: a pure computation over the given moments; what cannot be read is an error with its field and place.
//! Read next: `hale-engine/src/schedules.rs`, which fires.

use crate::time::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Days that are looked through for the next firing: the 29th of February may be eight years away.
const DAYS_AHEAD: u32 = 9 * 366;
/// Letters of a cron line; a longer one is a mistake, and errors quote it.
const CHARS_MAX: usize = 256;
/// The most that a clock is set forward or back at once, with room to spare.
const SHIFT_HOURS: i64 = 3;
/// Changes of a zone's clock that one search passes; two a year are usual.
const CHANGES: u32 = 64;

/// A cron line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A day field that begins with `*` does not narrow.
    any_day: bool,
    any_weekday: bool,
}

/// The word of a cron line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the cron line {line:?}: {problem}; {expected}, for example \"0 3 * * *\" for every day at 03:00"
)]
pub struct Error {
    pub line: String,
    pub problem: String,
    pub expected: String,
}

struct Field {
    name: &'static str,
    from: u32,
    to: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", from: 0, to: 59, names: &[] },
    Field { name: "hour", from: 0, to: 23, names: &[] },
    Field { name: "day of month", from: 1, to: 31, names: &[] },
    Field { name: "month", from: 1, to: 12, names: &MONTHS },
    Field { name: "day of week", from: 0, to: 7, names: &WEEKDAYS },
];

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

const ALL_HOURS: u64 = (1 << 24) - 1;

/// Reads a cron line.
///
/// # Errors
/// The first field that is not understood, or a line that never fires.
pub fn parse(line: &str) -> Result<Cron, Error> {
    let told: String = line.trim().chars().take(CHARS_MAX).collect();
    let error = |problem: String, expected: &str| Error {
        line: told.clone(),
        problem,
        expected: expected.to_owned(),
    };
    if line.trim().chars().count() > CHARS_MAX {
        return Err(error(format!("it has more than {CHARS_MAX} letters"), "shorten it"));
    }
    let lower = told.to_ascii_lowercase();
    let spelt = match NICKNAMES.iter().find(|(name, _)| *name == lower) {
        Some((_, spelt)) => *spelt,
        None if lower.starts_with('@') => {
            let known = NICKNAMES.map(|(name, _)| name).join(", ");
            return Err(error(format!("{told:?} is no nickname"), &format!("the nicknames are {known}")));
        }
        None => lower.as_str(),
    };
    let words: Vec<&str> = spelt.split_whitespace().collect();
    if words.len() != FIELDS.len() {
        let expected = "write five fields: minute, hour, day of month, month, day of week";
        return Err(error(format!("it has {} fields", words.len()), expected));
    }
    let mut sets = [0u64; 5];
    for (place, (field, word)) in FIELDS.iter().zip(&words).enumerate() {
        sets[place] = field.read(word).map_err(|(part, why)| {
            let problem = format!("{part:?} in field {} ({}) {why}", place + 1, field.name);
            error(problem, &field.expected())
        })?;
    }
    let [minutes, hours, days, months, weekdays] = sets;
    let cron = Cron {
        minutes,
        hours,
        days,
        months,
        // 7 is Sunday too.
        weekdays: (weekdays | weekdays >> 7) & 0x7f,
        any_day: words[2].starts_with(['*', '?']),
        any_weekday: words[4].starts_with(['*', '?']),
    };
    let epoch = Date::constant(2024, 1, 1).at(0, 0, 0, 0);
    match cron.next_civil(epoch) {
        Some(_) => Ok(cron),
        None => Err(error("no such day exists, so it never fires".to_owned(), "choose days that exist")),
    }
}

impl Field {
    fn expected(&self) -> String {
        let names = match self.names {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        format!("write *, {} to {}{names}, a range 1-5, a list 1,3 or a step */5", self.from, self.to)
    }

    /// The set of the values that a word means.
    fn read<'a>(&self, word: &'a str) -> Result<u64, (&'a str, &'static str)> {
        let mut set = 0u64;
        for part in word.split(',') {
            set |= self.part(part).map_err(|why| (part, why))?;
        }
        Ok(set)
    }

    fn part(&self, part: &str) -> Result<u64, &'static str> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => match step.parse::<u32>() {
                Ok(step) if step > 0 && step <= self.to => (range, Some(step)),
                _ => return Err("has a step that does not fit"),
            },
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.from, self.last()),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // `5/15`: from 5 on.
            None if step.is_some() => (self.value(range)?, self.last()),
            None => (self.value(range)?, self.value(range)?),
        };
        if from > to {
            return Err("is a range that ends before it begins");
        }
        Ok((from..=to).step_by(step.unwrap_or(1) as usize).fold(0, |set, value| set | 1 << value))
    }

    /// Sunday is 0 and 7, and one of them is enough.
    fn last(&self) -> u32 {
        if self.to == 7 { 6 } else { self.to }
    }

    fn value(&self, text: &str) -> Result<u32, &'static str> {
        if let Some(place) = self.names.iter().position(|name| *name == text) {
            return Ok(self.from + place as u32);
        }
        match text.parse::<u32>() {
            Ok(value) if (self.from..=self.to).contains(&value) => Ok(value),
            Ok(_) => Err("is out of range"),
            Err(_) => Err("is not understood"),
        }
    }
}

fn holds(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| value < 64 && set >> value & 1 == 1)
}

impl Cron {
    /// The first firing after `after`; none when there is none within nine years.
    pub fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(after.0).ok()?;
        let next = if self.hours == ALL_HOURS { self.next_even(zone, at) } else { self.next_fixed(zone, at) };
        next.map(|next| Timestamp(next.as_millisecond()))
    }

    /// Lines that name hours: each civil time once, whatever the clocks do.
    fn next_fixed(&self, zone: &TimeZone, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let here = zone.to_datetime(after);
        // A time that did not exist fires later than it says, so begin before what the clock shows.
        let mut from = minute(here).checked_sub(SHIFT_HOURS.hours()).ok()?;
        let mut found: Option<(DateTime, jiff::Timestamp)> = None;
        while let Some(civil) = self.next_civil(from) {
            if let Some((first, _)) = found
                && civil > first.checked_add(SHIFT_HOURS.hours()).ok()?
            {
                break;
            }
            let at = zone.to_ambiguous_timestamp(civil).compatible().ok()?;
            if at > after && found.is_none_or(|(_, best)| at < best) {
                found = Some((found.map_or(civil, |(first, _)| first), at));
            }
            from = civil.checked_add(1.minute()).ok()?;
        }
        found.map(|(_, at)| at)
    }

    /// Lines of every hour: by real time, from one change of the clock to the next.
    fn next_even(&self, zone: &TimeZone, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let (mut since, mut offset) = (after, zone.to_offset(after));
        let mut from = minute(offset.to_datetime(after)).checked_add(1.minute()).ok()?;
        for _ in 0..CHANGES {
            let at = offset.to_timestamp(self.next_civil(from)?).ok()?;
            match zone.following(since).next() {
                Some(change) if change.timestamp() <= at => {
                    since = change.timestamp();
                    offset = zone.to_offset(since);
                    let here = offset.to_datetime(since);
                    from = minute(here);
                    if from < here {
                        from = from.checked_add(1.minute()).ok()?;
                    }
                }
                _ => return Some(at),
            }
        }
        None
    }

    fn takes(&self, date: Date) -> bool {
        let day = holds(self.days, date.day());
        let weekday = holds(self.weekdays, date.weekday().to_sunday_zero_offset());
        let by_day = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        by_day && holds(self.months, date.month())
    }

    /// The first civil time from `from` on that the line takes.
    fn next_civil(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        for ahead in 0..DAYS_AHEAD {
            if self.takes(date) {
                let (hour, at) = if ahead == 0 { (from.hour(), from.minute()) } else { (0, 0) };
                let times = (hour..24).filter(|hour| holds(self.hours, *hour)).find_map(|found| {
                    let first = if found == hour { at } else { 0 };
                    (first..60).find(|minute| holds(self.minutes, *minute)).map(|minute| (found, minute))
                });
                if let Some((hour, minute)) = times {
                    return Some(date.at(hour, minute, 0, 0));
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

/// The minute that holds a moment.
fn minute(at: DateTime) -> DateTime {
    at.date().at(at.hour(), at.minute(), 0, 0)
}
