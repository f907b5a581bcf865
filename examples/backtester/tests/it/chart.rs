//! The chart: well-formed, without scripts, bounded, and with the figures of the result.

use crate::world::{Place, synthetic};
use hale_backtester::chart::panel::{COLUMNS, thin};
use hale_backtester::chart::ticks;
use hale_backtester::sample;

fn svg(place: &Place) -> String {
    std::fs::read_to_string(place.out().join("equity.svg")).unwrap()
}

/// Every tag that opens is closed in order; good enough for what we write ourselves.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split_whitespace().next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn it_has_a_title_axes_and_both_grounds_and_runs_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&synthetic(), &[]).code, Some(0));
    let svg = svg(&place);
    well_formed(&svg);
    for part in [
        "role=\"img\" aria-labelledby=\"title about\"",
        "<title id=\"title\">Equity: moving-average cross, 10 over 50 bars</title>",
        "<desc id=\"about\">Equity from 2022-01-01 to 2024-01-20, from 10,000 to 18,331. +83.3 % in all",
        "prefers-color-scheme:dark",
        ">20,000</text>",
        ">Jan 2023</text>",
        ">−20 %</text>",
        "deepest drawdown: −21.5 %, 2022-08-01 to 2022-11-26",
        "trade 5: sold 2023-09-27",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    for never in ["<script", "href", "onload", "url(", "NaN", "inf"] {
        assert!(!svg.contains(never), "{never}");
    }
}

#[test]
fn names_from_outside_are_only_words_in_it() {
    let place = Place::new();
    let path = place.folder.path().join("a<script>&\"b.csv");
    std::fs::write(&path, sample::csv(7, 60)).unwrap();
    assert_eq!(place.run(&path, &[]).code, Some(0));
    let svg = svg(&place);
    well_formed(&svg);
    assert!(svg.contains("a&lt;script&gt;&amp;&quot;b.csv"));
}

#[test]
fn long_data_is_thinned_without_losing_its_extremes() {
    let mut points: Vec<(f64, f64)> =
        (0..100_000).map(|index| (f64::from(index), f64::from(index % 7))).collect();
    points[54_321].1 = -50.0;
    points[54_322].1 = 99.0;
    let kept = thin(&points);
    assert!(kept.len() <= COLUMNS * 4);
    assert!(kept.contains(&(54_321.0, -50.0)) && kept.contains(&(54_322.0, 99.0)));
    assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
    assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(thin(&points[..100]), points[..100]);
}

#[test]
fn ticks_stand_at_round_places_and_never_crowd() {
    let words = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|tick| tick.1).collect::<Vec<_>>();
    assert_eq!(words(ticks::amounts(9_300.0, 22_000.0).ticks), ["10,000", "15,000", "20,000"]);
    assert_eq!(words(ticks::amounts(0.01, 0.013).ticks), ["0.010", "0.011", "0.012", "0.013"]);
    assert!(!ticks::amounts(10_000.0, 10_000.0).ticks.is_empty(), "a flat line has ticks too");
    assert_eq!(words(ticks::depths(-0.215).ticks), ["0 %", "−10 %", "−20 %", "−30 %"]);
    let first = 1_704_067_200.0;
    for span in [120.0, 4e3, 5e4, 3e5, 2e6, 5e6, 3e7, 6.5e7, 3e8, 3e9] {
        let found = ticks::times((first, first + span));
        assert!((2..=9).contains(&found.len()), "{span}: {found:?}");
        assert!(found.iter().all(|(second, _)| *second >= first && *second <= first + span));
    }
    let percents = [0.0, -0.0001, 0.1234, -0.5].map(ticks::signed_percent);
    assert_eq!(percents, ["0.0 %", "0.0 %", "+12.3 %", "−50.0 %"]);
    assert_eq!(words(ticks::times((first, first + 86_400.0 * 4.0)))[0], "1 Jan 00:00");
    assert_eq!(words(ticks::times((first, first + 86_400.0 * 600.0)))[1], "Apr 2024");
}
