//! What people see, as snapshots: data in, text out.

use anstream::adapter::strip_str;
use hale::cli::runs::retry::class;
use hale::exit::{Error, Exit};
use hale::render::paint::{Glyphs, Look, Times};
use hale::render::table::{Column, Table, cut};
use hale::render::{diagnosis, error, pack, run, status, step, when};
use hale::wire::workers::WorkerView;
use hale::wire::{Component, Diagnosis, FixReport, PackView, RunView, Status};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::retry::RetryClass;
use hale_core::run::{Event, Step, StepKind, Usage};
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::{Evidence, Subject, catalogue, diagnose};
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T03:05:00.000Z";

fn look(width: Option<usize>) -> Look {
    let now = when::parse(NOW).unwrap();
    Look { glyphs: Glyphs::Unicode, times: Times::Relative, width, now }
}

fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

fn failed() -> Failure {
    let mut failure =
        Failure::new(Code::E006, "llm.rate_limited", "provider:sim", "call sim/small: answered 429");
    failure.chain = vec!["HTTP 429 Too Many Requests".to_owned()];
    failure.retry = RetryClass::Model;
    failure
}

fn view(state: &str) -> RunView {
    serde_json::from_value(json!({
        "schema": "hale.run/1", "id": "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ", "state": state, "overdue": false,
        "pack": "log-triage", "version": "0.1.0", "priority": "normal", "trigger": "cli", "correlation_id": "cli-1",
        "submitted_at": "2026-11-22T03:04:30.000Z", "started_at": "2026-11-22T03:04:30.100Z",
        "duration_ms": 7412, "timeout_ms": 60000, "epoch": 1, "steps": 3,
        "input": { "path": "/var/log/dpkg.log" },
    }))
    .unwrap()
}

