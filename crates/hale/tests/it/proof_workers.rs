//! Worker processes that hold many leases are killed together: nothing is lost, nothing finished is repeated, and all
//! of it is leased again within a lease and a second.
//!
//! The judge of the first two is the history checker; the third is read from the journals, whose times are the server's.

use crate::world::{Process, World, now_ms, order, submit, until};
use hale_core::limits;
use hale_lab::history::{Submission, check};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Leases that are held together: a few hundred in the test run, ten thousand in the long form.
fn leases() -> usize {
    std::env::var("HALE_PROVE_LEASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
}

/// Three answers, and time enough for a crowd on a small machine.
const PATIENT: &str = "\
---
name: patient
version: 1.0.0
description: Three answers in a row, with time.
steps: [first, second, third]
limits: { timeout: 15m, max_turns: 6 }
---
Answer each step with one sentence.
";

fn get(world: &World, path: &str) -> Value {
    world.http().get(path).unwrap().json()
}

fn workers(world: &World) -> Vec<Value> {
    get(world, "/api/v1/workers")["items"].as_array().unwrap().clone()
}

fn world_without_embedded(flags: &[&str]) -> World {
    let mut world = World::new();
    let pack = world.path("packs/patient.md");
    std::fs::write(&pack, PATIENT).unwrap();
    let before = SystemTime::now() - Duration::from_secs(60);
    std::fs::File::options().append(true).open(&pack).unwrap().set_modified(before).unwrap();
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false").args(flags));
    world
}

/// Runs that wait: nobody works yet, so that all of them are leased together.
fn ordered(world: &World, leases: usize) -> Vec<Submission> {
    let mut http = world.http();
    let asked = (0..leases).map(|n| {
        let mut order = order("patient", &format!("k-{n}"));
        assert_eq!(submit(&mut http, &mut order).unwrap().status, 202);
        order
    });
    asked.collect()
}

/// Returns when all are leased and most have finished a step.
fn under_way(world: &mut World, leases: usize) {
    until("all are leased", Duration::from_secs(120), || {
        let busy: u64 = workers(world).iter().map(|worker| worker["busy"].as_u64().unwrap()).sum();
        (busy == leases as u64).then_some(())
    });
    // A second call of a run follows its first finished step.
    until("most have finished a step", Duration::from_secs(120), || {
        (world.calls().1 > leases + leases * 3 / 4).then_some(())
    });
}

fn events<'a>(history: &'a Value, kind: &str) -> Vec<&'a Value> {
    let records = history["records"].as_array().unwrap();
    records.iter().filter(|record| record["event"]["type"] == kind).collect()
}

/// The longest time from the kill to the next lease of a run that was held.
fn taken_over(histories: &[Value], killed_at: i64) -> (usize, i64) {
    let mut waits = Vec::new();
    for history in histories {
        let lost = events(history, "lease_lost");
        let Some(lost) = lost.iter().find(|lost| lost["at"].as_i64().unwrap() >= killed_at) else { continue };
        let leased = events(history, "leased");
        let again = leased
            .iter()
            .map(|leased| leased["at"].as_i64().unwrap())
            .find(|at| *at >= lost["at"].as_i64().unwrap());
        waits.push(again.unwrap_or_else(|| panic!("never leased again: {history:#}")) - killed_at);
    }
    (waits.len(), waits.into_iter().max().unwrap_or(0))
}

