//! Who looks where: each byte is shown to the detectors that can begin with it.
//!
//! Guarantees: every detector looks through a [`View`] and returns by itself; most bytes are shown to none.
//! Read next: [`super::bank`], [`super::address`], [`super::phone`], [`super::token`], [`super::secret`].

use super::view::{View, begins};
use super::{Kind, Policy, address, bank, phone, secret, token};
use crate::guard::Action;

/// A match from the place of a view on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub kind: Kind,
    /// Bytes that are sure.
    pub len: usize,
    /// What else belongs to it, seen as it comes.
    pub tail: Option<Tail>,
}

/// The end of a match that may be long: it is swallowed byte by byte, so nothing of it is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Letters of a token.
    Token { left: usize },
    /// Until the line `-----END …-----`.
    Pem { left: usize },
}

/// The longest tail: a key of 16,384 bits in PEM form has 13 KiB.
pub(super) const TAIL: usize = 16 * 1024;

impl Hit {
    pub fn new(kind: Kind, len: usize) -> Self {
        Self { kind, len, tail: None }
    }
}

/// Letters of keys and tokens, base64 in both alphabets.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte)
}

impl Tail {
    /// Whether the byte here belongs to the match, and how many with it; the tail that is left.
    pub fn step(self, view: &View<'_>) -> (usize, Option<Tail>) {
        // A tail is never cut inside a letter.
        let inside = view.is(0, |byte| (0x80..0xC0).contains(&byte));
        match self {
            Tail::Token { left: 0 } => (0, None),
            Tail::Token { left } if view.is(0, is_token) => (1, Some(Tail::Token { left: left - 1 })),
            Tail::Token { .. } => (0, None),
            Tail::Pem { left: 0 } if !inside => (0, None),
            Tail::Pem { left } => match token::pem_end(view) {
                Some(len) => (len, None),
                None => (1, Some(Tail::Pem { left: left.saturating_sub(1) })),
            },
        }
    }
}

/// Whether any detector can begin here; looks at bytes that are here already.
pub(super) fn can_begin(text: &[u8], at: usize) -> bool {
    let byte = text[at];
    if byte.is_ascii_alphanumeric() { begins(text, at) } else { byte.is_ascii_graphic() }
}

/// Every match that begins here and that the policy asks for.
pub(super) fn scan(view: &View<'_>, policy: &Policy, hits: &mut Vec<Hit>) {
    hits.clear();
    let Some(first) = view.peek(0) else { return };
    let mut add = |kinds: &[Kind], detect: fn(&View<'_>) -> Option<Hit>| {
        if kinds.iter().any(|kind| policy.of(*kind) != Action::Allow) {
            hits.extend(detect(view).filter(|hit| policy.of(hit.kind) != Action::Allow));
        }
    };
    if first.is_ascii_digit() {
        add(&[Kind::Card], bank::card);
        add(&[Kind::UsSsn], bank::ssn);
        add(&[Kind::Ip], address::v4);
        add(&[Kind::Phone], phone::national);
    }
    if first.is_ascii_alphabetic() {
        add(&token::KINDS, token::prefixed);
        add(&[Kind::Jwt], token::jwt);
        add(&[Kind::Iban], bank::iban);
    }
    if first.is_ascii_alphanumeric() || first == b'_' {
        add(&[Kind::Email], address::email);
    }
    match first {
        b'+' => add(&[Kind::Phone], phone::international),
        b'(' => add(&[Kind::Phone], phone::national),
        b'-' => add(&[Kind::PrivateKey], token::pem),
        _ => {}
    }
    if first == b':' || first.is_ascii_hexdigit() {
        add(&[Kind::Ip], address::v6);
    }
    add(&[Kind::Secret], secret::value);
}
