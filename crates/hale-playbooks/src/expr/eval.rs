//! What an expression comes to: true, false or unknown.
//!
//! Guarantees: one step a node, no recursion beyond the tree's depth, no panic. Kleene's tables: `and` is false as soon
//! as one part is false, `or` true as soon as one is true, otherwise one unknown part makes the whole unknown.
//! Division by zero and overflow are unknown too, since nothing follows from them.
//! Read next: [`crate::verdict`].

use super::check::Node;
use super::token::Literal;
use crate::evidence::Evidence;
use crate::signal::Signal;
use crate::value::Value;
use hale_core::time::Millis;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// The answer to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Truth::True => "true",
            Truth::False => "false",
            Truth::Unknown => "unknown",
        })
    }
}

/// A value on its way; durations and sizes are signed here, because differences may be negative.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'e> {
    Bool(bool),
    Int(i64),
    Num(f64),
    Text(&'e str),
    Duration(i64),
    Bytes(i64),
}

impl Cell<'_> {
    pub(super) fn value(self) -> Option<Value> {
        Some(match self {
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::Num(value) => Value::Num(value),
            Cell::Text(value) => Value::Text(value.to_owned()),
            Cell::Duration(ms) => Value::Duration(Millis(u64::try_from(ms).ok()?)),
            Cell::Bytes(count) => Value::Bytes(u64::try_from(count).ok()?),
        })
    }
}

/// `None` is unknown.
pub(super) fn eval<'e>(node: &'e Node, evidence: &'e Evidence) -> Option<Cell<'e>> {
    match node {
        Node::Literal(literal) => Some(constant(literal)),
        Node::Signal(signal) => read(signal, evidence),
        Node::Known(signal) => Some(Cell::Bool(evidence.look(signal).is_ok())),
        Node::Age(signal) => {
            let age = evidence.age(evidence.look(signal).ok()?);
            Some(Cell::Duration(i64::try_from(age.0).ok()?))
        }
        Node::Contains(a, b) => texts(a, b, evidence, |a, b| a.contains(b)),
        Node::StartsWith(a, b) => texts(a, b, evidence, |a, b| a.starts_with(b)),
        Node::Min(a, b) => pick(a, b, evidence, Ordering::Less),
        Node::Max(a, b) => pick(a, b, evidence, Ordering::Greater),
        Node::Not(inner) => match eval(inner, evidence)? {
            Cell::Bool(value) => Some(Cell::Bool(!value)),
            _ => None,
        },
        Node::Negate(inner) => match eval(inner, evidence)? {
            Cell::Int(value) => value.checked_neg().map(Cell::Int),
            Cell::Num(value) => Some(Cell::Num(-value)),
            Cell::Duration(value) => value.checked_neg().map(Cell::Duration),
            Cell::Bytes(value) => value.checked_neg().map(Cell::Bytes),
            Cell::Bool(_) | Cell::Text(_) => None,
        },
        Node::And(parts) => joined(parts, evidence, Deciding::False),
        Node::Or(parts) => joined(parts, evidence, Deciding::True),
        Node::Compare(sign, a, b) => {
            let (a, b) = (eval(a, evidence)?, eval(b, evidence)?);
            let order = order(&a, &b)?;
            Some(Cell::Bool(match *sign {
                "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            }))
        }
        Node::Calculate(sign, a, b) => calculate(sign, eval(a, evidence)?, eval(b, evidence)?),
    }
}

fn constant(literal: &Literal) -> Cell<'_> {
    match literal {
        Literal::Bool(value) => Cell::Bool(*value),
        Literal::Int(value) => Cell::Int(*value),
        Literal::Num(value) => Cell::Num(*value),
        Literal::Ratio(percent) => Cell::Num(*percent / 100.0),
        Literal::Text(value) => Cell::Text(value),
        Literal::Duration(ms) => Cell::Duration(*ms),
        Literal::Bytes(count) => Cell::Bytes(*count),
    }
}

fn read<'e>(signal: &Signal, evidence: &'e Evidence) -> Option<Cell<'e>> {
    Some(match &evidence.look(signal).ok()?.value {
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int(value) => Cell::Int(*value),
        Value::Num(value) => Cell::Num(*value),
        Value::Text(value) => Cell::Text(value),
        Value::Duration(span) => Cell::Duration(i64::try_from(span.0).ok()?),
        Value::Bytes(count) => Cell::Bytes(i64::try_from(*count).ok()?),
    })
}

