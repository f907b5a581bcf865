//! Changing the future never changes the past.

use crate::reference::{market, real, rule};
use crate::world::{day, free};
use hale_backtester::bars::Bar;
use hale_backtester::bars::moment::Moment;
use hale_backtester::params::Params;
use hale_backtester::simulate::{Point, Trade, simulate};
use proptest::prelude::*;

/// What is settled before a moment: trades that are over, how open ones began, and the equity curve.
type Past = (Vec<Trade>, Vec<(Moment, Moment, f64, f64)>, Vec<Point>);

fn past(bars: &[Bar], params: &Params, before: Moment) -> Past {
    let walk = simulate(bars, params, &mut |_| {}).unwrap();
    let over = walk.trades.iter().filter(|trade| trade.exit_at < before).cloned().collect();
    let begun = walk
        .trades
        .iter()
        .filter(|trade| trade.entry_at < before)
        .map(|trade| (trade.signal_at, trade.entry_at, trade.entry_price, trade.quantity))
        .collect();
    (over, begun, walk.points.into_iter().filter(|point| point.at < before).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn later_bars_never_change_earlier_trades(
        one in market(40..120),
        other in market(40..120),
        rule in rule(),
        cut in 1_usize..39,
        factor in 0.2_f64..5.0,
    ) {
        let params = Params { fee_bps: 10.0, slippage_bps: 5.0, ..free(rule, 1_000.0) };
        let known = real(&one);
        // Another future: other moves, at another level, of another length.
        let mut changed = known[..cut].to_vec();
        changed.extend(real(&other)[cut..].iter().map(|bar| Bar {
            open: bar.open * factor,
            high: bar.high * factor,
            low: bar.low * factor,
            close: bar.close * factor,
            ..*bar
        }));
        prop_assert_eq!(past(&known, &params, day(cut)), past(&changed, &params, day(cut)));
    }
}