// covers: AO-61, AO-64, AO-137
#[test]
fn workers_killed_together_lose_and_repeat_nothing_and_all_is_leased_again_within_a_lease_and_a_second() {
    let leases = leases();
    let processes = leases.div_ceil(limits::WORKER_CONCURRENCY_MAX as usize).max(4);
    let slots = leases.div_ceil(processes);
    let mut world = world_without_embedded(&[]);
    // Long enough that what is held when the journals are read is held when the workers die.
    let answer_ms = 5_000 + 4 * leases as u64;
    world.model_does(&json!({"fault": {"kind": "slow", "first_token_ms": answer_ms, "per_chunk_ms": 0}}));
    let orders = ordered(&world, leases);
    let mut dying: Vec<Process> = (0..processes).map(|_| world.worker_of(slots)).collect();
    under_way(&mut world, leases);
    let ids: Vec<String> =
        orders.iter().map(|order| order.receipts[0]["id"].as_str().unwrap().to_owned()).collect();
    let snapshot = world.snapshot(&ids);
    let finished = |history: &Value| !events(history, "step_ended").is_empty();
    let with_steps = snapshot.journals.values().filter(|history| finished(history)).count();
    assert!(with_steps > leases / 2, "only {with_steps} runs have a finished step to repeat");

    let killed_at = now_ms();
    dying.iter().for_each(|worker| worker.signal(libc::SIGKILL));
    dying.iter_mut().for_each(Process::kill);
    let _next: Vec<Process> = (0..processes).map(|_| world.worker_of(slots)).collect();
    world.settle(Duration::from_secs(300));

    let histories: Vec<Value> =
        ids.iter().map(|id| get(&world, &format!("/api/v1/runs/{id}/history"))).collect();
    let (held, longest) = taken_over(&histories, killed_at);
    println!(
        "{held} of {leases} leases were held by {processes} killed workers; the last was leased again after {longest} ms"
    );
    assert!(held * 100 >= leases * 95, "only {held} of {leases} leases were hit by the kill");
    let most = (limits::LEASE.0 + 1_000) as i64;
    assert!(longest <= most, "leased again after {longest} ms, {most} ms is the bound");
    let done = histories.iter().filter(|history| !events(history, "completed").is_empty()).count();
    assert_eq!(done, leases, "accepted runs were lost");
    let violations = check(&world.observe(orders, vec![snapshot]));
    assert!(violations.is_empty(), "{violations:#?}");
}

fn kill(pid: u64) {
    #[expect(
        unsafe_code,
        reason = "kill(2) takes two numbers; the pid is that of a worker of our own server"
    )]
    // SAFETY: no memory is involved.
    let sent = unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
    assert_eq!(sent, 0, "kill {pid}");
}

fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

