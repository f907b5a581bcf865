//! The loader: every lint has a playbook that it refuses.

use hale_playbooks::playbook::load::{Error, Lint, load};

/// A small playbook that loads; the bad ones differ from it in one place.
const GOOD: &str = r#"playbook: queue.test
title: Runs wait
source: "a test"
scope: both
symptoms:
  - {id: runs_wait, when: runs.pending > 0, on: system, severity: warning, says: "{runs.pending} runs wait"}
causes:
  - id: queue.no_worker
    title: No worker
    at: worker
    prior: common
    evidence:
      - {if: workers.live == 0, for: decisive}
      - {if: workers.live > 0, against: decisive}
    says: "{workers.live} workers"
    fix: [worker.start, worker.advise]
  - id: queue.all_busy
    title: All busy
    at: worker
    prior: rare
    evidence:
      - {if: workers.busy >= workers.slots, for: strong}
      - {if: workers.busy < workers.slots, against: decisive}
    says: "{workers.busy} of {workers.slots} busy"
    fix: [worker.advise]
actions:
  worker.start:
    title: Start a worker
    verb: worker.start
    risk: R2
    command: hale doctor --fix queue.no_worker
    params: {slots: 4}
    guard: workers.live == 0
    undo: hale doctor --undo queue.no_worker
    blast: more load
  worker.advise:
    title: Wait
    verb: advise
    risk: R0
    undo: none
    blast: nothing
verify: {until: workers.live > 0, within: 30s}
prevent: [alert on it]
prove:
  - {inject: worker.kill_all, expect: queue.no_worker, shows: [runs_wait]}
  - {inject: worker.occupy_all, expect: queue.all_busy, shows: [runs_wait]}
  - {twin: worker.starting, expect: none}
"#;

fn refused(text: &str) -> Error {
    match load(text, "test.yaml") {
        Ok(_) => panic!("it loads:\n{text}"),
        Err(error) => error,
    }
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from} is not in the sample");
    GOOD.replacen(from, to, 1)
}

#[test]
fn the_good_sample_loads() {
    load(GOOD, "test.yaml").unwrap_or_else(|error| panic!("{error}"));
}

/// The lint, the place in the good sample, and what stands there instead.
static BAD: &[(Lint, &str, &str)] = {
    use Lint::*;
    &[
        (Yaml, "scope: both", "scope: everything"),
        (Yaml, "title: Runs wait", "title: [Runs, wait]"),
        (Yaml, "prior: rare", "prior: *often"),
        (Yaml, "title: Runs wait", "title: Runs wait\ntitle: twice"),
        (Yaml, "prevent: [alert on it]\n", ""),
        (Yaml, "within: 30s", "within: 30"),
        (Yaml, "expect: none", "expect: queue.no_worker"),
        (Yaml, "verb: advise", "verb: shell.run"),
        (UnknownKey, "prior: rare", "prior: rare\n    piror: rare"),
        (BadId, "playbook: queue.test", "playbook: Queue Test"),
        (
            DuplicateId,
            "symptoms:",
            "symptoms:\n  - {id: runs_wait, when: runs.pending > 9, severity: info, says: more}",
        ),
        (MissingPart, "prevent: [alert on it]", "prevent: []"),
        (MissingPart, "title: Wait", "title: ''"),
        (MissingPart, "fix: [worker.advise]\nactions", "fix: []\nactions"),
        (MissingPart, "    command: hale doctor --fix queue.no_worker\n", ""),
        (Dangling, "fix: [worker.advise]", "fix: [worker.advise, worker.advices]"),
        (Dangling, "shows: [runs_wait]}\n  - {twin", "shows: [runs_wait, run_wait]}\n  - {twin"),
        (
            Dangling,
            "verb: advise",
            "verb: advise\n    risk: R0\n    undo: none\n    blast: x\n  worker.unused:\n    title: Unused\n    verb: advise",
        ),
        (Syntax, "when: runs.pending > 0", "when: runs.pending >"),
        (UnknownSignal, "if: workers.live == 0", "if: workers.lve == 0"),
        (UnknownSignal, "guard: workers.live == 0", "guard: run.turns == 0"),
        (UnknownSignal, "says: \"{workers.live} workers\"", "says: \"{run.turns} turns\""),
        (TypeMismatch, "if: workers.live == 0", "if: workers.live == 0s"),
        (TypeMismatch, "when: runs.pending > 0", "when: runs.pending"),
        (NoSide, "against: decisive", "on: system"),
        (NoSide, "if: workers.live > 0, against", "if: workers.live > 0, for: weak, against"),
        (
            WrongSubject,
            "if: workers.live == 0, for: decisive",
            "if: run.turns == 0, for: decisive, on: system",
        ),
        (
            CauseWithoutAgainst,
            "{if: workers.live > 0, against: decisive}",
            "{if: runs.active == 0, for: weak}",
        ),
        (CauseWithoutAgainst, "live > 0, against: decisive}", "live > 0, against: decisive, on: system}"),
        (
            NothingDiscriminates,
            "{if: workers.busy >= workers.slots, for: strong}",
            "{if: workers.live == 0, for: decisive}\n      - {if: workers.live > 0, against: decisive}\n      - {if: workers.busy >= workers.slots, for: strong}",
        ),
        (
            IdenticalEvidence,
            "{if: workers.busy >= workers.slots, for: strong}\n      - {if: workers.busy < workers.slots, against: decisive}",
            "{if: workers.live > 0, against: decisive}\n      - {if: workers.live==0, for: decisive}",
        ),
        (
            UnreachableCause,
            "{if: workers.busy >= workers.slots, for: strong}",
            "{if: workers.busy >= workers.slots, for: weak}",
        ),
        (FixWithoutVerify, "verify: {until: workers.live > 0, within: 30s}\n", ""),
        (UndoMissing, "undo: hale doctor --undo queue.no_worker", "undo: none"),
        (GuardMissing, "    guard: workers.live == 0\n", ""),
        (RiskTooLow, "risk: R2", "risk: R0"),
        (BadParam, "params: {slots: 4}", "params: {slot: 4, slots: 4}"),
        (BadParam, "params: {slots: 4}", "params: {slots: 4s}"),
        (BadParam, "    params: {slots: 4}\n", ""),
        (
            SymptomNotInjected,
            "symptoms:",
            "symptoms:\n  - {id: more, when: runs.pending > 9, severity: info, says: more}",
        ),
        (CauseNotProved, "  - {inject: worker.occupy_all, expect: queue.all_busy, shows: [runs_wait]}\n", ""),
        (NoNearMiss, "  - {twin: worker.starting, expect: none}\n", ""),
    ]
};

