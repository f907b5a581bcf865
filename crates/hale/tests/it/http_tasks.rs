//! Tasks and arms over HTTP: routed, journaled, explained; arms that register, fail, come back and leave.

use crate::http_house::{Ask, House, PATIENCE};
use hale::wire::arms::ArmView;
use hale::wire::tasks::{RouteView, TaskView};
use hale::wire::{Diagnosis, OperationView, Page, RunView};
use hale_core::id::RunId;
use hale_core::routing::{Conflict, Reason};
use hale_core::run::{Event, Run};
use hale_engine::{Caller, DryRun, Resolve};
use hale_lab::arm::{Mode, Server};
use serde_json::{Value, json};
use std::time::Duration;

/// A pack that can be routed to and needs no model.
async fn deploy(house: &House, name: &str, more: &str) {
    let source = format!("---\nname: {name}\nversion: 1.0.0\nkind: echo\n{more}\n---\n");
    let file = format!("{name}.md");
    house.app.engine.deploy(&file, source.as_bytes(), DryRun::No, &Caller::engine()).await.unwrap();
}

async fn two_arms(house: &House) {
    deploy(house, "planner", "domains: [planning]\nkeywords: [plan, steps]").await;
    deploy(house, "coder", "domains: [coding]\nkeywords: [python, function]\nproperties: { speed: slow }")
        .await;
}

