//! What a back-test is asked for: the rule, the costs, the money.
//!
//! Guarantees: what [`Params::check`] lets through makes sense and cannot divide by nothing. Bounds stand here with
//! their reason.
//! Read next: [`crate::strategy`].

use crate::failure::Failure;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Costs above a tenth of the price are a slip of the decimal point, not a market.
pub const COST_BPS_MAX: f64 = 1_000.0;
/// Longer than 27 years of days; an average over more bars than that is a mistake in the unit.
pub const WINDOW_MAX: usize = 10_000;
/// So that amounts stay well inside what a double holds exactly to the cent.
pub const CAPITAL_MAX: f64 = 1e12;
/// Basis points in one.
pub const BPS: f64 = 10_000.0;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Rule {
    /// Long from the close where the fast average crosses above the slow one until it crosses below.
    MaCross { fast_bars: usize, slow_bars: usize },
    /// Long from a close above the highest high of the bars before until a close below their lowest low.
    Breakout { entry_bars: usize, exit_bars: usize },
}

/// How much of the money goes into one position, fees included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Size {
    /// A part of the money at hand.
    Fraction { fraction: f64 },
    /// An amount, or what is left if that is less.
    Amount { amount: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Params {
    pub strategy: Rule,
    /// Fee of each fill, in basis points of its value.
    pub fee_bps: f64,
    /// How much worse than the open each fill is, in basis points.
    pub slippage_bps: f64,
    pub initial_capital: f64,
    pub size: Size,
    /// What idle money would earn in a year, for the Sharpe ratio only.
    pub risk_free_rate_fraction: f64,
    /// Bars in a year if the caller knows better than the data.
    pub periods_per_year: Option<f64>,
}

impl Params {
    pub fn check(&self) -> Result<(), Failure> {
        self.strategy.check()?;
        within("--fee-bps", self.fee_bps, (0.0, COST_BPS_MAX))?;
        within("--slippage-bps", self.slippage_bps, (0.0, COST_BPS_MAX))?;
        within("--capital", self.initial_capital, (0.01, CAPITAL_MAX))?;
        within("--risk-free", self.risk_free_rate_fraction, (-0.5, 1.0))?;
        if let Some(periods) = self.periods_per_year {
            // A bar a second is the finest that a year can be cut into here.
            within("--periods-per-year", periods, (1.0, 31_557_600.0))?;
        }
        match self.size {
            Size::Fraction { fraction } => within("--size in percent", fraction * 100.0, (0.01, 100.0)),
            Size::Amount { amount } => within("--size", amount, (0.01, CAPITAL_MAX)),
        }
    }
}

fn within(option: &str, value: f64, (least, most): (f64, f64)) -> Result<(), Failure> {
    if value >= least && value <= most {
        return Ok(());
    }
    let what = format!("{option} is {value}, which is outside {least} to {most}");
    Err(Failure::usage(what, "see the units in: hale-backtester run --help"))
}

impl Rule {
    fn check(self) -> Result<(), Failure> {
        let windows = match self {
            Rule::MaCross { fast_bars, slow_bars } => [("--fast", fast_bars), ("--slow", slow_bars)],
            Rule::Breakout { entry_bars, exit_bars } => [("--entry", entry_bars), ("--exit", exit_bars)],
        };
        for (option, bars) in windows {
            if bars == 0 || bars > WINDOW_MAX {
                let what = format!("{option} is {bars} bars, a window has 1 to {WINDOW_MAX}");
                return Err(Failure::strategy(what, format!("give {option} a number of bars in that range")));
            }
        }
        match self {
            Rule::MaCross { fast_bars, slow_bars } if fast_bars >= slow_bars => {
                let what = format!(
                    "the fast average (--fast {fast_bars}) is not shorter than the slow one (--slow {slow_bars})"
                );
                Err(Failure::strategy(what, "make --fast smaller than --slow, e.g. --fast 10 --slow 50"))
            }
            _ => Ok(()),
        }
    }

    /// Fewer bars than this cannot hold one signal and its fill.
    pub fn bars_needed(self) -> usize {
        match self {
            // An average, the one before it to cross from, and a bar to fill in.
            Rule::MaCross { slow_bars, .. } => slow_bars + 2,
            // The channel, the bar that leaves it, and a bar to fill in.
            Rule::Breakout { entry_bars, .. } => entry_bars + 2,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::MaCross { fast_bars, slow_bars } => {
                write!(out, "moving-average cross, {fast_bars} over {slow_bars} bars")
            }
            Rule::Breakout { entry_bars, exit_bars } => {
                write!(out, "breakout, in above {entry_bars} bars, out below {exit_bars}")
            }
        }
    }
}

impl FromStr for Size {
    type Err = String;

    /// `95%` of the money at hand, or `2500` of it.
    fn from_str(text: &str) -> Result<Size, String> {
        let number = |text: &str| {
            let value: Option<f64> = text.trim().parse().ok();
            value
                .filter(|value| value.is_finite())
                .ok_or_else(|| "write a part as 95% or an amount as 2500".to_owned())
        };
        match text.strip_suffix('%') {
            Some(percent) => Ok(Size::Fraction { fraction: number(percent)? / 100.0 }),
            None => Ok(Size::Amount { amount: number(text)? }),
        }
    }
}
