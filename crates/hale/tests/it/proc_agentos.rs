//! The recovery procedures that operators keep in their runbooks, carried out word for word in hale's commands against
//! real processes. Each step asks what the runbook's step asks, and the last one verifies.

use crate::world::{HALE, Process, World, order, submit, until};
use hale_lab::history::{Submission, check};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// A pack that gives up at the first failed call.
const BRITTLE: &str = "\
---
name: brittle
version: 1.0.0
description: Answers once, and tries nothing twice.
input: { n: string }
retry: { max: 0 }
limits: { timeout: 60s, max_turns: 2 }
---
Answer with one sentence.
";

/// A server without a worker of its own.
fn world() -> World {
    let mut world = World::new();
    let brittle = world.path("packs/brittle.md");
    std::fs::write(&brittle, BRITTLE).unwrap();
    let before = std::time::SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().append(true).open(&brittle).unwrap().set_modified(before).unwrap();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false"));
    world
}

struct Did {
    out: String,
    err: String,
}

impl Did {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// A command as a person at a shell types it; it must end with this code.
#[track_caller]
fn hale(world: &World, code: i32, line: &str) -> Did {
    let (ended, did) = tried(world, line);
    assert_eq!(ended, Some(code), "{HALE} {line}\n{}\n{}", did.out, did.err);
    did
}

fn tried(world: &World, line: &str) -> (Option<i32>, Did) {
    let mut command = world.program();
    command
        .args(line.split_whitespace())
        .env("HALE_URL", format!("http://{}", world.address))
        .env("HALE_DATA", &world.data);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), Did { out: text(&output.stdout), err: text(&output.stderr) })
}

/// Accepts a run of the pack and tells its id.
fn accept(world: &World, (pack, key): (&str, &str), all: &mut Vec<Submission>) -> String {
    let mut asked = order(pack, key);
    assert_eq!(submit(&mut world.http(), &mut asked).unwrap().status, 202);
    let id = asked.receipts[0]["id"].as_str().unwrap().to_owned();
    all.push(asked);
    id
}

fn workers(world: &World) -> Vec<Value> {
    hale(world, 0, "workers list --json").json()["items"].as_array().unwrap().clone()
}

fn live(world: &World, n: usize) {
    until("the workers are live", SOON, || {
        (workers(world).iter().filter(|worker| worker["status"] == "live").count() == n).then_some(())
    });
}

fn run(world: &World, id: &str) -> Value {
    hale(world, 0, &format!("runs show {id} --json")).json()
}

fn completed(world: &World, id: &str) -> Value {
    until("the run completes", SOON, || Some(run(world, id)).filter(|run| run["state"] == "COMPLETED"))
}

fn depth(world: &World) -> u64 {
    hale(world, 0, "queues show default --json").json()["depth"].as_u64().unwrap()
}

// covers: AO-133, AO-134, AO-135, AO-136, AO-187
#[test]
fn procedure_1_a_failed_run_is_looked_at_and_started_again() {
    let mut world = world();
    let _worker = world.worker();
    live(&world, 1);
    // A provider that answers 500 once.
    world.model_does(&json!({"fault": {"kind": "server_error"}, "count": 1}));
    let mut all = Vec::new();
    let failed = accept(&world, ("brittle", "Ada"), &mut all);
    until("the run fails", SOON, || (run(&world, &failed)["state"] == "FAILED").then_some(()));
    // 1. The details of the run.
    let info = run(&world, &failed);
    assert_eq!(info["pack"], "brittle");
    assert!(info["error"]["message"].is_string(), "{info:#}");
    // 2. Is it the code, or what the run depends on? Its last lines, and the class of the failure.
    let lines = hale(&world, 0, &format!("runs logs {failed} -o jsonl"));
    assert!(lines.out.lines().any(|line| line.contains("Execution failed")), "{}", lines.out);
    let dry = hale(&world, 0, &format!("runs retry {failed} --dry-run"));
    assert!(dry.err.contains("class: transient"), "{}", dry.err);
    // 3. Again; the fault is over.
    let again = hale(&world, 0, &format!("runs retry {failed} --detach -o name"));
    let new = again.out.trim().to_owned();
    assert_ne!(new, failed);
    // 4. Live to its end.
    hale(&world, 0, &format!("runs watch {new}"));
    let after = run(&world, &new);
    assert_eq!((&after["state"], &after["retry_of"]), (&json!("COMPLETED"), &json!(failed)));
    assert_eq!(run(&world, &failed)["state"], "FAILED", "the old run stays as it was");
    let letter = hale(&world, 0, &format!("dlq show {failed} --json"));
    assert!(letter.out.contains(&format!("retried as {new}")), "{}", letter.out);
    let audit = hale(&world, 0, &format!("runs audit {failed} --json")).json();
    assert_eq!(audit["items"][0]["operation"], "runs.retry");
}