#[test]
fn an_error_says_what_while_why_and_what_to_do() {
    let mut shown = Error::coded(Code::E003, "run run_01JD4 passed its time limit of 60s")
        .during("waiting for tool `search`, 58.2s of 60s")
        .hint("raise `limits.timeout` in packs/research.md, or run: hale why run_01JD4");
    shown.chain = vec!["the tool did not answer".to_owned()];
    insta::assert_snapshot!(plain(&error::text(&shown)), @r"
    error[E003]: run run_01JD4 passed its time limit of 60s
      while: waiting for tool `search`, 58.2s of 60s
      cause: the tool did not answer
      hint: raise `limits.timeout` in packs/research.md, or run: hale why run_01JD4
    ");
}

#[test]
fn what_an_error_quotes_cannot_move_the_cursor() {
    let shown = plain(&error::text(&Error::new(Exit::Failed, "read \u{1b}[2J\rfile\nsecond")));
    assert!(!shown.contains(['\u{1b}', '\r']), "{shown:?}");
    assert_eq!(shown.lines().count(), 2);
}

#[test]
fn a_list_of_runs_is_aligned_and_only_its_text_is_cut() {
    let mut running = view("RUNNING");
    running.waiting_on = Some("retry".to_owned());
    let mut broken = view("FAILED");
    broken.error = Some(failed());
    broken.pack = "x".to_owned();
    let runs = [running, broken, view("COMPLETED")];
    insta::assert_snapshot!(plain(&run::table(&runs, &look(Some(110)), false).render(&look(Some(110)))), @r#"
    ID                              STATE        PACK              SUBMITTED  TOOK  NOTE
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ● RUNNING    log-triage@0.1.0  30s ago    7.4s  waiting on retry
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✖ FAILED     x@0.1.0           30s ago    7.4s  E006 call sim/small: answered…
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✔ COMPLETED  log-triage@0.1.0  30s ago    7.4s
    "#);
    insta::assert_snapshot!(plain(&run::table(&runs, &look(None), true).render(&look(None))), @r#"
    ID                              STATE        PACK              SUBMITTED  TOOK  STEPS  PRIORITY  TRIGGER  NOTE
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ● RUNNING    log-triage@0.1.0  30s ago    7.4s      3  normal    cli      waiting on retry
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✖ FAILED     x@0.1.0           30s ago    7.4s      3  normal    cli      E006 call sim/small: answered 429
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✔ COMPLETED  log-triage@0.1.0  30s ago    7.4s      3  normal    cli
    "#);
}

#[test]
fn a_run_is_shown_whole() {
    let mut broken = view("FAILED");
    broken.error = Some(failed());
    insta::assert_snapshot!(plain(&run::page(&broken, &look(None))), @r#"
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✖ FAILED
      pack         log-triage@0.1.0
      submitted    30s ago by cli, priority normal
      started      29s ago
      took         7.4s of 60s allowed
      steps        3
      correlation  cli-1
      input        {"path":"/var/log/dpkg.log"}
      error        E006 call sim/small: answered 429
                   cause: HTTP 429 Too Many Requests
                   llm.rate_limited at provider:sim
    "#);
    let mut done = view("COMPLETED");
    done.output = Some(json!("Nothing is wrong."));
    insta::assert_snapshot!(plain(&run::page(&done, &look(None))), @r#"
    run_01JD4M8Q2R7WX5B9N3K6T0VYHZ  ✔ COMPLETED
      pack         log-triage@0.1.0
      submitted    30s ago by cli, priority normal
      started      29s ago
      took         7.4s of 60s allowed
      steps        3
      correlation  cli-1
      input        {"path":"/var/log/dpkg.log"}

    Nothing is wrong.
    "#);
}

#[test]
fn an_answer_is_its_text_where_there_is_one() {
    for (output, shown) in [
        (json!("Hello, Ada!"), "Hello, Ada!"),
        (json!({ "answer": "Hello" }), "Hello"),
        (json!({ "a": 1 }), "{\n  \"a\": 1\n}"),
        (Value::Null, ""),
    ] {
        assert_eq!(run::answer(&output), shown);
    }
}

fn tool(is_error: bool) -> Event {
    let step = Step {
        index: 0,
        attempt: 1,
        kind: StepKind::Tool,
        name: "files.read".to_owned(),
        request: json!({ "path": "/var/log/dpkg.log" }),
        result: json!("…"),
        took: Millis(12),
        waiting_on: "tool:files.read".to_owned(),
        usage: None,
        is_error,
    };
    Event::StepEnded { step: Box::new(step) }
}

#[test]
fn a_step_names_what_it_acted_on() {
    assert_eq!(step::line(&tool(false)).unwrap().1, "step 1  files.read /var/log/dpkg.log  12ms");
    assert!(step::line(&tool(true)).unwrap().1.ends_with("answered with an error"));
    let Event::StepEnded { mut step } = tool(false) else { unreachable!() };
    step.kind = StepKind::Model;
    step.name = "sim/small".to_owned();
    step.usage = Some(Usage { input_tokens: 30, output_tokens: 11 });
    assert_eq!(step::line(&Event::StepEnded { step }).unwrap().1, "step 1  sim/small  12ms  41 tok");
    let failed = Event::StepFailed {
        index: 1,
        attempt: 2,
        kind: StepKind::Model,
        name: "sim/small".to_owned(),
        took: Millis(7400),
        failure: Box::new(failed()),
        policy: RetryClass::Model.policy(),
        chance: 0,
    };
    assert_eq!(
        step::line(&failed).unwrap().1,
        "step 2  sim/small  7.4s  E006 call sim/small: answered 429  try 2 of 5"
    );
}

// covers: AO-134
#[test]
fn the_class_of_a_failure_says_whether_another_try_can_mend_it() {
    assert!(class(&failed()).starts_with("transient (model provider)"));
    let bug = Failure::new(Code::E002, "input.invalid", "engine", "read the input");
    assert!(class(&bug).starts_with("permanent"));
}

fn starved() -> Evidence {
    let taken = Timestamp(1_795_316_700_000);
    let mut evidence = Evidence::builder(Subject::System, taken);
    let readings: [(&str, hale_playbooks::Value); 7] = [
        ("runs.pending", 3.into()),
        ("runs.active", 0.into()),
        ("runs.oldest_pending_age", Millis::seconds(92).into()),
        ("workers.live", 0.into()),
        ("workers.busy", 0.into()),
        ("workers.draining", 0.into()),
        ("workers.slots", 0.into()),
    ];
    for (name, value) in readings {
        evidence = evidence.known(name, value, "engine");
    }
    evidence.build().unwrap()
}

#[test]
fn a_diagnosis_has_its_sentence_its_proof_and_its_way_out() {
    let shown = Diagnosis {
        schema: "hale.diagnosis/1".to_owned(),
        subject: "system".to_owned(),
        says: "3 runs wait and no worker is live".to_owned(),
        run: None,
        route: None,
        time_ms: Default::default(),
        verdict: diagnose(catalogue(), &starved()),
        walls: Vec::new(),
        took_ms: 3,
    };
    let text = plain(&diagnosis::text(&shown, &look(None)));
    for part in [
        "3 runs wait and no worker is live\n",
        "queue.no_live_worker",
        "certain",
        "workers.live = 0",
        "fix 1",
        "run: hale ",
        "undo: ",
        "verify",
        "passed",
    ] {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
    assert_eq!(hale::cli::doctor::exit(&shown.verdict), Exit::Critical);
}

#[test]
fn a_fix_shows_its_effects_its_check_and_its_undo() {
    let report = FixReport {
        schema: "hale.fix/1".to_owned(),
        cause: "llm.rate_limited".to_owned(),
        fix: "llm.fallback_set".to_owned(),
        risk: "R1".to_owned(),
        dry_run: false,
        effects: vec!["model.fallback.sim/small: none -> sim/backup".to_owned()],
        outcome: "changed".to_owned(),
        verified: "verified".to_owned(),
        verify_detail: "a call was answered by sim/backup".to_owned(),
        operation: Some("op_01JD4M8Q2R7WX5B9N3K6T0VYHZ".to_owned()),
        undo: Some("hale operations undo op_01JD4M8Q2R7WX5B9N3K6T0VYHZ".to_owned()),
    };
    insta::assert_snapshot!(plain(&diagnosis::report(&report, &look(None))), @r#"
    ✔ llm.rate_limited: llm.fallback_set (R1)
      changed     model.fallback.sim/small: none -> sim/backup
      check       verified  a call was answered by sim/backup
      operation   op_01JD4M8Q2R7WX5B9N3K6T0VYHZ
      undo        hale operations undo op_01JD4M8Q2R7WX5B9N3K6T0VYHZ
    "#);
}

fn server() -> Status {
    Status {
        schema: "hale.status/1".to_owned(),
        version: "0.1.0".to_owned(),
        address: "http://127.0.0.1:8080".to_owned(),
        data: "/srv/hale".to_owned(),
        pid: 42,
        started_at: "2026-11-22T03:00:00.000Z".to_owned(),
        uptime_ms: 300_000,
        draining: false,
        health: "healthy".to_owned(),
        components: vec![Component {
            name: "store".to_owned(),
            status: "healthy".to_owned(),
            detail: "last commit took 2ms".to_owned(),
            probed_at: NOW.to_owned(),
            age_ms: 400,
            hard: true,
        }],
        runs: [("PENDING".to_owned(), 2), ("RUNNING".to_owned(), 1)].into(),
        oldest_pending_ms: Some(1500),
        approvals: 0,
        approvals_stalled: 0,
        workers: vec![WorkerView {
            id: "wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ".to_owned(),
            kind: "embedded".to_owned(),
            pid: 42,
            host: "box".to_owned(),
            status: "live".to_owned(),
            slots: 5,
            busy: 1,
            started_at: "2026-11-22T03:00:00.000Z".to_owned(),
            memory_bytes: Some(40 << 20),
            cpu_ms: Some(1200),
            seen_ms_ago: 0,
            progress_ms_ago: Some(0),
            seat: None,
            queues: Vec::new(),
            runs: vec!["run_01JD4M8Q2R7WX5B9N3K6T0VYHZ".to_owned()],
            end: None,
        }],
        machine: Some(hale::wire::MachineView {
            host: "box".to_owned(),
            cpus: 2,
            load_1m: 0.5,
            memory_bytes: 8 << 30,
            memory_available_bytes: 6 << 30,
            server_memory_bytes: 40 << 20,
        }),
        packs: 3,
        model: "sim/small".to_owned(),
        simulated: true,
        access: "no key needed on loopback".to_owned(),
        faults: Vec::new(),
        switches: Default::default(),
    }
}

#[test]
fn the_server_fits_on_a_screen() {
    insta::assert_snapshot!(plain(&status::page(&server(), &look(None))), @r#"
    hale 0.1.0  ✔ healthy  up 5m
      address         http://127.0.0.1:8080
      data            /srv/hale (pid 42)
      runs            2 PENDING, 1 RUNNING
      oldest waiting  1.5s
      workers         1 live, 1 of 5 slots busy
      machine         box: load 0.50 on 2 CPUs, 6.0 GiB of 8.0 GiB memory free; the server has 40.0 MiB
      packs           3
      model           sim/small (simulated; set OPENAI_API_KEY or HALE_MODEL_BASE_URL for a real one)
      access          no key needed on loopback

    COMPONENT  STATUS     PROBED     DETAIL
    store      ✔ healthy  400ms ago  last commit took 2ms
    "#);
    insta::assert_snapshot!(plain(&status::ready(&server(), 180, &look(None))), @r#"
    hale 0.1.0  ✔ ready in 180 ms
      address  http://127.0.0.1:8080
      data     /srv/hale
      packs    3
      workers  1 live, 1 of 5 slots busy
      model    sim/small (simulated; set OPENAI_API_KEY or HALE_MODEL_BASE_URL for a real one)
      access   no key needed on loopback
    "#);
    let status = server();
    let workers = hale::render::workers::table(&status.workers.iter().collect::<Vec<_>>(), &look(None));
    let shown = plain(&workers.render(&look(None)));
    for column in ["SEAT", "QUEUES", "SEEN", "PROGRESS", "1/5", "0ms ago", "wrk_01JD4M8Q2R7WX5B9N3K6T0VYHZ"] {
        assert!(shown.contains(column), "{shown}");
    }
}

#[test]
fn a_deploy_shows_what_the_pack_may_touch() {
    let view: PackView = serde_json::from_value(json!({
        "schema": "hale.pack/1", "name": "log-triage", "version": "0.1.0", "current": true, "enabled": true,
        "kind": "agent", "description": "Reads a log.", "model": "sim/small", "tools": ["files.read"],
        "files": ["/var/log:ro"], "timeout_ms": 60000, "deployed_at": NOW, "deployed_by": "local", "digest": "d",
        "warnings": ["line 7, column 1: `color` is not used"], "outcome": "deployed",
    }))
    .unwrap();
    insta::assert_snapshot!(plain(&pack::deployed(&view, &look(None))), @r#"
    ✔ deployed  log-triage@0.1.0
      grants  /var/log:ro; files.read
      model   sim/small
      limit   60s
    ▲ line 7, column 1: `color` is not used
    "#);
}

#[test]
fn without_unicode_every_state_still_has_its_sign_and_its_word() {
    let ascii = Look { glyphs: Glyphs::Ascii, ..look(None) };
    let shown: Vec<String> =
        hale_core::run::StateName::ALL.iter().map(|state| plain(&ascii.state(state.name()))).collect();
    assert!(shown.iter().all(|text| text.is_ascii()));
    let signs: std::collections::BTreeSet<&str> =
        shown.iter().filter_map(|text| text.split(' ').next()).collect();
    assert_eq!(signs.len(), 8, "{shown:?}");
}

#[test]
fn columns_without_content_are_left_out_and_lines_end_clean() {
    let mut table = Table::new(&[
        ("a", Column::Left),
        ("empty", Column::Left),
        ("n", Column::Right),
        ("text", Column::Text),
    ]);
    table.row(vec!["x".into(), "".into(), "1".into(), "one two three four five".into()]);
    table.row(vec!["日本".into(), "".into(), "22".into(), "".into()]);
    let shown = plain(&table.render(&look(Some(20))));
    assert_eq!(shown, "A      N  TEXT\nx      1  one two t…\n日本  22\n");
    assert_eq!(cut("日本語", 5), "日本…");
}

#[test]
fn moments_are_ages_on_a_terminal_and_rfc_3339_elsewhere() {
    let here = look(None);
    assert_eq!(when::moment(&here, "2026-11-22T03:04:57.500Z"), "2s ago");
    assert_eq!(when::moment(&here, "2026-11-22T03:07:00.000Z"), "in 2m");
    let piped = Look { times: Times::Absolute, ..here };
    assert_eq!(when::moment(&piped, NOW), NOW);
    assert_eq!(when::bytes(1_572_864), "1.5 MiB");
}
