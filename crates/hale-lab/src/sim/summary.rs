//! What is in a text file, counted: the simulated model's only skill, and a real one.
//!
//! Guarantees: every number is counted from the text; a line without a timestamp has none.
//! Leaves to others: wording around it ([`super::mind`]).
//! Read next: [`super::mind`].

use std::collections::BTreeMap;

/// Words whose lines are counted, in the order in which they are told.
const WORDS: [&str; 6] = ["install", "upgrade", "remove", "error", "warn", "fail"];

/// The figures of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub lines: usize,
    /// How many lines have each word of [`WORDS`], in any case.
    counts: [usize; WORDS.len()],
    first: Option<String>,
    last: Option<String>,
    /// The beginnings of lines that repeat, most frequent first.
    patterns: Vec<(String, usize)>,
}

impl Summary {
    pub(super) fn of(text: &str) -> Self {
        let mut summary = Self::default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            summary.lines += 1;
            let lower = line.to_lowercase();
            for (count, word) in summary.counts.iter_mut().zip(WORDS) {
                *count += usize::from(lower.contains(word));
            }
            let (stamp, rest) = split_stamp(line);
            if let Some(stamp) = stamp {
                summary.first.get_or_insert_with(|| stamp.to_owned());
                summary.last = Some(stamp.to_owned());
            }
            if let Some(pattern) = pattern(rest) {
                *seen.entry(pattern).or_insert(0) += 1;
            }
        }
        summary.patterns = seen.into_iter().filter(|(_, count)| *count > 1).collect();
        // The map was sorted by text and this sort is stable, so ties have one order.
        summary.patterns.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        summary
    }

    /// In sentences, with at most so many patterns.
    pub(super) fn tell(&self, patterns_max: usize) -> String {
        let mut told = format!("{} lines", self.lines);
        let counts: Vec<String> =
            self.counts.iter().zip(WORDS).map(|(count, word)| format!("{word} {count}")).collect();
        told.push_str(&format!("; lines with: {}", counts.join(", ")));
        match (&self.first, &self.last) {
            (Some(first), Some(last)) => told.push_str(&format!("; from {first} to {last}")),
            _ => told.push_str("; no timestamps"),
        }
        let patterns = self.patterns.iter().take(patterns_max);
        let patterns: Vec<String> = patterns.map(|(text, count)| format!("{text:?} {count} times")).collect();
        match patterns.is_empty() {
            true => told.push_str("; no line repeats"),
            false => told.push_str(&format!("; most repeated: {}", patterns.join(", "))),
        }
        told.push('.');
        told
    }
}

/// A timestamp at the beginning of a line, and what follows it.
fn split_stamp(line: &str) -> (Option<&str>, &str) {
    let trimmed = line.trim_start_matches(['[', ' ']);
    let length = if fits(trimmed, "dddd-dd-dd?dd:dd:dd") {
        // With fraction and zone, up to the next space or bracket.
        trimmed[19..].find([' ', ']', ',']).map_or(trimmed.len(), |end| 19 + end)
    } else if fits(trimmed, "aaa ?d dd:dd:dd") {
        15
    } else {
        return (None, line);
    };
    (Some(&trimmed[..length]), trimmed[length..].trim_start_matches([']', ' ', ',']))
}

/// Whether the text begins like the shape: d is a digit, a a letter, ? anything in ASCII.
fn fits(text: &str, shape: &str) -> bool {
    let as_shaped = |(byte, shape): (u8, u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'a' => byte.is_ascii_alphabetic(),
        b'?' => byte.is_ascii(),
        exact => byte == exact,
    };
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(as_shaped)
}

/// The first two words with their digits masked: what tells kinds of lines apart in most logs.
fn pattern(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    let masked = words.join(" ").chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).take(60).collect();
    (!words.is_empty()).then_some(masked)
}
