//! Time: limits, warnings, retries.

use crate::world::{Turn, World, state};
use hale_core::code::Code;
use hale_core::run::{StateName, WaitOn};
use hale_core::time::Millis;
use tracing::Level;

// covers: AO-18
// covers: AO-127
// covers: AO-128
// covers: AO-202
#[tokio::test(start_paused = true)]
async fn a_run_past_its_limit_is_warned_twice_and_says_what_it_waited_for() {
    let world = World::new().await;
    world.logs.expect(&["Execution timeout exceeded (", "run passed its time limit"]);
    world.deploy("agent", "limits: { timeout: 60s }").await;
    world.model.script([Turn::Hang]);
    let begun = world.engine.now();
    let run = world.submit("agent").await;
    let run = world.end(run.id).await.run;
    let took = world.engine.now().since(begun).0;
    assert!((60_000..61_000).contains(&took), "{took}");
    assert_eq!(state(&run), StateName::Timeout);
    let failure = run.failure.unwrap();
    assert_eq!(failure.code, Code::E003);
    assert!(failure.message.contains("waiting for model sim/small"), "{failure}");
    for (level, line) in [
        (Level::WARN, "Execution time: 50s of 60s limit"),
        (Level::WARN, "Execution time: 55s of 60s limit"),
        (Level::ERROR, "Execution timeout exceeded (60s)"),
    ] {
        assert!(world.logs.has(level, line), "{line}: {:#?}", world.logs.lines());
    }
}

#[tokio::test(start_paused = true)]
async fn a_limited_model_is_asked_again_when_it_said_so() {
    let world = World::new().await;
    world.logs.expect(&["Failed to connect to external API", "Retry 1/4 after 7s"]);
    world.deploy("agent", "").await;
    world.model.script([Turn::Limited(Some(Millis::seconds(7)))]);
    let begun = world.engine.now();
    let run = world.submit("agent").await;
    let waiting = world.until(run.id, |run| matches!(run.state, hale_core::run::State::Waiting { .. })).await;
    assert!(matches!(waiting.state, hale_core::run::State::Waiting { on: WaitOn::Retry, .. }));
    assert!(waiting.lease().is_none(), "a run that waits holds no slot");
    let run = world.end(run.id).await.run;
    assert_eq!(state(&run), StateName::Completed);
    let took = world.engine.now().since(begun).0;
    assert!((7_000..8_000).contains(&took), "{took}");
    let calls = world.model.calls.lock().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].idempotency_key, calls[1].idempotency_key);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_pass_the_limit_is_not_begun() {
    let world = World::new().await;
    world.logs.expect(&["Failed to connect to external API", "No retry: waiting", "Execution failed"]);
    world.deploy("agent", "limits: { timeout: 10s }").await;
    world.model.script([Turn::Limited(Some(Millis::seconds(30)))]);
    let begun = world.engine.now();
    let run = world.submit("agent").await;
    let run = world.end(run.id).await.run;
    assert!(world.engine.now().since(begun).0 < 1000);
    let failure = run.failure.clone().unwrap();
    assert_eq!((state(&run), failure.cause.as_str()), (StateName::Failed, "llm.rate_limited"));
    assert!(failure.to_string().contains("would end after the time limit"), "{failure}");
}

// covers: AO-106
// covers: AO-122
// covers: AO-123
// covers: AO-124
// covers: AO-17
// covers: AO-198
// covers: AO-205
#[tokio::test(start_paused = true)]
async fn retries_wait_1_2_and_4_seconds_and_then_the_run_fails_with_the_root_error() {
    let world = World::new().await;
    world.logs.expect(&[
        "Failed to connect to external API",
        "Retry ",
        "All retries exhausted, marking as failed",
        "Execution failed",
    ]);
    world.deploy("agent", "retry: { max: 3, backoff: 1s..4s }").await;
    world.model.script((0..4).map(|_| Turn::Limited(None)));
    let begun = world.engine.now();
    let run = world.submit("agent").await;
    let run = world.end(run.id).await.run;
    let took = world.engine.now().since(begun).0;
    assert!((7_000..8_000).contains(&took), "{took}");
    assert_eq!(world.model.count(), 4);
    assert_eq!((state(&run), run.failure.unwrap().code), (StateName::Failed, Code::E006));
    for line in [
        "Retry 1/3 after 1s",
        "Retry 2/3 after 2s",
        "Retry 3/3 after 4s",
        "All retries exhausted, marking as failed",
    ] {
        assert!(world.logs.has(Level::ERROR, line), "{line}: {:#?}", world.logs.lines());
    }
    let lines = world.logs.lines();
    let target = "ERROR Failed to connect to external API: provider:sim";
    assert!(lines.iter().any(|line| line.starts_with(target)), "{lines:#?}");
}
