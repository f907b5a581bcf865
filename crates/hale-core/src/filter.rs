//! The one language for choosing runs, on the command line, in the API and in the console.
//!
//! `status:failed since:1h pack:hello code:E006 cause:llm.timeout priority:high some text`: words with a colon narrow
//! the choice, all of them must hold; other words are searched in the run's error text. Quotes keep blanks together.
//! Guarantees: what is not understood is an error with its place, never ignored.
//! Read next: [`artifacts`], for artifacts; [`crate::run::StateName`] for the names and aliases of states.

pub mod artifacts;

use crate::code::{self, Code};
use crate::nearest::nearest;
use crate::run::{Priority, StateName};
use crate::time::{Millis, Timestamp};
use serde::Serialize;
use std::str::FromStr;

/// Letters of a filter; a longer one is a mistake, and errors quote it.
pub const CHARS_MAX: usize = 1000;

const KEYS: [&str; 9] =
    ["status", "pack", "queue", "since", "until", "code", "cause", "correlation", "priority"];

/// Which runs are meant; an empty list or none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Sorted, without duplicates.
    pub states: Vec<StateName>,
    pub pack: Option<String>,
    pub queue: Option<String>,
    /// Submitted at or after.
    pub since: Option<Timestamp>,
    /// Submitted before.
    pub until: Option<Timestamp>,
    pub code: Option<Code>,
    /// The root cause, exactly: `llm.rate_limited`.
    pub cause: Option<String>,
    pub correlation: Option<String>,
    pub priority: Option<Priority>,
    /// Occurs in the run's error, in any case.
    pub text: Option<String>,
}

/// The word of a filter that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the filter at letter {position}: {problem}; {expected}")]
pub struct Error {
    /// 1 for the first letter.
    pub position: usize,
    pub problem: String,
    /// What may stand there.
    pub expected: String,
    /// The whole word that was probably meant, for example `status:failed`.
    pub suggestion: Option<String>,
}

impl Filter {
    /// Whether every run is meant; bulk commands refuse such a filter.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A word with its place; `key` is there if it has the form `key:value`.
struct Word {
    position: usize,
    key: Option<String>,
    value: String,
}

/// Reads a filter; spans such as `since:1h` count back from `now`.
///
/// # Errors
/// The first word that is not understood.
pub fn parse(text: &str, now: Timestamp) -> Result<Filter, Error> {
    if text.chars().count() > CHARS_MAX {
        let problem = format!("it has more than {CHARS_MAX} letters");
        return Err(Error {
            position: CHARS_MAX + 1,
            problem,
            expected: "shorten it".to_owned(),
            suggestion: None,
        });
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
        filter.text = Some(free.join(" "));
    }
    filter.states.sort_unstable();
    filter.states.dedup();
    match (filter.since, filter.until) {
        (Some(since), Some(until)) if since >= until => Err(Error {
            position: 1,
            problem: format!("since ({since}) is not before until ({until}), so no run can match"),
            expected: "exchange the two".to_owned(),
            suggestion: None,
        }),
        _ => Ok(filter),
    }
}

fn narrow(filter: &mut Filter, key: &str, word: &Word, now: Timestamp) -> Result<(), Error> {
    if word.value.is_empty() {
        return Err(
            word.error(format!("`{key}:` has no value"), format!("write for example `{}`", example(key)))
        );
    }
    match key {
        "status" | "state" => {
            for name in word.value.split(',') {
                filter.states.extend(states(name).ok_or_else(|| word.no_state(name))?);
            }
            Ok(())
        }
        "pack" => once(&mut filter.pack, word.value.clone(), word),
        "queue" => once(&mut filter.queue, word.value.clone(), word),
        "cause" => once(&mut filter.cause, word.value.clone(), word),
        "correlation" => once(&mut filter.correlation, word.value.clone(), word),
        "since" => once(&mut filter.since, moment(word, now)?, word),
        "until" => once(&mut filter.until, moment(word, now)?, word),
        "code" => {
            let code = Code::from_str(&word.value)
                .map_err(|()| word.none_of(&code::ALL.map(|code| code.to_string())))?;
            once(&mut filter.code, code, word)
        }
        "priority" => {
            let names = Priority::ALL.map(|class| class.name().to_owned());
            let class = word.value.to_lowercase().parse().map_err(|()| word.none_of(&names))?;
            once(&mut filter.priority, class, word)
        }
        other => {
            let mut error = word.error(
                format!("unknown word `{other}:`"),
                format!(
                    "the words are {}; quote text that holds a colon",
                    KEYS.map(|key| format!("{key}:")).join(" ")
                ),
            );
            error.suggestion = nearest(other, KEYS).map(|key| format!("{key}:{}", word.value));
            Err(error.with_suggestion())
        }
    }
}

/// The states that a word of `status:` means: a name, an alias, or a group.
fn states(name: &str) -> Option<Vec<StateName>> {
    let of =
        |terminal: bool| StateName::ALL.into_iter().filter(|state| state.is_terminal() == terminal).collect();
    match name.to_lowercase().as_str() {
        "active" => Some(of(false)),
        "ended" => Some(of(true)),
        _ => name.parse().ok().map(|state| vec![state]),
    }
}

fn state_words() -> Vec<String> {
    let groups = ["active".to_owned(), "ended".to_owned()];
    StateName::ALL.map(|state| state.name().to_lowercase()).into_iter().chain(groups).collect()
}

/// `1h` before now, or a moment such as `2026-11-22T03:05:00Z`.
fn moment(word: &Word, now: Timestamp) -> Result<Timestamp, Error> {
    if let Ok(span) = word.value.parse::<Millis>() {
        return Ok(now - span);
    }
    word.value.parse::<jiff::Timestamp>().map(|moment| Timestamp(moment.as_millisecond())).map_err(|_| {
        let expected = "write a span such as 30m, 1h or 2d, or a moment such as 2026-11-22T03:05:00Z";
        word.error(format!("{:?} is no time", word.value), expected.to_owned())
    })
}

fn once<T>(place: &mut Option<T>, value: T, word: &Word) -> Result<(), Error> {
    if place.is_some() {
        let key = word.key.as_deref().unwrap_or_default();
        return Err(word.error(format!("`{key}:` stands twice"), "keep one of them".to_owned()));
    }
    *place = Some(value);
    Ok(())
}

fn example(key: &str) -> &'static str {
    match key {
        "status" | "state" => "status:failed",
        "pack" => "pack:hello",
        "since" => "since:1h",
        "until" => "until:2026-11-22T03:05:00Z",
        "code" => "code:E006",
        "cause" => "cause:llm.rate_limited",
        "correlation" => "correlation:abc",
        "priority" => "priority:high",
        _ => "status:failed since:1h",
    }
}

