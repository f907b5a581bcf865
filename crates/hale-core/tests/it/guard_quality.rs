//! How well the detectors do on values that two foreign libraries made (`tests/data/make_guard_set.py`).
//!
//! A hit counts if the match covers the whole value under its kind; a match anywhere else, or of another kind, is a
//! false one of its kind. Every number is printed with its Wilson interval of 95 %.

use hale_core::guard::{Kind, find};
use std::collections::BTreeMap;

const SET: &str = include_str!("../data/guard_set.tsv");

#[derive(Default)]
struct Tally {
    there: u32,
    hit: u32,
    wrong: u32,
}

/// Share, and its interval.
fn wilson(part: u32, all: u32) -> (f64, f64, f64) {
    let (n, share, z) = (f64::from(all), f64::from(part) / f64::from(all), 1.96_f64);
    let middle = share + z * z / (2.0 * n);
    let reach = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (share, (middle - reach) / scale, (middle + reach) / scale)
}

/// The tallies, and every mistake in words.
fn measured() -> (BTreeMap<Kind, Tally>, Vec<String>) {
    let mut mistakes = Vec::new();
    let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
    for line in SET.lines() {
        let mut columns = line.splitn(3, '\t');
        let mut column = || columns.next().expect("a line has three columns");
        let (kind, value, text) = (column(), column(), column());
        let kind: Option<Kind> = serde_json::from_value(kind.into()).ok();
        let at = text.find(value).expect("the value stands in its text");
        let mut hit = false;
        for found in find(text) {
            let right =
                Some(found.kind) == kind && found.span.start <= at && found.span.end >= at + value.len();
            hit |= right;
            if !right {
                mistakes.push(format!("false {}: {:?} in {text}", found.kind, &text[found.span.clone()]));
            }
            tallies.entry(found.kind).or_default().wrong += u32::from(!right);
        }
        if let Some(kind) = kind {
            let tally = tallies.entry(kind).or_default();
            (tally.there, tally.hit) = (tally.there + 1, tally.hit + u32::from(hit));
            if !hit {
                mistakes.push(format!("missed {kind}: {text}"));
            }
        }
    }
    (tallies, mistakes)
}

#[test]
fn recall_and_precision_are_what_the_guard_promises() {
    let (tallies, mistakes) = measured();
    println!("{}", mistakes.join("\n"));
    for (kind, Tally { there, hit, wrong }) in tallies.iter().filter(|(_, tally)| tally.there > 0) {
        let (recall, low, high) = wilson(*hit, *there);
        let (precision, least, most) = wilson(*hit, hit + wrong);
        println!(
            "{kind:8} recall {recall:.4} [{low:.4}, {high:.4}]  precision {precision:.4} [{least:.4}, {most:.4}]  of {there}"
        );
        let goal = if *kind == Kind::Phone { 0.92 } else { 0.995 };
        assert!(recall >= goal, "{kind}: {hit} of {there} were found");
        assert!(precision >= 0.97, "{kind}: {wrong} false beside {hit}");
    }
    let wanted = [Kind::Card, Kind::Iban, Kind::UsSsn, Kind::Email, Kind::Phone, Kind::Ip];
    assert!(wanted.iter().all(|kind| tallies[kind].there >= 200), "the set has enough of each");
    let others: u32 =
        tallies.iter().filter(|(_, tally)| tally.there == 0).map(|(_, tally)| tally.wrong).sum();
    assert!(others <= 10, "kinds that the set does not hold were found {others} times");
}
