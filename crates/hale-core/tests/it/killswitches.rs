//! The kill switch: what is meant by a target, what is due when, and how much comes back in a minute.

use hale_core::killswitch::{Due, Force, RETURN_SPAN, RETURNS, Standing, Switch, Target};
use hale_core::time::{Millis, Timestamp};
use proptest::prelude::*;

fn switch(target: &str, at: i64, force: Force) -> Switch {
    let target = target.parse().expect("a target");
    Switch { target, by: "ada".to_owned(), reason: "why".to_owned(), at: Timestamp(at), force }
}

#[test]
fn a_target_reads_back_and_anything_else_is_refused() {
    for text in ["all", "pack:research-pack", "tool:files.read", "tenant:acme"] {
        let target: Target = text.parse().expect(text);
        assert_eq!(target.to_string(), text);
        let json = serde_json::to_string(&target).expect("a target has a text");
        assert_eq!(serde_json::from_str::<Target>(&json).expect("its own text"), target);
    }
    for text in ["", "ALL", "all:", "pack:", "pack:No Name", "tenant:a/b", "tenant:a b", "run:x", "research"]
    {
        let error = text.parse::<Target>().expect_err(text).to_string();
        assert!(error.contains("write all, pack:NAME, tool:NAME or tenant:NAME"), "{error}");
    }
}

// covers: AO-144
#[test]
fn what_runs_is_stopped_after_thirty_seconds_and_forced_after_sixty() {
    let graceful = switch("all", 1000, Force::Graceful);
    for (after, due) in [
        (0, None),
        (29_999, None),
        (30_000, Some(Due::Stop)),
        (59_999, Some(Due::Stop)),
        (60_000, Some(Due::Forced)),
    ] {
        assert_eq!(graceful.due(Timestamp(1000 + after)), due, "{after}");
    }
    assert_eq!(switch("all", 1000, Force::Immediate).due(Timestamp(1000)), Some(Due::Forced));
}

#[test]
fn a_switch_covers_its_target_and_nothing_else() {
    let covers = |target: &str, tenant: Option<&str>, pack: &str| {
        switch(target, 0, Force::Graceful).covers(tenant, pack)
    };
    assert!(covers("all", None, "a") && covers("all", Some("acme"), "a"));
    assert!(covers("pack:a", Some("acme"), "a") && !covers("pack:a", None, "ab"));
    assert!(covers("tenant:acme", Some("acme"), "a") && !covers("tenant:acme", None, "acme"));
    assert!(!covers("tool:files.read", None, "files.read"));
    let on = vec![switch("tenant:acme", 0, Force::Graceful), switch("tool:files.read", 0, Force::Graceful)];
    let standing = Standing { on, ..Standing::default() };
    assert!(standing.holds("acme/a", Timestamp(1)) && !standing.holds("a", Timestamp(1)));
    assert!(!standing.holds("other/acme", Timestamp(1)));
    assert!(standing.tool("files.read").is_some() && standing.tool("files.list").is_none());
}

#[test]
fn what_comes_back_is_held_until_its_moment() {
    let mut standing = Standing::default();
    standing.returning.insert("pack:a".parse().expect("a target"), Timestamp(60_000));
    assert!(standing.holds("a", Timestamp(59_999)) && standing.holds("acme/a", Timestamp(59_999)));
    assert!(!standing.holds("b", Timestamp(0)) && !standing.holds("a", Timestamp(60_000)));
    assert_eq!(standing.next_return(Timestamp(59_999)), Some(Timestamp(60_000)));
    assert_eq!(standing.next_return(Timestamp(60_000)), None);
}

proptest! {
    /// However often and whatever is switched off: in no minute more than two come back.
    #[test]
    fn never_more_than_two_come_back_in_a_minute(
        steps in prop::collection::vec((0u64..90_000, 1usize..6), 1..12)
    ) {
        let (mut standing, mut now, mut all, mut n) = (Standing::default(), Timestamp(0), Vec::new(), 0);
        for (later, back) in steps {
            now = now + Millis(later);
            standing.returning.retain(|_, at| *at > now - RETURN_SPAN);
            for moment in standing.moments(back, now) {
                prop_assert!(moment >= now);
                n += 1;
                standing.returning.insert(Target::Pack(format!("p{n}").into()), moment);
                all.push(moment);
            }
        }
        all.sort();
        for window in all.windows(RETURNS + 1) {
            prop_assert!(window[RETURNS].since(window[0]) >= RETURN_SPAN, "{window:?}");
        }
    }
}
