//! The figures of an equity curve and its trades.
//!
//! Guarantees: a figure that is not defined (a Sharpe ratio without movement, a profit factor without losses) is absent,
//! never zero or infinite. Each field says its unit and how it is reckoned.
//! Read next: [`crate::result`], where they are written.

use crate::bars::Bar;
use crate::bars::moment::Moment;
use crate::params::Params;
use crate::simulate::{Point, Trade, Walk};
use serde::Serialize;

/// A year of 365.25 days.
pub const YEAR_SECONDS: f64 = 31_557_600.0;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metrics {
    pub final_equity_amount: f64,
    /// Final equity over initial capital, less one.
    pub total_return_fraction: f64,
    /// The steady yearly growth that ends the same; absent if the data spans no time.
    pub cagr_fraction: Option<f64>,
    /// First to last bar, in years of 365.25 days.
    pub years: f64,
    /// Absent if equity never fell below an earlier close.
    pub max_drawdown: Option<Drawdown>,
    pub sharpe: Sharpe,
    pub trades_count: usize,
    /// Trades with a profit after fees, of all trades; absent without trades.
    pub win_rate_fraction: Option<f64>,
    /// Sum of profits over sum of losses; absent without losses.
    pub profit_factor: Option<f64>,
    /// Bars during which a position was held, of all bars.
    pub exposure_fraction: f64,
    pub fees_amount: f64,
    /// What buying at the first close and holding to the last would have returned, without costs.
    pub buy_and_hold_return_fraction: f64,
}

/// The deepest fall of equity below an earlier close.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drawdown {
    /// Of the equity at the peak.
    pub depth_fraction: f64,
    pub depth_amount: f64,
    pub peak_at: Moment,
    pub trough_at: Moment,
    /// When the peak was reached again; absent if it was not.
    pub recovered_at: Option<Moment>,
}

/// Mean over standard deviation (n - 1) of the returns from close to close above the risk-free rate, times the square
/// root of the periods in a year.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sharpe {
    /// Absent with fewer than two returns, or without any movement.
    pub ratio: Option<f64>,
    pub periods_per_year: f64,
    /// `measured`: bars of the data over its years; `given`: by the caller.
    pub periods_from: &'static str,
    pub risk_free_rate_fraction: f64,
    pub returns_count: usize,
}

pub fn analyse(bars: &[Bar], walk: &Walk, params: &Params) -> Metrics {
    let first = walk.points.first().map_or(params.initial_capital, |point| point.equity);
    let last = walk.points.last().map_or(first, |point| point.equity);
    let years = years(bars);
    let growth = last / params.initial_capital;
    let cagr = growth.powf(1.0 / years) - 1.0;
    let held = walk.points.iter().filter(|point| point.invested).count();
    let (bought, sold) =
        (bars.first().map_or(1.0, |bar| bar.close), bars.last().map_or(1.0, |bar| bar.close));
    Metrics {
        final_equity_amount: last,
        total_return_fraction: growth - 1.0,
        cagr_fraction: Some(cagr).filter(|cagr| years > 0.0 && cagr.is_finite()),
        years,
        max_drawdown: max_drawdown(&walk.points),
        sharpe: sharpe(&walk.points, years, params),
        trades_count: walk.trades.len(),
        win_rate_fraction: win_rate(&walk.trades),
        profit_factor: profit_factor(&walk.trades),
        exposure_fraction: held as f64 / walk.points.len().max(1) as f64,
        fees_amount: total(walk.trades.iter().map(|trade| trade.fees_amount)),
        buy_and_hold_return_fraction: sold / bought - 1.0,
    }
}

fn years(bars: &[Bar]) -> f64 {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return 0.0 };
    last.at.duration_since(*first.at).as_secs_f64() / YEAR_SECONDS
}

/// How far each point is below the highest before it, as a fraction from 0 to 1.
pub fn depths(points: &[Point]) -> Vec<f64> {
    let mut peak = f64::MIN;
    let depth = |point: &Point| {
        peak = peak.max(point.equity);
        if peak > 0.0 { 1.0 - point.equity / peak } else { 0.0 }
    };
    points.iter().map(depth).collect()
}

fn max_drawdown(points: &[Point]) -> Option<Drawdown> {
    let depths = depths(points);
    let (trough, depth) =
        depths.iter().copied().enumerate().fold((0, 0.0), |deepest, (index, depth)| {
            if depth > deepest.1 { (index, depth) } else { deepest }
        });
    if depth <= 0.0 {
        return None;
    }
    // The last point at the height of the peak, from which the fall began.
    let peak = depths[..trough].iter().rposition(|depth| *depth == 0.0)?;
    let recovered = depths[trough..].iter().position(|depth| *depth == 0.0);
    Some(Drawdown {
        depth_fraction: depth,
        depth_amount: points[peak].equity - points[trough].equity,
        peak_at: points[peak].at,
        trough_at: points[trough].at,
        recovered_at: recovered.map(|after| points[trough + after].at),
    })
}

fn sharpe(points: &[Point], years: f64, params: &Params) -> Sharpe {
    let returns: Vec<f64> = points.windows(2).map(|pair| pair[1].equity / pair[0].equity - 1.0).collect();
    let measured = if years > 0.0 { returns.len() as f64 / years } else { 1.0 };
    let periods_per_year = params.periods_per_year.unwrap_or(measured);
    let rate = params.risk_free_rate_fraction;
    let free = (1.0 + rate).powf(1.0 / periods_per_year) - 1.0;
    Sharpe {
        ratio: ratio(&returns, free).map(|ratio| ratio * periods_per_year.sqrt()),
        periods_per_year,
        periods_from: if params.periods_per_year.is_some() { "given" } else { "measured" },
        risk_free_rate_fraction: rate,
        returns_count: returns.len(),
    }
}

fn ratio(returns: &[f64], free: f64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let variance = returns.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // Returns that differ by rounding only do not move.
    (variance.sqrt() > 1e-12).then(|| (mean - free) / variance.sqrt())
}

fn win_rate(trades: &[Trade]) -> Option<f64> {
    let won = trades.iter().filter(|trade| trade.profit_amount > 0.0).count();
    (!trades.is_empty()).then(|| won as f64 / trades.len() as f64)
}

fn profit_factor(trades: &[Trade]) -> Option<f64> {
    let profits = || trades.iter().map(|trade| trade.profit_amount);
    let won = total(profits().filter(|profit| *profit > 0.0));
    let lost = total(profits().filter(|profit| *profit < 0.0));
    (lost < 0.0).then(|| won / -lost)
}

/// The sum of nothing is 0, not the -0 of `Iterator::sum`.
fn total(amounts: impl Iterator<Item = f64>) -> f64 {
    amounts.fold(0.0, |sum, amount| sum + amount)
}
