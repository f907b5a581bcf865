//! Back-tests end to end: from the command line through server, job and program to results, and every way to fail.

use crate::proof_jobs::{ended, get, start, world};
use crate::world::{World, until};
use serde_json::{Value, json};
use std::time::Duration;

const PACK: &str = include_str!("../../../../packs/backtest.md");
const PRICES: &str = include_str!("../../../../examples/backtester/data/synthetic-btc-1d.csv");

/// The pack as it is shipped, or with tight limits and the program's way to go wrong.
fn deploy(world: &World, pack: &str) {
    let body = json!({ "file_name": "backtest.md", "source": pack });
    let answer = world.http().post("/api/v1/packs", &body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.json()["warnings"], json!([]), "{}", answer.text);
}

fn tight() -> String {
    PACK.replace("version: 1.0.0", "version: 1.0.1")
        .replace(
            "  - [\"--gaps={input.gaps}\"]",
            "  - [\"--gaps={input.gaps}\"]\n  - [\"--misbehave={input.misbehave}\"]",
        )
        .replace("  gaps: string?", "  gaps: string?\n  misbehave: string?")
        .replace("memory: 512MiB, silence: 5m", "memory: 64MiB, silence: 3s, grace: 1s")
}

fn hale(world: &World, args: &[&str]) -> (i32, String, String) {
    let out = world.program().args(args).arg("--data").arg(&world.data).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

// covers: TR-07 TR-08 TR-09 TR-10 TR-11 TR-12 TR-13 TR-14 TR-15 TR-16 TR-17 TR-21 TR-22 TR-29
#[test]
fn a_backtest_runs_from_the_command_line_to_its_results() {
    let mut world = world("");
    world.up();
    deploy(&world, PACK);
    std::fs::write(world.path("work/prices.csv"), PRICES).unwrap();
    let (code, out, err) = hale(&world, &["backtests", "start", "--prices", "prices.csv", "--json"]);
    assert_eq!(code, 0, "{out}\n{err}");
    let view: Value = serde_json::from_str(&out).unwrap();
    let (id, run) = (view["id"].as_str().unwrap(), view["run_id"].as_str().unwrap());
    assert_eq!(id, format!("bt-{}", run[4..].to_ascii_lowercase()));
    assert_eq!(view["status"], "completed");
    let stages: Vec<(&str, &str)> = view["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| (stage["name"].as_str().unwrap(), stage["state"].as_str().unwrap()))
        .collect();
    let names = [
        "submitted",
        "claimed",
        "launched",
        "data_loading",
        "strategy_init",
        "simulation",
        "analysis",
        "writing",
        "results",
        "ended",
    ];
    assert_eq!(stages, names.map(|name| (name, "done")));
    assert_eq!(view["memory_limit_bytes"], 512 << 20);
    assert!(view["memory_peak_bytes"].as_u64().unwrap() > 0);
    assert!((view["metrics"]["total_return_fraction"].as_f64().unwrap() - 0.8331).abs() < 0.001, "{view}");

    let results = get(&world, &format!("/api/v1/backtests/{id}/results")).json();
    let mut names: Vec<&str> =
        results["items"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["backtest-result.json", "equity.svg"]);
    let (code, result, _) = hale(&world, &["backtests", "results", id, "backtest-result.json"]);
    assert_eq!(code, 0);
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["data"]["bars_count"], 750);

    let curve = get(&world, &format!("/api/v1/backtests/{id}/equity?points=10")).json();
    assert_eq!((curve["points"].as_array().unwrap().len(), &curve["bars_count"]), (10, &json!(750)));
    assert_eq!(curve["points"][9]["equity_amount"], result["equity"][749]["equity_amount"]);
    assert_eq!(curve["max_drawdown_fraction"], result["metrics"]["max_drawdown"]["depth_fraction"]);
    let (code, chart, _) = hale(&world, &["backtests", "equity", id]);
    assert!(code == 0 && chart.contains("10000.00 to 18331.23 over 750 bars"), "{chart}");
    let (code, ..) = hale(&world, &["backtests", "equity", id, "--svg", "chart.svg"]);
    let svg = std::fs::read_to_string(world.path("work/chart.svg")).unwrap();
    assert!(code == 0 && svg.starts_with("<svg"), "{}", &svg[..40]);

    // The raw state, as it is stored: every record of the journal, by the run's id.
    let (code, raw, _) = hale(&world, &["runs", "history", run, "-o", "jsonl"]);
    let raw: Vec<Value> = raw.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(code == 0 && raw.iter().enumerate().all(|(at, record)| record["seq"] == at + 1), "{raw:#?}");
    let types = [&raw[0]["event"]["type"], &raw[raw.len() - 1]["event"]["type"]];
    assert_eq!(types, ["accepted", "completed"]);

    let (code, list, _) = hale(&world, &["backtests", "list", "-o", "name"]);
    assert_eq!((code, list.trim()), (0, id));
    let (code, page, _) = hale(&world, &["backtests", "show", run]);
    assert!(code == 0 && page.contains("Sharpe ratio") && page.contains("csv 4"), "{page}");
    until("its words are in the log", Duration::from_secs(10), || {
        let log = world.log_file();
        let mut of_run = log.lines().filter(|line| line.contains(run));
        of_run
            .any(|line| line.contains("STAGE data_loading") && line.contains("\"component\":\"job\""))
            .then_some(())
    });
    let steps = world.log_file();
    assert!(steps.contains("Step 1/5 completed: data_loading"), "{steps}");
}

/// The back-test of this input at its end.
fn failed(world: &World, more: Value) -> Value {
    let mut input = json!({ "csv": PRICES });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = start(world, "backtest", input);
    ended(world, &run);
    get(world, &format!("/api/v1/backtests/bt-{}", run[4..].to_ascii_lowercase())).json()
}

// covers: AO-60 AO-65 AO-66 AO-70 AO-126 TR-18 TR-19 TR-20 TR-24 TR-25 TR-26 TR-28 TR-31 TR-32 TR-33 TR-36
#[test]
fn every_way_to_fail_has_its_class_and_its_evidence() {
    let mut world = world("");
    world.up();
    deploy(&world, &tight());
    let cases = [
        (json!({ "misbehave": "oom" }), "oom", "job.oom", "peak memory"),
        (json!({ "misbehave": "no-result" }), "no_result", "job.no_result", "exit code 0"),
        (json!({ "misbehave": "hang" }), "hang", "job.hang", "it said nothing for 3s"),
        (json!({ "misbehave": "crash" }), "engine_crash", "job.crashed", "SIGABRT"),
        (
            json!({ "csv": "timestamp,open,high,low,close,volume\n2022-01-01,9,8,11,9,1\n" }),
            "data_error",
            "job.data_error",
            "prices.csv:2",
        ),
        (json!({ "fast": 50, "slow": 10 }), "strategy_error", "job.strategy_error", "fast"),
        (json!({ "strategy": "astrology" }), "usage_error", "job.usage_error", "astrology"),
    ];
    for (input, class, cause, evidence) in cases {
        let view = failed(&world, input);
        assert_eq!(
            (&view["failure_class"], &view["error"]["cause"]),
            (&json!(class), &json!(cause)),
            "{view:#}"
        );
        let told = view["error"].to_string();
        assert!(told.contains(evidence) && told.contains("walls: "), "{evidence}: {told}");
        assert!(
            view["advice"].as_array().is_some_and(|advice| !advice.is_empty()) || class == "engine_crash",
            "{view:#}"
        );
        let run = view["run_id"].as_str().unwrap();
        if class == "oom" {
            assert!(
                view["error"]["chain"]
                    .to_string()
                    .contains("raise limits.memory in the pack, for example to 128.0 MiB"),
                "{told}"
            );
            until("the guides' line is in the log", Duration::from_secs(10), || {
                let log = world.log_file();
                let said = |line: &str| {
                    line.contains("\"msg\":\"Killed by OOM: memory limit exceeded\"")
                        && line.contains("\"level\":\"error\"")
                };
                log.lines().any(|line| said(line) && line.contains(run)).then_some(())
            });
        }
    }
}

// covers: TR-27
#[test]
fn a_hung_backtest_is_cancelled_and_shows_where_it_stands() {
    let mut world = world("");
    world.up();
    deploy(&world, &tight().replace("silence: 3s", "silence: 5m"));
    let run = start(&world, "backtest", json!({ "csv": PRICES, "misbehave": "hang" }));
    let id = format!("bt-{}", run[4..].to_ascii_lowercase());
    let view = until("it stands in its simulation", Duration::from_secs(30), || {
        let view = get(&world, &format!("/api/v1/backtests/{id}")).json();
        (view["stage"].as_str().is_some_and(|stage| stage.starts_with("simulation 3"))).then_some(view)
    });
    let state = |name: &str| {
        view["stages"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()["state"].clone()
    };
    assert_eq!(
        (state("strategy_init"), state("simulation"), state("analysis")),
        (json!("done"), json!("running"), json!("waiting"))
    );
    let (code, _, err) = hale(&world, &["backtests", "cancel", &id, "--reason", "hung"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(ended(&world, &run)["state"], "CANCELLED");
    let view = get(&world, &format!("/api/v1/backtests/{id}")).json();
    assert_eq!((&view["status"], &view["failure_class"]), (&json!("cancelled"), &json!("cancelled")));
}

#[test]
fn bad_requests_are_refused_with_the_next_command() {
    let mut world = world("");
    world.up();
    let ask = |body: Value| world.http().post("/api/v1/backtests", &body).unwrap();
    let neither = ask(json!({}));
    assert_eq!((neither.status, &neither.json()["field"]), (422, &json!("csv")));
    assert_eq!(ask(json!({ "csv": "a", "data": "b" })).status, 422);
    let unknown = ask(json!({ "csv": "a" }));
    assert_eq!(
        (unknown.status, &unknown.json()["fix"]),
        (404, &json!("hale packs deploy packs/backtest.md"))
    );
    for path in ["bt-nothing", "bt-01jd4m8q2r7wx5b9n3k6t0vyhz", "run_01JD4M8Q2R7WX5B9N3K6T0VYHZ/equity"] {
        let answer = get(&world, &format!("/api/v1/backtests/{path}"));
        assert_eq!((answer.status, &answer.json()["fix"]), (404, &json!("hale backtests list")), "{path}");
    }
    let echo = start(&world, "echo", json!({}));
    assert_eq!(get(&world, &format!("/api/v1/backtests/{echo}")).status, 404);
}
