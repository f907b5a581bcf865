//! Bars of a market: open, high, low, close and volume of each stretch of time.
//!
//! Guarantees: a [`Series`] is in order, evenly spaced unless gaps were allowed, and every number in it can be true.
//! Leaves to others: the file's form ([`reading`]).
//! Read next: [`reading`].

pub mod moment;
pub mod reading;

use crate::failure::Failure;
use moment::Moment;

/// Above any price or index level; what is higher has lost its decimal point.
pub const PRICE_MAX: f64 = 1e12;
/// Nine years of minutes; with its result about 1 GB of memory.
pub const BARS_MAX: usize = 5_000_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// When the bar begins.
    pub at: Moment,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    pub volume: f64,
}

/// What to do where bars are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Gaps {
    /// Bars must follow each other evenly
    Refuse,
    /// Bars may be missing: markets that close at night and at weekends
    Allow,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The file's name, without its folder.
    pub file: String,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
    pub bars: Vec<Bar>,
    /// The usual distance of two bars.
    pub bar_seconds: i64,
    /// How often bars are missing in between.
    pub gaps_count: usize,
}

/// From and to, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub from: Option<Moment>,
    pub to: Option<Moment>,
}

impl Series {
    /// Only the bars within the range; refuses a range that leaves fewer than are needed.
    pub fn within(mut self, range: Range, bars_needed: usize) -> Result<Series, Failure> {
        let all = self.bars.len();
        let last = self.bars.last().map(|bar| bar.at);
        let inside = |bar: &Bar| {
            range.from.is_none_or(|from| bar.at >= from) && range.to.is_none_or(|to| bar.at <= to)
        };
        let first = self.bars.first().map(|bar| bar.at);
        self.bars.retain(inside);
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Failure::data(format!("{}: no data", self.file), "give a file with bars"));
        };
        if self.bars.is_empty() {
            let what =
                format!("{}: no data between --from and --to; the file spans {first} to {last}", self.file);
            return Err(Failure::data(what, "choose --from and --to inside that span"));
        }
        if self.bars.len() < bars_needed {
            let kept = self.bars.len();
            let what = format!(
                "{}: insufficient data: {kept} of {all} bars are in range, the strategy needs at least {bars_needed}",
                self.file
            );
            return Err(Failure::data(
                what,
                "widen --from and --to, use a longer file, or shorten the windows",
            ));
        }
        self.gaps_count = reading::gaps(&self.bars, self.bar_seconds).count();
        Ok(self)
    }
}
