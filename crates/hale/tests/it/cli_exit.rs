//! Every exit code of the table is produced by the program itself, and the same in every output format.

use crate::cli_world::{Did, World, did};
use hale::exit::{Exit, TABLE};
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::{Evidence, Subject, Value};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

/// Runs the command in three formats, expects the same code each time, and notes it.
struct Seen<'a> {
    world: &'a World,
    codes: BTreeSet<u8>,
}

impl Seen<'_> {
    /// Once, for commands that change something.
    fn once(&mut self, exit: Exit, args: &[&str]) -> Did {
        let did = self.world.expect(exit as i32, args);
        self.codes.insert(exit as u8);
        did
    }

    /// In every form; each time the answer or the error is on the right stream.
    fn in_every_form(&mut self, exit: Exit, args: &[&str]) {
        for form in ["table", "json", "jsonl", "yaml", "name"] {
            let all: Vec<&str> = args.iter().copied().chain(["-o", form]).collect();
            let did = self.once(exit, &all);
            if form == "json" {
                let document: Result<serde_json::Value, _> = serde_json::from_str(&did.out);
                assert!(document.is_ok(), "hale {} printed no document: {}", all.join(" "), did.out);
            }
        }
    }
}

fn id(did: &Did) -> String {
    did.out.lines().next().unwrap().trim().to_owned()
}

#[test]
fn every_exit_code_of_the_table_is_produced() {
    let world = World::new();
    let mut seen = Seen { world: &world, codes: BTreeSet::new() };
    without_server(&mut seen);
    doctor(&mut seen);
    world.up();
    finished(&mut seen);
    refused(&mut seen);
    slow(&mut seen);
    unauthorised(&mut seen);
    let codes = seen.codes;
    // Faults of the last five minutes are evidence, so this needs a server that has seen no others.
    let fresh = World::new();
    fresh.up();
    let mut seen = Seen { world: &fresh, codes };
    unverified(&mut seen);
    let missing: Vec<&(Exit, &str)> =
        TABLE.iter().filter(|(exit, _)| !seen.codes.contains(&(*exit as u8))).collect();
    assert!(missing.is_empty(), "not produced: {missing:?}");
}

fn without_server(seen: &mut Seen<'_>) {
    seen.in_every_form(Exit::Unreachable, &["status"]);
    seen.in_every_form(Exit::NotFound, &["explain", "nope"]);
    seen.in_every_form(Exit::Done, &["explain", "E003"]);
    seen.once(Exit::Usage, &["rusn", "list"]);
    seen.once(Exit::Usage, &["runs", "list", "--nope"]);
    seen.world.write("bad.toml", "[run]\ntimout = 1\n");
    seen.in_every_form(Exit::InvalidInput, &["config", "check", "bad.toml"]);
    seen.world.write("there.md", "");
    seen.in_every_form(Exit::Conflict, &["packs", "init", "there.md"]);
    std::fs::create_dir(seen.world.cwd().join("full")).unwrap();
    seen.world.write("full/file", "");
}

/// A bundle of evidence with these readings.
fn bundle(world: &World, name: &str, subject: Subject, readings: &[(&str, Value)]) {
    let mut evidence = Evidence::builder(subject, Timestamp(1_795_316_700_000));
    for (signal, value) in readings {
        evidence = evidence.known(signal, value.clone(), "engine");
    }
    world.write(name, &evidence.build().unwrap().to_json());
}

