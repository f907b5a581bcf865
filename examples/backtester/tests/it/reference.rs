//! A second back-tester, slow and written another way, must find the same.
//!
//! It reckons in whole cents, looks at whole slices instead of one bar at a time, and values the account by trades
//! instead of by cash.

use crate::world::{day, free, near};
use hale_backtester::analysis::analyse;
use hale_backtester::bars::Bar;
use hale_backtester::params::{Params, Rule, Size};
use hale_backtester::simulate::{ExitReason, simulate};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Open, high, low, close in cents.
pub type Cents = [i64; 4];

/// Small steps around a low price, so that ties are common.
pub fn market(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Cents>> {
    let step = (-30_i64..=30, -30_i64..=30, 0_i64..20, 0_i64..20);
    proptest::collection::vec(step, length).prop_map(|steps| {
        let mut close = 1_000_i64;
        let mut bar = |(gap, change, above, below): (i64, i64, i64, i64)| {
            let open = (close + gap / 3).max(100);
            close = (open + change).max(100);
            [open, open.max(close) + above, (open.min(close) - below).max(1), close]
        };
        steps.into_iter().map(&mut bar).collect()
    })
}

pub fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1_usize..8, 1_usize..8)
            .prop_map(|(fast_bars, more)| Rule::MaCross { fast_bars, slow_bars: fast_bars + more }),
        (1_usize..10, 1_usize..10)
            .prop_map(|(entry_bars, exit_bars)| Rule::Breakout { entry_bars, exit_bars }),
    ]
}

pub fn real(market: &[Cents]) -> Vec<Bar> {
    let bar = |(index, cents): (usize, &Cents)| {
        let [open, high, low, close] = cents.map(|cents| cents as f64 / 100.0);
        Bar { at: day(index), open, high, low, close, volume: 1.0 }
    };
    market.iter().enumerate().map(bar).collect()
}

/// 1 to buy, -1 to sell, after the close of `t`.
fn wanted(market: &[Cents], rule: Rule, t: usize) -> i64 {
    match rule {
        Rule::MaCross { fast_bars, slow_bars } => {
            if t < slow_bars {
                return 0;
            }
            let sum = |last: usize, bars: usize| {
                market[last + 1 - bars..=last].iter().map(|bar| bar[3]).sum::<i64>()
            };
            let lead = |last: usize| {
                sum(last, fast_bars) * slow_bars as i64 - sum(last, slow_bars) * fast_bars as i64
            };
            if lead(t) > 0 && lead(t - 1) <= 0 {
                1
            } else if lead(t) < 0 && lead(t - 1) >= 0 {
                -1
            } else {
                0
            }
        }
        Rule::Breakout { entry_bars, exit_bars } => {
            let high =
                (t >= entry_bars).then(|| market[t - entry_bars..t].iter().map(|bar| bar[1]).max().unwrap());
            let low =
                (t >= exit_bars).then(|| market[t - exit_bars..t].iter().map(|bar| bar[2]).min().unwrap());
            if high.is_some_and(|high| market[t][3] > high) {
                1
            } else if low.is_some_and(|low| market[t][3] < low) {
                -1
            } else {
                0
            }
        }
    }
}

/// First and last index, and whether the end of the data closed it.
fn stays(market: &[Cents], rule: Rule) -> Vec<(usize, usize, bool)> {
    let mut stays = Vec::new();
    let mut from = None;
    for t in 1..market.len() {
        match (wanted(market, rule, t - 1), from) {
            (1, None) => from = Some(t),
            (-1, Some(first)) => {
                stays.push((first, t, false));
                from = None;
            }
            _ => {}
        }
    }
    stays.extend(from.map(|first| (first, market.len() - 1, true)));
    stays
}

