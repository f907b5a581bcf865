//! The walk through the bars: signals become fills, fills become trades and an equity curve.
//!
//! Guarantees: at each bar, in this order: what the bar before made us want is filled at this open; the rule sees this
//! close; the account is valued at this close. So no decision knows anything later than the close it is made at, and no
//! past fill depends on a later bar. What is open at the end is closed at the last close, and says so. The money cannot
//! become negative: nothing is borrowed or sold short.
//! Leaves to others: ratios ([`crate::analysis`]).
//! Read next: [`crate::strategy`].

use crate::bars::Bar;
use crate::bars::moment::Moment;
use crate::failure::Failure;
use crate::params::{BPS, Params, Size};
use crate::strategy::{Signal, Strategy};
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    Signal,
    /// There was no next bar: closed at the last close.
    EndOfData,
}

/// One position from its buy to its sale.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trade {
    pub number: usize,
    /// The bar at whose close the rule wanted it.
    pub signal_at: Moment,
    /// The bar at whose open it was bought.
    pub entry_at: Moment,
    pub entry_price: f64,
    pub exit_at: Moment,
    pub exit_price: f64,
    pub exit_reason: ExitReason,
    pub quantity: f64,
    /// Of both fills.
    pub fees_amount: f64,
    /// After fees.
    pub profit_amount: f64,
    /// Of the money that the position took, fees included.
    pub return_fraction: f64,
    /// Bars during which it was held.
    pub bars_held: usize,
}

/// The account at the close of one bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: Moment,
    pub equity: f64,
    /// Whether a position was held after this bar's open.
    pub invested: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    pub trades: Vec<Trade>,
    pub points: Vec<Point>,
}

/// Walks all bars; `watch` hears how many are done.
pub fn simulate(bars: &[Bar], params: &Params, watch: &mut dyn FnMut(usize)) -> Result<Walk, Failure> {
    let mut strategy = Strategy::new(params.strategy);
    let mut account = Account { params, cash: params.initial_capital, open: None, trades: Vec::new() };
    let mut points = Vec::with_capacity(bars.len());
    let mut wanted = (Signal::None, Moment(jiff::Timestamp::UNIX_EPOCH));
    watch(0);
    for (index, bar) in bars.iter().enumerate() {
        match wanted {
            (Signal::Buy, signal_at) => account.buy(Fill { index, at: bar.at, price: bar.open }, signal_at),
            (Signal::Sell, _) => {
                account.sell(Fill { index, at: bar.at, price: bar.open }, ExitReason::Signal);
            }
            (Signal::None, _) => {}
        }
        wanted = (strategy.on_close(bar), bar.at);
        let invested = account.open.is_some();
        if index + 1 == bars.len() {
            account.sell(Fill { index, at: bar.at, price: bar.close }, ExitReason::EndOfData);
        }
        let equity = account.worth(bar.close);
        if !equity.is_finite() {
            let what = format!("at {} the account is worth {equity}, which is no amount", bar.at);
            return Err(Failure::strategy(what, "start with less --capital, or look at the prices there"));
        }
        points.push(Point { at: bar.at, equity, invested });
        watch(index + 1);
    }
    Ok(Walk { trades: account.trades, points })
}

struct Fill {
    index: usize,
    at: Moment,
    /// Before slippage.
    price: f64,
}

struct Position {
    signal_at: Moment,
    entry: Fill,
    quantity: f64,
    fee: f64,
    /// What left the cash, fee included.
    cost: f64,
}

struct Account<'a> {
    params: &'a Params,
    cash: f64,
    open: Option<Position>,
    trades: Vec<Trade>,
}

impl Account<'_> {
    fn buy(&mut self, fill: Fill, signal_at: Moment) {
        let cost = match self.params.size {
            Size::Fraction { fraction } => self.cash * fraction,
            Size::Amount { amount } => amount.min(self.cash),
        };
        if self.open.is_some() || cost <= 0.0 {
            return;
        }
        let price = fill.price * (1.0 + self.params.slippage_bps / BPS);
        let value = cost / (1.0 + self.params.fee_bps / BPS);
        self.cash -= cost;
        let entry = Fill { price, ..fill };
        self.open = Some(Position { signal_at, entry, quantity: value / price, fee: cost - value, cost });
    }

    fn sell(&mut self, fill: Fill, exit_reason: ExitReason) {
        let Some(position) = self.open.take() else { return };
        let price = fill.price * (1.0 - self.params.slippage_bps / BPS);
        let value = position.quantity * price;
        let fee = value * self.params.fee_bps / BPS;
        self.cash += value - fee;
        let profit = value - fee - position.cost;
        let bars = fill.index - position.entry.index;
        self.trades.push(Trade {
            number: self.trades.len() + 1,
            signal_at: position.signal_at,
            entry_at: position.entry.at,
            entry_price: position.entry.price,
            exit_at: fill.at,
            exit_price: price,
            exit_reason,
            quantity: position.quantity,
            fees_amount: position.fee + fee,
            profit_amount: profit,
            return_fraction: profit / position.cost,
            // Sold at an open, the bar was not held; sold at the last close, it was.
            bars_held: if exit_reason == ExitReason::EndOfData { bars + 1 } else { bars },
        });
    }

    fn worth(&self, close: f64) -> f64 {
        self.cash + self.open.as_ref().map_or(0.0, |position| position.quantity * close)
    }
}
