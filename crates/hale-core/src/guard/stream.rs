//! Text that passes in pieces: what may go goes at once, the rest waits until no match can claim it.
//!
//! Guarantees: for every text and every way to cut it the pieces handed out, joined, are those of the whole text; at
//! the end what is held is looked at as the end, and never handed out raw. Nothing passes after a block.
//! The walk is one way: each place is shown to the detectors once it has all that they ask for, and what one of them
//! finds inside another match only makes that one longer.

use super::scan::{Hit, Tail, can_begin, scan};
use super::view::{BACK, View};
use super::{Action, Found, Match, Policy};

/// What may pass now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    pub text: String,
    pub found: Vec<Found>,
    /// Something forbids the rest: the text ends before it.
    pub blocked: bool,
}

/// The stretch that one match claims.
#[derive(Clone, Copy, Debug, Default)]
struct Cover {
    until: usize,
    tail: Option<Tail>,
}

/// A guard over one text.
#[derive(Debug)]
pub struct Filter {
    policy: Policy,
    /// What was decided last, for looking back, and all that is not decided.
    buf: String,
    /// The first byte that is not decided.
    pos: usize,
    /// The first byte that was neither handed out nor hidden.
    clear: usize,
    hidden: Cover,
    shown: Cover,
    blocked: bool,
    hits: Vec<Hit>,
    matches: Option<Vec<Match>>,
    looked: u64,
}

/// Decided bytes are forgotten in bundles of this size, beside those for looking back.
const FORGET: usize = 4096;

