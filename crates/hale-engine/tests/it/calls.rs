//! Model calls of worker processes, as the server hears of them.

use crate::recovery::join;
use crate::world::World;
use hale_core::code::Code;
use hale_core::limits;
use hale_core::time::{Millis, Timestamp};
use hale_engine::facade::workers::Sync;
use hale_engine::facade::workers::calls::Calls;
use hale_gateway::CallStats;
use hale_gateway::stats::CallRecord;
use std::time::Duration;

fn refused(at: i64) -> CallRecord {
    CallRecord {
        at: Timestamp(at),
        model: "sim/small".to_owned(),
        provider: "sim".to_owned(),
        cause: Some("llm.rate_limited".to_owned()),
        status: Some(429),
        latency: Millis(12),
        retry_after: Some(Millis::seconds(7)),
        instead_of: None,
    }
}

async fn tell(world: &World, id: u128, calls: Calls) -> Result<(), hale_core::failure::Failure> {
    let sync = Sync { calls, ..Sync::default() };
    world.engine.worker_sync(hale_core::id::WorkerId(id), sync).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_worker_are_the_servers_evidence_at_the_moment_of_their_end_by_its_own_clock() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    join(&world, 1).await;
    // A clock that is an hour off.
    let theirs = CallStats::default();
    theirs.record(refused(1_000));
    theirs.record(refused(3_000));
    tell(&world, 1, Calls::after(&theirs, 0, Timestamp(4_000))).await.unwrap();
    let now = world.engine.now();
    let ages: Vec<u64> =
        world.engine.gateway().stats().calls().iter().map(|call| now.since(call.at).0).collect();
    assert_eq!(ages, [3_000, 1_000]);
    let kept = world.engine.gateway().stats().calls().remove(1);
    assert_eq!((kept.status, kept.retry_after), (Some(429), Some(Millis::seconds(7))));
    let verdict = world.engine.diagnose(None).await.unwrap().verdict;
    assert_eq!(verdict.findings[0].code, "llm.rate_limited");
    let health = world.engine.probe().await;
    let told = health.components.iter().find(|part| part.name == "provider:sim").unwrap();
    assert!(told.detail.ends_with("llm.rate_limited (429), it asks for 7s of rest"), "{}", told.detail);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_told_twice_counts_once_also_when_the_worker_joins_again() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    let (theirs, count) = (CallStats::default(), || world.engine.gateway().stats().calls().len());
    theirs.record(refused(1));
    join(&world, 1).await;
    for _ in 0..2 {
        tell(&world, 1, Calls::after(&theirs, 0, Timestamp(10))).await.unwrap();
        assert_eq!(count(), 1);
    }
    // Silent for longer than an idle worker may be: the server lets go of the worker, which joins again with all that is untold.
    tokio::time::sleep(limits::IDLE_LEASE.duration() + Duration::from_secs(1)).await;
    theirs.record(refused(2));
    let lost = tell(&world, 1, Calls::after(&theirs, 0, Timestamp(10))).await.unwrap_err();
    assert_eq!(lost.code, Code::E010);
    join(&world, 1).await;
    tell(&world, 1, Calls::after(&theirs, 0, Timestamp(10))).await.unwrap();
    assert_eq!(count(), 2);
    // Another worker's numbers are its own.
    join(&world, 2).await;
    tell(&world, 2, Calls::after(&theirs, 0, Timestamp(10))).await.unwrap();
    assert_eq!(count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_tells_is_bounded() {
    let world = World::with(|config| config.embedded_slots = 0).await;
    join(&world, 1).await;
    let theirs = CallStats::default();
    (0..300).for_each(|at| theirs.record(refused(at)));
    let mut calls = Calls::after(&theirs, 0, Timestamp(400));
    assert_eq!((calls.ended.len(), calls.last()), (limits::WORKER_CALLS, Some(256)));
    calls.ended.extend(theirs.after(256, 1));
    let many = tell(&world, 1, calls).await.unwrap_err();
    assert_eq!((many.code, many.cause.as_str()), (Code::E002, "worker.too_many_calls"));
    assert!(world.engine.gateway().stats().calls().is_empty());
    let strange = CallStats::default();
    strange.record(CallRecord { model: "m".repeat(300), ..refused(1) });
    strange.record(refused(2));
    tell(&world, 1, Calls::after(&strange, 0, Timestamp(10))).await.unwrap();
    assert_eq!(world.engine.gateway().stats().calls().len(), 1);
    assert!(world.logs.lines().iter().any(|line| line.contains("its model is longer than 256 bytes")));
}
