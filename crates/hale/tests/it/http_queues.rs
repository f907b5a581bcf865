//! Queues, limits and schedules over HTTP.

use crate::http_house::{House, Plan};
use hale::wire::queues::*;
use hale::wire::schedules::ScheduleView;
use hale::wire::*;
use serde_json::json;

async fn idle() -> House {
    House::of(Plan { idle: true, ..Plan::default() }).await
}

async fn start(house: &House, body: serde_json::Value) -> RunView {
    house.post("/api/v1/runs", body).gives(202).await.json()
}

// covers: AO-29, AO-95, AO-150, AO-189
#[tokio::test]
async fn the_queues_tell_depth_age_rates_and_who_serves_them() {
    let house = idle().await;
    start(&house, json!({"pack": "echo"})).await;
    start(&house, json!({"pack": "echo", "priority": "high"})).await;
    let delayed = start(&house, json!({"pack": "echo", "delay": "1h"})).await;
    assert_eq!((delayed.waiting_on.as_deref(), delayed.overdue), (Some("time"), false));
    assert!(delayed.due_at.is_some());
    let queues: Queues = house.get("/api/v1/queues").gives(200).await.json();
    assert_eq!((queues.items.len(), queues.delayed), (1, 1));
    let queue: QueueView = house.get("/api/v1/queues/default").gives(200).await.json();
    assert_eq!((queue.depth, queue.workers, queue.unserved), (2, 0, true));
    let classes: Vec<_> =
        queue.classes.iter().map(|class| (class.priority.as_str(), class.weight, class.depth)).collect();
    assert_eq!(classes, [("high", 6, 1), ("normal", 3, 1), ("low", 1, 0)]);
    assert_eq!(queue.classes[0].arrived_per_minute, 1);
    assert_eq!(queue.keys[0].key, "echo");
    let peeked: Page<RunView> = house.get("/api/v1/queues/default/peek?limit=1").gives(200).await.json();
    assert_eq!(peeked.items[0].priority, "high");
    let problem = house.get("/api/v1/queues/defualt").gives(404).await.problem();
    assert!(problem.detail.contains("did you mean default"), "{}", problem.detail);
    assert_eq!(problem.fix.as_deref(), Some("hale queues list"));
}

