//! The expression language of playbooks: `workers.live == 0 and runs.oldest_pending_age > 60s`.
//!
//! Guarantees: static types with units, so that a slip is an error at load and not a silent "healthy"; three values,
//! so that unknown is never false; no loops, and a cost known at load ([`NODES_MAX`]); no input makes it panic.
//! Leaves to others: what is asked ([`crate::playbook`]) and of whom ([`crate::evidence`]).
//! Read next: [`check`] for the rules of types, [`eval`] for the rules of truth.

mod check;
mod eval;
mod parse;
mod token;

use crate::evidence::Evidence;
use crate::signal::{Scope, Signal};
use crate::value::{Type, Value};
use std::fmt;
use std::ops::Range;

pub use eval::Truth;

/// Bytes of one expression: a screen full; longer belongs into several items.
pub const BYTES_MAX: usize = 2_000;
/// Nodes of one expression; each costs one step, so this bounds the time of an evaluation.
pub const NODES_MAX: usize = 256;
/// Depth of the tree; it bounds the stack.
pub const DEPTH_MAX: usize = 32;

/// Which signals an expression may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// System signals only: there is no run to ask about.
    System,
    /// System signals and those of the run in question.
    Run,
}

/// An expression that was parsed and type-checked.
#[derive(Clone, Debug)]
pub struct Expr {
    source: String,
    root: check::Node,
    ty: Type,
    signals: Vec<&'static Signal>,
}

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}{}", hint(.suggestion))]
pub struct Error {
    pub kind: Kind,
    /// First character of the culprit, counted from 1.
    pub column: usize,
    /// The culprit, in bytes.
    pub span: Range<usize>,
    pub message: String,
    pub suggestion: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Syntax,
    /// A signal or function that does not exist, or is out of reach.
    Name,
    Type,
    /// Longer, larger or deeper than allowed.
    Bound,
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|word| format!(": did you mean `{word}`?")).unwrap_or_default()
}

impl Error {
    pub(crate) fn at(text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let column = text[..start].chars().count() + 1;
        Error { kind: Kind::Syntax, column, span, message: message.into(), suggestion: None }
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn suggest(mut self, word: Option<impl Into<String>>) -> Self {
        self.suggestion = word.map(Into::into);
        self
    }
}

impl Expr {
    /// Parses and type-checks.
    pub fn compile(text: &str, reach: Reach) -> Result<Self, Error> {
        let syntax = parse::parse(text)?;
        let (root, ty, signals) = check::check(text, reach, &syntax)?;
        Ok(Self { source: text.trim().to_owned(), root, ty, signals })
    }

    /// As [`Expr::compile`], for a place where only a condition makes sense.
    pub fn condition(text: &str, reach: Reach) -> Result<Self, Error> {
        let expr = Self::compile(text, reach)?;
        match expr.ty {
            Type::Bool => Ok(expr),
            got => {
                Err(Error::at(text, 0..text.len(), format!("expected a condition, got {got}"))
                    .kind(Kind::Type))
            }
        }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn ty(&self) -> Type {
        self.ty
    }

    /// The signals asked for, each once, in the order of their names.
    pub fn signals(&self) -> &[&'static Signal] {
        &self.signals
    }

    /// Whether it asks about one run; such an expression says nothing about the system.
    pub fn asks_run(&self) -> bool {
        self.signals.iter().any(|signal| signal.scope == Scope::Run)
    }

    /// Whether the condition holds.
    pub fn truth(&self, evidence: &Evidence) -> Truth {
        match eval::eval(&self.root, evidence) {
            Some(eval::Cell::Bool(true)) => Truth::True,
            Some(eval::Cell::Bool(false)) => Truth::False,
            _ => Truth::Unknown,
        }
    }

    /// What it comes to; `None` if that is unknown, out of range or a division by zero.
    pub fn value(&self, evidence: &Evidence) -> Option<Value> {
        eval::eval(&self.root, evidence)?.value()
    }

    /// The readings it rests on, as a finding quotes them: `workers.live = 0`, `disk.free unknown: timed out`.
    pub fn readings(&self, evidence: &Evidence) -> Vec<String> {
        self.signals.iter().map(|signal| quote(signal, evidence)).collect()
    }

    /// Those of its signals that are unknown.
    pub fn unknowns(&self, evidence: &Evidence) -> Vec<String> {
        let unknown = self.signals.iter().filter(|signal| evidence.look(signal).is_err());
        unknown.map(|signal| quote(signal, evidence)).collect()
    }
}

fn quote(signal: &Signal, evidence: &Evidence) -> String {
    match evidence.look(signal) {
        Ok(reading) if signal.ty == Type::Text => {
            format!("{} = \"{}\"", signal.name, reading.value.human(signal.ty))
        }
        Ok(reading) => format!("{} = {}", signal.name, reading.value.human(signal.ty)),
        Err(why) => format!("{} unknown: {why}", signal.name),
    }
}

/// The canonical form, fully parenthesised; parses back to the same tree as long as the limits hold.
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

/// Two expressions are equal when they ask the same, however they are spaced.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}
