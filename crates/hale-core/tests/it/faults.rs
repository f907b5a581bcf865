//! Fault points.
//!
//! Read next: `crates/hale-core/src/fault.rs`.

use hale_core::fault::{ALL, Deed, Handle, Point};

#[test]
fn an_unarmed_handle_does_nothing_and_counts_nothing() {
    let handle = Handle::default();
    for point in ALL {
        assert_eq!(handle.pass(point), Deed::Nothing);
        assert_eq!(handle.hits(point), 0);
    }
}

#[test]
fn an_armed_point_acts_at_that_point_only_and_counts() {
    for deed in [Deed::Abort, Deed::Fail, Deed::Skip] {
        let handle = Handle::default();
        let elsewhere = handle.clone();
        handle.arm(Point::AfterCommit, deed);
        assert_eq!([elsewhere.pass(Point::AfterCommit), elsewhere.pass(Point::AfterCommit)], [deed, deed]);
        assert_eq!(handle.hits(Point::AfterCommit), 2);
        for point in ALL.into_iter().filter(|point| *point != Point::AfterCommit) {
            assert_eq!((elsewhere.pass(point), handle.hits(point)), (Deed::Nothing, 0));
        }
    }
}

#[test]
fn arming_starts_the_count_again_and_nothing_disarms() {
    let handle = Handle::default();
    handle.arm(Point::BeforeCommit, Deed::Fail);
    handle.pass(Point::BeforeCommit);
    handle.arm(Point::BeforeCommit, Deed::Nothing);
    assert_eq!(handle.hits(Point::BeforeCommit), 0);
    assert_eq!(handle.pass(Point::BeforeCommit), Deed::Nothing);
}

#[test]
fn the_list_is_whole_and_in_the_order_of_the_cells() {
    let places: Vec<usize> = ALL.iter().map(|point| *point as usize).collect();
    assert_eq!(places, (0..ALL.len()).collect::<Vec<_>>());
}