#[test]
fn each_lint_refuses_its_bad_sample_and_nothing_else_is_wrong_with_it() {
    let many = format!("prevent: [{}]", vec!["x"; 33].join(","));
    let too_long = (Lint::TooLong, "prevent: [alert on it]", many.as_str());
    let mut page = String::new();
    for (lint, from, to) in BAD.iter().copied().chain([too_long]) {
        let error = refused(&changed(from, to));
        let lints: Vec<Lint> = error.problems.iter().map(|problem| problem.lint).collect();
        assert!(lints.iter().all(|got| *got == lint), "{to}: expected {lint:?}, got\n{error}");
        page += &format!("{error}\n");
    }
    insta::assert_snapshot!(page);
}

#[test]
fn undo_none_is_accepted_with_its_reason() {
    let text =
        changed("undo: hale doctor --undo queue.no_worker", "undo: none\n    because: it ends by itself");
    assert!(load(&text, "test.yaml").is_ok());
}

#[test]
fn all_problems_are_reported_at_once_where_they_are() {
    let text = changed("if: workers.live == 0", "if: workers.lve == 0")
        .replace("runs.pending > 0", "runs.pending > 0s");
    let error = refused(&text);
    assert_eq!(
        error.to_string(),
        "load playbook test.yaml: 2 to mend
  test.yaml:6:42: in `runs.pending > 0s`: expected whole number to compare with, such as 10, got duration [type mismatch]
  test.yaml:13:14: in `workers.lve == 0`: unknown signal `workers.lve`: did you mean `workers.live`? [unknown signal]"
    );
}

#[test]
fn a_quoted_expression_has_its_column_too() {
    let error = refused(&changed("if: workers.live == 0", "if: \"workers.live == 0 and x\""));
    assert_eq!((error.problems[0].place.line, error.problems[0].place.column), (13, 37));
}

#[test]
fn hostile_yaml_is_refused_within_bounds() {
    let deep = format!("playbook: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let wide = format!("playbook: [{}]", vec!["a"; 20_000].join(","));
    let huge = "x".repeat(70_000);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n";
    let merge = changed("title: Runs wait", "<<: {title: Runs wait}");
    let two = format!("{GOOD}---\n{GOOD}");
    let tag = changed("title: Runs wait", "title: !!python/object:os.system Runs wait");
    for text in [deep.as_str(), &wide, &huge, bomb, &merge, &two, &tag, "", "\u{0}", "---", "- a\n- b"] {
        let error = refused(text);
        assert_eq!(error.problems.len(), 1);
        assert!(error.to_string().len() < 600, "{error}");
    }
}
