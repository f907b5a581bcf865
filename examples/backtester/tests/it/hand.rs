//! Small cases that were reckoned by hand; the sums stand in the comments.

use crate::world::{DAY, bars, day, free, moves, near};
use hale_backtester::analysis::{Metrics, YEAR_SECONDS, analyse};
use hale_backtester::bars::Bar;
use hale_backtester::bars::moment::Moment;
use hale_backtester::params::{Params, Rule, Size};
use hale_backtester::simulate::{ExitReason, Point, Walk, simulate};

const CROSS: Rule = Rule::MaCross { fast_bars: 1, slow_bars: 2 };
const BREAKOUT: Rule = Rule::Breakout { entry_bars: 2, exit_bars: 2 };

fn run(bars: &[Bar], params: &Params) -> (Walk, Metrics) {
    let walk = simulate(bars, params, &mut |_| {}).unwrap();
    let metrics = analyse(bars, &walk, params);
    (walk, metrics)
}

/// Below at the third close, above at the fourth (bought at the open of the fifth, 112), below at the seventh (sold at
/// the open of the eighth, 126).
fn one_trade() -> Vec<Bar> {
    moves(&[
        (100.0, 100.0),
        (100.0, 100.0),
        (100.0, 90.0),
        (90.0, 110.0),
        (112.0, 120.0),
        (120.0, 130.0),
        (130.0, 90.0),
        (126.0, 80.0),
    ])
}

/// A walk whose equity is given, one point a day.
fn equity(values: &[f64]) -> (Vec<Bar>, Walk) {
    let points = values.iter().enumerate().map(|(index, equity)| Point {
        at: day(index),
        equity: *equity,
        invested: true,
    });
    (moves(&vec![(1.0, 1.0); values.len()]), Walk { trades: Vec::new(), points: points.collect() })
}

#[test]
fn without_movement_there_is_no_trade_and_no_ratio() {
    let (walk, metrics) =
        run(&moves(&[(0.1, 0.1); 40]), &free(Rule::MaCross { fast_bars: 3, slow_bars: 5 }, 1_000.0));
    assert!(walk.trades.is_empty());
    assert!(walk.points.iter().all(|point| point.equity == 1_000.0 && !point.invested));
    assert_eq!((metrics.total_return_fraction, metrics.cagr_fraction), (0.0, Some(0.0)));
    assert_eq!((metrics.win_rate_fraction, metrics.profit_factor, metrics.sharpe.ratio), (None, None, None));
    assert_eq!((metrics.max_drawdown, metrics.exposure_fraction), (None, 0.0));
    assert!(metrics.fees_amount.is_sign_positive(), "no fees are 0, not -0");
}

#[test]
fn a_winning_trade_pays_its_fee_twice() {
    let (walk, metrics) = run(&one_trade(), &Params { fee_bps: 100.0, ..free(CROSS, 1_000.0) });
    let [trade] = &walk.trades[..] else { panic!("{:?}", walk.trades) };
    assert_eq!((trade.signal_at, trade.entry_at, trade.exit_at), (day(3), day(4), day(7)));
    assert_eq!((trade.entry_price, trade.exit_price, trade.exit_reason), (112.0, 126.0, ExitReason::Signal));
    // 1000 / 1.01 = 990.0990 of value and 9.9010 of fee; 126 / 112 = 1.125; 990.0990 * 1.125 = 1113.8614, less 1 %.
    near(trade.quantity, 1_000.0 / 1.01 / 112.0);
    near(trade.fees_amount, 9.900_990_099_009_9 + 11.138_613_861_386_1);
    near(trade.profit_amount, 102.722_772_277_227_7);
    near(trade.return_fraction, 0.102_722_772_277_227_7);
    near(metrics.final_equity_amount, 1_102.722_772_277_227_7);
    // Held during bars 4, 5 and 6 of eight.
    assert_eq!((trade.bars_held, metrics.exposure_fraction), (3, 0.375));
    assert_eq!((metrics.win_rate_fraction, metrics.profit_factor), (Some(1.0), None));
    // At the first close it is held: bought for 990.0990, worth 120 / 112 of it.
    near(walk.points[4].equity, 1_000.0 / 1.01 * 120.0 / 112.0);
}

#[test]
fn slippage_makes_both_fills_worse() {
    let (walk, _) = run(&one_trade(), &Params { slippage_bps: 50.0, ..free(CROSS, 1_000.0) });
    near(walk.trades[0].entry_price, 112.56);
    near(walk.trades[0].exit_price, 125.37);
    near(walk.trades[0].profit_amount, 1_000.0 * (125.37 / 112.56 - 1.0));
}

#[test]
fn a_position_takes_its_part_or_its_amount_and_never_more_than_there_is() {
    let cost = |size: Size| {
        let (walk, _) = run(&one_trade(), &Params { size, ..free(CROSS, 1_000.0) });
        walk.trades[0].quantity * 112.0
    };
    near(cost(Size::Fraction { fraction: 0.25 }), 250.0);
    near(cost(Size::Amount { amount: 300.0 }), 300.0);
    near(cost(Size::Amount { amount: 5_000.0 }), 1_000.0);
}