async fn arm() -> Server {
    Server::start(([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// Registers a simulated arm with the guide's own fields.
async fn register(house: &House, arm: &Server, more: Value) -> ArmView {
    let mut body = json!({
        "name": "coder-arm", "domain": "coding", "keywords": ["python"], "url": arm.base_url(),
        // No retry outlives a test.
        "timeout_seconds": 30,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post("/api/v1/arms/register", body).gives(200).await.json()
}

fn task(house: &House, goal: &str) -> Ask {
    house.post("/api/v1/tasks", json!({ "goal": goal }))
}

async fn started(house: &House, goal: &str) -> TaskView {
    task(house, goal).gives(202).await.json()
}

async fn ended(house: &House, id: &str) -> RunView {
    let run: RunView = house.get(&format!("/api/v1/runs/{id}?wait=30s")).gives(200).await.json();
    assert!(run.ended_at.is_some(), "{run:#?}");
    run
}

async fn until(house: &House, id: &str, what: impl Fn(&Run) -> bool) -> Run {
    let id: RunId = id.parse().unwrap();
    let looking = async {
        loop {
            let run = house.app.engine.run(id).await.unwrap().run;
            if what(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the run never came there")
}

// covers: OL-102, OL-104, OL-114, OL-115
#[tokio::test]
async fn a_task_is_routed_run_and_explained() {
    let house = House::open().await;
    two_arms(&house).await;
    let accepted = task(&house, "Write a Python function").gives(202).await;
    let started: TaskView = accepted.json();
    assert_eq!(accepted.header("location"), Some(format!("/api/v1/tasks/{}", started.id).as_str()));
    assert_eq!((started.arm.as_str(), &started.id), ("coder", &started.task_id));
    let totals: Vec<(&str, u32)> =
        started.decision.scores.iter().map(|score| (score.arm.as_str(), score.total)).collect();
    assert_eq!(totals, [("coder", 20), ("planner", 0)], "all scores");
    let run = ended(&house, &started.id).await;
    assert_eq!((run.state.as_str(), run.pack.as_str()), ("COMPLETED", "coder"));
    assert_eq!(run.output.unwrap()["goal"], "Write a Python function");
    let shown: TaskView = house.get(&format!("/api/v1/tasks/{}", started.id)).gives(200).await.json();
    assert_eq!((shown.status.as_str(), &shown.decision), ("completed", &started.decision));
    // It is in the journal, told with the acceptance, before any lease.
    let records = house.app.engine.history(started.id.parse().unwrap(), 1, 10).await.unwrap();
    assert!(matches!(&records[1].event, Event::Routed { decision } if **decision == started.decision));
    assert!(matches!(records[2].event, Event::Leased { .. }));
    let why: Diagnosis = house.get(&format!("/api/v1/runs/{}/why", started.id)).gives(200).await.json();
    assert_eq!(why.route.as_ref(), Some(&started.decision));
    assert_eq!(house.app.engine.meters().tasks_routed.get(), 1);
}

// covers: OL-103, OL-116, OL-130, TRAP-14
#[tokio::test]
async fn a_task_that_nobody_can_take_is_refused_with_all_scores_and_changes_nothing() {
    let house = House::open().await;
    let refused = task(&house, "Write code").gives(409).await.problem();
    assert_eq!((refused.code.as_str(), refused.cause.as_deref()), ("E011", Some("task.no_arm")));
    assert_eq!(refused.fix.as_deref(), Some("hale arms install"));
    two_arms(&house).await;
    for name in ["planner", "coder"] {
        house.post(&format!("/api/v1/packs/{name}/disable"), json!({})).gives(200).await;
    }
    let refused = task(&house, "Write a Python function").gives(409).await.problem();
    assert_eq!(
        refused.chain,
        ["coder 0 (unfit: its pack is disabled)", "planner 0 (unfit: its pack is disabled)"]
    );
    assert_eq!(refused.fix.as_deref(), Some("hale arms score --goal \"Write a Python function\""));
    let runs: Page<RunView> = house.get("/api/v1/runs").gives(200).await.json();
    assert!(runs.items.is_empty());
    assert_eq!(house.app.engine.meters().routing_failures.get(), 2, "each is counted");
}

#[tokio::test]
async fn what_does_not_fit_in_a_contract_is_told_with_its_field() {
    let house = House::open().await;
    two_arms(&house).await;
    for (body, field) in [
        (json!({}), "goal"),
        (json!({"goal": "  "}), "goal"),
        (json!({"goal": "x", "priority": "urgent"}), "priority"),
        (json!({"goal": "x", "constraints": [""]}), "constraints[0]"),
        (json!({"goal": "x", "constraints": [{"key": "speed", "value": ""}]}), "constraints[0]"),
        (json!({"goal": "x", "timeout": "60"}), "timeout"),
        (json!({"goal": "x", "gaol": "y"}), "gaol"),
    ] {
        let problem = house.post("/api/v1/tasks", body.clone()).gives(422).await.problem();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E002", Some(field)), "{body}");
    }
    let medium = house.post("/api/v1/tasks", json!({"goal": "plan", "priority": "medium"})).gives(202).await;
    assert_eq!(medium.json::<TaskView>().run.priority, "normal");
    let plain: RunView = house.post("/api/v1/runs", json!({"pack": "echo"})).gives(202).await.json();
    let problem = house.get(&format!("/api/v1/tasks/{}", plain.id)).gives(404).await.problem();
    assert_eq!(problem.fix, Some(format!("hale runs show {}", plain.id)), "it was not routed");
}

// covers: OL-127, OL-128, OL-129, TRAP-15
#[tokio::test]
async fn optional_constraints_give_way_and_the_arm_is_told_what_still_holds() {
    let house = House::open().await;
    two_arms(&house).await;
    let constraints = json!([
        "Do not modify files in /protected/",
        "No network calls",
        {"key": "speed", "value": "fast", "required": false},
    ]);
    let body = json!({"goal": "Write a Python function", "constraints": constraints});
    let started: TaskView = house.post("/api/v1/tasks", body).gives(202).await.json();
    assert_eq!((started.arm.as_str(), started.decision.relaxed.len()), ("coder", 1));
    assert!(started.says.contains("without speed=fast"), "{}", started.says);
    let told = ended(&house, &started.id).await.output.unwrap();
    assert_eq!(
        told["constraints"],
        json!([
            {"text": "Do not modify files in /protected/", "required": true},
            {"text": "No network calls", "required": true},
        ])
    );
    assert_eq!(house.app.engine.meters().tasks_relaxed.get(), 1);
    let strict = json!({"goal": "plan it in python", "constraints": [{"key": "region", "value": "eu", "required": false}]});
    let refused = house.post("/api/v1/tasks", strict).gives(409).await.problem();
    assert!(refused.chain.iter().all(|line| line.contains("does not meet region=eu")), "{:?}", refused.chain);
}

#[tokio::test]
async fn an_arm_whose_input_the_task_lacks_is_not_chosen() {
    let house = House::open().await;
    two_arms(&house).await;
    deploy(&house, "picky", "keywords: [python, function, write]\ninput: { goal: string, ticket: integer }")
        .await;
    let route: RouteView =
        house.post("/api/v1/tasks/route", json!({"goal": "Write a Python function"})).gives(200).await.json();
    assert_eq!(route.arm, "coder");
    let picky = route.decision.scores.iter().find(|score| score.arm == "picky").unwrap();
    assert_eq!((picky.total, picky.sum()), (0, 30));
    assert!(picky.to_string().contains("lacks `ticket`"), "{picky}");
    let body = json!({"goal": "Write a Python function", "input": {"ticket": 7}});
    let started: TaskView = house.post("/api/v1/tasks", body).gives(202).await.json();
    assert_eq!(started.arm, "picky");
    let input = ended(&house, &started.id).await.input.unwrap();
    assert_eq!(input, json!({"goal": "Write a Python function", "ticket": 7}), "only what it declares");
    let runs: Page<RunView> = house.get("/api/v1/runs").gives(200).await.json();
    assert_eq!(runs.items.len(), 1, "to ask for the route starts nothing");
}

#[tokio::test]
async fn the_same_key_gives_the_same_task_even_if_another_arm_would_take_it_now() {
    let house = House::open().await;
    two_arms(&house).await;
    let ask = || task(&house, "Write a Python function").header("idempotency-key", "k1");
    let first: TaskView = ask().gives(202).await.json();
    deploy(&house, "better", "keywords: [write, python, function]").await;
    assert_eq!(started(&house, "Write a Python function").await.arm, "better");
    let again = ask().gives(202).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again: TaskView = again.json();
    assert_eq!((again.id, again.decision), (first.id, first.decision));
    task(&house, "Something else in Python").header("idempotency-key", "k1").gives(409).await;
}

// covers: OL-97, OL-109, OL-110, OL-117, OL-124, OL-125
#[tokio::test]
async fn a_registered_arm_is_sent_the_task_over_http() {
    let (house, arm) = (House::open().await, arm().await);
    let view = register(&house, &arm, json!({})).await;
    assert_eq!((view.status.as_str(), view.kind.as_str()), ("healthy", "arm"));
    assert_eq!(
        (view.domain.as_deref(), view.capabilities.as_slice()),
        (Some("coding"), &["coding".to_owned()][..])
    );
    assert!(view.registered_at.is_some() && view.last_seen.is_some());
    assert!(arm.control.probes() > 0, "it is asked before anybody relies on it");
    let ask = task(&house, "coding: Write a Python function").header("x-correlation-id", "order-7");
    let started: TaskView = ask.gives(202).await.json();
    assert_eq!((started.arm.as_str(), started.decision.scores[0].total), ("coder-arm", 60));
    let run = ended(&house, &started.id).await;
    assert_eq!(run.output.unwrap()["answer"], "done: coding: Write a Python function");
    let calls = arm.control.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].body["task_id"], json!(started.id));
    assert_eq!(calls[0].correlation_id.as_deref(), Some("order-7"));
    assert_eq!(calls[0].idempotency_key, Some(format!("{}-0", started.id)));
    for path in ["/capabilities", "/api/v1/arms"] {
        let page: Page<ArmView> = house.get(path).gives(200).await.json();
        assert_eq!(
            page.items.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>(),
            ["coder-arm"],
            "{path}"
        );
    }
    // Once more changes nothing: no new version, no second audit line.
    let again = register(&house, &arm, json!({})).await;
    assert_eq!((again.version, again.registered_at), (view.version, view.registered_at));
    let audit: Page<OperationView> = house.get("/api/v1/operations").gives(200).await.json();
    let lines = audit.items.iter().filter(|line| line.operation == "arms.register");
    let undo: Vec<Option<&str>> = lines.map(|line| line.undo.as_deref()).collect();
    assert_eq!(undo, [Some("hale arms deregister coder-arm")]);
}

// covers: OL-121, OL-123, OL-130
#[tokio::test]
async fn a_dead_arm_gets_no_tasks_until_it_answers_again() {
    let (house, arm) = (House::open().await, arm().await);
    two_arms(&house).await;
    register(&house, &arm, json!({"keywords": ["python", "function", "write"]})).await;
    let goal = "Write a Python function";
    assert_eq!(started(&house, goal).await.arm, "coder-arm");
    let (address, mut seen) = (arm.addr, Vec::new());
    arm.shutdown().await;
    for _ in 0..3 {
        house.app.engine.probe_all_arms().await;
        let view: ArmView = house.get("/api/v1/arms/coder-arm").gives(200).await.json();
        seen.push((view.status, view.failures));
    }
    let expected =
        [("healthy", 1), ("healthy", 2), ("unhealthy", 3)].map(|(status, n)| (status.to_owned(), n));
    assert_eq!(seen, expected, "one lost probe is no death");
    let task = started(&house, goal).await;
    assert_eq!(task.arm, "coder", "the next best");
    let dead = task.decision.scores.iter().find(|score| score.arm == "coder-arm").unwrap();
    assert!(dead.to_string().contains("unhealthy: 3 failures in a row"), "{dead}");
    let _arm = Server::start(address).await.unwrap();
    house.app.engine.probe_all_arms().await;
    assert_eq!(started(&house, goal).await.arm, "coder-arm", "one answer is enough");
}

#[tokio::test]
async fn an_arm_that_leaves_gets_no_tasks_and_may_come_back_as_it_was() {
    let (house, arm) = (House::open().await, arm().await);
    register(&house, &arm, json!({})).await;
    let left: ArmView = house.ask("DELETE", "/api/v1/arms/coder-arm").gives(200).await.json();
    assert_eq!(left.status, "disabled");
    task(&house, "python").gives(409).await;
    house.ask("DELETE", "/api/v1/arms/coder-arm").gives(409).await;
    house.ask("DELETE", "/api/v1/arms/nobody").gives(404).await;
    let back: ArmView =
        house.post("/api/v1/arms/register", json!({"name": "coder-arm"})).gives(200).await.json();
    assert_eq!((back.status.as_str(), back.keywords.as_slice()), ("healthy", &["python".to_owned()][..]));
    // What an operator disabled stays so, however often the arm says that it is there.
    house.post("/api/v1/packs/coder-arm/disable", json!({})).gives(200).await;
    assert_eq!(register(&house, &arm, json!({})).await.status, "disabled");
}

#[tokio::test]
async fn an_arm_is_refused_where_it_must_not_be() {
    let (house, arm) = (House::open().await, arm().await);
    for (url, status) in [
        ("http://10.1.2.3:80", 403),
        ("http://169.254.169.254", 403),
        ("http://0.0.0.0:8100", 403),
        ("http://[::ffff:169.254.169.254]/", 403),
        ("http://example.com", 403),
        ("ftp://127.0.0.1", 403),
        ("http://user:hunter2@127.0.0.1", 403),
    ] {
        let problem = house
            .post("/api/v1/arms/register", json!({"name": "a", "url": url}))
            .gives(status)
            .await
            .problem();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("E013", Some("url")), "{url}");
        assert!(
            !problem.detail.contains("hunter2") && !problem.chain.join(" ").contains("hunter2"),
            "{problem:?}"
        );
    }
    for (body, status, code) in [
        (json!({"name": "Bad Name", "url": arm.base_url()}), 422, "E012"),
        (json!({"name": "a"}), 422, "E002"),
        (json!({"url": arm.base_url()}), 422, "E002"),
        (json!({"name": "echo", "url": arm.base_url()}), 409, "E011"),
        (json!({"name": "a", "url": arm.base_url(), "keywrods": []}), 422, "E002"),
        (json!({"name": "a", "url": arm.base_url(), "keywords": vec!["x"; 300]}), 422, "E002"),
        (json!({"name": "a", "url": arm.base_url(), "ttl_seconds": 5}), 422, "E002"),
        (json!({"name": "a", "url": arm.base_url(), "timeout_seconds": 0}), 422, "E002"),
    ] {
        let problem = house.post("/api/v1/arms/register", body.clone()).gives(status).await.problem();
        assert_eq!(problem.code, code, "{body}");
    }
    let page: Page<ArmView> = house.get("/api/v1/arms").gives(200).await.json();
    assert!(page.items.is_empty(), "nothing changed");
}

/// Starts a task on the arm while it behaves so, and gives the run's end.
async fn behaving(house: &House, arm: &Server, mode: Mode) -> RunView {
    arm.control.behave(mode);
    let run: RunView = house
        .post("/api/v1/runs", json!({"pack": "coder-arm", "input": {"goal": "python"}}))
        .gives(202)
        .await
        .json();
    ended(house, &run.id).await
}

#[tokio::test]
async fn what_the_arm_may_have_begun_is_not_sent_again_unless_it_says_so() {
    let (house, arm) = (House::open().await, arm().await);
    register(&house, &arm, json!({})).await;
    for (mode, cause) in [
        (Mode::Fail, "arm.server_error"),
        (Mode::Garbage, "arm.garbled"),
        (Mode::HangUp, "arm.cut"),
        (Mode::Refuse, "arm.task_refused"),
    ] {
        let before = arm.control.calls().len();
        let run = behaving(&house, &arm, mode).await;
        let error = run.error.unwrap();
        assert_eq!((run.state.as_str(), error.cause.as_str()), ("FAILED", cause));
        assert_eq!((error.origin.as_str(), error.code.to_string().as_str()), ("arm:coder-arm", "E006"));
        assert_eq!(arm.control.calls().len(), before + 1, "{cause}: once and no more");
        let told = error.chain.iter().any(|line| line.contains("not tried again"));
        assert_eq!(told, mode != Mode::Refuse, "{cause}: {:?}", error.chain);
    }
    // Three of them were failures in a row, and count as probes do; the refusal shows that it lives.
    let view: ArmView = house.get("/api/v1/arms/coder-arm").gives(200).await.json();
    assert_eq!((view.status.as_str(), view.failures), ("healthy", 0));
}

#[tokio::test]
async fn real_calls_count_as_probes() {
    let (house, arm) = (House::open().await, arm().await);
    register(&house, &arm, json!({})).await;
    for _ in 0..3 {
        behaving(&house, &arm, Mode::Fail).await;
    }
    let view: ArmView = house.get("/api/v1/arms/coder-arm").gives(200).await.json();
    assert_eq!(view.status, "unhealthy");
    assert!(view.failures >= 3 && view.detail.contains("status 50"), "{}", view.detail);
    behaving(&house, &arm, Mode::Well).await;
    let view: ArmView = house.get("/api/v1/arms/coder-arm").gives(200).await.json();
    assert_eq!(view.status, "healthy");
}

#[tokio::test]
async fn a_busy_arm_is_asked_again_when_it_said() {
    let (house, arm) = (House::open().await, arm().await);
    register(&house, &arm, json!({})).await;
    arm.control.behave(Mode::Busy { retry_after: 1 });
    let started = started(&house, "python").await;
    arm.control.called(1).await;
    arm.control.behave(Mode::Well);
    let run = ended(&house, &started.id).await;
    assert_eq!(run.state, "COMPLETED");
    let keys: Vec<_> = arm.control.calls().into_iter().map(|call| call.idempotency_key).collect();
    assert_eq!(keys, [Some(format!("{}-0", started.id)), Some(format!("{}-0", started.id))], "one key");
}

#[tokio::test]
async fn an_idempotent_arm_is_sent_the_task_again_under_its_key_and_does_it_once() {
    let (house, arm) = (House::open().await, arm().await);
    register(&house, &arm, json!({"idempotent": true})).await;
    // It does the work, and the answer is lost.
    arm.control.behave(Mode::HangUp);
    let started = started(&house, "python").await;
    arm.control.called(1).await;
    arm.control.behave(Mode::Well);
    let run = ended(&house, &started.id).await;
    assert_eq!((run.state.as_str(), arm.control.calls().len(), arm.control.done()), ("COMPLETED", 2, 1));
}

#[tokio::test]
async fn a_worker_that_dies_between_note_and_answer_leaves_the_step_to_a_person() {
    let (house, arm) = (House::open().await, arm().await);
    let engine = &house.app.engine;
    register(&house, &arm, json!({})).await;
    arm.control.behave(Mode::Hang);
    let started = started(&house, "python").await;
    arm.control.called(1).await;
    engine.kill_embedded("killed by the test").await.unwrap();
    engine.start_embedded(2).await.unwrap();
    let parked = until(&house, &started.id, |run| run.awaits.is_some()).await;
    assert_eq!(parked.awaits.unwrap().name, "coder-arm");
    assert_eq!(arm.control.calls().len(), 1, "nobody sent it again");
    let events: Vec<&'static str> = engine
        .history(parked.id, 1, 100)
        .await
        .unwrap()
        .iter()
        .map(|record| record.event.name())
        .filter(|name| name.starts_with("step") || *name == "parked" || *name == "lease_lost")
        .collect();
    assert_eq!(events, ["step_dispatched", "lease_lost", "parked"], "a note came before the deed");
    arm.control.behave(Mode::Well);
    engine.resolve(parked.id, Resolve::Retry, &Caller::engine()).await.unwrap();
    assert_eq!(ended(&house, &started.id).await.state, "COMPLETED");
    assert_eq!(arm.control.calls().len(), 2);
}

// covers: OL-118
#[tokio::test]
async fn arms_that_tie_are_found_with_a_goal_to_try() {
    let house = House::open().await;
    two_arms(&house).await;
    let none: Page<Conflict> = house.get("/api/v1/arms/conflicts").gives(200).await.json();
    assert!(none.items.is_empty());
    for name in ["left", "right"] {
        deploy(&house, name, "capabilities: [mail]\nkeywords: [letter, mail]").await;
    }
    let found: Page<Conflict> = house.get("/api/v1/arms/conflicts?name=left").gives(200).await.json();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].arms, ["left", "right"]);
    let route: RouteView =
        house.post("/api/v1/tasks/route", json!({"goal": found.items[0].goal})).gives(200).await.json();
    assert_eq!(route.decision.reason, Reason::Score { tied_with: vec!["right".to_owned()] });
    let none: Page<Conflict> = house.get("/api/v1/arms/conflicts?name=coder").gives(200).await.json();
    assert!(none.items.is_empty());
    house.get("/api/v1/arms/conflicts?name=nobody").gives(404).await;
}