// covers: AX-18, AX-19, AX-21, AX-22, AX-25, AO-61, AO-62, AO-63, AO-64
#[test]
fn the_end_of_a_kept_process_is_seen_at_once_told_and_its_run_goes_on_elsewhere() {
    let mut world = world_without_embedded(&["--workers", "2"]);
    let two = until("two workers are live", Duration::from_secs(30), || {
        Some(workers(&world)).filter(|workers| workers.len() == 2)
    });
    assert!(two.iter().all(|worker| worker["seat"].as_u64().is_some()), "{two:#?}");
    world.model_does(&json!({"fault": {"kind": "slow", "first_token_ms": 1500, "per_chunk_ms": 0}}));
    let mut asked = order("patient", "Ada");
    submit(&mut world.http(), &mut asked).unwrap();
    let id = asked.receipts[0]["id"].as_str().unwrap().to_owned();
    until("the second step is under way", Duration::from_secs(30), || (world.calls().1 == 2).then_some(()));
    let holder = get(&world, &format!("/api/v1/runs/{id}"))["worker"].as_str().unwrap().to_owned();
    let held = two.iter().find(|worker| worker["id"] == holder.as_str()).unwrap();
    let killed_at = now_ms();
    kill(held["pid"].as_u64().unwrap());
    let ended = until("the run ends", Duration::from_secs(40), || {
        let run = get(&world, &format!("/api/v1/runs/{id}"));
        (!run["ended_at"].is_null()).then_some(run)
    });
    assert_eq!((&ended["state"], &ended["epoch"]), (&json!("COMPLETED"), &json!(2)), "{ended:#}");
    let history = get(&world, &format!("/api/v1/runs/{id}/history"));
    let (lost, waited) = taken_over(std::slice::from_ref(&history), killed_at);
    assert!(lost == 1 && waited < 5_000, "no lease has to run out: {waited} ms\n{history:#}");
    let why = events(&history, "lease_lost")[0]["event"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("SIGKILL, 137"), "{why}");
    let shown = get(&world, &format!("/api/v1/workers/{holder}"));
    assert_eq!((&shown["status"], &shown["end"]["exit_code"]), (&json!("ended"), &json!(137)), "{shown:#}");
    assert_eq!(shown["end"]["signal"], "SIGKILL");
    let seat = held["seat"].as_u64().unwrap();
    until("the seat is taken again", Duration::from_secs(20), || {
        workers(&world)
            .iter()
            .any(|worker| worker["seat"] == seat && worker["id"] != holder.as_str())
            .then_some(())
    });
    let seats = get(&world, "/api/v1/workers")["seats"].clone();
    let restarts: u64 = seats.as_array().unwrap().iter().map(|seat| seat["restarts"].as_u64().unwrap()).sum();
    assert_eq!(restarts, 1, "{seats:#}");
    let violations = check(&world.observe(vec![asked], Vec::new()));
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn kept_processes_end_with_their_server_however_it_ends() {
    let mut world = world_without_embedded(&["--workers", "2"]);
    let pids = |world: &World| {
        let pids: Vec<u64> = workers(world).iter().filter_map(|worker| worker["pid"].as_u64()).collect();
        (pids.len() == 2).then_some(pids)
    };
    let first = until("two workers are live", Duration::from_secs(30), || pids(&world));
    assert!(first.iter().all(|pid| is_alive(*pid)));
    world.kill_server();
    until("none is left behind", Duration::from_secs(30), || {
        (!first.iter().any(|pid| is_alive(*pid))).then_some(())
    });
    let mut command = world.server_command(&[]);
    world.up_with(command.env("HALE_WORKER_EMBEDDED", "false").args(["--workers", "2"]));
    let second = until("two others are live", Duration::from_secs(40), || {
        let found = pids(&world)?;
        found.iter().all(|pid| !first.contains(pid)).then_some(found)
    });
    assert_eq!(world.http().post("/api/v1/shutdown", &json!({})).unwrap().status, 202);
    until("none is left behind", Duration::from_secs(30), || {
        (!second.iter().any(|pid| is_alive(*pid))).then_some(())
    });
    let mut server = world.server.take().unwrap();
    until("the server has ended", Duration::from_secs(30), || server.ended());
}

// A server that wants keys gives its own processes one that opens nothing but what workers do.
#[test]
fn kept_processes_come_in_where_keys_are_wanted_and_their_key_opens_nothing_else() {
    let mut world = World::new();
    let data = world.data.clone();
    let made = world.program().args(["keys", "create", "me", "-q", "--data"]).arg(&data).output().unwrap();
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(key.starts_with("hale_"), "{key} {}", String::from_utf8_lossy(&made.stderr));
    let mut command = world.server_command(&[]);
    command.env("HALE_WORKER_EMBEDDED", "false").env("HALE_ACCESS_REQUIRE_KEY", "true");
    world.up_with(command.args(["--workers", "1"]));
    let ask = |method: &str, path: &str, key: &str, body: Option<&Value>| {
        world.http().ask(method, path, &[("x-api-key", key)], body).unwrap()
    };
    let worker = until("a worker has come in", Duration::from_secs(30), || {
        let page = ask("GET", "/api/v1/workers", &key, None).json();
        page["items"].as_array()?.first().cloned()
    });
    let environ = std::fs::read(format!("/proc/{}/environ", worker["pid"])).unwrap();
    let environ = String::from_utf8_lossy(&environ).into_owned();
    let own = environ.split('\0').find_map(|entry| entry.strip_prefix("HALE_KEY=")).unwrap();
    let id = worker["id"].as_str().unwrap();
    for (method, path) in [
        ("GET", "/api/v1/runs"),
        ("POST", "/api/v1/runs"),
        ("POST", "/api/v1/workers/scale"),
        ("POST", "/api/v1/workers/1/restart"),
        ("GET", &format!("/api/v1/workers/{id}")),
    ] {
        let body = json!({});
        let refused = ask(method, path, own, (method == "POST").then_some(&body));
        assert_eq!(refused.status, 401, "{method} {path}: {}", refused.text);
    }
    let body = json!({ "pack": "echo", "input": {} });
    let started = ask("POST", "/api/v1/runs", &key, Some(&body)).json();
    let path = format!("/api/v1/runs/{}?wait=30s", started["id"].as_str().unwrap());
    let ended = ask("GET", &path, &key, None).json();
    assert_eq!(ended["state"], "COMPLETED", "{ended:#}");
}
