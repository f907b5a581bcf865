//! Values that are called a secret: `password=…`, `"api_key": "…"`, `Authorization: Bearer …`, `scheme://user:…@host`.
//!
//! Guarantees: looks at the value and back to its name; the value has to be no word, no variable, no place holder.
//! Leaves keys that are known by their beginning to [`super::token`].

use super::Kind;
use super::scan::{Hit, TAIL, Tail};
use super::view::{BACK, View};

/// What the name of a secret ends in, without `_`, `-` and `.`.
const NAMES: [&[u8]; 15] = [
    b"password",
    b"passwd",
    b"pwd",
    b"passphrase",
    b"passcode",
    b"secret",
    b"secretkey",
    b"apikey",
    b"accesskey",
    b"token",
    b"privatekey",
    b"credential",
    b"credentials",
    b"encryptionkey",
    b"signingkey",
];
/// Words that stand where a value is to be put.
const HOLDERS: [&[u8]; 7] = [b"example", b"your", b"changeme", b"placeholder", b"xxxx", b"****", b"redacted"];

const VALUE_MIN: usize = 8;
const VALUE_MAX: usize = 256;
const BEARER_MIN: usize = 16;

pub(super) fn value(view: &View<'_>) -> Option<Hit> {
    let before = view.back(1)?;
    if before == b':'
        && let Some(hit) = in_address(view)
    {
        return Some(hit);
    }
    if !b"=: \"'`".contains(&before) || view.is(0, |byte| b"\"'`=:<$({[\\".contains(&byte)) {
        return None;
    }
    let named = match name(view)? {
        Name::Scheme => BEARER_MIN,
        Name::Secret => VALUE_MIN,
    };
    let value = Value::read(view, before);
    if value.len < named || !value.is_secret() {
        return None;
    }
    let tail = (value.len == VALUE_MAX).then_some(Tail::Token { left: TAIL });
    Some(Hit { kind: Kind::Secret, len: value.len, tail })
}

/// Who says that it is a secret.
enum Name {
    /// The scheme of an authorization.
    Scheme,
    /// The name that it is assigned to.
    Secret,
}

/// The name before this value.
fn name(view: &View<'_>) -> Option<Name> {
    let skip = |from: usize, most: usize, set: &[u8]| {
        from + (0..most).take_while(|n| view.was(from + n, |byte| set.contains(&byte))).count()
    };
    // Backwards: quotes, spaces, the separator, spaces, quotes, the name.
    let quoted = skip(1, 8, b"\"'`\\");
    let spaced = skip(quoted, 3, b" \t");
    let sign = skip(spaced, 2, b"=:>");
    if sign == spaced {
        return (quoted == 1 && spaced > 1).then(|| bare(view, spaced))?;
    }
    let at = skip(skip(sign, 2, b" \t"), 8, b"\"'`\\])");
    let word = Word::before(view, at);
    NAMES.iter().any(|name| word.letters().ends_with(name)).then_some(Name::Secret)
}

/// `Bearer VALUE`, `--password VALUE`.
fn bare(view: &View<'_>, at: usize) -> Option<Name> {
    let word = Word::before(view, at);
    match word.letters() {
        b"bearer" => Some(Name::Scheme),
        b"basic" if view.near(24, &["authorization"]) => Some(Name::Scheme),
        letters if NAMES.iter().any(|name| letters.ends_with(name)) => {
            (word.dashes >= 2).then_some(Name::Secret)
        }
        _ => None,
    }
}

/// A name as it stands before a place, in small letters and without its joints.
struct Word {
    reversed: [u8; BACK],
    len: usize,
    /// Dashes before it.
    dashes: usize,
    text: [u8; BACK],
}

impl Word {
    fn before(view: &View<'_>, at: usize) -> Self {
        let mut word = Self { reversed: [0; BACK], len: 0, dashes: 0, text: [0; BACK] };
        for n in at..=BACK {
            match view.back(n) {
                Some(byte) if byte.is_ascii_alphanumeric() => {
                    word.reversed[word.len] = byte.to_ascii_lowercase();
                    (word.len, word.dashes) = (word.len + 1, 0);
                }
                Some(b'-') => word.dashes += 1,
                Some(b'_' | b'.') => word.dashes = 0,
                _ => break,
            }
        }
        for n in 0..word.len {
            word.text[n] = word.reversed[word.len - 1 - n];
        }
        word
    }

    fn letters(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

/// A value with what speaks for and against it.
struct Value {
    text: [u8; VALUE_MAX],
    len: usize,
}

impl Value {
    fn read(view: &View<'_>, before: u8) -> Self {
        let mut value = Self { text: [0; VALUE_MAX], len: 0 };
        let quoted = b"\"'`".contains(&before);
        while value.len < VALUE_MAX {
            match view.peek(value.len) {
                Some(byte) if byte == before && quoted => break,
                Some(byte) if byte.is_ascii_graphic() && !b"\"'`\\".contains(&byte) => {
                    if !quoted && b",;)}]<>|".contains(&byte) {
                        break;
                    }
                    value.text[value.len] = byte;
                    value.len += 1;
                }
                _ => break,
            }
        }
        // The end of a sentence.
        if !quoted && value.len < VALUE_MAX && value.text[..value.len].ends_with(b".") {
            value.len -= 1;
        }
        value
    }

    fn is_secret(&self) -> bool {
        let text = &self.text[..self.len];
        let lower = text.to_ascii_lowercase();
        let held = HOLDERS.iter().any(|word| lower.windows(word.len()).any(|window| window == *word));
        let call =
            text.contains(&b'(') || text.starts_with(b"/") || text.windows(3).any(|three| three == b"://");
        let mut seen = [false; 128];
        text.iter().for_each(|byte| seen[usize::from(byte & 127)] = true);
        let kinds = seen.iter().filter(|seen| **seen).count();
        let has = |test: fn(&u8) -> bool| text.iter().any(test);
        let letters = has(u8::is_ascii_alphabetic);
        let digits = has(u8::is_ascii_digit);
        let cases = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        let signs = has(|byte| byte.is_ascii_punctuation() && !b"-_.".contains(byte));
        !held && !call && kinds >= 6 && letters && (digits || (cases && signs)) && !is_identifier(text)
    }
}

/// `k8s-secret-name-v2`, `config.db1.value`: words with joints and few digits.
fn is_identifier(text: &[u8]) -> bool {
    let mut parts = 0;
    let plain = text.split(|byte| b"-_.".contains(byte)).all(|part| {
        parts += 1;
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        part.iter().all(u8::is_ascii_alphanumeric) && (digits <= 2 || digits == part.len())
    });
    let upper = text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    parts > 1 && plain && !upper
}

/// `postgres://user:VALUE@host`.
fn in_address(view: &View<'_>) -> Option<Hit> {
    let user =
        (2..40).take_while(|n| view.was(*n, |byte| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)));
    let at = 2 + user.count();
    if !(view.was(at, |byte| byte == b'/') && view.was(at + 1, |byte| byte == b'/'))
        || view.back(at + 2) != Some(b':')
    {
        return None;
    }
    let taken = |byte: u8| byte.is_ascii_graphic() && !b"@/\"'`<>{}$\\ ".contains(&byte);
    let len = view.run(0, 128, taken);
    (len > 0 && view.peek(len) == Some(b'@')).then(|| Hit::new(Kind::Secret, len))
}