/// The value of one part that decides the whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deciding {
    True,
    False,
}

fn joined<'e>(parts: &'e [Node], evidence: &'e Evidence, deciding: Deciding) -> Option<Cell<'e>> {
    let deciding = deciding == Deciding::True;
    let mut all_known = true;
    for part in parts {
        match eval(part, evidence) {
            Some(Cell::Bool(value)) if value == deciding => return Some(Cell::Bool(deciding)),
            Some(Cell::Bool(_)) => {}
            _ => all_known = false,
        }
    }
    all_known.then_some(Cell::Bool(!deciding))
}

fn texts<'e>(
    a: &'e Node,
    b: &'e Node,
    evidence: &'e Evidence,
    ask: fn(&str, &str) -> bool,
) -> Option<Cell<'e>> {
    match (eval(a, evidence)?, eval(b, evidence)?) {
        (Cell::Text(a), Cell::Text(b)) => Some(Cell::Bool(ask(a, b))),
        _ => None,
    }
}

fn pick<'e>(a: &'e Node, b: &'e Node, evidence: &'e Evidence, wanted: Ordering) -> Option<Cell<'e>> {
    let (a, b) = (eval(a, evidence)?, eval(b, evidence)?);
    Some(if order(&a, &b)? == wanted { a } else { b })
}

fn order(a: &Cell<'_>, b: &Cell<'_>) -> Option<Ordering> {
    match (a, b) {
        (Cell::Bool(a), Cell::Bool(b)) => Some(a.cmp(b)),
        (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
        (Cell::Int(a), Cell::Int(b))
        | (Cell::Duration(a), Cell::Duration(b))
        | (Cell::Bytes(a), Cell::Bytes(b)) => Some(a.cmp(b)),
        _ => number(a)?.partial_cmp(&number(b)?),
    }
}

fn number(cell: &Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Int(value) => Some(*value as f64),
        Cell::Num(value) => Some(*value),
        Cell::Bool(_) | Cell::Text(_) | Cell::Duration(_) | Cell::Bytes(_) => None,
    }
}

fn calculate<'e>(sign: &str, a: Cell<'e>, b: Cell<'e>) -> Option<Cell<'e>> {
    match (sign, &a, &b) {
        ("+" | "-" | "*", Cell::Int(a), Cell::Int(b)) => whole(sign, *a, *b).map(Cell::Int),
        ("+" | "-", Cell::Duration(a), Cell::Duration(b)) => whole(sign, *a, *b).map(Cell::Duration),
        ("+" | "-", Cell::Bytes(a), Cell::Bytes(b)) => whole(sign, *a, *b).map(Cell::Bytes),
        ("/", Cell::Duration(a), Cell::Duration(b)) | ("/", Cell::Bytes(a), Cell::Bytes(b)) => {
            real("/", *a as f64, *b as f64).map(Cell::Num)
        }
        ("*", Cell::Duration(a), Cell::Int(b)) | ("*", Cell::Int(b), Cell::Duration(a)) => {
            whole("*", *a, *b).map(Cell::Duration)
        }
        ("*", Cell::Bytes(a), Cell::Int(b)) | ("*", Cell::Int(b), Cell::Bytes(a)) => {
            whole("*", *a, *b).map(Cell::Bytes)
        }
        (_, Cell::Duration(a), b) => rounded(real(sign, *a as f64, number(b)?)?).map(Cell::Duration),
        (_, a, Cell::Duration(b)) => rounded(real(sign, number(a)?, *b as f64)?).map(Cell::Duration),
        (_, Cell::Bytes(a), b) => rounded(real(sign, *a as f64, number(b)?)?).map(Cell::Bytes),
        (_, a, Cell::Bytes(b)) => rounded(real(sign, number(a)?, *b as f64)?).map(Cell::Bytes),
        (_, a, b) => real(sign, number(a)?, number(b)?).map(Cell::Num),
    }
}

fn whole(sign: &str, a: i64, b: i64) -> Option<i64> {
    match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        _ => a.checked_mul(b),
    }
}

fn real(sign: &str, a: f64, b: f64) -> Option<f64> {
    let result = match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        _ => a / b,
    };
    result.is_finite().then_some(result)
}

fn rounded(amount: f64) -> Option<i64> {
    // Beyond 2^63 the cast would saturate and pass for a measurement.
    (amount.abs() < 9.2e18).then_some(amount.round() as i64)
}
