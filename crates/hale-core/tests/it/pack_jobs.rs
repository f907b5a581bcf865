//! Packs of kind `job`: what they say, what is refused, and how an input becomes a command line.
//!
//! Read next: `crates/hale-core/src/pack/job.rs`.

use crate::packs::{env, read};
use hale_core::pack::job::{Missing, Part, Piece, Places, pieces};
use hale_core::pack::{Job, Kind, parse};
use hale_core::time::Millis;
use proptest::prelude::*;
use serde_json::{Value, json};

const PLACES: Places<'_> = Places { work: "/w", results: "/w/out" };

const FULL: &str = r#"---
name: report
kind: job
run: [report, "--from={input.from}", ["--to", "{input.to}"], "--out={results}", 7, "{{}}"]
workdir: sub/folder
env: { MODE: "{input.mode}", HOME: "{work}" }
files: { in/data.csv: "{input.csv}", fixed.txt: "a {{word}}" }
results: out
expects: [report.json]
network: true
require: [landlock, sockets, cgroup]
idempotent: true
exits: { 3: data_error, 4: bad_rule }
limits: { timeout: 5m, memory: 64MiB, cpu: 20s, wall: 1m, silence: 10s, grace: 2s, file_size: 1MiB, disk: 2MiB, output: 3MiB, processes: 4 }
input: { from: string, to: string?, mode: string?, csv: string? }
---
How to read the report.
"#;

fn job(text: &str) -> Job {
    let manifest = read(text).manifest;
    assert_eq!(manifest.kind, Kind::Job);
    *manifest.job.expect("a job")
}

#[test]
fn every_key_of_a_job_means_what_it_says() {
    let job = job(FULL);
    assert_eq!((job.program(), job.name(), job.run.len()), ("report", "report", 6));
    assert_eq!(job.run[2], Part::Group(vec!["--to".to_owned(), "{input.to}".to_owned()]));
    assert_eq!((job.workdir.as_deref(), job.results.as_deref()), (Some("sub/folder"), Some("out")));
    assert_eq!(
        (job.expects.as_slice(), job.network, read(FULL).manifest.idempotent),
        (&["report.json".to_owned()][..], true, true)
    );
    assert_eq!(job.require, ["files", "sockets", "cgroup-memory"]);
    assert_eq!(job.exits.get(&3).map(String::as_str), Some("data_error"));
    let limits = job.limits;
    assert_eq!(
        (limits.cpu, limits.wall, limits.silence),
        (Some(Millis(20_000)), Some(Millis(60_000)), Some(Millis(10_000)))
    );
    assert_eq!((limits.file_size, limits.disk, limits.output), (Some(1 << 20), Some(2 << 20), Some(3 << 20)));
    assert_eq!((limits.grace, limits.processes), (Some(Millis(2_000)), Some(4)));
    // What is stored is what was read.
    let stored: Job = serde_json::from_value(serde_json::to_value(&job).unwrap()).unwrap();
    assert_eq!(stored, job);
}

