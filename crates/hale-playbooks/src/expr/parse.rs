//! Tokens into a tree, by descent.
//!
//! Guarantees: at most [`NODES_MAX`] nodes and [`DEPTH_MAX`] levels; chains of `and` and `or` are flat.
//! From loose to tight: `or`, `and`, `not`, one comparison, `+ -`, `* /`, sign. Comparisons do not chain.
//! Leaves to others: names and types ([`super::check`]).
//! Read next: [`super::check`].

use super::token::{Literal, Spanned, Token, tokens};
use super::{DEPTH_MAX, Error, NODES_MAX};
use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Syntax {
    pub kind: Kind,
    pub span: Range<usize>,
    depth: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Literal(Literal),
    Name(String),
    Call(String, Vec<Syntax>),
    Not(Box<Syntax>),
    Negate(Box<Syntax>),
    And(Vec<Syntax>),
    Or(Vec<Syntax>),
    /// A comparison or an arithmetic sign.
    Binary(&'static str, Box<Syntax>, Box<Syntax>),
}

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
/// Words that cannot be names.
const RESERVED: [&str; 3] = ["and", "or", "not"];
/// Arguments of a call; no function takes more.
const ARGUMENTS_MAX: usize = 2;

pub(super) fn parse(text: &str) -> Result<Syntax, Error> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, nodes: 0, nesting: 0 };
    let root = parser.any()?;
    match parser.peek() {
        None => Ok(root),
        Some(Token::Sign(sign)) if COMPARISONS.contains(sign) => {
            Err(parser.wrong("comparisons do not chain; join them with `and`"))
        }
        Some(_) => Err(parser.wrong("expected the end, `and` or `or`")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Spanned>,
    at: usize,
    nodes: usize,
    nesting: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Syntax, Error> {
        self.chain("or", Self::all, Kind::Or)
    }

    fn all(&mut self) -> Result<Syntax, Error> {
        self.chain("and", Self::denied, Kind::And)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Syntax, Error>,
        kind: fn(Vec<Syntax>) -> Kind,
    ) -> Result<Syntax, Error> {
        let first = part(self)?;
        if !self.peek_word(word) {
            return Ok(first);
        }
        let start = first.span.start;
        let mut parts = vec![first];
        while self.take_word(word) {
            parts.push(part(self)?);
        }
        let end = parts.last().map_or(start, |last| last.span.end);
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0);
        self.node(kind(parts), start..end, depth)
    }

    fn denied(&mut self) -> Result<Syntax, Error> {
        let start = self.start();
        if !self.take_word("not") {
            return self.comparison();
        }
        let inner = self.nested(Self::denied)?;
        let (end, depth) = (inner.span.end, inner.depth);
        self.node(Kind::Not(Box::new(inner)), start..end, depth)
    }

    fn comparison(&mut self) -> Result<Syntax, Error> {
        let left = self.sum()?;
        match self.take_sign(&COMPARISONS) {
            None => Ok(left),
            Some(sign) => {
                let right = self.sum()?;
                self.binary(sign, left, right)
            }
        }
    }

    fn sum(&mut self) -> Result<Syntax, Error> {
        let mut left = self.product()?;
        while let Some(sign) = self.take_sign(&["+", "-"]) {
            let right = self.product()?;
            left = self.binary(sign, left, right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Syntax, Error> {
        let mut left = self.signed()?;
        while let Some(sign) = self.take_sign(&["*", "/"]) {
            let right = self.signed()?;
            left = self.binary(sign, left, right)?;
        }
        Ok(left)
    }

    fn signed(&mut self) -> Result<Syntax, Error> {
        let start = self.start();
        if self.take_sign(&["-"]).is_none() {
            return self.atom();
        }
        let inner = self.nested(Self::signed)?;
        let (end, depth) = (inner.span.end, inner.depth);
        self.node(Kind::Negate(Box::new(inner)), start..end, depth)
    }

    fn atom(&mut self) -> Result<Syntax, Error> {
        let Some(Spanned { token, span }) = self.tokens.get(self.at).cloned() else {
            return Err(self.wrong("expected a value"));
        };
        match token {
            Token::Literal(literal) => {
                self.at += 1;
                self.node(Kind::Literal(literal), span, 0)
            }
            Token::Word(word) if RESERVED.contains(&word.as_str()) => Err(self.wrong("expected a value")),
            Token::Word(word) => {
                self.at += 1;
                if self.take_sign(&["("]).is_some() {
                    self.call(word, span.start)
                } else {
                    self.node(Kind::Name(word), span, 0)
                }
            }
            Token::Sign("(") => {
                self.at += 1;
                let mut inner = self.nested(Self::any)?;
                let end = self.close()?;
                inner.span = span.start..end;
                Ok(inner)
            }
            Token::Sign(_) => Err(self.wrong("expected a value")),
        }
    }

    fn call(&mut self, name: String, start: usize) -> Result<Syntax, Error> {
        let mut arguments = Vec::new();
        if self.peek() != Some(&Token::Sign(")")) {
            arguments.push(self.nested(Self::any)?);
            while self.take_sign(&[","]).is_some() {
                if arguments.len() == ARGUMENTS_MAX {
                    return Err(self.wrong("no function takes so many arguments"));
                }
                arguments.push(self.nested(Self::any)?);
            }
        }
        let end = self.close()?;
        let depth = arguments.iter().map(|argument| argument.depth).max().unwrap_or(0);
        self.node(Kind::Call(name, arguments), start..end, depth)
    }

    fn close(&mut self) -> Result<usize, Error> {
        let end = self.tokens.get(self.at).map_or(self.text.len(), |token| token.span.end);
        match self.take_sign(&[")"]) {
            Some(_) => Ok(end),
            None => Err(self.wrong("expected `)`")),
        }
    }

    fn binary(&mut self, sign: &'static str, left: Syntax, right: Syntax) -> Result<Syntax, Error> {
        let span = left.span.start..right.span.end;
        let depth = left.depth.max(right.depth);
        self.node(Kind::Binary(sign, Box::new(left), Box::new(right)), span, depth)
    }

    fn node(&mut self, kind: Kind, span: Range<usize>, below: usize) -> Result<Syntax, Error> {
        self.nodes += 1;
        let depth = below + 1;
        if self.nodes > NODES_MAX {
            let message = format!("the expression has more than {NODES_MAX} parts");
            return Err(Error::at(self.text, span, message).kind(super::Kind::Bound));
        }
        if depth > DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        Ok(Syntax { kind, span, depth })
    }

    /// Goes one level down; parentheses make no node, so they are counted here.
    fn nested(&mut self, part: fn(&mut Self) -> Result<Syntax, Error>) -> Result<Syntax, Error> {
        if self.nesting == DEPTH_MAX {
            return Err(self.too_deep(self.start()..self.start()));
        }
        self.nesting += 1;
        let syntax = part(self);
        self.nesting -= 1;
        syntax
    }

    fn too_deep(&self, span: Range<usize>) -> Error {
        Error::at(self.text, span, format!("the expression is nested more than {DEPTH_MAX} deep"))
            .kind(super::Kind::Bound)
    }

    fn wrong(&self, expected: &str) -> Error {
        let Some(Spanned { token, span }) = self.tokens.get(self.at) else {
            return Error::at(
                self.text,
                self.text.len()..self.text.len(),
                format!("{expected}, got the end"),
            );
        };
        let got = &self.text[span.clone()];
        let near = match token {
            Token::Word(word) => hale_core::nearest::nearest(&word.to_ascii_lowercase(), RESERVED),
            Token::Literal(_) | Token::Sign(_) => None,
        };
        Error::at(self.text, span.clone(), format!("{expected}, got `{got}`"))
            .suggest(near.filter(|near| *near != got))
    }

    fn start(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |token| token.span.start)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(got)) if got == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let taken = self.peek_word(word);
        self.at += usize::from(taken);
        taken
    }

    fn take_sign(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        let sign = signs.iter().find(|sign| self.peek() == Some(&Token::Sign(sign))).copied()?;
        self.at += 1;
        Some(sign)
    }
}