/// The id of the worker that is this process.
fn id_of(world: &World, process: &Process) -> String {
    let found = workers(world).into_iter().find(|worker| worker["pid"] == process.pid());
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

// covers: AO-28, AO-97, AO-137, AO-138, AO-139, AO-140, AO-141, AO-142
#[test]
fn procedure_2_workers_are_drained_and_restarted_and_no_run_is_lost_or_begun_twice() {
    let mut world = world();
    let mut old = [world.worker(), world.worker()];
    live(&world, 2);
    assert!(
        workers(&world).iter().all(|worker| worker["slots"] == 1),
        "how much each does at a time is told"
    );
    let ids: Vec<String> = old.iter().map(|process| id_of(&world, process)).collect();
    let slow = json!({"fault": {"kind": "slow", "first_token_ms": 4_000, "per_chunk_ms": 0}, "count": 2});
    world.model_does(&slow);
    let mut all = Vec::new();
    let begun = [accept(&world, ("hello", "Ada"), &mut all), accept(&world, ("hello", "Ben"), &mut all)];
    until("both are asked", SOON, || (world.calls().1 >= 2).then_some(()));
    // 1. No new work.
    for id in &ids {
        hale(&world, 0, &format!("workers drain {id}"));
    }
    assert!(workers(&world).iter().all(|worker| worker["status"] == "draining"));
    let waiting: Vec<String> =
        ["Cem", "Dan", "Eve"].map(|name| accept(&world, ("hello", name), &mut all)).into();
    // 2. What is in progress ends; what came since waits.
    until("nothing is in progress", SOON, || {
        workers(&world).iter().all(|worker| worker["busy"] == 0).then_some(())
    });
    for id in &begun {
        assert_eq!(run(&world, id)["state"], "COMPLETED");
    }
    assert_eq!(depth(&world), 3, "a draining worker takes nothing");
    // 3. and 4. Restart, and wait for it.
    for process in &old {
        process.signal(libc::SIGTERM);
    }
    for process in &mut old {
        until("the old worker has ended", SOON, || process.ended());
    }
    let _new = [world.worker(), world.worker()];
    // 5. The drain went with the old workers; one that is drained by mistake takes work again when told.
    live(&world, 2);
    let mistaken = workers(&world)[0]["id"].as_str().unwrap().to_owned();
    hale(&world, 0, &format!("workers drain {mistaken}"));
    hale(&world, 0, &format!("workers resume {mistaken}"));
    live(&world, 2);
    for id in &waiting {
        completed(&world, id);
    }
    // 6. Healthy again, as soon as the next probe has looked.
    let status = until("all is healthy", SOON, || {
        let (ended, did) = tried(&world, "status --json");
        (ended == Some(0)).then(|| did.json())
    });
    assert_eq!(status["health"], "healthy", "{status:#}");
    assert_eq!(depth(&world), 0);
    for id in begun.iter().chain(&waiting) {
        assert_eq!(run(&world, id)["epoch"], 1, "leased once");
    }
    let violations = check(&world.observe(all, Vec::new()));
    assert!(violations.is_empty(), "{violations:#?}");
}

// covers: AO-98, AO-149, AO-150, AO-151, AO-152, AO-153, AO-154
#[test]
fn procedure_4_a_stuck_queue_is_looked_at_cleaned_reviewed_and_flows_again() {
    let world = world();
    let mut all = Vec::new();
    let stuck: Vec<String> = ["Ada", "Ben"].map(|name| accept(&world, ("hello", name), &mut all)).into();
    // 1. How the queue stands: runs wait and nobody takes them.
    let queue = hale(&world, 0, "queues show default --json").json();
    assert_eq!((&queue["depth"], &queue["unserved"]), (&json!(2), &json!(true)), "{queue:#}");
    // 2. The first ten, which stay where they are.
    let first = hale(&world, 0, "queues peek default -n 10 -o name");
    assert_eq!(first.out.lines().collect::<Vec<_>>(), stuck);
    assert_eq!(depth(&world), 2);
    // Those are older than a second and a half; what comes then is not.
    std::thread::sleep(Duration::from_millis(1_600));
    let young = accept(&world, ("hello", "Cem"), &mut all);
    // 3. What is stuck goes to the dead letters, said twice.
    let refused = hale(&world, 2, "queues move-stuck default --older-than 1500ms");
    assert!(refused.err.contains("--dry-run"), "{}", refused.err);
    let dry = hale(&world, 0, "queues move-stuck default --older-than 1h --dry-run --json").json();
    assert_eq!((&dry["dry_run"], &dry["matched"]), (&json!(true), &json!(0)), "{dry:#}");
    let moved = hale(&world, 0, "queues move-stuck default --older-than 1500ms --yes --json").json();
    assert_eq!((&moved["matched"], &moved["changed"]), (&json!(2), &json!(2)), "{moved:#}");
    assert_eq!(depth(&world), 1);
    // 4. Review: one goes again, one is dropped, each with its reason.
    let groups = hale(&world, 0, "dlq list --json").json();
    assert_eq!(
        (&groups["items"][0]["cause"], &groups["items"][0]["count"]),
        (&json!("queue.stuck"), &json!(2))
    );
    hale(&world, 0, "dlq review");
    hale(&world, 0, &format!("dlq redrive {} --yes", stuck[0]));
    hale(&world, 0, &format!("dlq discard {} --reason asked-twice --yes", stuck[1]));
    assert_eq!(hale(&world, 0, "dlq list --flat -o name").out, "");
    assert_eq!(depth(&world), 2);
    // 5. It flows again.
    let _worker = world.worker();
    until("the queue is empty", SOON, || (depth(&world) == 0).then_some(()));
    completed(&world, &young);
    let again = until("the redriven run completes", SOON, || {
        world.runs().into_iter().find(|run| run["retry_of"] == json!(stuck[0]) && run["state"] == "COMPLETED")
    });
    assert_eq!(again["pack"], "hello");
    let queue = hale(&world, 0, "queues show default --json").json();
    assert_eq!((&queue["depth"], &queue["unserved"]), (&json!(0), &json!(false)), "{queue:#}");
    assert_eq!((&queue["workers"], &queue["slots"]), (&json!(1), &json!(1)), "who takes from it: {queue:#}");
    assert_eq!(run(&world, &stuck[1])["state"], "FAILED");
}
