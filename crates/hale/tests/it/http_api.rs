//! The API as a program uses it: runs, events, packs, workers, health, the document that describes it.

use crate::http_house::{Answer, House, PATIENCE, Plan};
use hale::http::Stage;
use hale::http::routes::{Door, TABLE};
use hale::wire::workers::WorkerView;
use hale::wire::*;
use hale_core::run::{Event, Record};
use serde_json::{Value, json};
use std::time::Duration;

async fn done(house: &House, input: Value) -> RunView {
    let ask = house.post("/api/v1/runs", json!({"pack": "echo", "input": input})).header("prefer", "wait=30");
    ask.gives(200).await.json()
}

// covers: AO-101, AO-102, AO-103, AO-104, TR-10
#[tokio::test]
async fn a_run_is_accepted_and_its_result_is_read_back() {
    let house = House::open().await;
    let accepted = house.post("/api/v1/runs", json!({"pack": "echo", "input": {"n": 1}})).gives(202).await;
    let run: RunView = accepted.json();
    assert_eq!(accepted.header("location"), Some(format!("/api/v1/runs/{}", run.id).as_str()));
    assert_eq!((run.pack.as_str(), run.version.as_str(), run.trigger.as_str()), ("echo", "1.0.0", "api"));
    let ended: RunView = house.get(&format!("/api/v1/runs/{}?wait=30s", run.id)).gives(200).await.json();
    assert_eq!(ended.state, "COMPLETED");
    assert_eq!((ended.input, ended.output), (Some(json!({"n": 1})), Some(json!({"n": 1}))));
    let waited = done(&house, json!({"n": 2})).await;
    assert_eq!((waited.state.as_str(), waited.output), ("COMPLETED", Some(json!({"n": 2}))));
    let by_command = house.post("/api/v1/runs", json!({"pack": "echo"})).header("user-agent", "hale/0.1.0");
    assert_eq!(by_command.gives(202).await.json::<RunView>().trigger, "cli");
}

