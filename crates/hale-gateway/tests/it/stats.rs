//! What the last calls tell.

use hale_core::time::{Millis, Timestamp};
use hale_gateway::CallStats;
use hale_gateway::stats::{CALLS_KEPT, CallRecord, Window};

fn call(at: i64, model: &str, cause: Option<&str>, latency: u64) -> CallRecord {
    CallRecord {
        at: Timestamp(at),
        model: model.to_owned(),
        provider: "sim".to_owned(),
        cause: cause.map(str::to_owned),
        status: None,
        latency: Millis(latency),
        retry_after: None,
        instead_of: None,
    }
}

#[test]
fn a_window_holds_its_end_and_not_its_start() {
    let stats = CallStats::default();
    [100, 200, 300].into_iter().for_each(|at| stats.record(call(at, "sim/small", Some("llm.timeout"), 1)));
    assert_eq!(stats.count(Window { since: Timestamp(100), until: Timestamp(300) }), 2);
    assert_eq!(stats.count(Window::last(Millis(50), Timestamp(210))), 1);
    assert_eq!(stats.failures_by_cause(Window::last(Millis(1000), Timestamp(300)))["llm.timeout"], 3);
}

#[test]
fn an_answer_of_the_same_model_shows_that_a_failure_is_over() {
    let stats = CallStats::default();
    stats.record(call(100, "sim/small", None, 1));
    stats.record(call(200, "sim/small", Some("llm.rate_limited"), 1));
    stats.record(call(300, "sim/backup", None, 1));
    let failed = stats.last_failure("llm.rate_limited").unwrap();
    assert_eq!((failed.at, stats.ok_since("sim/small", failed.at)), (Timestamp(200), None));
    stats.record(call(400, "sim/small", None, 1));
    assert_eq!(stats.ok_since("sim/small", failed.at), Some(Timestamp(400)));
    assert_eq!(stats.last_call("sim/backup").unwrap().at, Timestamp(300));
    assert_eq!(stats.last_failure("llm.timeout"), None);
}

#[test]
fn p95_is_the_rank_of_answered_calls_only() {
    let stats = CallStats::default();
    let window = Window::last(Millis(10_000), Timestamp(10_000));
    assert_eq!(stats.p95_latency(window, None), None);
    (1..=100).for_each(|at| stats.record(call(at, "sim/small", None, at as u64)));
    stats.record(call(200, "sim/small", Some("llm.timeout"), 60_000));
    stats.record(call(201, "sim/large", None, 7));
    assert_eq!(stats.p95_latency(window, Some("sim/small")), Some(Millis(95)));
    assert_eq!(stats.p95_latency(window, Some("sim/large")), Some(Millis(7)));
    assert_eq!(stats.p95_latency(window, None), Some(Millis(95)));
}

#[test]
fn the_ring_forgets_the_oldest() {
    let stats = CallStats::default();
    (0..=CALLS_KEPT as i64).for_each(|at| stats.record(call(at, "sim/small", None, 1)));
    let calls = stats.calls();
    assert_eq!((calls.len(), calls[0].at), (CALLS_KEPT, Timestamp(1)));
}

#[test]
fn a_call_that_is_heard_of_late_stands_where_it_ended() {
    let stats = CallStats::default();
    stats.record(call(100, "sim/small", None, 1));
    stats.record(call(300, "sim/small", None, 1));
    stats.record(call(200, "sim/small", Some("llm.rate_limited"), 1));
    let order: Vec<i64> = stats.calls().iter().map(|call| call.at.0).collect();
    assert_eq!(order, [100, 200, 300]);
    assert_eq!(stats.ok_since("sim/small", Timestamp(200)), Some(Timestamp(300)));
}

#[test]
fn what_came_after_a_numbered_call_is_told_in_the_order_in_which_it_came() {
    let stats = CallStats::default();
    [100, 300, 200].into_iter().for_each(|at| stats.record(call(at, "sim/small", None, 1)));
    let told = |n, most| -> Vec<(u64, i64)> {
        stats.after(n, most).iter().map(|kept| (kept.n, kept.call.at.0)).collect()
    };
    assert_eq!(told(0, 10), [(1, 100), (2, 300), (3, 200)]);
    assert_eq!(told(1, 1), [(2, 300)]);
    assert!(told(3, 10).is_empty());
    (0..CALLS_KEPT as i64).for_each(|at| stats.record(call(1000 + at, "sim/small", None, 1)));
    assert_eq!(stats.after(3, 1)[0].n, 4, "what was pushed out of the ring is not told, what is left is");
}
