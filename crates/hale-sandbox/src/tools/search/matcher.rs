//! A compiled pattern that sees a bounded piece of text at a time.
//!
//! Wraps ripgrep's matcher: pieces end at line breaks, so that anchors mean what they say; of a line longer than a
//! piece only the first piece is searched, and the line is counted. Between pieces the deadline is looked at.
//! Read next: [`super::found`].

use super::Counter;
use crate::control::Control;
use crate::error::{Error, shown};
use crate::limits::{PATTERN_CACHE_BYTES, PATTERN_NESTING, PATTERN_PROGRAM_BYTES, SEARCH_PIECES};
use grep_matcher::{ByteSet, LineMatchKind, LineTerminator, Match, Matcher, NoCaptures};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};

pub(super) struct Pattern<'a> {
    regex: RegexMatcher,
    ctl: &'a Control,
    cut: Counter,
    /// Bytes that the pattern may see at a time.
    piece: usize,
}

/// Compiles within the bounds on program, cache and nesting.
pub(super) fn compile<'a>(pattern: &str, ctl: &'a Control) -> Result<Pattern<'a>, Error> {
    let regex = build(pattern, Weigh::Whole, PATTERN_PROGRAM_BYTES).map_err(|error| {
        let reason = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Error::argument(
            "pattern",
            format!("it is no regular expression that can be used: {}", shown(&reason)),
        )
    })?;
    ctl.check()?;
    Ok(Pattern { regex, ctl, cut: Counter::default(), piece: piece_bytes(pattern) })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weigh {
    Whole,
    WithoutUnicode,
}

fn build(pattern: &str, weigh: Weigh, program: usize) -> Result<RegexMatcher, grep_regex::Error> {
    RegexMatcherBuilder::new()
        .multi_line(true)
        .line_terminator(Some(b'\n'))
        .unicode(weigh == Weigh::Whole)
        .size_limit(program)
        .dfa_size_limit(PATTERN_CACHE_BYTES)
        .nest_limit(PATTERN_NESTING)
        .build(pattern)
}

/// A Unicode class is large, but only a few of its states live at once, so it is left out of the weight; a pattern
/// that has no meaning without Unicode (`\p{Greek}`) is weighed with it.
fn piece_bytes(pattern: &str) -> usize {
    let ascii = build(pattern, Weigh::WithoutUnicode, PATTERN_PROGRAM_BYTES).is_ok();
    let weigh = if ascii { Weigh::WithoutUnicode } else { Weigh::Whole };
    let [rows @ .., (_, smallest)] = SEARCH_PIECES;
    let row = rows.iter().find(|(program, _)| build(pattern, weigh, *program).is_ok());
    row.map_or(smallest, |(_, piece)| *piece)
}

/// Why the search stopped; the tool asks [`Control`] again and reports that.
#[derive(Debug)]
pub(super) struct Stopped(String);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern<'_> {
    pub(super) fn lines_cut(&self) -> u64 {
        self.cut.get()
    }

    /// Where the pattern matches in this line.
    pub(super) fn place(&self, line: &[u8]) -> Option<Match> {
        self.regex.find(self.piece(line)).ok().flatten()
    }

    fn check(&self) -> Result<(), Stopped> {
        self.ctl.check().map_err(|error| Stopped(error.to_string()))
    }

    fn piece<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[..text.len().min(self.piece)]
    }

    /// The next piece of `text`, and how far to move on after it; the two differ only after a line that was cut.
    fn next_piece<'t>(&self, text: &'t [u8]) -> (&'t [u8], usize) {
        let first = self.piece(text);
        if first.len() == text.len() {
            return (first, first.len());
        }
        if let Some(end) = first.iter().rposition(|byte| *byte == b'\n') {
            return (&first[..=end], end + 1);
        }
        let rest = &text[first.len()..];
        let line = rest.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| first.len() + at + 1);
        (first, line)
    }
}

impl Matcher for Pattern<'_> {
    type Captures = NoCaptures;
    type Error = Stopped;

    fn find_at(&self, text: &[u8], at: usize) -> Result<Option<Match>, Stopped> {
        self.check()?;
        let text = self.piece(text);
        if at > text.len() {
            return Ok(None);
        }
        self.regex.find_at(text, at).map_err(|error| Stopped(error.to_string()))
    }

    fn new_captures(&self) -> Result<NoCaptures, Stopped> {
        Ok(NoCaptures::new())
    }

    fn non_matching_bytes(&self) -> Option<&ByteSet> {
        self.regex.non_matching_bytes()
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        self.regex.line_terminator()
    }

    fn find_candidate_line(&self, text: &[u8]) -> Result<Option<LineMatchKind>, Stopped> {
        let mut start = 0;
        while start < text.len() {
            self.check()?;
            let (piece, step) = self.next_piece(&text[start..]);
            let found = self.regex.find_candidate_line(piece).map_err(|error| Stopped(error.to_string()))?;
            if let Some(kind) = found {
                return Ok(Some(match kind {
                    LineMatchKind::Confirmed(at) => LineMatchKind::Confirmed(start + at),
                    LineMatchKind::Candidate(at) => LineMatchKind::Candidate(start + at),
                }));
            }
            if step > piece.len() {
                self.cut.add();
            }
            start += step;
        }
        Ok(None)
    }
}
