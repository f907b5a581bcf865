//! Names and types: a syntax tree into one that cannot go wrong, only be unknown.
//!
//! Guarantees: every name is a signal within reach, every operator has operands that it is defined on.
//! Durations meet durations, sizes meet sizes; a ratio meets a ratio or a number with a point, never a whole number.
//! Read next: [`super::eval`].

use super::parse::{Kind, Syntax};
use super::token::Literal;
use super::{Error, Reach};
use crate::signal::{self, Scope, Signal};
use crate::value::Type;
use hale_core::nearest::nearest;
use std::fmt;
use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Literal(Literal),
    Signal(&'static Signal),
    Known(&'static Signal),
    Age(&'static Signal),
    Contains(Box<Node>, Box<Node>),
    StartsWith(Box<Node>, Box<Node>),
    Min(Box<Node>, Box<Node>),
    Max(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare(&'static str, Box<Node>, Box<Node>),
    Calculate(&'static str, Box<Node>, Box<Node>),
}

const FUNCTIONS: [(&str, &str); 6] = [
    ("age", "age(signal)"),
    ("contains", "contains(text, text)"),
    ("known", "known(signal)"),
    ("max", "max(a, b)"),
    ("min", "min(a, b)"),
    ("starts_with", "starts_with(text, text)"),
];

pub(super) fn check(
    text: &str,
    reach: Reach,
    syntax: &Syntax,
) -> Result<(Node, Type, Vec<&'static Signal>), Error> {
    let mut checker = Checker { text, reach, signals: Vec::new() };
    let (node, ty) = checker.typed(syntax)?;
    let mut signals = checker.signals;
    signals.sort_by_key(|signal| signal.name);
    signals.dedup();
    Ok((node, ty, signals))
}

struct Checker<'t> {
    text: &'t str,
    reach: Reach,
    signals: Vec<&'static Signal>,
}

impl Checker<'_> {
    fn typed(&mut self, syntax: &Syntax) -> Result<(Node, Type), Error> {
        match &syntax.kind {
            Kind::Literal(literal) => Ok((Node::Literal(literal.clone()), literal_type(literal))),
            Kind::Name(name) => {
                let signal = self.signal(name, &syntax.span)?;
                Ok((Node::Signal(signal), signal.ty))
            }
            Kind::Call(name, arguments) => self.call(name, arguments, &syntax.span),
            Kind::Not(inner) => Ok((Node::Not(self.expect(inner, Type::Bool)?), Type::Bool)),
            Kind::Negate(inner) => self.negate(inner),
            Kind::And(parts) => Ok((Node::And(self.conditions(parts)?), Type::Bool)),
            Kind::Or(parts) => Ok((Node::Or(self.conditions(parts)?), Type::Bool)),
            Kind::Binary(sign @ ("+" | "-" | "*" | "/"), left, right) => self.calculate(sign, left, right),
            Kind::Binary(sign, left, right) => self.compare(sign, left, right),
        }
    }

    fn signal(&mut self, name: &str, span: &Range<usize>) -> Result<&'static Signal, Error> {
        let Some(signal) = signal::find(name) else {
            let error = self.error(span, format!("unknown signal `{name}`")).kind(super::Kind::Name);
            let function = FUNCTIONS.iter().find(|(function, _)| *function == name).map(|(_, usage)| *usage);
            return Err(error.suggest(function.or_else(|| signal::suggest(name))));
        };
        if signal.scope == Scope::Run && self.reach == Reach::System {
            let message = format!("`{name}` is about one run, but here the whole system is asked about");
            return Err(self.error(span, message).kind(super::Kind::Name));
        }
        self.signals.push(signal);
        Ok(signal)
    }

    fn call(&mut self, name: &str, arguments: &[Syntax], span: &Range<usize>) -> Result<(Node, Type), Error> {
        let Some((_, usage)) = FUNCTIONS.iter().find(|(function, _)| *function == name) else {
            let near = nearest(name, FUNCTIONS.iter().map(|(function, _)| *function));
            let error = self.error(span, format!("unknown function `{name}`")).kind(super::Kind::Name);
            return Err(error.suggest(near));
        };
        match (name, arguments) {
            ("known", [of]) => Ok((Node::Known(self.named(of, usage)?), Type::Bool)),
            ("age", [of]) => Ok((Node::Age(self.named(of, usage)?), Type::Duration)),
            ("contains", [a, b]) => {
                let (a, b) = (self.expect(a, Type::Text)?, self.expect(b, Type::Text)?);
                Ok((Node::Contains(a, b), Type::Bool))
            }
            ("starts_with", [a, b]) => {
                let (a, b) = (self.expect(a, Type::Text)?, self.expect(b, Type::Text)?);
                Ok((Node::StartsWith(a, b), Type::Bool))
            }
            ("min" | "max", [a, b]) => {
                let ((a, ty), (b, other)) = (self.typed(a)?, self.typed(b)?);
                if !ordered(ty) || ty != other {
                    let message =
                        format!("expected two amounts of one type in {usage}, got {ty} and {other}");
                    return Err(self.error(span, message));
                }
                let (a, b) = (Box::new(a), Box::new(b));
                Ok((if name == "min" { Node::Min(a, b) } else { Node::Max(a, b) }, ty))
            }
            _ => Err(self.error(span, format!("expected {usage}, got {} arguments", arguments.len()))),
        }
    }

    fn named(&mut self, of: &Syntax, usage: &str) -> Result<&'static Signal, Error> {
        match &of.kind {
            Kind::Name(name) => self.signal(name, &of.span),
            _ => Err(self.error(&of.span, format!("expected the name of a signal in {usage}"))),
        }
    }

    fn expect(&mut self, syntax: &Syntax, expected: Type) -> Result<Box<Node>, Error> {
        let (node, got) = self.typed(syntax)?;
        if got == expected {
            Ok(Box::new(node))
        } else {
            Err(self.error(&syntax.span, format!("expected {expected}, got {got}")))
        }
    }

    fn conditions(&mut self, parts: &[Syntax]) -> Result<Vec<Node>, Error> {
        parts.iter().map(|part| Ok(*self.expect(part, Type::Bool)?)).collect()
    }

    fn negate(&mut self, inner: &Syntax) -> Result<(Node, Type), Error> {
        let (node, ty) = self.typed(inner)?;
        if ordered(ty) {
            Ok((Node::Negate(Box::new(node)), ty))
        } else {
            Err(self.error(&inner.span, format!("expected an amount after `-`, got {ty}")))
        }
    }

    fn compare(&mut self, sign: &'static str, left: &Syntax, right: &Syntax) -> Result<(Node, Type), Error> {
        let ((a, ty), (b, other)) = (self.typed(left)?, self.typed(right)?);
        if !comparable(ty, other) {
            let message = format!("expected {ty} to compare with, such as {}, got {other}", ty.example());
            return Err(self.error(&right.span, message));
        }
        if !matches!(sign, "==" | "!=") && !ordered(ty) {
            let message = format!("`{sign}` needs amounts; {ty} can only be compared with == and !=");
            return Err(self.error(&left.span, message));
        }
        Ok((Node::Compare(sign, Box::new(a), Box::new(b)), Type::Bool))
    }

    fn calculate(
        &mut self,
        sign: &'static str,
        left: &Syntax,
        right: &Syntax,
    ) -> Result<(Node, Type), Error> {
        let ((a, ty), (b, other)) = (self.typed(left)?, self.typed(right)?);
        match result_type(sign, ty, other) {
            Some(result) => Ok((Node::Calculate(sign, Box::new(a), Box::new(b)), result)),
            None => {
                let message = format!("`{sign}` is not defined between {ty} and {other}");
                Err(self.error(&(left.span.start..right.span.end), message))
            }
        }
    }

    fn error(&self, span: &Range<usize>, message: String) -> Error {
        Error::at(self.text, span.clone(), message).kind(super::Kind::Type)
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Num(_) => Type::Num,
        Literal::Ratio(_) => Type::Ratio,
        Literal::Text(_) => Type::Text,
        Literal::Duration(_) => Type::Duration,
        Literal::Bytes(_) => Type::Bytes,
    }
}

fn ordered(ty: Type) -> bool {
    !matches!(ty, Type::Bool | Type::Text)
}

fn comparable(a: Type, b: Type) -> bool {
    a == b || matches!((a, b), (Type::Int | Type::Ratio, Type::Num) | (Type::Num, Type::Int | Type::Ratio))
}

fn result_type(sign: &str, a: Type, b: Type) -> Option<Type> {
    use Type::{Bytes, Duration, Int, Num, Ratio};
    let plain = |ty| matches!(ty, Int | Num | Ratio);
    match (sign, a, b) {
        ("+" | "-", Int, Int) | ("*", Int, Int) => Some(Int),
        ("+" | "-", Ratio, Ratio) => Some(Ratio),
        ("+" | "-", Int, Num) | ("+" | "-", Num, Int | Num | Ratio) | ("+" | "-", Ratio, Num) => Some(Num),
        ("+" | "-", Duration, Duration) => Some(Duration),
        ("+" | "-", Bytes, Bytes) => Some(Bytes),
        ("*" | "/", a, b) if plain(a) && plain(b) => Some(Num),
        ("*" | "/", Duration | Bytes, b) if plain(b) => Some(a),
        ("*", a, Duration | Bytes) if plain(a) => Some(b),
        ("/", Duration, Duration) | ("/", Bytes, Bytes) => Some(Num),
        _ => None,
    }
}

/// Fully parenthesised, so that the canonical form needs no rules of precedence.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Literal(literal) => write!(f, "{literal}"),
            Node::Signal(signal) => f.write_str(signal.name),
            Node::Known(signal) => write!(f, "known({})", signal.name),
            Node::Age(signal) => write!(f, "age({})", signal.name),
            Node::Contains(a, b) => write!(f, "contains({a}, {b})"),
            Node::StartsWith(a, b) => write!(f, "starts_with({a}, {b})"),
            Node::Min(a, b) => write!(f, "min({a}, {b})"),
            Node::Max(a, b) => write!(f, "max({a}, {b})"),
            Node::Not(inner) => write!(f, "(not {inner})"),
            Node::Negate(inner) => write!(f, "(-{inner})"),
            Node::And(parts) => joined(f, parts, "and"),
            Node::Or(parts) => joined(f, parts, "or"),
            Node::Compare(sign, a, b) | Node::Calculate(sign, a, b) => write!(f, "({a} {sign} {b})"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Node], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            write!(f, " {word} ")?;
        }
        write!(f, "{part}")?;
    }
    f.write_str(")")
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Bool(value) => write!(f, "{value}"),
            Literal::Int(value) => write!(f, "{value}"),
            Literal::Num(value) if value.fract() == 0.0 => write!(f, "{value}.0"),
            Literal::Num(value) => write!(f, "{value}"),
            Literal::Ratio(percent) => write!(f, "{percent}%"),
            Literal::Text(value) => write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
            Literal::Duration(ms) => write!(f, "{ms}ms"),
            Literal::Bytes(count) => write!(f, "{count}B"),
        }
    }
}