#[tokio::test]
async fn a_due_time_that_cannot_be_is_refused() {
    let house = idle().await;
    for (body, field) in [
        (json!({"pack": "echo", "due": "tomorrow"}), "due"),
        (json!({"pack": "echo", "delay": "5"}), "delay"),
        (json!({"pack": "echo", "delay": "5m", "due": "2026-11-23T08:00:00Z"}), "delay"),
    ] {
        let problem = house.post("/api/v1/runs", body).gives(422).await.problem();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E002", Some(field)));
    }
    let problem =
        house.post("/api/v1/runs", json!({"pack": "echo", "delay": "900d"})).gives(422).await.problem();
    assert_eq!(problem.cause.as_deref(), Some("run.invalid_due"));
    let past = start(&house, json!({"pack": "echo", "due": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(past.due_at, None);
}

// covers: AO-99, AO-145, AO-152
#[tokio::test]
async fn the_levers_work_and_each_tells_how_to_take_it_back() {
    let house = idle().await;
    start(&house, json!({"pack": "echo"})).await;
    let moved: Moved =
        house.post("/api/v1/queues/default/weights", json!({"low": 4})).gives(200).await.json();
    let queue: QueueView = house.get("/api/v1/queues/default").gives(200).await.json();
    assert_eq!(queue.classes.iter().map(|class| class.weight).collect::<Vec<_>>(), [6, 3, 4]);
    assert_eq!(moved.undo, format!("hale operations undo {}", moved.operation));
    house.post(&format!("/api/v1/operations/{}/undo", moved.operation), json!({})).gives(200).await;
    let queue: QueueView = house.get("/api/v1/queues/default").gives(200).await.json();
    assert_eq!(queue.classes[2].weight, 1);
    house.post("/api/v1/queues/default/weights", json!({"low": 0})).gives(422).await;
    house.post("/api/v1/queues/default/weights", json!({})).gives(422).await;
    house.post("/api/v1/queues/default/drain", json!({})).gives(200).await;
    house.post("/api/v1/queues/default/drain", json!({})).gives(409).await;
    house.post("/api/v1/queues/default/resume", json!({})).gives(200).await;
    let limit = json!({"key": "echo", "concurrency": 2, "rate": "10/s"});
    house.post("/api/v1/limits", limit).gives(200).await;
    let set: LimitsSet = house.get("/api/v1/limits").gives(200).await.json();
    assert_eq!(set.limits["echo"], "2 at a time, 10/s");
    house.post("/api/v1/limits", json!({"key": "echo", "rate": "fast"})).gives(422).await;
    house.post("/api/v1/limits", json!({"key": "echo"})).gives(200).await;
    let set: LimitsSet = house.get("/api/v1/limits").gives(200).await.json();
    assert!(set.limits.is_empty());
    let stuck = json!({"older_than": "1h", "dry_run": true});
    let report: Cleared = house.post("/api/v1/queues/default/move-stuck", stuck).gives(200).await.json();
    assert_eq!(report.matched, 0, "nothing is that old");
    house.post("/api/v1/queues/-/purge", json!({})).gives(422).await;
    house.post("/api/v1/queues/default/purge", json!({"filter": "status:running"})).gives(422).await;
    let purge = json!({"filter": "pack:echo"});
    let report: Cleared = house.post("/api/v1/queues/-/purge", purge).gives(200).await.json();
    assert_eq!((report.matched, report.changed), (1, 1));
    assert!(report.recover.contains("hale runs retry"));
}

#[tokio::test]
async fn a_key_s_tenant_has_turns_of_its_own() {
    let house = idle().await;
    let body = json!({"name": "acme-web", "tenant": "acme"});
    let key: KeyView = house.post("/api/v1/keys", body).gives(201).await.json();
    assert_eq!(key.tenant, "acme");
    let ask = house.post("/api/v1/runs", json!({"pack": "echo"})).header("x-api-key", &key.secret.unwrap());
    let run: RunView = ask.gives(202).await.json();
    assert_eq!(run.tenant.as_deref(), Some("acme"));
    start(&house, json!({"pack": "echo"})).await;
    let queue: QueueView = house.get("/api/v1/queues/default").gives(200).await.json();
    let keys: Vec<_> = queue.keys.iter().map(|key| key.key.as_str()).collect();
    assert_eq!(keys, ["acme/echo", "echo"]);
    house.post("/api/v1/keys", json!({"name": "x", "tenant": "a/b"})).gives(422).await;
}

// covers: AO-04
#[tokio::test]
async fn a_schedule_is_made_seen_triggered_and_deleted() {
    let house = House::open().await;
    let body = json!({"name": "nightly", "pack": "echo", "cron": "0 3 * * *", "tz": "Europe/Berlin", "input": {"n": 1}});
    let made: ScheduleView = house.post("/api/v1/schedules", body).gives(201).await.json();
    assert_eq!((made.next.len(), made.overlap.as_str(), made.catch_up), (3, "skip", 1));
    let shown: ScheduleView = house.get("/api/v1/schedules/nightly?next=5").gives(200).await.json();
    assert_eq!(shown.next.len(), 5);
    let run: RunView = house.post("/api/v1/schedules/nightly/trigger", json!({})).gives(202).await.json();
    assert_eq!(run.trigger, "schedule");
    let run: RunView = house.get(&format!("/api/v1/runs/{}?wait=30s", run.id)).gives(200).await.json();
    assert_eq!((run.state.as_str(), run.output), ("COMPLETED", Some(json!({"n": 1}))));
    let paused: ScheduleView =
        house.post("/api/v1/schedules/nightly/pause", json!({})).gives(200).await.json();
    assert!(paused.paused && paused.next.is_empty());
    house.post("/api/v1/schedules/nightly/resume", json!({})).gives(200).await;
    let gone: ScheduleView = house.ask("DELETE", "/api/v1/schedules/nightly").gives(200).await.json();
    assert_eq!(gone.fired, 1);
    house.get("/api/v1/schedules/nightly").gives(404).await;
    for (body, field, says) in [
        (json!({"name": "x", "pack": "echo", "cron": "0 25 * * *"}), "cron", "field 2 (hour)"),
        (json!({"name": "x", "pack": "echo", "cron": "@daily", "tz": "Mars"}), "tz", "Europe/Berlin"),
        (
            json!({"name": "x", "pack": "echo", "cron": "@daily", "overlap": "never"}),
            "overlap",
            "skip or queue",
        ),
    ] {
        let problem = house.post("/api/v1/schedules", body).gives(422).await.problem();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E002", Some(field)));
        assert!(problem.detail.contains(says), "{}", problem.detail);
    }
}