// covers: TR-37, TR-38
#[tokio::test]
async fn the_correlation_id_goes_into_the_run() {
    let house = House::open().await;
    let ask = house.post("/api/v1/runs", json!({"pack": "echo"})).header("x-correlation-id", "order-7");
    let accepted = ask.gives(202).await;
    assert_eq!(accepted.header("x-correlation-id"), Some("order-7"));
    let run: RunView = accepted.json();
    assert_eq!(run.correlation_id, "order-7");
    let page: Page<RunView> = house.get("/api/v1/runs?filter=correlation:order-7").gives(200).await.json();
    assert_eq!(page.items.iter().map(|run| &run.id).collect::<Vec<_>>(), vec![&run.id]);
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_run() {
    let house = House::open().await;
    let ask = |n: u32| {
        let ask = house.post("/api/v1/runs", json!({"pack": "echo", "input": {"n": n}}));
        ask.header("idempotency-key", "order-1")
    };
    let first: RunView = ask(1).gives(202).await.json();
    let again = ask(1).send().await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json::<RunView>().id, first.id);
    let waited = ask(1).header("prefer", "wait=30").gives(200).await;
    assert_eq!(waited.json::<RunView>().output, Some(json!({"n": 1})), "the repeated request waits too");
    assert_eq!(ask(2).gives(409).await.problem().code, "E011");
    for key in ["", "a b", &"k".repeat(256)] {
        let ask = house.post("/api/v1/runs", json!({"pack": "echo"})).header("idempotency-key", key);
        assert_eq!(ask.gives(422).await.problem().field.as_deref(), Some("Idempotency-Key"), "{key:?}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_field_and_way_out() {
    let house = House::open().await;
    let refused = |body: Value, status: u16| house.post("/api/v1/runs", body).gives(status);
    let problem = refused(json!({"pack": "ecko"}), 404).await.problem();
    assert_eq!((problem.code.as_str(), problem.fix.as_deref()), ("E001", Some("hale packs list")));
    let problem = refused(json!({"pack": "echo", "priority": "urgent"}), 422).await.problem();
    assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E002", Some("priority")));
    let problem = refused(json!({"pack": "echo", "timeout": "60"}), 422).await.problem();
    assert_eq!(problem.field.as_deref(), Some("timeout"));
    assert_eq!(refused(json!({"pack": "echo", "timeout": "99h"}), 422).await.problem().code, "E002");
    assert_eq!(
        refused(json!({"pack": "echo", "inputs": {}}), 422).await.problem().field.as_deref(),
        Some("inputs")
    );
    let broken = house.ask("POST", "/api/v1/runs").text("application/json", "{\"pack\": echo}".to_owned());
    let problem = broken.gives(400).await.problem();
    assert!(problem.detail.contains("line 1 column 10"), "{}", problem.detail);

    for (path, field) in [
        ("/api/v1/runs?limit=0", "limit"),
        ("/api/v1/runs?limit=1001", "limit"),
        ("/api/v1/runs?after=x", "after"),
        ("/api/v1/runs?filter=status:faild", "filter"),
        ("/api/v1/runs/run_01J00000000000000000000000?wait=30", "wait"),
    ] {
        assert_eq!(house.get(path).gives(422).await.problem().field.as_deref(), Some(field), "{path}");
    }
    for path in ["/api/v1/runs?page=2", "/api/v1/runs?limit=ten", "/api/v1/packs/echo?v=1"] {
        assert_eq!(house.get(path).gives(400).await.problem().code, "E002", "{path}");
    }
    for path in ["/api/v1/runs/7", "/api/v1/runs/run_01J00000000000000000000000", "/nowhere"] {
        assert_eq!(house.get(path).gives(404).await.problem().code, "E010", "{path}");
    }
    let wrong = house.ask("DELETE", "/api/v1/runs").gives(405).await;
    assert_eq!(wrong.problem().cause.as_deref(), Some("http.method"));
    let allow = wrong.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn runs_are_listed_in_pages_without_gaps() {
    let house = House::open().await;
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(done(&house, json!({"n": n})).await.id);
    }
    made.sort_by(|a, b| b.cmp(a));
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page: Page<RunView> = house.get(&format!("/api/v1/runs?limit=3{after}")).gives(200).await.json();
        assert!(page.items.len() <= 3);
        listed.extend(page.items.into_iter().map(|run| run.id));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed, made);
    let path = "/api/v1/runs?filter=status:completed+since:1h+pack:echo";
    assert_eq!(house.get(path).gives(200).await.json::<Page<RunView>>().items.len(), 7);
    let none: Page<RunView> = house.get("/api/v1/runs?filter=status:failed").gives(200).await.json();
    assert!(none.items.is_empty());
}

/// The events of a stream: id and content.
fn events(answer: &Answer) -> Vec<(String, LiveEvent)> {
    let blocks = answer.body.split("\n\n").filter(|block| block.contains("data: "));
    let field = |block: &str, name: &str| {
        let line =
            block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {block}"))
    };
    blocks.map(|block| (field(block, "id"), serde_json::from_str(&field(block, "data")).unwrap())).collect()
}

fn seqs(events: &[(String, LiveEvent)]) -> Vec<u64> {
    let seq = |(_, event): &(String, LiveEvent)| match event {
        LiveEvent::Record { record } => Some(record.seq),
        _ => None,
    };
    events.iter().filter_map(seq).collect()
}

#[tokio::test]
async fn events_go_on_where_the_reader_stopped() {
    let house = House::open().await;
    let run = done(&house, json!({"n": 1})).await;
    let path = format!("/api/v1/runs/{}/events", run.id);
    let whole = house.get(&path).gives(200).await;
    assert_eq!(whole.header("content-type"), Some("text/event-stream"));
    let all = events(&whole);
    let history: History = house.get(&format!("/api/v1/runs/{}/history", run.id)).gives(200).await.json();
    let dense: Vec<u64> = (1..=history.records.len() as u64).collect();
    assert_eq!(seqs(&all), dense);
    let (id, LiveEvent::End { run: end }) = all.last().unwrap() else { panic!("{all:?}") };
    assert_eq!(
        (id.clone(), end.state.as_str(), end.output.clone()),
        (dense.len().to_string(), "COMPLETED", Some(json!({"n": 1})))
    );
    for last in ["2", "2.17"] {
        let rest = events(&house.get(&path).header("last-event-id", last).gives(200).await);
        assert_eq!(seqs(&rest), dense[2..], "{last}");
    }
    let over = events(&house.get(&path).header("last-event-id", "999").gives(200).await);
    assert!(matches!(over.as_slice(), [(_, LiveEvent::End { .. })]));
    house.get(&path).header("last-event-id", "seven").gives(422).await;
    house.get("/api/v1/runs/run_01J00000000000000000000000/events").gives(404).await;
}

#[tokio::test]
async fn events_of_a_live_run_come_as_they_happen_and_end_with_it() {
    let house = House::of(Plan { idle: true, ..Plan::default() }).await;
    let run: RunView = house.post("/api/v1/runs", json!({"pack": "echo"})).gives(202).await.json();
    assert_eq!((run.state.as_str(), run.waiting_on.as_deref()), ("PENDING", Some("worker")));
    let stream = house.get(&format!("/api/v1/runs/{}/events", run.id)).open("event: record").await;
    let cancelled = house.post(&format!("/api/v1/runs/{}/cancel", run.id), json!({"reason": "enough"}));
    let cancelled: RunView = cancelled.gives(200).await.json();
    assert_eq!(cancelled.state, "CANCELLED");
    let told = events(&stream.rest(PATIENCE).await);
    let (_, LiveEvent::End { run: end }) = told.last().unwrap() else { panic!("{told:?}") };
    assert_eq!(end.state, "CANCELLED");
    let dense: Vec<u64> = (1..=seqs(&told).len() as u64).collect();
    assert_eq!(seqs(&told), dense);
    house.post(&format!("/api/v1/runs/{}/cancel", run.id), json!({})).gives(409).await.problem();
    let again: RunView =
        house.post(&format!("/api/v1/runs/{}/retry", run.id), json!({})).gives(202).await.json();
    assert_eq!((again.retry_of, again.trigger.as_str()), (Some(run.id), "retry"));
}

#[tokio::test]
async fn a_bulk_cancel_needs_a_filter() {
    let house = House::of(Plan { idle: true, ..Plan::default() }).await;
    for _ in 0..3 {
        house.post("/api/v1/runs", json!({"pack": "echo"})).gives(202).await;
    }
    let many = |body: Value| house.post("/api/v1/runs/cancel", body);
    assert_eq!(many(json!({"filter": ""})).gives(422).await.problem().field.as_deref(), Some("filter"));
    let would: bulk::BulkView = many(json!({"filter": "pack:echo", "dry_run": true})).gives(200).await.json();
    assert_eq!((would.dry_run, would.matched, would.meant, would.id), (true, 3, 3, None));
    let begun: bulk::BulkView = many(json!({"filter": "", "all": true})).gives(202).await.json();
    let path = format!("/api/v1/operations/{}?wait=30s", begun.id.unwrap());
    let did = house.get(&path).gives(200).await.json::<bulk::OperationShow>();
    let many = did.bulk.unwrap();
    assert_eq!((many.state.as_str(), many.matched, many.done), ("done", 3, 3));
    assert_eq!((did.operation.operation.as_str(), did.operation.outcome.as_str()), ("runs.cancel", "done"));
    let page: Page<RunView> = house.get("/api/v1/runs?filter=status:cancelled").gives(200).await.json();
    assert_eq!(page.items.len(), 3);
}

// covers: AX-137
#[tokio::test]
async fn packs_are_checked_deployed_switched_and_rolled_back() {
    let house = House::open().await;
    let file = |version: &str| format!("---\nname: greet\nversion: {version}\nkind: echo\n---\n");
    let pack = |version: &str| json!({"file_name": "greet.md", "source": file(version)});
    let checked: PackView = house.post("/api/v1/packs/validate", pack("1.0.0")).gives(200).await.json();
    assert_eq!(checked.outcome, "would deploy");
    house.get("/api/v1/packs/greet").gives(404).await;
    let deployed: PackView = house.post("/api/v1/packs", pack("1.0.0")).gives(201).await.json();
    assert_eq!((deployed.outcome.as_str(), deployed.current), ("deployed", true));
    let same: PackView = house.post("/api/v1/packs", pack("1.0.0")).gives(200).await.json();
    assert_eq!(same.outcome, "unchanged");
    house.post("/api/v1/packs", pack("1.1.0")).gives(201).await;
    let back: PackView = house.post("/api/v1/packs/greet/rollback", json!({})).gives(200).await.json();
    assert_eq!(back.version, "1.0.0");
    let shown: PackView = house.get("/api/v1/packs/greet").gives(200).await.json();
    assert_eq!((shown.versions.len(), shown.source), (2, Some(file("1.0.0"))));
    let off: PackView = house.post("/api/v1/packs/greet/disable", json!({})).gives(200).await.json();
    assert!(!off.enabled);
    house.post("/api/v1/runs", json!({"pack": "greet"})).gives(409).await;
    house.post("/api/v1/packs/greet/enable", json!({})).gives(200).await;
    house.post("/api/v1/runs", json!({"pack": "greet"})).gives(202).await;

    let broken = json!({"file_name": "x.md", "source": "---\nname: [\n---\n"});
    let problem = house.post("/api/v1/packs", broken).gives(422).await.problem();
    assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E012", Some("source")));
    for name in ["", "../x.md", "a/b.md", ".hidden"] {
        let problem =
            house.post("/api/v1/packs", json!({"file_name": name, "source": ""})).gives(422).await.problem();
        assert_eq!(problem.field.as_deref(), Some("file_name"), "{name:?}");
    }
    let huge = json!({"file_name": "x.md", "source": "x".repeat(3 << 20)});
    house.post("/api/v1/packs", huge).gives(413).await;
    let operations: Page<OperationView> = house.get("/api/v1/operations?limit=50").gives(200).await.json();
    let names: Vec<&str> = operations.items.iter().map(|done| done.operation.as_str()).collect();
    for name in ["packs.deploy", "packs.rollback", "packs.disable", "packs.enable"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let rollback = operations.items.iter().find(|done| done.operation == "packs.rollback").unwrap();
    assert_eq!((rollback.outcome.as_str(), rollback.actor.as_str()), ("done", "local"));
    assert_eq!(rollback.undo.as_deref(), Some("hale packs rollback greet --to 1.1.0"));
}

#[tokio::test]
async fn a_worker_process_joins_and_syncs() {
    let house = House::of(Plan { idle: true, ..Plan::default() }).await;
    let id = hale_core::id::WorkerId::mint(house.app.engine.now(), 7).to_string();
    house.post(&format!("/api/v1/workers/{id}/sync"), json!({"holds": []})).gives(404).await;
    let hello = json!({"id": id, "host": "far", "pid": 7, "slots": 2});
    let welcome: Value = house.post("/api/v1/workers", hello.clone()).gives(200).await.json();
    let token = welcome["token"].as_str().unwrap();
    house.post("/api/v1/runs", json!({"pack": "echo"})).gives(202).await;
    let (path, sync) = (format!("/api/v1/workers/{id}/sync"), json!({"holds": [], "wait_ms": 3000}));
    // Its id stands in the list; that alone neither joins, nor takes orders, nor leaves in its name.
    house.post("/api/v1/workers", hello).gives(403).await;
    let refused = house.post(&path, sync.clone()).gives(403).await.problem();
    assert_eq!((refused.code.as_str(), refused.field.as_deref()), ("E005", Some("x-hale-worker-token")));
    house.post(&format!("/api/v1/workers/{id}/leave"), json!({})).gives(403).await;
    let synced: Value = house.post(&path, sync).header("x-hale-worker-token", token).gives(200).await.json();
    assert_eq!(synced["orders"].as_array().map(Vec::len), Some(1), "{synced}");
    let page: Page<WorkerView> = house.get("/api/v1/workers").gives(200).await.json();
    let worker = page.items.iter().find(|worker| worker.id == id).unwrap();
    assert_eq!(
        (worker.kind.as_str(), worker.status.as_str(), worker.host.as_str()),
        ("process", "live", "far")
    );
    let drained: WorkerView =
        house.post(&format!("/api/v1/workers/{id}/drain"), json!({})).gives(200).await.json();
    assert_eq!(drained.status, "draining");
    house.post(&format!("/api/v1/workers/{id}/resume"), json!({})).gives(200).await;
}

// covers: AX-03, AX-04, AO-107, TRAP-06
#[tokio::test]
async fn health_follows_the_probes_and_is_never_a_constant() {
    let house = House::open().await;
    house.app.engine.probe().await;
    for path in ["/health", "/api/v1/health", "/orchestrator/health"] {
        let health: Health = house.get(path).gives(200).await.json();
        assert!(matches!(health.status.as_str(), "healthy" | "degraded"));
        let names: Vec<&str> = health.components.iter().map(|component| component.name.as_str()).collect();
        assert!(
            names.contains(&"orchestrator") && names.contains(&"store") && names.contains(&"workers"),
            "{names:?}"
        );
        assert!(health.components.iter().all(|component| component.age_ms < 60_000));
    }
    // Its loop ends: the hard dependency is gone, while the door still stands.
    house.app.engine.drain().await;
    house.app.engine.probe().await;
    for path in ["/health", "/api/v1/health", "/orchestrator/health"] {
        let answer = house.get(path).gives(503).await;
        let health: Health = answer.json();
        assert_eq!(health.status, "unhealthy");
        let ill = health.components.iter().find(|component| component.name == "orchestrator").unwrap();
        assert!(ill.hard && ill.status == "unhealthy" && !ill.detail.is_empty(), "{ill:?}");
    }
    house.get("/livez").gives(200).await;
    house.get("/api/v1/status").gives(503).await.problem();
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_server() {
    let house = House::open().await;
    house.get("/readyz").gives(200).await;
    for (stage, cause) in [(Stage::Starting, "server.starting"), (Stage::Draining, "server.draining")] {
        house.app.life.enter(stage);
        let answer = house.get("/readyz").gives(503).await;
        assert!(answer.header("retry-after").is_some());
        assert_eq!(answer.problem().cause.as_deref(), Some(cause));
        house.get("/livez").gives(200).await;
    }
    house.app.life.enter(Stage::Serving);
    house.post("/api/v1/shutdown", json!({})).gives(202).await;
    tokio::time::timeout(PATIENCE, house.served).await.expect("the listener ends").unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_event_streams() {
    let house = House::of(Plan { idle: true, ..Plan::default() }).await;
    let run: RunView = house.post("/api/v1/runs", json!({"pack": "echo"})).gives(202).await.json();
    let stream = house.get(&format!("/api/v1/runs/{}/events", run.id)).open("event: record").await;
    house.post("/api/v1/shutdown", json!({})).gives(202).await;
    // Well below the drain that a request under way may have.
    stream.rest(Duration::from_secs(5)).await;
    tokio::time::timeout(PATIENCE, house.served).await.expect("the listener ends").unwrap();
}

#[tokio::test]
async fn status_doctor_and_metrics_answer() {
    let house = House::open().await;
    let run = done(&house, json!({})).await;
    let status: Status = house.get("/api/v1/status").gives(200).await.json();
    assert_eq!(status.runs.get("COMPLETED"), Some(&1));
    assert_eq!((status.packs, status.simulated, status.draining), (1, true, false));
    assert_eq!(
        (status.data.as_str(), status.access.as_str()),
        (house.data().to_str().unwrap(), "keyless on loopback")
    );
    assert_eq!(status.workers.len(), 1);
    let why: Diagnosis = house.get(&format!("/api/v1/runs/{}/why", run.id)).gives(200).await.json();
    assert_eq!((why.subject, why.run.unwrap().id), (run.id.clone(), run.id.clone()));
    assert!(!why.says.is_empty());
    let doctor: Diagnosis = house.get("/api/v1/doctor").gives(200).await.json();
    assert_eq!(doctor.subject, "system");
    house.get("/api/v1/evidence").gives(200).await;
    house.get(&format!("/api/v1/evidence?run={}", run.id)).gives(200).await;
    house.get("/api/v1/runs/run_01J00000000000000000000000/why").gives(404).await;
    let fix =
        house.post("/api/v1/doctor/fix", json!({"cause": "no.such_cause", "dry_run": true})).send().await;
    assert!(matches!(fix.status(), 404 | 422), "{}", fix.body);
    fix.problem();
    let metrics = house.get("/metrics").gives(200).await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(
        metrics.body.contains("# TYPE hale_runs_completed_total counter\nhale_runs_completed_total 1\n"),
        "{}",
        metrics.body
    );
    house.get("/api/v1/config").gives(200).await;
    house.get("/api/v1/config/history").gives(200).await;
}

#[tokio::test]
async fn faults_are_refused_where_they_are_not_allowed() {
    let house = House::open().await;
    let inject =
        |house: &House| house.post("/api/v1/chaos", json!({"fault": "worker.kill_all", "for": "2m"}));
    let problem = inject(&house).gives(403).await.problem();
    assert_eq!(problem.fix.as_deref(), Some("hale config explain chaos.allow"));
    house.ask("DELETE", "/api/v1/chaos").gives(403).await;

    let house = House::of(Plan { lab: true, ..Plan::default() }).await;
    let fault: FaultView = inject(&house).gives(201).await.json();
    assert_eq!((fault.fault.as_str(), fault.hits), ("worker.kill_all", 1));
    let listed: Page<FaultView> = house.get("/api/v1/chaos").gives(200).await.json();
    assert_eq!(listed.items.len(), 1);
    house.post("/api/v1/chaos", json!({"fault": "no.such"})).gives(404).await;
    house.post("/api/v1/chaos", json!({"fault": "disk.fill", "for": "long"})).gives(422).await;
    house.ask("DELETE", &format!("/api/v1/chaos/{}", fault.id)).gives(200).await;
    house.ask("DELETE", &format!("/api/v1/chaos/{}", fault.id)).gives(404).await;
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let house = House::open().await;
    let document: Value = house.get("/openapi.json").gives(200).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, TABLE.len());
    let mut ids = std::collections::HashSet::new();
    for route in TABLE {
        let operation = &paths[&route.path.replace("{*", "{")][route.verb.name().to_lowercase().as_str()];
        assert_eq!(operation["operationId"], route.id);
        assert!(ids.insert(route.id), "{} twice", route.id);
        assert_eq!(operation.get("security").is_some(), route.door == Door::Open);
        let holes = route.path.matches('{').count();
        let in_path =
            operation["parameters"].as_array().unwrap().iter().filter(|param| param["in"] == "path");
        assert_eq!(in_path.count(), holes, "{}", route.path);
    }
    let mut refs = Vec::new();
    references(&document, &mut refs);
    assert!(refs.len() > 50);
    for reference in refs {
        let pointer = reference.strip_prefix('#').expect("nothing foreign is referred to");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn mirrored_shapes_are_what_is_sent() {
    use hale_core::code::Code;
    use hale_core::failure::Failure;
    let document = hale::http::openapi::document();
    let mirrored = |name: &str| -> Vec<String> {
        let shape = document.pointer(&format!("/components/schemas/{name}/properties")).unwrap();
        shape.as_object().unwrap().keys().cloned().collect()
    };
    let sent = |value: Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut failure = Failure::new(Code::E006, "llm.rate_limited", "provider:sim", "call");
    failure.chain = vec!["429".to_owned()];
    failure.retry_after = Some(hale_core::time::Millis(1));
    failure.http_status = Some(429);
    assert_eq!(mirrored("Failure"), sent(serde_json::to_value(&failure).unwrap()));
    let record = Record { v: 1, seq: 1, at: hale_core::time::Timestamp(1), event: Event::Initialized };
    assert_eq!(mirrored("Record"), sent(serde_json::to_value(&record).unwrap()));
    let artifact = hale_core::run::event::Artifact {
        name: "a".to_owned(),
        hash: "h".to_owned(),
        bytes: 1,
        media_type: "text/plain".to_owned(),
    };
    assert_eq!(mirrored("Artifact"), sent(serde_json::to_value(&artifact).unwrap()));
    let subject = hale_playbooks::Subject::System;
    let evidence = hale_playbooks::Evidence::builder(subject, hale_core::time::Timestamp(1)).build().unwrap();
    let verdict = hale_playbooks::diagnose(hale_playbooks::catalogue(), &evidence);
    assert_eq!(mirrored("Verdict"), sent(serde_json::to_value(&verdict).unwrap()));
}
