//! The invented data: always the same, in order, and small.

use crate::world::{Place, synthetic};
use hale_backtester::bars::{Gaps, reading};
use hale_backtester::sample;

#[test]
fn the_sample_in_the_repository_is_what_seed_7_gives() {
    let checked_in = std::fs::read_to_string(synthetic()).unwrap();
    assert!(
        checked_in == sample::csv(7, 750),
        "regenerate it with: hale-backtester sample --seed 7 --days 750"
    );
    assert!(checked_in.len() < 100_000);
    assert_ne!(checked_in, sample::csv(8, 750));
}

#[test]
fn the_fingerprint_is_that_of_the_file() {
    // As sha256sum prints it.
    let series = reading::read(&synthetic(), Gaps::Refuse).unwrap();
    assert_eq!(series.sha256, "0c7618961eddd4c4fb8ec2e35b10bca3c90c06e5c5993b0c1d2ea7cebf45c221");
    assert_eq!((series.bars.len(), series.bar_seconds, series.gaps_count), (750, 86_400, 0));
}

#[test]
fn every_sample_passes_the_checks() {
    let place = Place::new();
    for (seed, days) in [(0, 2), (1, 5_000), (u64::MAX, 5_000), (99, 1_000)] {
        let path = place.file(&sample::csv(seed, days));
        let series = reading::read(&path, Gaps::Refuse).unwrap();
        assert_eq!(series.bars.len(), days as usize);
    }
}

#[test]
fn the_command_writes_a_file_and_never_replaces_one() {
    let place = Place::new();
    let args = ["sample", "--seed", "7", "--days", "750", "--out", "synthetic.csv"];
    let first = place.ended(&args);
    assert_eq!(
        (first.code, first.stdout.trim()),
        (Some(0), "wrote 750 invented days (seed 7) to synthetic.csv")
    );
    let written = std::fs::read_to_string(place.folder.path().join("synthetic.csv")).unwrap();
    assert_eq!(written, sample::csv(7, 750));
    let second = place.ended(&args);
    assert_eq!((second.code, second.said()["error"].as_str()), (Some(2), Some("usage_error")));
}