#[test]
fn an_input_becomes_arguments_and_never_more_of_them() {
    let job = job(FULL);
    let input = json!({ "from": "a b; rm -rf / $(x) \"'\n--to", "to": null, "csv": "1,2" });
    let command = job.command(&input, PLACES).unwrap();
    assert_eq!(command.args, ["--from=a b; rm -rf / $(x) \"'\n--to", "--out=/w/out", "7", "{}"]);
    assert_eq!(command.env, [("HOME".to_owned(), "/w".to_owned())]);
    let files = [("fixed.txt", "a {word}"), ("in/data.csv", "1,2")];
    assert_eq!(command.files, files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let command = job.command(&json!({ "from": 3, "to": true }), PLACES).unwrap();
    assert_eq!(command.args, ["--from=3", "--to", "true", "--out=/w/out", "7", "{}"]);
    let missing = Missing { argument: "--from={input.from}".to_owned(), input: "from".to_owned() };
    assert_eq!(job.command(&json!({}), PLACES), Err(missing));
}

proptest! {
    #[test]
    fn no_value_changes_the_number_of_arguments(value in ".{0,40}") {
        let job = job(FULL);
        let command = job.command(&json!({ "from": value.clone() }), PLACES).unwrap();
        prop_assert_eq!(command.args.len(), 4);
        let expected = format!("--from={value}");
        prop_assert_eq!(command.args[0].as_str(), expected.as_str());
    }

    #[test]
    fn any_text_is_a_template_or_refused(text in "[a-z{}.]{0,20}") {
        let _: Result<Vec<Piece>, String> = pieces(&text);
    }
}

/// The first line of what is wrong.
fn refused(keys: &str) -> String {
    let text = format!("---\nname: a\n{keys}\n---\n");
    let error = parse(text.as_bytes(), "a.md", &env()).expect_err(keys);
    let first = error.first();
    assert!(first.line > 1 && !first.help.is_empty(), "{error}");
    format!("{}:{}: {}", first.line, first.column, first.message)
}

#[test]
fn what_a_job_may_not_say_is_refused_at_its_place() {
    let cases = [
        ("kind: job", "the job has no `run`"),
        ("kind: job\nrun: \"rm -rf /\"", "`run` is text, expected a list"),
        ("kind: job\nrun: []", "`run` names no program"),
        ("kind: job\nrun: [\"{input.x}\"]\ninput: { x: string }", "is no program"),
        ("kind: job\nrun: [../bin/sh]", "is no program"),
        ("kind: job\nrun: [\"sh -c\"]", "is no program"),
        ("kind: job\nrun: [cat, \"{input.pth}\"]\ninput: { path: string }", "unknown input `pth`"),
        ("kind: job\nrun: [cat, \"{input.path}\"]", "the pack declares none"),
        ("kind: job\nrun: [cat, \"{input.path}\"]\ninput: { path: string? }", "may be left out"),
        ("kind: job\nrun: [cat, \"{path}\"]", "stands for nothing"),
        ("kind: job\nrun: [cat, \"a}\"]", "a lone `}`"),
        ("kind: job\nrun: [cat]\nresults: ../out", "no path below the working folder"),
        ("kind: job\nrun: [cat]\nexpects: [a.json]", "`results` names no folder"),
        ("kind: job\nrun: [cat]\nfiles: { /etc/passwd: x }", "does not fit"),
        ("kind: job\nrun: [cat]\nenv: { HALE_JOB: x }", "does not fit"),
        ("kind: job\nrun: [cat]\nrequire: [landlok]", "unknown wall `landlok`"),
        ("kind: job\nrun: [cat]\nexits: { 3: oom }", "exit code \"3\" means \"oom\""),
        ("kind: job\nrun: [cat]\nexits: { 0: fine }", "exit code \"0\" means \"fine\""),
        ("kind: job\nrun: [cat]\nnetwork: maybe", "expected true or false"),
        ("kind: job\nrun: [cat]\nlimits: { processes: 0 }", "expected a whole number"),
        ("kind: job\nrun: [cat]\nlimits: { disk: 12 }", "a number with its unit"),
        ("kind: echo\nrun: [cat]", "`run` is a key of jobs"),
        ("kind: echo\nlimits: { cpu: 3s }", "`limits.cpu` is a key of jobs"),
    ];
    for (keys, problem) in cases {
        let said = refused(keys);
        assert!(said.contains(problem), "{keys}\n{said}");
    }
}

#[test]
fn keys_of_jobs_in_the_files_of_other_systems_have_no_effect() {
    let text = "---\nname: a\ndescription: d\ncolor: red\nenv: { A: b }\n---\nDo it.\n";
    let pack = read(text);
    assert!(pack.manifest.ignored.contains(&"env".to_owned()), "{:?}", pack.manifest.ignored);
    assert_eq!(pack.manifest.job, None);
    let _: Value = serde_json::to_value(&pack.manifest).unwrap();
}
