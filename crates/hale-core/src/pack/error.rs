//! Why a file is not a pack: where, what, and how to mend it.
//!
//! Guarantees: every problem has file, line, column and a way out; rendering is bounded however long the lines are,
//! and prints no control characters of the file.
//! Read next: [`super::parse`].

use crate::code::Code;
use crate::failure::Failure;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of the file.
pub type Span = std::ops::Range<usize>;

/// Problems shown of one file; whoever mends twenty will look again.
const SHOWN: usize = 20;
/// Letters of a line that a report shows; a longer one is cut.
const LINE_CHARS: usize = 160;
/// Letters in a line of a report.
const WIDTH: usize = 110;

/// A problem or a warning before its line is known.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub at: Span,
    pub message: String,
    /// Stands under the place; short.
    pub label: String,
    pub help: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// 1 for the first line of the file.
    pub line: usize,
    /// 1 for the first letter of the line.
    pub column: usize,
    pub message: String,
    /// How to mend it.
    pub help: String,
    #[serde(skip)]
    label: String,
    /// Letters under which the mark stands.
    #[serde(skip)]
    width: usize,
}

impl Problem {
    pub(super) fn new(flaw: Flaw, text: &str) -> Self {
        let from = floor(text, flaw.at.start);
        let to = floor(text, flaw.at.end.max(from));
        let begin = text[..from].rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: text[..from].matches('\n').count() + 1,
            column: text[begin..from].chars().count() + 1,
            width: text[from..to].chars().take(LINE_CHARS).count(),
            message: flaw.message,
            label: flaw.label,
            help: flaw.help,
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// A file that is not a pack, with everything that is wrong with it, first things first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub file: String,
    /// Never empty.
    pub problems: Vec<Problem>,
    /// The file as far as it may be shown.
    source: String,
}

impl Error {
    pub(super) fn new(file: &str, text: &str, mut flaws: Vec<Flaw>) -> Box<Self> {
        flaws.sort_by_key(|flaw| flaw.at.start);
        flaws.truncate(SHOWN);
        let problems = flaws.into_iter().map(|flaw| Problem::new(flaw, text)).collect();
        Box::new(Self { file: plain(file, LINE_CHARS), problems, source: showable(text) })
    }

    /// The first problem.
    pub fn first(&self) -> &Problem {
        self.problems.first().expect("an error is made of at least one flaw")
    }

    /// A report with the lines of the file and marks under what is wrong.
    pub fn render(&self, paint: Paint) -> String {
        let theme = match paint {
            Paint::Colour => GraphicalTheme::unicode(),
            Paint::Plain => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
        let mut text = String::new();
        for problem in &self.problems {
            let shown = Shown::new(self, problem);
            if handler.render_report(&mut text, &shown).is_err() {
                // Only a formatter that fails gets here; the one-line form says the same.
                text.push_str(&format!("{shown} ({}:{})\n", problem.line, problem.column));
            }
        }
        text
    }

    /// For machines: code, file, and for each problem line, column, message and help.
    pub fn json(&self) -> serde_json::Value {
        let first = self.first();
        serde_json::json!({
            "code": Code::E012.to_string(),
            "file": self.file,
            "line": first.line,
            "column": first.column,
            "message": first.message,
            "help": first.help,
            "problems": self.problems,
        })
    }

    /// The same as a failure with code E012.
    pub fn failure(&self) -> Failure {
        Failure::new(Code::E012, "pack.invalid", &format!("pack:{}", self.file), self.to_string())
    }
}

/// One line: `read triage.md as a pack: line 2, column 1: unknown key `modell`; did you mean ..`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, column, message, help, .. } = self.first();
        write!(f, "read {} as a pack: line {line}, column {column}: {message}; {help}", self.file)?;
        match self.problems.len() {
            1 => Ok(()),
            n => write!(f, " (and {} more)", n - 1),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a report has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Colour,
    Plain,
}

/// The file as it may be shown: no control characters, no endless lines. Lines and columns stay.
fn showable(text: &str) -> String {
    text.split('\n').map(|line| plain(line, LINE_CHARS)).collect::<Vec<_>>().join("\n")
}

fn plain(line: &str, chars: usize) -> String {
    line.chars().take(chars).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// One problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    message: String,
    problem: &'a Problem,
    source: NamedSource<String>,
    at: Span,
}

impl<'a> Shown<'a> {
    fn new(error: &Error, problem: &'a Problem) -> Self {
        let begin: usize = error.source.split_inclusive('\n').take(problem.line - 1).map(str::len).sum();
        let line = error.source[begin..].lines().next().unwrap_or_default();
        let place = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let from = place(problem.column - 1);
        let to = place(problem.column - 1 + problem.width);
        Self {
            message: format!("{}: {}", error.file, problem.message),
            problem,
            source: NamedSource::new(&error.file, error.source.clone()),
            at: begin + from..begin + to,
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(Code::E012))
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.problem.help))
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.source.inner().is_empty()).then_some(&self.source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some(self.problem.label.clone()), self.at.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