fn equity(market: &[Cents], params: &Params, part: f64) -> Vec<f64> {
    let price = |t: usize, column: usize| market[t][column] as f64 / 100.0;
    let (fee, slip) = (params.fee_bps / 1e4, params.slippage_bps / 1e4);
    let mut equity = vec![params.initial_capital; market.len()];
    let mut money = params.initial_capital;
    for (first, last, at_end) in stays(market, params.strategy) {
        let pieces = money * part / (1.0 + fee) / (price(first, 0) * (1.0 + slip));
        for (t, worth) in equity.iter_mut().enumerate().take(last).skip(first) {
            *worth = money * (1.0 - part) + pieces * price(t, 3);
        }
        let sold = price(last, if at_end { 3 } else { 0 }) * (1.0 - slip) * (1.0 - fee);
        money = money * (1.0 - part) + pieces * sold;
        equity[last..].fill(money);
    }
    equity
}

/// The drawdown by comparing every pair, the Sharpe ratio by sums of squares.
fn check_figures(equity: &[f64], bars: &[Bar], params: &Params) {
    let walk = simulate(bars, params, &mut |_| {}).unwrap();
    let metrics = analyse(bars, &walk, params);
    let pairs = (0..equity.len()).flat_map(|a| (a..equity.len()).map(move |b| (a, b)));
    let deepest = pairs.map(|(a, b)| 1.0 - equity[b] / equity[a]).fold(0.0, f64::max);
    near(metrics.max_drawdown.map_or(0.0, |drawdown| drawdown.depth_fraction), deepest);
    near(metrics.total_return_fraction, equity[equity.len() - 1] / params.initial_capital - 1.0);

    let returns: Vec<f64> = (1..equity.len()).map(|t| (equity[t] - equity[t - 1]) / equity[t - 1]).collect();
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let spread =
        ((returns.iter().map(|one| one * one).sum::<f64>() - count * mean * mean) / (count - 1.0)).sqrt();
    if spread > 1e-6 {
        let ratio = metrics.sharpe.ratio.unwrap();
        assert!((ratio - mean / spread * 365.25_f64.sqrt()).abs() < 1e-6, "{ratio}");
    }
    let profits: Vec<f64> = walk.trades.iter().map(|trade| trade.profit_amount).collect();
    near(profits.iter().sum::<f64>(), equity[equity.len() - 1] - params.initial_capital);
    let lost: f64 = profits.iter().filter(|profit| **profit < 0.0).sum();
    if let Some(factor) = metrics.profit_factor {
        near(factor * -lost, profits.iter().filter(|profit| **profit > 0.0).sum::<f64>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slow_reference_finds_the_same(
        market in market(12..150),
        rule in rule(),
        fee_bps in 0_u32..200,
        slippage_bps in 0_u32..200,
        percent in 1_u32..=100,
    ) {
        let part = f64::from(percent) / 100.0;
        let params = Params {
            fee_bps: f64::from(fee_bps),
            slippage_bps: f64::from(slippage_bps),
            size: Size::Fraction { fraction: part },
            ..free(rule, 5_000.0)
        };
        let bars = real(&market);
        let walk = simulate(&bars, &params, &mut |_| {}).unwrap();
        let found: Vec<_> = walk.trades.iter().map(|trade| {
            (trade.entry_at, trade.exit_at, trade.exit_reason == ExitReason::EndOfData)
        }).collect();
        let expected: Vec<_> =
            stays(&market, rule).into_iter().map(|(first, last, at_end)| (day(first), day(last), at_end)).collect();
        prop_assert_eq!(found, expected);
        let equity = equity(&market, &params, part);
        for (point, expected) in walk.points.iter().zip(&equity) {
            near(point.equity, *expected);
        }
        check_figures(&equity, &bars, &params);
    }
}

#[test]
fn the_random_markets_are_worth_it() {
    // If hardly anything traded, agreeing would prove nothing.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let trades = (0..100).map(|_| {
        let market = market(12..150).new_tree(&mut runner).unwrap().current();
        stays(&market, Rule::MaCross { fast_bars: 2, slow_bars: 4 }).len()
    });
    assert!(trades.sum::<usize>() > 500);
}
