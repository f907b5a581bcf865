//! What operators do by hand: look for conflicts, undo, break things on purpose, read and follow the log, watch a run.

use crate::cli_world::{HALE, World, did};
use crate::http_house::House;
use crate::world::until;
use hale::cli::command;
use hale::cli::logs::tail::Tail;
use hale::exit::Exit;
use hale::logs::file::{Rotating, files};
use hale_lab::chaos::KNOWN;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

fn pack(name: &str, more: &str) -> String {
    format!("---\nname: {name}\nversion: 1.0.0\ndescription: For a test.\nkind: echo\n{more}\n---\n")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

// covers: CX-65
#[test]
fn capabilities_that_two_packs_offer_are_a_conflict_until_one_is_disabled() {
    let world = World::new();
    world.write("notes.md", &pack("notes", "capabilities: [summarise, write]"));
    world.write("research.md", &pack("research", "capabilities: [research, summarise]"));
    world.up();
    for name in ["notes.md", "research.md"] {
        world.expect(0, &["packs", "deploy", name]);
    }
    let warnings = Exit::Warnings as i32;
    let all = json(&world.expect(warnings, &["capabilities", "check-conflicts", "--json"]).out);
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{all:#}");
    assert_eq!(items[0]["capability"], "summarise");
    let offers: Vec<String> = items[0]["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| format!("{}@{}", offer["pack"].as_str().unwrap(), offer["version"].as_str().unwrap()))
        .collect();
    assert_eq!(offers, ["notes@1.0.0", "research@1.0.0"]);
    assert!(items[0]["chosen"].is_null(), "nothing ranks them");
    let shown = world.expect(warnings, &["capabilities", "check-conflicts", "notes"]).out;
    assert!(shown.contains("notes@1.0.0, research@1.0.0") && shown.contains("nothing ranks"), "{shown}");
    world.expect(warnings, &["capabilities", "check-conflicts", "summarise"]);
    world.expect(0, &["capabilities", "check-conflicts", "write"]);
    let unknown = world.expect(Exit::NotFound as i32, &["capabilities", "check-conflicts", "sumarise"]);
    assert!(unknown.err.contains("did you mean summarise?"), "{}", unknown.err);
    world.expect(0, &["packs", "disable", "notes"]);
    world.expect(0, &["capabilities", "check-conflicts"]);
    world.expect(0, &["capabilities", "check-conflicts", "notes"]);
}

#[test]
fn an_undo_takes_the_newest_fix_that_still_stands_and_says_when_none_does() {
    let world = World::new();
    world.up();
    let never = world.expect(Exit::NotFound as i32, &["doctor", "--undo", "llm.rate_limited"]);
    assert!(never.err.contains("hale operations list"), "{}", never.err);
    world.expect(0, &["chaos", "inject", "llm.rate_limit", "--for", "10m"]);
    world.expect(Exit::RunFailed as i32, &["run", "hello", "--input", "name=Ada"]);
    world.expect(0, &["doctor", "--fix", "llm.rate_limited"]);
    let undone = json(&world.expect(0, &["doctor", "--undo", "llm.rate_limited", "--json"]).out);
    assert_eq!((&undone["cause"], &undone["outcome"]), (&"llm.rate_limited".into(), &"changed".into()));
    let again = world.expect(Exit::Conflict as i32, &["doctor", "--undo", "llm.rate_limited"]);
    assert!(again.err.contains("all 1 are undone already"), "{}", again.err);
    // A newer fix is taken back before an older one.
    world.expect(Exit::RunFailed as i32, &["run", "hello", "--input", "name=Ada"]);
    let fixed = json(&world.expect(0, &["doctor", "--fix", "llm.rate_limited", "--json"]).out);
    world.expect(0, &["doctor", "--undo", "llm.rate_limited"]);
    let operation = fixed["operation"].as_str().unwrap();
    let twice = world.expect(Exit::Conflict as i32, &["operations", "undo", operation]);
    assert!(twice.err.contains("it was undone already, by op_"), "{}", twice.err);
}

#[test]
fn a_fault_takes_its_own_values_only_and_the_help_names_them() {
    let world = World::new();
    world.up();
    let slip = world.expect(Exit::InvalidInput as i32, &["chaos", "inject", "llm.slow", "--set", "wiat=20s"]);
    assert!(slip.err.contains("it takes model, wait; did you mean wait?"), "{}", slip.err);
    assert!(world.expect(0, &["chaos", "list"]).out.is_empty(), "nothing was injected");
    let mut command = command();
    let inject = command.find_subcommand_mut("chaos").unwrap().find_subcommand_mut("inject").unwrap();
    let help = inject.render_long_help().to_string();
    let help = help.split_once("the values they take:").expect("the help lists the faults").1;
    for known in KNOWN {
        let at = help.find(known.fault).unwrap_or_else(|| panic!("the help has no {}", known.fault));
        let rest = help[at + known.fault.len()..].split_once("  ").unwrap_or_default().1;
        let listed = rest.trim_start().split("   ").next().unwrap_or_default();
        let takes: Vec<&str> = known.takes.iter().map(|(name, _)| *name).collect();
        assert!(
            takes.is_empty() || listed.trim().starts_with(&takes.join(", ")),
            "{}: {listed}",
            known.fault
        );
    }
}

/// A command whose output is read while it runs; ended with the test.
struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(world: &World, args: &[&str]) -> Self {
        let mut command = world.program(HALE);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line that is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            let document = json(&line);
            if wanted(&document) {
                return document;
            }
            line.clear();
        }
        panic!("its output ended before {what}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(did: &crate::cli_world::Did) -> String {
    did.out.lines().next().unwrap().trim().to_owned()
}

// covers: AO-136
#[test]
fn watching_shows_a_run_while_it_is_under_way() {
    let world = World::new();
    world.up();
    world.expect(0, &["chaos", "inject", "llm.slow", "--for", "10m", "--set", "wait=60s"]);
    let run = name(&world.expect(0, &["run", "hello", "--input", "name=Ada", "--detach", "-o", "name"]));
    let mut watch = Running::start(&world, &["runs", "watch", &run, "-o", "jsonl"]);
    watch.until("the run began", |event| event["record"]["event"]["type"] == "initialized");
    let shown = json(&world.expect(0, &["runs", "show", &run, "--json"]).out);
    assert_eq!(shown["state"], "RUNNING", "its past came before its end");
    assert!(watch.child.try_wait().unwrap().is_none(), "the watching goes on");
    world.expect(0, &["runs", "cancel", &run]);
    watch.until("the cancellation was heard of", |event| event["record"]["event"]["type"] == "cancel_asked");
    watch.until("the end was told", |event| event["run"]["state"] == "CANCELLED");
    assert_eq!(watch.child.wait().unwrap().code(), Some(Exit::RunCancelled as i32));
}

// covers: TRAP-02
#[test]
fn every_query_of_the_log_finds_lines_that_the_server_really_wrote() {
    let world = World::new();
    world.up();
    let good = json(&world.expect(0, &["run", "hello", "--input", "name=Ada", "--json"]).out);
    world.expect(0, &["chaos", "inject", "llm.key_refuse", "--for", "10m"]);
    let bad =
        json(&world.expect(Exit::RunFailed as i32, &["run", "hello", "--input", "name=Bob", "--json"]).out);
    let found = |args: &[&str]| -> Vec<Value> {
        let all: Vec<&str> = ["logs", "-n", "10000", "-o", "jsonl"].iter().chain(args).copied().collect();
        world.expect(0, &all).out.lines().map(json).collect()
    };
    // Lines are written in bundles; the failed run's error is the last that these queries need.
    let id = bad["id"].as_str().unwrap();
    until("the error is written", Duration::from_secs(20), || {
        (!found(&["--run", id, "--level", "error"]).is_empty()).then_some(())
    });
    let everything = found(&[]);
    // Each query takes effect: it finds some lines, only such, and all of them.
    let check = |args: &[&str], fits: &dyn Fn(&Value) -> bool| {
        let (lines, expected) = (found(args), everything.iter().filter(|line| fits(line)).count());
        assert!(!lines.is_empty(), "{args:?} finds nothing that was really written");
        assert!(lines.iter().all(fits), "{args:?} finds other lines too");
        assert!(lines.len() >= expected && expected > 0, "{args:?}: {} of {expected}", lines.len());
        assert!(lines.len() < everything.len(), "{args:?} leaves nothing out");
    };
    let is = |key: &'static str, value: &Value| {
        let value = value.clone();
        move |line: &Value| line[key] == value
    };
    check(&["--level", "error"], &is("level", &"error".into()));
    check(&["--level", "warn"], &|line| line["level"] == "warn" || line["level"] == "error");
    for run in [&good, &bad] {
        let id = run["id"].as_str().unwrap();
        check(&["--run", id], &is("run_id", &run["id"]));
    }
    let both = found(&["--run", id, "--level", "error"]);
    assert!(both.iter().all(|line| line["run_id"] == *id && line["level"] == "error") && !both.is_empty());
    assert!(found(&["--since", "1ms"]).len() < everything.len());
    assert!(found(&["--since", "1h"]).len() >= everything.len());
    // What the help pipes into jq selects by a key that lines have.
    assert!(everything.iter().any(|line| line["event"] == "hot_reload"));
    let text = world.expect(0, &["logs", "--run", id, "--text", "-n", "10000"]).out;
    let prefix = format!("ERROR [run_id={id}] ");
    assert!(text.lines().any(|line| line.starts_with(&prefix)), "{text}");
}

#[test]
fn a_followed_log_goes_on_with_what_is_written_from_then_on() {
    let world = World::new();
    world.up();
    let mut follow = Running::start(&world, &["logs", "--follow", "-o", "jsonl", "-n", "1"]);
    follow.until("what was there", |_| true);
    let run = json(&world.expect(0, &["run", "echo", "--json"]).out);
    follow.until("the new run's lines", |line| line["run_id"] == run["id"]);
    assert!(follow.child.try_wait().unwrap().is_none(), "it goes on");
}

#[test]
fn the_end_of_the_log_is_read_over_the_turn_of_the_file_each_line_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut log = Rotating::with_size(dir.path(), 100).unwrap();
    log.append(b"line 00 of the log\n");
    let mut tail = Tail::open(dir.path()).unwrap();
    let mut read = tail.lines().unwrap();
    for number in 1..40 {
        log.append(format!("line {number:02} of the log\n").as_bytes());
        if number % 3 == 0 {
            read.extend(tail.lines().unwrap());
        }
    }
    read.extend(tail.lines().unwrap());
    let expected: Vec<String> = (0..40).map(|number| format!("line {number:02} of the log")).collect();
    assert_eq!(read, expected);
    assert_eq!(files(dir.path()).iter().filter(|path| path.exists()).count(), 3, "it was turned");
    let present = files(dir.path()).pop().unwrap();
    let mut half = std::fs::File::options().append(true).open(present).unwrap();
    std::io::Write::write_all(&mut half, b"half ").unwrap();
    assert!(tail.lines().unwrap().is_empty(), "a line counts when it has its end");
    std::io::Write::write_all(&mut half, b"a line\n").unwrap();
    assert_eq!(tail.lines().unwrap(), ["half a line"]);
}

// covers: TRAP-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_health_is_printed_with_its_status_and_its_evidence() {
    let house = House::open().await;
    house.app.engine.drain().await;
    house.app.engine.probe().await;
    house.get("/health").gives(503).await;
    house.get("/api/v1/status").gives(503).await;
    let url = format!("http://{}", house.address);
    let status = |args: &'static [&'static str]| {
        let url = url.clone();
        let ask = move || {
            did(World::new().program(HALE).arg("status").args(args).args(["--url", &url]).output().unwrap())
        };
        async { tokio::task::spawn_blocking(ask).await.unwrap() }
    };
    let told = status(&[]).await;
    assert_eq!(told.code, Exit::Critical as i32, "{}{}", told.out, told.err);
    for evidence in ["unhealthy", "answered 503", "orchestrator", "store"] {
        assert!(told.out.contains(evidence), "{evidence} is missing: {}", told.out);
    }
    let told = status(&["--json"]).await;
    let health = json(&told.out);
    assert_eq!((told.code, &health["status"]), (Exit::Critical as i32, &"unhealthy".into()));
    let ill = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "orchestrator");
    assert_eq!(ill.unwrap()["status"], "unhealthy");
    assert!(told.err.contains("503") || told.err.contains("engine"), "{}", told.err);
}