fn doctor(seen: &mut Seen<'_>) {
    let starved = |live: i64, busy: i64| {
        [
            ("runs.pending", Value::from(3)),
            ("runs.active", 0.into()),
            ("runs.oldest_pending_age", Millis::seconds(92).into()),
            ("workers.live", live.into()),
            ("workers.busy", busy.into()),
            ("workers.draining", 0.into()),
            ("workers.slots", live.into()),
        ]
    };
    bundle(seen.world, "critical.json", Subject::System, &starved(0, 0));
    seen.in_every_form(Exit::Critical, &["doctor", "--evidence", "critical.json"]);
    // A live worker that idles while runs wait: the one known cause is ruled out, so the verdict is open.
    bundle(seen.world, "open.json", Subject::System, &starved(2, 0));
    seen.in_every_form(Exit::Undetermined, &["doctor", "--evidence", "open.json"]);
    bundle(seen.world, "well.json", Subject::System, &[("runs.pending", 0.into())]);
    seen.in_every_form(Exit::Done, &["doctor", "--evidence", "well.json"]);
    let slow = [
        ("run.state", Value::from("TIMEOUT")),
        ("run.error_cause", "run.timeout".into()),
        ("run.error_code", "E003".into()),
        ("run.limit", Millis::seconds(60).into()),
        ("run.age", Millis::seconds(60).into()),
        ("run.model", "sim/small".into()),
        ("run.model_share", Value::Num(0.97)),
        ("run.slowest_model_call", Millis::seconds(58).into()),
        ("run.time_model", Millis::seconds(58).into()),
        ("run.turns", 1.into()),
        ("run.turns_limit", 12.into()),
        ("run.tool_calls", 0.into()),
        ("run.tool_share", Value::Num(0.0)),
        ("run.repeated_call_max", 0.into()),
        ("run.pack", "hello".into()),
        ("run.pack_limit", Millis::seconds(60).into()),
    ];
    bundle(seen.world, "slow.json", Subject::Run("run_1".to_owned()), &slow);
    seen.in_every_form(Exit::Warnings, &["doctor", "--evidence", "slow.json"]);
    seen.world.write("broken.json", "{}");
    seen.in_every_form(Exit::InvalidInput, &["doctor", "--evidence", "broken.json"]);
}

fn finished(seen: &mut Seen<'_>) {
    seen.in_every_form(Exit::Done, &["run", "echo", "--input", "a=1"]);
    seen.in_every_form(Exit::Done, &["status"]);
    let done = id(&seen.once(Exit::Done, &["runs", "list", "-n", "1", "-o", "name"]));
    seen.in_every_form(Exit::Conflict, &["runs", "cancel", &done]);
    seen.in_every_form(Exit::Failed, &["backup", "create", "full"]);
    seen.once(Exit::Done, &["chaos", "inject", "llm.key_refuse", "--for", "10m"]);
    seen.in_every_form(Exit::RunFailed, &["run", "hello", "--input", "name=Ada"]);
    seen.once(Exit::Done, &["chaos", "clear"]);
}

fn refused(seen: &mut Seen<'_>) {
    seen.in_every_form(Exit::NotFound, &["run", "nope"]);
    seen.in_every_form(Exit::NotFound, &["runs", "show", "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ"]);
    seen.in_every_form(Exit::InvalidInput, &["run", "hello", "--input", "nam=Ada"]);
    seen.in_every_form(Exit::InvalidInput, &["runs", "list", "sttus:failed"]);
    seen.in_every_form(Exit::InvalidInput, &["runs", "cancel", "--filter", "--yes"]);
    seen.world.write("big.json", &format!("{{\"text\": \"{}\"}}", "x".repeat(1_100_000)));
    seen.in_every_form(Exit::Limit, &["run", "echo", "--input", "@big.json"]);
}

