//! The same language for choosing artifacts: `run:run_01… pack:research since:1d size:>1MiB report`.
//!
//! Guarantees: as the other filter, what is not understood is an error with its place, never ignored.
//! Read next: [`super::parse`], for runs.

use super::{CHARS_MAX, Error, Word, moment, once, words};
use crate::id::RunId;
use crate::nearest::nearest;
use crate::run::event::Artifact;
use crate::time::Timestamp;

const KEYS: [&str; 5] = ["run", "pack", "since", "until", "size"];

/// Which artifacts are meant; none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub run: Option<RunId>,
    pub pack: Option<String>,
    /// Of a run that was submitted at or after.
    pub since: Option<Timestamp>,
    /// Of a run that was submitted before.
    pub until: Option<Timestamp>,
    /// At least this many bytes.
    pub least: Option<u64>,
    /// At most this many bytes.
    pub most: Option<u64>,
    /// Occurs in the artifact's name, in any case.
    pub name: Option<String>,
}

impl Filter {
    pub fn takes(&self, run: RunId, pack: &str, artifact: &Artifact) -> bool {
        let minted = run.minted_at();
        self.run.is_none_or(|only| only == run)
            && self.pack.as_ref().is_none_or(|only| only == pack)
            && self.since.is_none_or(|since| minted >= since)
            && self.until.is_none_or(|until| minted < until)
            && self.least.is_none_or(|least| artifact.bytes >= least)
            && self.most.is_none_or(|most| artifact.bytes <= most)
            && self
                .name
                .as_ref()
                .is_none_or(|name| artifact.name.to_lowercase().contains(&name.to_lowercase()))
    }
}

/// Reads a filter; spans such as `since:1h` count back from `now`.
///
/// # Errors
/// The first word that is not understood.
pub fn parse(text: &str, now: Timestamp) -> Result<Filter, Error> {
    if text.chars().count() > CHARS_MAX {
        let problem = format!("it has more than {CHARS_MAX} letters");
        let expected = "shorten it".to_owned();
        return Err(Error { position: CHARS_MAX + 1, problem, expected, suggestion: None });
    }
    let mut filter = Filter::default();
    let mut free: Vec<String> = Vec::new();
    for word in words(text)? {
        match &word.key {
            None => free.push(word.value),
            Some(key) => narrow(&mut filter, key, &word, now)?,
        }
    }
    if !free.is_empty() {
        filter.name = Some(free.join(" "));
    }
    Ok(filter)
}

fn narrow(filter: &mut Filter, key: &str, word: &Word, now: Timestamp) -> Result<(), Error> {
    if word.value.is_empty() {
        let expected = "write for example `size:>1MiB` or `pack:hello`".to_owned();
        return Err(word.error(format!("`{key}:` has no value"), expected));
    }
    match key {
        "run" => {
            let run = word.value.parse().map_err(|_| {
                let expected = "write a whole id such as run_01JD4M8Q2R7WX5B9N3K6T0VYHZ".to_owned();
                word.error(format!("{:?} is no id of a run", word.value), expected)
            })?;
            once(&mut filter.run, run, word)
        }
        "pack" => once(&mut filter.pack, word.value.clone(), word),
        "since" => once(&mut filter.since, moment(word, now)?, word),
        "until" => once(&mut filter.until, moment(word, now)?, word),
        "size" => {
            let (most, text) = match word.value.strip_prefix('<') {
                Some(rest) => (true, rest),
                None => (false, word.value.strip_prefix('>').unwrap_or(&word.value)),
            };
            let bytes = size(text).ok_or_else(|| {
                let expected = "write `size:>1MiB` for at least, `size:<64KiB` for at most".to_owned();
                word.error(format!("{:?} is no size", word.value), expected)
            })?;
            once(if most { &mut filter.most } else { &mut filter.least }, bytes, word)
        }
        other => {
            let expected = format!(
                "the words are {}; quote text that holds a colon",
                KEYS.map(|key| format!("{key}:")).join(" ")
            );
            let mut error = word.error(format!("unknown word `{other}:`"), expected);
            error.suggestion = nearest(other, KEYS).map(|key| format!("{key}:{}", word.value));
            Err(error.with_suggestion())
        }
    }
}

/// `1MiB`, `64 KB`, `512`: bytes without a unit.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}
