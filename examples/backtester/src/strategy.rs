//! The rules: what each close makes one want.
//!
//! Guarantees: a strategy is fed one closed bar at a time and keeps what it needs of the past, so it cannot look ahead.
//! Averages that are equal on paper are equal here: they are sums of whole numbers, compared without division.
//! Leaves to others: money, fills and costs ([`crate::simulate`]).

use crate::bars::Bar;
use crate::params::Rule;
use std::collections::VecDeque;

/// What is wanted after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Buy,
    Sell,
    None,
}

#[derive(Debug)]
pub enum Strategy {
    MaCross(MaCross),
    Breakout(Breakout),
}

impl Strategy {
    pub fn new(rule: Rule) -> Strategy {
        match rule {
            Rule::MaCross { fast_bars, slow_bars } => Strategy::MaCross(MaCross {
                fast: Sum::over(fast_bars),
                slow: Sum::over(slow_bars),
                side: None,
            }),
            Rule::Breakout { entry_bars, exit_bars } => Strategy::Breakout(Breakout {
                highs: Extreme::over(entry_bars),
                lows: Extreme::over(exit_bars),
            }),
        }
    }

    pub fn on_close(&mut self, bar: &Bar) -> Signal {
        match self {
            Strategy::MaCross(strategy) => strategy.on_close(bar),
            Strategy::Breakout(strategy) => strategy.on_close(bar),
        }
    }
}

#[derive(Debug)]
pub struct MaCross {
    fast: Sum,
    slow: Sum,
    /// Where the fast average stood at the close before, once there was one.
    side: Option<Side>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Above,
    Equal,
    Below,
}

impl MaCross {
    fn on_close(&mut self, bar: &Bar) -> Signal {
        let fast = self.fast.push(bar.close);
        let slow = self.slow.push(bar.close);
        let (Some(fast), Some(slow)) = (fast, slow) else { return Signal::None };
        // fast / its bars against slow / its bars, without the division.
        let side = side(fast * self.slow.bars as i128, slow * self.fast.bars as i128);
        let before = self.side.replace(side);
        match (before, side) {
            (Some(Side::Below | Side::Equal), Side::Above) => Signal::Buy,
            (Some(Side::Above | Side::Equal), Side::Below) => Signal::Sell,
            _ => Signal::None,
        }
    }
}

/// A price of binary fractions is off by one part in 1e16; what differs by less than one in 1e12 is that, not a cross.
fn side(fast: i128, slow: i128) -> Side {
    let noise = fast.max(slow) / 1_000_000_000_000;
    if (fast - slow).abs() <= noise {
        Side::Equal
    } else if fast > slow {
        Side::Above
    } else {
        Side::Below
    }
}

/// Prices are at most 1e12 ([`crate::bars::PRICE_MAX`]), windows at most 1e4: 1e12 * 1e15 * 1e4 * 1e4 fits an i128.
const QUANTA: f64 = 1e15;

/// The sum of the last `bars` prices, without drift.
#[derive(Debug)]
struct Sum {
    bars: usize,
    prices: VecDeque<i128>,
    sum: i128,
}

impl Sum {
    fn over(bars: usize) -> Sum {
        Sum { bars, prices: VecDeque::with_capacity(bars + 1), sum: 0 }
    }

    fn push(&mut self, price: f64) -> Option<i128> {
        let price = (price * QUANTA).round() as i128;
        self.prices.push_back(price);
        self.sum += price;
        if self.prices.len() > self.bars {
            self.sum -= self.prices.pop_front().unwrap_or_default();
        }
        (self.prices.len() == self.bars).then_some(self.sum)
    }
}

/// The channel of Richard Donchian: the bar that leaves it is not part of it.
#[derive(Debug)]
pub struct Breakout {
    highs: Extreme,
    lows: Extreme,
}

impl Breakout {
    fn on_close(&mut self, bar: &Bar) -> Signal {
        let above = self.highs.most().is_some_and(|high| bar.close > high);
        let below = self.lows.most().is_some_and(|low| bar.close < -low);
        self.highs.push(bar.high);
        self.lows.push(-bar.low);
        match (above, below) {
            (true, _) => Signal::Buy,
            (false, true) => Signal::Sell,
            (false, false) => Signal::None,
        }
    }
}

/// The greatest of the last `bars` values. Keeps only those that can still become it, greatest first.
#[derive(Debug)]
struct Extreme {
    bars: usize,
    seen: usize,
    kept: VecDeque<(usize, f64)>,
}

impl Extreme {
    fn over(bars: usize) -> Extreme {
        Extreme { bars, seen: 0, kept: VecDeque::new() }
    }

    /// None until the window is full.
    fn most(&self) -> Option<f64> {
        let first = self.kept.front().map(|(_, value)| *value);
        first.filter(|_| self.seen >= self.bars)
    }

    fn push(&mut self, value: f64) {
        while self.kept.back().is_some_and(|(_, last)| *last <= value) {
            self.kept.pop_back();
        }
        self.kept.push_back((self.seen, value));
        self.seen += 1;
        if self.kept.front().is_some_and(|(at, _)| at + self.bars < self.seen) {
            self.kept.pop_front();
        }
    }
}
