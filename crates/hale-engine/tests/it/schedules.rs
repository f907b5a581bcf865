//! Schedules on a paused clock: firing, crashes, downtime, overlap, and the levers.

use crate::world::{Turn, World, caller, state};
use hale_core::filter::parse;
use hale_core::run::{Run, StateName, Trigger};
use hale_engine::facade::schedules::ScheduleOrder;
use hale_engine::schedules::Overlap;
use hale_store::{Op, Store};
use serde_json::json;
use std::time::Duration;

const MINUTE: u64 = 60;

fn asked(name: &str, cron: &str) -> ScheduleOrder {
    ScheduleOrder {
        name: name.to_owned(),
        pack: "echo".to_owned(),
        input: json!({}),
        cron: cron.to_owned(),
        tz: "Europe/Berlin".to_owned(),
        catch_up: 1,
        ..ScheduleOrder::default()
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.deploy("echo", "kind: echo").await;
    // Begin within a minute, so that no firing is on the edge of a test's span.
    let into = world.engine.now().0.rem_euclid(60_000);
    tokio::time::sleep(Duration::from_millis(90_000 - into as u64)).await;
    world
}

async fn pass(minutes: u64) {
    tokio::time::sleep(Duration::from_secs(minutes * MINUTE)).await;
}

/// Runs of schedules, oldest first.
async fn fired(world: &World) -> Vec<Run> {
    let filter = parse("pack:echo", world.engine.now()).unwrap();
    let mut runs = world.engine.runs(&filter, None, 100).await.unwrap().runs;
    runs.retain(|run| run.trigger == Trigger::Schedule);
    runs.reverse();
    runs
}

// covers: AO-04
#[tokio::test(start_paused = true)]
async fn a_schedule_starts_a_run_at_each_of_its_times() {
    let world = world().await;
    world.engine.schedule_create(asked("minutely", "* * * * *"), &caller()).await.unwrap();
    let next = world.engine.schedule("minutely").unwrap().0.next(world.engine.now(), 3);
    pass(3).await;
    let runs = fired(&world).await;
    assert_eq!(runs.len(), 3);
    for (run, at) in runs.iter().zip(next) {
        assert!(
            run.submitted_at.since(at).0 < 100 && run.submitted_at >= at,
            "{} for {at}",
            run.submitted_at
        );
        assert_eq!((&*run.correlation, state(run)), ("schedule/minutely", StateName::Completed));
    }
    let (_, done) = world.engine.schedule("minutely").unwrap();
    assert_eq!((done.fired, done.run, done.missed), (3, Some(runs[2].id), 0));
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_firing_and_its_note_fires_nothing_twice() {
    let mut world = world().await;
    world.engine.schedule_create(asked("minutely", "* * * * *"), &caller()).await.unwrap();
    pass(1).await;
    assert_eq!(fired(&world).await.len(), 1);
    // The run is committed; the note of it is as if it had never been written.
    let lost = Op::Setting { key: "schedule_done.minutely".to_owned(), value: None };
    world.store.apply(vec![lost]).await.unwrap();
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (_, done) = world.engine.schedule("minutely").unwrap();
    assert_eq!(done.fired, 1, "it was dealt with again");
    assert_eq!(fired(&world).await.len(), 1, "and is the same run");
}

#[tokio::test(start_paused = true)]
async fn after_a_downtime_as_many_firings_are_made_up_as_was_said() {
    for catch_up in [0, 1, 3] {
        let mut world = world().await;
        let overlap = Overlap::Queue;
        let order = ScheduleOrder { catch_up, overlap, ..asked("minutely", "* * * * *") };
        world.engine.schedule_create(order, &caller()).await.unwrap();
        world.engine.drain().await;
        // Ten firings pass; only the last of them is less than a minute old.
        pass(10).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.restart().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(fired(&world).await.len() as u32, catch_up + 1);
        let (_, done) = world.engine.schedule("minutely").unwrap();
        assert_eq!(done.fired + done.missed, 10, "each of the ten is accounted for");
    }
}

#[tokio::test(start_paused = true)]
async fn a_firing_is_skipped_while_the_run_before_is_active_unless_it_may_queue() {
    for (overlap, starts) in [(Overlap::Skip, 1), (Overlap::Queue, 3)] {
        let world = world().await;
        world.deploy("slow", "limits: { timeout: 1h }").await;
        world.model.script((0..3).map(|_| Turn::Hang));
        let order = ScheduleOrder { overlap, pack: "slow".to_owned(), ..asked("minutely", "* * * * *") };
        world.engine.schedule_create(order, &caller()).await.unwrap();
        pass(3).await;
        let (_, done) = world.engine.schedule("minutely").unwrap();
        assert_eq!((done.fired, done.skipped), (starts, 3 - starts), "{overlap:?}");
        assert_eq!(world.model.count() as u64, starts);
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_paused_resumed_triggered_deleted_and_brought_back() {
    let world = world().await;
    let engine = &world.engine;
    engine.schedule_create(asked("minutely", "* * * * *"), &caller()).await.unwrap();
    engine.schedule_pause("minutely", &caller()).await.unwrap();
    assert!(engine.schedule_pause("minutely", &caller()).await.is_err(), "twice");
    pass(3).await;
    assert_eq!(fired(&world).await.len(), 0, "paused");
    let run = engine.schedule_trigger("minutely", &caller()).await.unwrap();
    assert_eq!(run.trigger, Trigger::Schedule);
    engine.schedule_resume("minutely", &caller()).await.unwrap();
    pass(1).await;
    assert_eq!(fired(&world).await.len(), 2, "what passed meanwhile is not made up");
    let deleted = engine.schedule_delete("minutely", &caller()).await.unwrap();
    let unknown = engine.schedule("minutly").unwrap_err();
    assert_eq!(unknown.cause, "schedule.not_found");
    pass(2).await;
    assert_eq!(fired(&world).await.len(), 2, "deleted");
    engine.undo(deleted, &caller()).await.unwrap();
    pass(1).await;
    assert!(fired(&world).await.len() > 2, "brought back");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_schedule_is_refused_with_what_and_where() {
    let world = world().await;
    let check = async |order: ScheduleOrder, cause: &str, says: &str| {
        let refused = world.engine.schedule_create(order, &caller()).await.unwrap_err();
        assert_eq!(refused.cause, cause);
        assert!(refused.to_string().contains(says), "{refused}");
    };
    check(asked("x", "0 25 * * *"), "schedule.invalid_cron", "field 2 (hour)").await;
    let zone = ScheduleOrder { tz: "Europe/Berln".to_owned(), ..asked("x", "0 3 * * *") };
    check(zone, "schedule.invalid_zone", "did you mean Europe/Berlin").await;
    let pack = ScheduleOrder { pack: "ecko".to_owned(), ..asked("x", "0 3 * * *") };
    check(pack, "pack.not_found", "echo").await;
    check(asked("X y", "0 3 * * *"), "schedule.invalid_name", "a letter first").await;
    let greedy = ScheduleOrder { catch_up: 101, ..asked("x", "0 3 * * *") };
    check(greedy, "schedule.invalid_catch_up", "at most 100").await;
    assert!(world.engine.schedules().is_empty(), "nothing was kept");
}