#[test]
fn a_breakout_needs_a_close_beyond_the_channel_before_it() {
    // The third close equals the highest high before it and is no signal; the fourth passes it. The lows of the channel
    // at the sixth are 11 and 12: its close of 12 is inside. At the seventh they are 12 and 11: 10 is below.
    let rows = bars(&[
        [10.0, 11.0, 9.0, 10.0],
        [10.0, 12.0, 9.0, 11.0],
        [11.0, 12.0, 10.0, 12.0],
        [12.0, 13.0, 11.0, 12.5],
        [13.0, 15.0, 12.0, 14.0],
        [14.0, 15.0, 11.0, 12.0],
        [12.0, 12.0, 9.0, 10.0],
        [9.5, 10.0, 9.0, 9.0],
    ]);
    let (walk, metrics) = run(&rows, &free(BREAKOUT, 1_300.0));
    let [trade] = &walk.trades[..] else { panic!("{:?}", walk.trades) };
    assert_eq!((trade.signal_at, trade.entry_at, trade.exit_at), (day(3), day(4), day(7)));
    assert_eq!((trade.quantity, trade.profit_amount, trade.bars_held), (100.0, -350.0, 3));
    let equity: Vec<f64> = walk.points.iter().map(|point| point.equity).collect();
    assert_eq!(equity, [1_300.0, 1_300.0, 1_300.0, 1_300.0, 1_400.0, 1_200.0, 1_000.0, 950.0]);
    assert_eq!((metrics.win_rate_fraction, metrics.profit_factor), (Some(0.0), Some(0.0)));
    near(metrics.max_drawdown.unwrap().depth_fraction, 450.0 / 1_400.0);

    // The same, but the data ends while the position is open: closed at the last close, and so marked.
    let (walk, metrics) = run(&rows[..6], &free(BREAKOUT, 1_300.0));
    let [trade] = &walk.trades[..] else { panic!("{:?}", walk.trades) };
    assert_eq!((trade.exit_at, trade.exit_price, trade.exit_reason), (day(5), 12.0, ExitReason::EndOfData));
    assert_eq!((trade.bars_held, metrics.final_equity_amount), (2, 1_200.0));
    near(metrics.exposure_fraction, 2.0 / 6.0);
}

#[test]
fn a_signal_at_the_last_close_is_not_filled() {
    let (walk, metrics) = run(&one_trade()[..4], &free(CROSS, 1_000.0));
    assert!(walk.trades.is_empty());
    assert_eq!(metrics.final_equity_amount, 1_000.0);
}

#[test]
fn the_deepest_drawdown_has_its_dates() {
    let (bars, walk) = equity(&[100.0, 120.0, 90.0, 60.0, 130.0, 117.0]);
    let drawdown = analyse(&bars, &walk, &free(CROSS, 100.0)).max_drawdown.unwrap();
    assert_eq!((drawdown.depth_fraction, drawdown.depth_amount), (0.5, 60.0));
    assert_eq!((drawdown.peak_at, drawdown.trough_at, drawdown.recovered_at), (day(1), day(3), Some(day(4))));

    let (bars, walk) = equity(&[100.0, 120.0, 120.0, 60.0, 90.0]);
    let drawdown = analyse(&bars, &walk, &free(CROSS, 100.0)).max_drawdown.unwrap();
    // The fall began at the second of the two equal peaks, and the peak was not reached again.
    assert_eq!((drawdown.peak_at, drawdown.recovered_at), (day(2), None));
}

#[test]
fn the_sharpe_ratio_of_three_returns() {
    let (bars, walk) = equity(&[100.0, 110.0, 99.0, 108.9]);
    // Returns 0.1, -0.1, 0.1: mean 1/30, variance (1 + 4 + 1) / 225 / 2 = 1/75; (1/30) * sqrt(75) = 0.288675; four
    // periods a year double it.
    let params = Params { periods_per_year: Some(4.0), ..free(CROSS, 100.0) };
    let sharpe = analyse(&bars, &walk, &params).sharpe;
    near(sharpe.ratio.unwrap(), 0.577_350_269_189_625_8);
    assert_eq!((sharpe.periods_from, sharpe.returns_count), ("given", 3));

    // A risk-free rate that earns the mean leaves nothing.
    let rate = (1.0 + 1.0 / 30.0_f64).powi(4) - 1.0;
    let sharpe = analyse(&bars, &walk, &Params { risk_free_rate_fraction: rate, ..params }).sharpe;
    near(sharpe.ratio.unwrap(), 0.0);

    // Without a word from the caller a day is one of 365.25.
    let sharpe = analyse(&bars, &walk, &free(CROSS, 100.0)).sharpe;
    near(sharpe.periods_per_year, 365.25);
    assert_eq!(sharpe.periods_from, "measured");
}

#[test]
fn four_times_in_two_years_is_a_hundred_percent_a_year() {
    let (mut bars, walk) = equity(&[100.0, 400.0]);
    let later = bars[0].at.as_second() + (2.0 * YEAR_SECONDS) as i64;
    assert_eq!(later % (DAY / 2), bars[0].at.as_second() % (DAY / 2));
    bars[1].at = Moment(jiff::Timestamp::from_second(later).unwrap());
    let metrics = analyse(&bars, &walk, &free(CROSS, 100.0));
    near(metrics.cagr_fraction.unwrap(), 1.0);
    near(metrics.years, 2.0);
}