impl Word {
    fn error(&self, problem: String, expected: String) -> Error {
        Error { position: self.position, problem, expected, suggestion: None }
    }

    fn none_of(&self, names: &[String]) -> Error {
        let key = self.key.as_deref().unwrap_or_default();
        let mut error = self.error(
            format!("`{key}:` does not know {:?}", self.value),
            format!("write one of {}", names.join(", ")),
        );
        let meant = nearest(&self.value, names.iter().map(String::as_str));
        error.suggestion = meant.map(|name| format!("{key}:{name}"));
        error.with_suggestion()
    }

    fn no_state(&self, name: &str) -> Error {
        let one = Word { position: self.position, key: self.key.clone(), value: name.to_owned() };
        one.none_of(&state_words())
    }
}

impl Error {
    fn with_suggestion(mut self) -> Self {
        if let Some(meant) = &self.suggestion {
            self.problem.push_str(&format!(", did you mean `{meant}`?"));
        }
        self
    }
}

/// Splits at blanks outside quotes. A quote inside a word is part of its value; quoted text has no key.
fn words(text: &str) -> Result<Vec<Word>, Error> {
    let mut words: Vec<Word> = Vec::new();
    let mut letters = text.chars().enumerate().peekable();
    while let Some((at, first)) = letters.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = Word { position: at + 1, key: None, value: String::new() };
        let mut quoted = first == '"';
        let mut keyless = quoted;
        if !quoted {
            word.value.push(first);
        }
        while let Some((_, letter)) = letters.next_if(|(_, letter)| quoted || !letter.is_whitespace()) {
            match letter {
                '"' => quoted = !quoted,
                ':' if !keyless && word.is_keylike() => {
                    word.key = Some(std::mem::take(&mut word.value).to_lowercase());
                    keyless = true;
                }
                other => word.value.push(other),
            }
        }
        if quoted {
            return Err(word.error("a quote is not closed".to_owned(), "add `\"` at its end".to_owned()));
        }
        words.push(word);
    }
    Ok(words)
}

impl Word {
    fn is_keylike(&self) -> bool {
        !self.value.is_empty() && self.value.chars().all(|letter| letter.is_ascii_alphabetic())
    }
}
