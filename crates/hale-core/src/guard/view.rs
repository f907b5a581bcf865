//! What a detector may see from one place of a text: so far ahead, so far back, and whether it wanted more than there is.
//!
//! Guarantees: a detector that was not starved decided on bytes that are here; more text does not change what it
//! said. This is why a stream and a whole text come to the same, for any detector that looks through here only.
//! Read next: [`super::stream`].

use std::cell::Cell;

/// Bytes that a detector may look ahead: the longest that any of them needs to be sure (an address for mail), and so
/// the most that is held back.
pub const LOOK: usize = 320;

/// Bytes that a detector may look back: a name, a separator and a quote before a value.
pub(super) const BACK: usize = 64;

pub(super) struct View<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether the text ends where it ends.
    last: bool,
    starved: Cell<bool>,
    looked: Cell<u32>,
}

impl<'a> View<'a> {
    pub fn new(text: &'a [u8], at: usize, last: bool) -> Self {
        Self { text, at, last, starved: Cell::new(false), looked: Cell::new(0) }
    }

    /// The byte so far ahead, 0 for the one here; none beyond the end or beyond [`LOOK`].
    pub fn peek(&self, ahead: usize) -> Option<u8> {
        self.looked.set(self.looked.get() + 1);
        if ahead >= LOOK {
            return None;
        }
        let byte = self.text.get(self.at + ahead).copied();
        if byte.is_none() && !self.last {
            self.starved.set(true);
        }
        byte
    }

    /// The byte so far back, 1 for the one before; none before the text or beyond [`BACK`].
    pub fn back(&self, n: usize) -> Option<u8> {
        self.looked.set(self.looked.get() + 1);
        if n > BACK { None } else { self.text.get(self.at.checked_sub(n)?).copied() }
    }

    /// Whether a detector asked for a byte that has not come yet.
    pub fn starved(&self) -> bool {
        self.starved.get()
    }

    /// Whether a word may begin here.
    pub fn begins(&self) -> bool {
        begins(self.text, self.at)
    }

    pub fn looked(&self) -> u32 {
        self.looked.get()
    }

    pub fn is(&self, ahead: usize, test: impl Fn(u8) -> bool) -> bool {
        self.peek(ahead).is_some_and(test)
    }

    pub fn was(&self, n: usize, test: impl Fn(u8) -> bool) -> bool {
        self.back(n).is_some_and(test)
    }

    /// How many bytes from `from` on fit, at most `most`.
    pub fn run(&self, from: usize, most: usize, test: impl Fn(u8) -> bool) -> usize {
        (0..most).take_while(|n| self.is(from + n, &test)).count()
    }

    pub fn starts_with(&self, from: usize, text: &[u8]) -> bool {
        text.iter().enumerate().all(|(n, byte)| self.peek(from + n) == Some(*byte))
    }

    /// Whether one of these words, in small letters, stands within `reach` bytes before.
    pub fn near(&self, reach: usize, words: &[&str]) -> bool {
        let mut before = [0u8; BACK];
        let mut len = 0;
        // Read backwards, so that it is written from the end.
        for n in 1..=reach.min(BACK) {
            let Some(byte) = self.back(n) else { break };
            len = n;
            before[BACK - n] = byte.to_ascii_lowercase();
        }
        let before = &before[BACK - len..];
        words.iter().any(|word| before.windows(word.len()).any(|window| window == word.as_bytes()))
    }
}

/// Letters of escapes: `\n`.
const SHORT: &[u8] = b"nrtbf";

/// Whether a word may begin at `at`: nothing of a word stands before, or it is the end of an escape such as `\n`.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| text[before]) else { return true };
    if !before.is_ascii_alphanumeric() {
        // The letter of an escape begins nothing.
        return before != b'\\' || !SHORT.contains(&text[at]);
    }
    let back = |n: usize| at.checked_sub(n).map(|place| text[place]);
    let short = SHORT.contains(&before) && back(2) == Some(b'\\');
    let long = back(6) == Some(b'\\')
        && back(5) == Some(b'u')
        && (1..=4).all(|n| back(n).is_some_and(|byte| byte.is_ascii_hexdigit()));
    short || long
}