fn slow(seen: &mut Seen<'_>) {
    seen.once(Exit::Done, &["chaos", "inject", "llm.slow", "--for", "10m", "--set", "wait=30s"]);
    let hello = ["run", "hello", "--input", "name=Ada"];
    let with = |more: &[&'static str]| [&hello[..], more].concat();
    let ended = timed_out(seen, &with(&["--timeout", "300ms"]));
    seen.in_every_form(Exit::RunTimeout, &["runs", "watch", &ended]);
    seen.in_every_form(Exit::StillRunning, &with(&["--wait", "100ms"]));
    // They hold every slot.
    seen.once(Exit::Done, &["runs", "cancel", "--all", "--yes"]);
    interrupted(seen);
    let running = id(&seen.once(Exit::Done, &with(&["--detach", "-o", "name"])));
    seen.once(Exit::PartlyDone, &["runs", "cancel", &running, &ended]);
    seen.in_every_form(Exit::RunCancelled, &["runs", "watch", &running]);
    seen.once(Exit::Done, &["runs", "cancel", "--all", "--yes"]);
    seen.once(Exit::Done, &["chaos", "clear"]);
}

/// The id of a run that ended in TIMEOUT. The call's own limit ends at the same moment as the run's, and when the call
/// gives up first the run has FAILED with `llm.timeout`; so a few runs may be needed.
fn timed_out(seen: &mut Seen<'_>, args: &[&str]) -> String {
    let all: Vec<&str> = args.iter().copied().chain(["-o", "name"]).collect();
    for _ in 0..20 {
        let did = seen.world.hale(&all);
        if did.code == Exit::RunTimeout as i32 {
            return id(&did);
        }
        assert_eq!(did.code, Exit::RunFailed as i32, "{}{}", did.out, did.err);
    }
    panic!("twenty runs past their limit, and none ended in TIMEOUT");
}

/// Ctrl-C in an attached run detaches, says how to go on, and leaves the run alive.
fn interrupted(seen: &mut Seen<'_>) {
    let mut attached = seen
        .world
        .program(crate::cli_world::HALE)
        .args(["run", "hello", "--input", "name=Ada"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first line says that it is attached.
    let mut err = BufReader::new(attached.stderr.take().unwrap());
    let mut first = String::new();
    err.read_line(&mut first).unwrap();
    let run = first.split_whitespace().next().unwrap().to_owned();
    // The signal must not come before the handler: give the line's writer the moment that its next call takes.
    std::thread::sleep(Duration::from_millis(200));
    let pid = rustix::process::Pid::from_raw(attached.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = attached.wait().unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).unwrap();
    assert_eq!(status.code(), Some(Exit::Detached as i32), "{first}{rest}");
    assert!(rest.contains(&format!("hale runs watch {run}")), "{rest}");
    seen.codes.insert(Exit::Detached as u8);
    let shown = seen.once(Exit::Done, &["runs", "show", &run, "-o", "json"]);
    assert!(shown.out.contains("\"RUNNING\""), "{}", shown.out);
    seen.once(Exit::Done, &["runs", "cancel", &run]);
}

/// The fallback is rate limited too, so the fix cannot be verified.
fn unverified(seen: &mut Seen<'_>) {
    seen.once(Exit::Done, &["chaos", "inject", "llm.rate_limit", "--for", "10m"]);
    seen.once(Exit::Done, &["chaos", "inject", "llm.rate_limit", "--for", "10m", "--set", "model=backup"]);
    seen.once(Exit::RunFailed, &["run", "hello", "--input", "name=Ada"]);
    let fixed = seen.once(Exit::NotVerified, &["doctor", "--fix", "llm.rate_limited"]);
    assert!(fixed.out.contains("hale operations undo op_"), "{}", fixed.out);
    seen.once(Exit::Done, &["chaos", "clear"]);
}

fn unauthorised(seen: &mut Seen<'_>) {
    seen.once(Exit::Done, &["down"]);
    let key = id(&seen.once(Exit::Done, &["keys", "create", "test"]));
    seen.world.write("key", &key);
    seen.world.write("hale.toml", "[access]\nrequire_key = true\n");
    seen.once(Exit::Done, &["up", "--detach", "--key-file", "key"]);
    seen.in_every_form(Exit::NotAuthorised, &["runs", "list"]);
    seen.in_every_form(Exit::Done, &["runs", "list", "--key-file", "key"]);
    seen.once(Exit::Done, &["down", "--key-file", "key"]);
}

#[test]
fn a_taken_port_and_a_held_folder_are_named_with_the_way_out() {
    let world = World::new();
    world.up();
    let held = world.expect(Exit::Conflict as i32, &["up"]);
    assert!(held.err.contains("process ") && held.err.contains("hale down"), "{}", held.err);
    let status = world.expect(0, &["status", "-o", "json"]);
    let address = serde_json::from_str::<serde_json::Value>(&status.out).unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let taken = address.trim_start_matches("http://");
    let did = did(world
        .program(crate::cli_world::HALE)
        .args(["up", "--data", "other", "--listen", taken])
        .output()
        .unwrap());
    assert_ne!(did.code, 0);
    assert!(did.err.contains("hale up --listen 127.0.0.1:"), "{}", did.err);
}
