//! The audit trail as a chain: each row carries the hash of the one before it.
//!
//! Guarantees: a row that was changed, removed, added or moved behind the store's back is found, and the first one is
//! named; rows that retention cut are vouched for by the row that says so. Two stores chain alike.
//! Leaves to others: keeping a head somewhere else, without which whoever can write the file can make it anew.
//! Read next: `sqlite/trail.rs`.

use crate::row::{AuditRow, Phase};
use crate::{Error, Store};
use serde_json::Value;

/// A hash of the chain.
pub type Link = [u8; 32];

/// What stands before the first row.
pub const START: Link = [0; 32];
/// The operation of the row that vouches for those that were cut.
pub const CUT: &str = "audit.prune";

/// A row with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// From 1 on, without gaps.
    pub seq: u64,
    pub prev: Link,
    pub hash: Link,
    pub row: AuditRow,
}

/// The last row of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Link,
}

impl Head {
    /// What the next row follows.
    pub(crate) fn next(head: Option<Head>) -> (u64, Link) {
        head.map_or((1, START), |head| (head.seq + 1, head.hash))
    }
}

impl Sealed {
    /// The row behind `head`.
    pub(crate) fn behind(head: Option<Head>, row: AuditRow) -> Self {
        let (seq, prev) = Head::next(head);
        Self { seq, prev, hash: hash(seq, &prev, &row), row }
    }

    pub(crate) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// The hash of a row: over its place, the hash before it, and every field with its length.
pub fn hash(seq: u64, prev: &Link, row: &AuditRow) -> Link {
    let mut hash = blake3::Hasher::new();
    hash.update(b"hale.audit.row.1");
    hash.update(&seq.to_le_bytes());
    hash.update(prev);
    hash.update(&row.id.bytes());
    hash.update(&row.at.0.to_le_bytes());
    hash.update(&[row.phase as u8, u8::from(row.lab), u8::from(row.undo.is_some())]);
    let undo = row.undo.as_deref().unwrap_or_default();
    for text in [row.actor.as_str(), &row.operation, &row.target, &row.detail, undo] {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    *hash.finalize().as_bytes()
}

/// A hash as people write it.
pub fn hex(link: &Link) -> String {
    blake3::Hash::from_bytes(*link).to_hex().to_string()
}

/// The first row at which the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub seq: u64,
    pub why: String,
}

/// What a walk along the chain found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub rows: u64,
    /// The first row that is there: later than 1 after a cut.
    pub first: Option<u64>,
    pub last: Option<Head>,
    pub broken: Option<Broken>,
}

/// A walk along the chain, oldest row first.
#[derive(Debug, Default)]
pub struct Walk {
    checked: Checked,
    /// What a cut must have said: the row before the first one, and its hash.
    owed: Option<(u64, Link)>,
}

impl Walk {
    /// The last row that was walked over; where the next page begins.
    pub fn at(&self) -> u64 {
        self.checked.last.map_or(0, |last| last.seq)
    }

    pub fn is_broken(&self) -> bool {
        self.checked.broken.is_some()
    }

    /// The next row.
    pub fn step(&mut self, sealed: &Sealed) {
        if self.is_broken() {
            return;
        }
        self.checked.rows += 1;
        match self.checked.last {
            None => {
                self.checked.first = Some(sealed.seq);
                let begins = sealed.seq == 1 && sealed.prev == START;
                if !begins {
                    self.owed = Some((sealed.seq - 1, sealed.prev));
                }
            }
            Some(last) if sealed.seq != last.seq + 1 => {
                return self.break_at(last.seq + 1, "it is missing".to_owned());
            }
            Some(last) if sealed.prev != last.hash => {
                let why = format!("it does not follow row {}: one of the two was changed", last.seq);
                return self.break_at(sealed.seq, why);
            }
            Some(_) => {}
        }
        if hash(sealed.seq, &sealed.prev, &sealed.row) != sealed.hash {
            return self.break_at(sealed.seq, "it was changed".to_owned());
        }
        if self.owed.is_some_and(|owed| vouches(&sealed.row, owed)) {
            self.owed = None;
        }
        self.checked.last = Some(sealed.head());
    }

    /// What was found, once every row was walked over; `head` is what the store says is the last row.
    pub fn end(mut self, head: Option<Head>) -> Checked {
        if self.is_broken() {
            return self.checked;
        }
        let at = self.at();
        match (self.owed, head) {
            (Some((seq, _)), _) => {
                let why = "it and what is before it is missing, and no cut vouches for that".to_owned();
                self.break_at(seq, why);
            }
            (None, head) if head == self.checked.last => {}
            (None, Some(head)) if head.seq > at => self.break_at(at + 1, "it is missing".to_owned()),
            (None, _) => self.break_at(at, "the head of the trail does not name it".to_owned()),
        }
        self.checked
    }

    fn break_at(&mut self, seq: u64, why: String) {
        self.checked.broken = Some(Broken { seq, why });
    }
}

/// Rows read at one time.
const PAGE: u32 = 1000;

/// Walks along the whole trail of a store.
///
/// # Errors
/// Only what could not be read; a broken chain is an answer.
pub fn check(store: &dyn Store) -> Result<Checked, Error> {
    walk(|after| store.audit_oldest(after, PAGE), || store.audit_head())
}

pub(crate) fn walk(
    page: impl Fn(u64) -> Result<Vec<Sealed>, Error>,
    head: impl Fn() -> Result<Option<Head>, Error>,
) -> Result<Checked, Error> {
    let mut walk = Walk::default();
    loop {
        let rows = page(walk.at())?;
        rows.iter().for_each(|row| walk.step(row));
        if walk.is_broken() {
            return Ok(walk.end(None));
        }
        if !rows.is_empty() {
            continue;
        }
        // A row may have come between the two looks; then there is more to walk over.
        let head = head()?;
        if head.is_none_or(|head| head.seq <= walk.at()) || page(walk.at())?.is_empty() {
            return Ok(walk.end(head));
        }
    }
}

/// Whether a row is a cut that ends where the trail begins.
fn vouches(row: &AuditRow, (seq, link): (u64, Link)) -> bool {
    if row.operation != CUT || row.phase != Phase::Outcome {
        return false;
    }
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    detail["cut_to"].as_u64() == Some(seq) && detail["hash"].as_str() == Some(hex(&link).as_str())
}

/// The row that vouches for the rows up to `last`.
pub(crate) fn anchor(row: &AuditRow, last: Head, rows: u64) -> AuditRow {
    let mut detail = match serde_json::from_str(&row.detail) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    detail.insert("cut_to".to_owned(), last.seq.into());
    detail.insert("hash".to_owned(), hex(&last.hash).into());
    detail.insert("rows".to_owned(), rows.into());
    AuditRow { detail: Value::Object(detail).to_string(), ..row.clone() }
}
