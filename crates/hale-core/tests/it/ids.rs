//! Ids: they print, read back, and sort by time.
//!
//! Read next: `crates/hale-core/src/id.rs`.

use hale_core::id::{RunId, WorkerId, is_correlation_id};
use hale_core::time::Timestamp;
use proptest::prelude::*;

#[test]
fn an_id_is_a_prefix_and_26_letters() {
    let id = RunId::mint(Timestamp(1_800_000_000_000), 7);
    assert_eq!(id.to_string(), "run_01MCC5RM000000000000000007");
    assert_eq!(id.minted_at(), Timestamp(1_800_000_000_000));
}

#[test]
fn ids_of_two_kinds_do_not_mix() {
    let worker = WorkerId(7).to_string();
    let error = worker.parse::<RunId>().expect_err("a worker is no run");
    assert!(error.to_string().contains("expected run_"), "{error}");
}

#[test]
fn letters_that_people_confuse_read_as_meant() {
    assert_eq!("run_0OLI000000000000000000000l".parse(), "run_00110000000000000000000001".parse::<RunId>());
}

#[test]
fn what_is_no_id_is_refused() {
    for text in [
        "",
        "run_",
        "run",
        "run_0",
        "run_000000000000000000000000000",
        "run_80000000000000000000000000",
        "run_0000000000000000000000000U",
        "run_0000000000000000000000000é",
        " run_00000000000000000000000000",
    ] {
        assert!(text.parse::<RunId>().is_err(), "{text}");
    }
}

#[test]
fn correlation_ids_are_plain_words() {
    for good in ["a", "abc-123_x.y", &"x".repeat(64)] {
        assert!(is_correlation_id(good), "{good}");
    }
    for bad in ["", "a b", "a\nb", "é", "<x>", &"x".repeat(65)] {
        assert!(!is_correlation_id(bad), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_id_reads_back(value in any::<u128>()) {
        let id = RunId(value);
        prop_assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        prop_assert_eq!(id.to_string().to_lowercase().parse::<RunId>(), Ok(id));
        prop_assert_eq!(RunId::from_bytes(id.bytes()), id);
        let json = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<RunId>(&json).unwrap(), id);
    }

    #[test]
    fn printed_ids_sort_as_their_values(a in any::<u128>(), b in any::<u128>()) {
        prop_assert_eq!(RunId(a).to_string().cmp(&RunId(b).to_string()), a.cmp(&b));
    }

    #[test]
    fn a_later_id_sorts_later(at in 0i64..1 << 47, later in 1i64..1 << 40, a in any::<u128>(), b in any::<u128>()) {
        prop_assert!(RunId::mint(Timestamp(at), a) < RunId::mint(Timestamp(at + later), b));
    }
}