impl Filter {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            buf: String::new(),
            pos: 0,
            clear: 0,
            hidden: Cover::default(),
            shown: Cover::default(),
            blocked: false,
            hits: Vec::new(),
            matches: None,
            looked: 0,
        }
    }

    /// As if `before` stood before the text: a name with its `=`.
    pub fn behind(policy: Policy, before: &str) -> Self {
        let mut filter = Self::new(policy);
        filter.buf.push_str(before);
        (filter.pos, filter.clear) = (before.len(), before.len());
        filter
    }

    /// Takes the next piece and gives what may pass.
    pub fn push(&mut self, chunk: &str) -> Released {
        if self.blocked {
            return Released { blocked: true, ..Released::default() };
        }
        if self.policy.allows_all() {
            return Released { text: chunk.to_owned(), ..Released::default() };
        }
        self.buf.push_str(chunk);
        let released = self.advance(false);
        self.forget();
        released
    }

    /// The end of the text: gives the rest that may pass.
    pub fn finish(mut self) -> Released {
        self.advance(true)
    }

    /// A whole text at once.
    pub fn whole(mut self, text: &str) -> Released {
        if self.policy.allows_all() {
            return Released { text: text.to_owned(), ..Released::default() };
        }
        self.buf.push_str(text);
        self.advance(true)
    }

    /// Where the matches of a whole text are, and how many looks that took.
    pub(super) fn matches(mut self, text: &str) -> (Vec<Match>, u64) {
        self.matches = Some(Vec::new());
        self.buf.push_str(text);
        self.advance(true);
        (self.matches.unwrap_or_default(), self.looked)
    }

    /// Decides place by place, until the end or until a detector wants more than there is.
    fn advance(&mut self, last: bool) -> Released {
        let mut out = Released { blocked: self.blocked, ..Released::default() };
        while self.pos < self.buf.len() && !self.blocked {
            let tails = self.hidden.tail.is_some() || self.shown.tail.is_some();
            let begins = can_begin(self.buf.as_bytes(), self.pos);
            if (tails || begins) && !self.decide(last, begins, &mut out) {
                break;
            }
            self.pos += usize::from(!self.blocked);
        }
        self.hand_out(&mut out);
        out
    }

    /// Decides one place; false if there is not enough to see.
    fn decide(&mut self, last: bool, begins: bool, out: &mut Released) -> bool {
        let view = View::new(self.buf.as_bytes(), self.pos, last);
        let covers = [self.hidden, self.shown].map(|cover| cover.stepped(self.pos, &view));
        if begins {
            scan(&view, &self.policy, &mut self.hits);
        } else {
            self.hits.clear();
        }
        self.looked += u64::from(view.looked());
        if view.starved() {
            return false;
        }
        [self.hidden, self.shown] = covers;
        self.clear = self.clear.max(self.hidden.until);
        self.mark();
        if !self.hits.is_empty() {
            self.take(out);
        }
        true
    }

    /// Does what the policy says with the matches that begin here: with the strictest, as far as the longest of them.
    fn take(&mut self, out: &mut Released) {
        let Some(action) = self.hits.iter().map(|hit| self.policy.of(hit.kind)).max() else { return };
        let mut of_action = self.hits.iter().filter(|hit| self.policy.of(hit.kind) == action).copied();
        let Some(mut hit) = of_action.next() else { return };
        for other in of_action {
            hit.kind = hit.kind.min(other.kind);
            (hit.len, hit.tail) = (hit.len.max(other.len), hit.tail.or(other.tail));
        }
        let found = Found { kind: hit.kind, action };
        let cover = Cover { until: self.pos + hit.len, tail: hit.tail };
        match action {
            Action::Allow => {}
            Action::Block => {
                self.hand_out(out);
                out.found.push(found);
                (out.blocked, self.blocked) = (true, true);
            }
            Action::Redact => {
                if self.hidden.claims(self.pos) {
                    self.hidden = self.hidden.joined(cover);
                } else {
                    self.hand_out(out);
                    out.found.push(found);
                    out.text.push('[');
                    out.text.push_str(hit.kind.name());
                    out.text.push(']');
                    self.hidden = cover;
                }
                self.clear = self.clear.max(self.hidden.until);
            }
            Action::Shadow if self.shown.claims(self.pos) => self.shown = self.shown.joined(cover),
            Action::Shadow if self.hidden.claims(self.pos) && cover.until <= self.hidden.until => {}
            Action::Shadow => {
                out.found.push(found);
                if let Some(matches) = &mut self.matches {
                    matches.push(Match { kind: hit.kind, span: self.pos..cover.until });
                }
                self.shown = cover;
            }
        }
        self.mark();
    }

    /// Keeps the end of the last match where its cover ends.
    fn mark(&mut self) {
        let ends = self.buf.len().min(self.shown.until);
        if let Some(last) = self.matches.as_mut().and_then(|matches| matches.last_mut()) {
            last.span.end = last.span.end.max(ends);
        }
    }

    /// Everything that is decided and not hidden.
    fn hand_out(&mut self, out: &mut Released) {
        if self.clear < self.pos {
            out.text.push_str(&self.buf[self.clear..self.pos]);
            self.clear = self.pos;
        }
    }

    fn forget(&mut self) {
        let mut cut = self.pos.saturating_sub(BACK);
        while !self.buf.is_char_boundary(cut) {
            cut -= 1;
        }
        if cut < FORGET {
            return;
        }
        self.buf.drain(..cut);
        self.pos -= cut;
        self.clear = self.clear.saturating_sub(cut);
        self.hidden.until = self.hidden.until.saturating_sub(cut);
        self.shown.until = self.shown.until.saturating_sub(cut);
    }
}

impl Cover {
    /// Whether a match that begins at `pos` is inside this one.
    fn claims(self, pos: usize) -> bool {
        pos < self.until
    }

    /// Both as one.
    fn joined(self, other: Cover) -> Cover {
        if other.until >= self.until { Cover { tail: other.tail.or(self.tail), ..other } } else { self }
    }

    /// With the byte at `pos`, if its tail goes that far.
    fn stepped(self, pos: usize, view: &View<'_>) -> Cover {
        match self.tail {
            Some(tail) if pos == self.until => {
                let (more, tail) = tail.step(view);
                Cover { until: self.until + more, tail }
            }
            _ => self,
        }
    }
}
