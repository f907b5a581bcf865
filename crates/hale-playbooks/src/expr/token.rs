//! Words, numbers with units, signs: the text of an expression cut into tokens.
//!
//! Guarantees: linear in the text, which is at most [`super::BYTES_MAX`] long.
//! Read next: [`super::parse`].

use super::{BYTES_MAX, Error};
use hale_core::nearest::nearest;
use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, a function or one of the words `and or not true false`.
    Word(String),
    Literal(Literal),
    /// One of `( ) , + - * / == != < <= > >=`.
    Sign(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Num(f64),
    /// In percent, as it was written, so that it prints as it was written.
    Ratio(f64),
    Text(String),
    /// Milliseconds.
    Duration(i64),
    Bytes(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub span: Range<usize>,
}

// Longer signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", ",", "+", "-", "*", "/"];

/// What is often written for one of our signs.
const FOREIGN: [(&str, &str); 5] = [("&&", "and"), ("||", "or"), ("=", "=="), ("!", "not"), ("'", "\"")];

enum Unit {
    Time(i64),
    Size(i64),
    Percent,
}

const UNITS: [(&str, Unit); 16] = [
    ("ms", Unit::Time(1)),
    ("s", Unit::Time(1_000)),
    ("m", Unit::Time(60_000)),
    ("h", Unit::Time(3_600_000)),
    ("d", Unit::Time(86_400_000)),
    ("%", Unit::Percent),
    ("B", Unit::Size(1)),
    ("KB", Unit::Size(1_000)),
    ("MB", Unit::Size(1_000_000)),
    ("GB", Unit::Size(1_000_000_000)),
    ("TB", Unit::Size(1_000_000_000_000)),
    ("KiB", Unit::Size(1 << 10)),
    ("MiB", Unit::Size(1 << 20)),
    ("GiB", Unit::Size(1 << 30)),
    ("TiB", Unit::Size(1 << 40)),
    ("PiB", Unit::Size(1 << 50)),
];

pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, Error> {
    if text.len() > BYTES_MAX {
        let message = format!("the expression is {} bytes long, {BYTES_MAX} is the most", text.len());
        return Err(Error::at(text, 0..text.len(), message).kind(super::Kind::Bound));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, end) = match first {
            '"' => string(text, at)?,
            '0'..='9' => number(text, at)?,
            'a'..='z' | 'A'..='Z' | '_' => word(text, at),
            _ => sign(text, at)?,
        };
        found.push(Spanned { token, span: at..end });
        at = end;
    }
    Ok(found)
}

fn sign(text: &str, at: usize) -> Result<(Token, usize), Error> {
    let rest = &text[at..];
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Token::Sign(sign), at + sign.len()));
    }
    let stranger = rest.chars().next().unwrap_or(' ');
    let meant = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)).map(|(_, ours)| *ours);
    let span = at..at + stranger.len_utf8();
    Err(Error::at(text, span, format!("unexpected character {stranger:?}")).suggest(meant))
}

fn word(text: &str, at: usize) -> (Token, usize) {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let length = text[at..].find(|c| !part(c)).unwrap_or(text.len() - at);
    let word = &text[at..at + length];
    let token = match word {
        "true" => Token::Literal(Literal::Bool(true)),
        "false" => Token::Literal(Literal::Bool(false)),
        _ => Token::Word(word.to_owned()),
    };
    (token, at + length)
}

fn string(text: &str, at: usize) -> Result<(Token, usize), Error> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Literal(Literal::Text(value)), at + 1 + offset + 1)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => {
                    let span = at + 1 + offset..at + 2 + offset;
                    return Err(Error::at(text, span, "only \\\" and \\\\ may follow a backslash"));
                }
            },
            _ => value.push(c),
        }
    }
    Err(Error::at(text, at..text.len(), "the text has no closing quote"))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), Error> {
    let rest = &text[at..];
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let figure = &rest[..digits];
    let tail = &rest[digits..];
    let unit_length = match tail.chars().next() {
        Some('%') => 1,
        _ => tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(tail.len()),
    };
    let unit = &tail[..unit_length];
    let end = at + digits + unit_length;
    let literal = if unit.is_empty() { bare(figure) } else { with_unit(text, at + digits..end, figure)? };
    match literal {
        Some(literal) => Ok((Token::Literal(literal), end)),
        None => Err(Error::at(text, at..end, format!("`{figure}{unit}` is not a number within range"))),
    }
}

fn bare(figure: &str) -> Option<Literal> {
    if figure.contains('.') {
        decimal(figure).map(Literal::Num)
    } else {
        figure.parse().ok().map(Literal::Int)
    }
}

fn decimal(figure: &str) -> Option<f64> {
    // `1.` and `1.2.3` are slips, whatever the parser of the standard library says.
    let (whole, part) = figure.split_once('.').unwrap_or((figure, "0"));
    let good = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if good(whole) && good(part) {
        figure.parse().ok().filter(|number: &f64| number.is_finite())
    } else {
        None
    }
}

fn with_unit(text: &str, span: Range<usize>, figure: &str) -> Result<Option<Literal>, Error> {
    let word = &text[span.clone()];
    let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == word) else {
        let near = nearest(word, UNITS.iter().map(|(name, _)| *name));
        return Err(Error::at(text, span, format!("unknown unit `{word}`")).suggest(near));
    };
    Ok(match unit {
        Unit::Percent => decimal(figure).map(Literal::Ratio),
        Unit::Time(ms) => scaled(figure, *ms).map(Literal::Duration),
        Unit::Size(bytes) => scaled(figure, *bytes).map(Literal::Bytes),
    })
}

fn scaled(figure: &str, factor: i64) -> Option<i64> {
    if let Ok(whole) = figure.parse::<i64>() {
        return whole.checked_mul(factor);
    }
    let scaled = decimal(figure)? * factor as f64;
    // Beyond 2^53 a fraction means nothing any more.
    (scaled <= 9_007_199_254_740_992.0).then_some(scaled.round() as i64)
}
