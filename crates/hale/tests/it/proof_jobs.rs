//! Jobs in real processes: a server, workers, and programs that are cancelled, misbehave, or lose their server.
//!
//! The programs are those of the system (`sleep`, `sh`, `dd`) and the back-tester of this project.

use crate::world::{Answer, Process, World, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The back-tester lies beside the program under test; a build of the workspace makes both.
pub fn backtester() -> PathBuf {
    let path = Path::new(crate::world::HALE).with_file_name("hale-backtester");
    assert!(path.exists(), "{} is not there; build it with: cargo build -p hale-backtester", path.display());
    path
}

/// A world whose server may run these programs.
pub fn world(more: &str) -> World {
    let world = World::new();
    let file = world.path("work/hale.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let allow = format!("allow = [\"/usr/bin\", \"/bin\", \"{}\"]", backtester().display());
    std::fs::write(&file, format!("{config}\n[jobs]\n{allow}\n{more}\n")).unwrap();
    world
}

/// Deploys a job pack; gives what the server says of it.
pub fn deploy(world: &World, name: &str, keys: &str) -> Value {
    let source = format!("---\nname: {name}\nversion: 1.0.0\nkind: job\n{keys}\n---\n");
    let body = json!({ "file_name": format!("{name}.md"), "source": source });
    let answer = world.http().post("/api/v1/packs", &body).unwrap();
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.json()
}

pub fn start(world: &World, pack: &str, input: Value) -> String {
    let answer = world.http().post("/api/v1/runs", &json!({ "pack": pack, "input": input })).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

pub fn get(world: &World, path: &str) -> Answer {
    world.http().get(path).unwrap()
}

/// The run at its end.
pub fn ended(world: &World, run: &str) -> Value {
    until(&format!("{run} ends"), Duration::from_secs(60), || {
        let run = get(world, &format!("/api/v1/runs/{run}?wait=20s")).json();
        run["ended_at"].is_string().then_some(run)
    })
}

/// Processes whose environment or arguments hold the mark; zombies do not count.
fn marked(mark: &str) -> Vec<u32> {
    let has = |file: String| {
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| has(format!("/proc/{pid}/environ")) || has(format!("/proc/{pid}/cmdline"))).collect()
}

fn gone(mark: &str) {
    until("nothing of the job is left", Duration::from_secs(15), || marked(mark).is_empty().then_some(()));
}

fn running(mark: &str, least: usize) -> Vec<u32> {
    until("the job runs", Duration::from_secs(20), || Some(marked(mark)).filter(|pids| pids.len() >= least))
}

/// Two sleepers that leave the session of their parent, and the parent.
const FAMILY: &str =
    "run: [sh, -c, \"setsid sleep 777 & setsid sleep 777 & wait\"]\nlimits: { timeout: 60s, grace: 1s }";

// covers: AO-61 AO-62 AO-71 AO-72 TR-29
#[test]
fn a_job_ends_with_its_walls_and_its_use_in_the_record() {
    let mut world = world("");
    world.up();
    let keys =
        "run: [dd, if=/dev/zero, of=/dev/null, bs=60M, count=60]\nlimits: { timeout: 30s, memory: 64MiB }";
    deploy(&world, "hungry", keys);
    let run = start(&world, "hungry", json!({}));
    let run = ended(&world, &run);
    assert_eq!(run["state"], "COMPLETED", "{run}");
    let output = &run["output"];
    assert_eq!((&output["exit_code"], &output["program"]), (&json!(0), &json!("dd")));
    let peak = output["memory"]["peak_bytes"].as_u64().unwrap();
    assert!((56 << 20..=64 << 20).contains(&peak), "{output}");
    assert_eq!(output["memory"]["limit_bytes"], 64 << 20);
    assert!(output["cpu_ms"].as_u64().is_some() && output["took_ms"].as_u64().unwrap() > 0);
    let live = output["walls"]["live"].as_array().unwrap();
    assert!(live.contains(&json!("memory-watch")) && live.contains(&json!("subreaper")), "{output}");
    let history = get(&world, &format!("/api/v1/runs/{}/history", run["id"].as_str().unwrap())).text;
    assert!(history.contains("step_dispatched") && history.contains("\"job\""), "{history}");
    gone(run["id"].as_str().unwrap());
    // Its folder is removed with its end.
    let left: Vec<_> = std::fs::read_dir(world.data.join("jobs/server/work")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

// covers: AO-73, AX-111, TR-34, TR-35
#[test]
fn a_job_that_had_too_little_memory_gets_more_with_a_new_version_and_the_old_one_is_kept() {
    let mut world = world("");
    world.up();
    let takes = |memory: &str| {
        format!(
            "run: [dd, if=/dev/zero, of=/dev/null, bs=80M, count=2000]\nlimits: {{ timeout: 30s, memory: {memory} }}"
        )
    };
    deploy(&world, "collect", &takes("64MiB"));
    let first = ended(&world, &start(&world, "collect", json!({})));
    assert_eq!((&first["state"], &first["error"]["cause"]), (&json!("FAILED"), &json!("job.oom")), "{first}");
    let source = format!("---\nname: collect\nversion: 1.1.0\nkind: job\n{}\n---\n", takes("128MiB"));
    let body = json!({ "file_name": "collect.md", "source": source.replace("count=2000", "count=20") });
    assert!(matches!(world.http().post("/api/v1/packs", &body).unwrap().status, 200 | 201));
    let second = ended(&world, &start(&world, "collect", json!({})));
    assert_eq!(second["state"], "COMPLETED", "{second}");
    assert_eq!(second["output"]["memory"]["limit_bytes"], 128 << 20);
    // Each run says which revision of the limits it had, and the old one can be looked at and gone back to.
    assert_eq!((&first["version"], &second["version"]), (&json!("1.0.0"), &json!("1.1.0")));
    let pack = get(&world, "/api/v1/packs/collect").json();
    assert!(pack["versions"].to_string().contains("1.0.0"), "{pack}");
    assert_eq!(world.http().post("/api/v1/packs/collect/rollback", &json!({})).unwrap().status, 200);
    assert_eq!(get(&world, "/api/v1/packs/collect").json()["version"], "1.0.0");
}

// covers: AO-125
#[test]
fn memory_is_warned_of_at_85_and_92_percent() {
    let mut world = world("");
    world.up();
    let keys =
        "run: [dd, if=/dev/zero, of=/dev/null, bs=60M, count=200]\nlimits: { timeout: 30s, memory: 64MiB }";
    deploy(&world, "hungry", keys);
    let run = start(&world, "hungry", json!({}));
    assert_eq!(ended(&world, &run)["state"], "COMPLETED");
    until("both warnings are in the log", Duration::from_secs(10), || {
        let log = world.log_file();
        let said = |text: &str| {
            log.lines()
                .any(|line| line.contains("\"level\":\"warn\"") && line.contains(text) && line.contains(&run))
        };
        (said("\"msg\":\"Memory usage at 85%\"") && said("\"msg\":\"Memory usage at 92%\"")).then_some(())
    });
}

// covers: TR-27
#[test]
fn cancelling_ends_the_whole_tree() {
    let mut world = world("");
    world.up();
    deploy(&world, "family", FAMILY);
    let run = start(&world, "family", json!({}));
    running(&run, 3);
    let answer = world.http().post(&format!("/api/v1/runs/{run}/cancel"), &json!({})).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(ended(&world, &run)["state"], "CANCELLED");
    // The run is over only when its tree is.
    assert_eq!(marked(&run), Vec::<u32>::new());
}

#[test]
fn a_time_limit_ends_the_whole_tree() {
    let mut world = world("");
    world.up();
    deploy(&world, "family", &FAMILY.replace("60s", "2s"));
    let run = start(&world, "family", json!({}));
    running(&run, 3);
    let view = ended(&world, &run);
    assert_eq!((&view["state"], &view["error"]["code"]), (&json!("TIMEOUT"), &json!("E003")), "{view}");
    gone(&run);
}

// covers: AO-63 AO-64
#[test]
fn a_job_of_a_killed_server_leaves_no_orphans_and_a_person_decides() {
    let mut world = world("");
    world.up();
    deploy(&world, "family", FAMILY);
    let run = start(&world, "family", json!({}));
    let before = running(&run, 3);
    world.kill_server();
    gone(&run);
    world.up();
    let parked = until("the run waits for a person", Duration::from_secs(30), || {
        let run = get(&world, &format!("/api/v1/runs/{run}")).json();
        (run["waiting_on"] == "approval").then_some(run)
    });
    assert!(marked(&run).iter().all(|pid| !before.contains(pid)), "{parked}");
    let answer = world.http().post(&format!("/api/v1/runs/{run}/resolve"), &json!({ "as": "fail" })).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[test]
fn what_a_killed_supervisor_left_is_ended_by_the_next_server() {
    let mut world = world("");
    world.up();
    deploy(&world, "family", FAMILY);
    let run = start(&world, "family", json!({}));
    running(&run, 3);
    // The note of those who left the session is written some moments later.
    let entry = until("the table names those who left", Duration::from_secs(10), || {
        let entries = std::fs::read_dir(world.data.join("jobs/server/table")).unwrap().flatten();
        let entries = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        let mut entries = entries.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
        entries.find(|entry| {
            entry["job"].as_str().is_some_and(|job| job.starts_with(&run)) && entry["escaped"].is_array()
        })
    });
    // It stands still, so that it cannot clear up itself when its supervisor dies.
    world.server.as_ref().unwrap().signal(libc::SIGSTOP);
    let supervisor = entry["supervisor"].as_i64().unwrap();
    #[expect(
        unsafe_code,
        reason = "kill(2) takes two numbers; the pid is a live child's of the server, which stands still"
    )]
    // SAFETY: no memory is involved.
    let sent = unsafe { libc::kill(supervisor as libc::pid_t, libc::SIGKILL) };
    assert_eq!(sent, 0);
    world.kill_server();
    assert!(marked(&run).len() >= 2, "the fault left nobody behind");
    world.up();
    gone(&run);
    until("the log tells of it", Duration::from_secs(10), || {
        world.log_file().contains("job_reaped").then_some(())
    });
}

#[test]
fn an_idempotent_job_is_started_again_after_a_crash() {
    let mut world = world("");
    world.up();
    deploy(&world, "again", "run: [sleep, 3]\nidempotent: true\nlimits: { timeout: 60s }");
    let run = start(&world, "again", json!({}));
    running(&run, 1);
    world.kill_server();
    world.up();
    assert_eq!(ended(&world, &run)["state"], "COMPLETED");
    let history = get(&world, &format!("/api/v1/runs/{run}/history")).text;
    assert_eq!(history.matches("step_dispatched").count(), 2, "{history}");
}

#[test]
fn a_worker_process_runs_jobs_and_sends_their_results() {
    let mut world = world("[worker]\nembedded = false");
    world.up();
    let _worker: Process = world.worker();
    let keys = "run: [cp, input.json, \"{results}/copy.json\"]\ninput: { word: string }\nresults: results\nexpects: [copy.json]";
    deploy(&world, "copier", keys);
    let run = start(&world, "copier", json!({ "word": "hello" }));
    let view = ended(&world, &run);
    assert_eq!(view["state"], "COMPLETED", "{view}");
    assert_eq!(view["artifacts"][0]["name"], "copy.json");
    let bytes = get(&world, &format!("/api/v1/runs/{run}/artifacts/copy.json")).text;
    assert_eq!(bytes, "{\"word\":\"hello\"}");
    // What its program says is in the server's log.
    deploy(&world, "speaker", "run: [echo, \"a word of {input.word}\"]\ninput: { word: string }");
    let run = start(&world, "speaker", json!({ "word": "mine; $(id)" }));
    assert_eq!(ended(&world, &run)["state"], "COMPLETED");
    until("the line is in the log", Duration::from_secs(10), || {
        let log = world.log_file();
        let mut lines = log.lines().filter(|line| line.contains("job_output") && line.contains(&run));
        lines
            .any(|line| {
                line.contains("\"msg\":\"a word of mine; $(id)\"") && line.contains("\"stream\":\"stdout\"")
            })
            .then_some(())
    });
}

#[test]
fn a_killed_worker_process_leaves_no_orphans() {
    let mut world = world("[worker]\nembedded = false");
    world.up();
    let mut worker = world.worker();
    deploy(&world, "family", FAMILY);
    let run = start(&world, "family", json!({}));
    running(&run, 3);
    worker.kill();
    gone(&run);
}

// covers: AO-68
#[test]
fn a_job_that_may_not_start_is_refused_with_the_way_out() {
    let mut world = world("");
    std::fs::write(world.path("plain.txt"), "no program").unwrap();
    world.up();
    let plain = world.path("plain.txt").display().to_string();
    let cases = [
        ("missing", "run: [no-such-program]".to_owned(), "job.program_missing"),
        ("absent", "run: [/usr/bin/no-such-program]".to_owned(), "job.program_missing"),
        ("outside", format!("run: [{plain}]"), "job.outside_allowed"),
        ("walled", "run: [\"true\"]\nnetwork: true\nrequire: [tcp]".to_owned(), "job.refused"),
        ("tiny", "run: [\"true\"]\nlimits: { memory: 1MiB }".to_owned(), "job.refused"),
    ];
    for (name, keys, cause) in cases {
        let deployed = deploy(&world, name, &keys);
        if name != "walled" {
            assert!(deployed["warnings"].to_string().contains("would not start here"), "{deployed}");
        }
        let view = ended(&world, &start(&world, name, json!({})));
        assert_eq!((&view["state"], &view["error"]["cause"]), (&json!("FAILED"), &json!(cause)), "{view}");
        let text = view["error"].to_string();
        assert!(cause == "job.refused" || text.contains("hale config explain jobs.allow"), "{text}");
    }
    let data = world.data.parent().unwrap().display().to_string();
    let source =
        format!("---\nname: nosy\nkind: job\nrun: [cat]\ngrants: {{ files: [\"{data}:ro\"] }}\n---\n");
    let body = json!({ "file_name": "nosy.md", "source": source });
    let answer = world.http().post("/api/v1/packs", &body).unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[test]
fn doctor_tells_which_walls_stand() {
    let mut world = world("");
    world.up();
    let walls = until("the probe has ended", Duration::from_secs(20), || {
        let doctor = get(&world, "/api/v1/doctor").json();
        doctor["walls"].as_array().filter(|walls| !walls.is_empty()).cloned()
    });
    assert_eq!(walls.len(), 24);
    let live = walls.iter().filter(|wall| wall["live"] == true).count();
    assert!(walls.iter().all(|wall| wall["live"] == true || wall["why"].is_string()), "{walls:?}");
    let evidence = get(&world, "/api/v1/evidence").text;
    assert!(evidence.contains("jobs.walls_live"), "{evidence}");
    let out = world.program().args(["doctor", "--data"]).arg(&world.data).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains(&format!("{live} of 24 around jobs are live")), "{text}");
}
