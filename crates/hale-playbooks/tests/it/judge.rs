//! The judge's arithmetic, on a playbook made for it.

use crate::worlds::evidence;
use hale_playbooks::evidence::Subject;
use hale_playbooks::finding::Certainty;
use hale_playbooks::playbook::Playbook;
use hale_playbooks::{Verdict, diagnose, load};

/// Two causes over signals that serve only as dials here.
fn playbook() -> Playbook {
    let text = r#"
playbook: test.judge
title: Dials
source: a test
scope: system
symptoms:
  - {id: seen, when: server.up, severity: warning, says: it shows}
causes:
  - id: dial.one
    title: One
    at: worker
    prior: common
    evidence:
      - {if: workers.live == 1, for: decisive}
      - {if: workers.live == 9, against: decisive}
      - {if: workers.busy == 1, for: strong}
      - {if: workers.busy == 9, against: strong}
      - {if: workers.draining == 1, for: weak}
    says: one
    fix: [test.advise]
  - id: dial.two
    title: Two
    at: worker
    prior: rare
    evidence:
      - {if: runs.pending == 1, for: decisive}
      - {if: runs.pending == 9, against: decisive}
      - {if: runs.active == 1, for: strong}
      - {if: runs.active == 9, against: strong}
      - {if: runs.failed_5m == 1, for: weak}
    says: two
    fix: [test.advise]
actions:
  test.advise: {title: advise, verb: advise, risk: R0, undo: none, blast: nothing}
prevent: [nothing]
prove:
  - {inject: test.one, expect: dial.one, shows: [seen]}
  - {inject: test.two, expect: dial.two, shows: [seen]}
  - {twin: test.none, expect: none}
"#;
    load(text, "judge.yaml").unwrap_or_else(|error| panic!("{error}"))
}

/// Dials of cause one (live, busy, draining) and cause two (pending, active, failed); `?` is unknown.
fn judge(one: &str, two: &str) -> Verdict {
    let names =
        ["workers.live", "workers.busy", "workers.draining", "runs.pending", "runs.active", "runs.failed_5m"];
    let mut readings = "server.up: true\n".to_owned();
    for (name, dial) in names.into_iter().zip(one.chars().chain(two.chars())) {
        if dial != '?' {
            readings += &format!("{name}: {dial}\n");
        }
    }
    diagnose(&[playbook()], &evidence(Subject::System, &readings))
}

/// `code score margin certainty`, or why nothing was named.
fn said(one: &str, two: &str) -> String {
    let verdict = judge(one, two);
    match (verdict.findings.as_slice(), verdict.undetermined.as_slice()) {
        ([finding], []) => {
            let certainty = if finding.certainty == Certainty::Certain { "certain" } else { "likely" };
            format!("{} {} {} {certainty}", finding.code, finding.score, finding.margin)
        }
        ([], [open]) => open.because.clone(),
        _ => panic!("{}", verdict.to_json()),
    }
}

#[test]
fn weights_and_priors_add_up() {
    assert_eq!(said("111", "000"), "dial.one 33 33 certain");
    assert_eq!(said("100", "000"), "dial.one 22 22 certain");
    assert_eq!(said("190", "000"), "dial.one 14 14 certain");
    assert_eq!(said("010", "000"), "dial.one 10 10 likely");
    assert_eq!(said("000", "111"), "dial.two 31 29 certain");
    assert_eq!(said("111", "111"), "dial.one leads dial.two by 2 points, 5 are needed");
    assert_eq!(said("111", "101"), "dial.one 33 10 certain");
}

#[test]
fn decisive_evidence_against_removes_a_cause_whatever_speaks_for_it() {
    assert_eq!(said("911", "010"), "dial.two 8 8 likely");
    assert_eq!(said("911", "911"), "every cause that this playbook knows is ruled out");
    let verdict = judge("911", "010");
    assert_eq!(verdict.findings[0].ruled_out[0].because, "workers.live == 9 (workers.live = 9)");
}

#[test]
fn weak_evidence_and_priors_name_nothing() {
    assert_eq!(said("001", "000"), "nothing but weak evidence speaks for dial.one");
    assert_eq!(said("000", "000"), "nothing but weak evidence speaks for dial.one");
}

#[test]
fn a_lead_below_the_margin_names_nothing() {
    assert_eq!(said("000", "010"), "dial.two 8 6 likely");
    assert_eq!(said("001", "010"), "dial.two leads dial.one by 3 points, 5 are needed");
    assert_eq!(said("010", "010"), "dial.one leads dial.two by 2 points, 5 are needed");
    assert_eq!(said("011", "010"), "dial.one 13 5 likely");
}

#[test]
fn below_sixty_percent_known_names_nothing() {
    // Live carries two pieces of five, so three are known: just enough, but a decisive piece against it may come.
    assert_eq!(said("?11", "000"), "dial.one 13 13 likely");
    assert_eq!(said("?1?", "000"), "only 2 of 5 pieces of evidence on dial.one are known, 60 % are needed");
    let verdict = judge("?1?", "000");
    assert_eq!(
        verdict.undetermined[0].would_decide[0],
        "workers.live == 1 (decisive for dial.one): workers.live unknown: missing"
    );
}

#[test]
fn certainty_ends_where_an_unknown_could_bring_another_level() {
    assert_eq!(said("100", "000"), "dial.one 22 22 certain");
    assert_eq!(said("100", "?00"), "dial.one 22 22 likely");
    assert_eq!(said("111", "?00"), "dial.one 33 33 certain");
    assert_eq!(said("010", "?00"), "what is still unknown could put dial.two before dial.one");
    assert_eq!(said("1?0", "?00"), "what is still unknown could put dial.two before dial.one");
}

#[test]
fn an_absent_symptom_asks_no_further() {
    let verdict = diagnose(&[playbook()], &evidence(Subject::System, "server.up: false\n workers.live: 1"));
    assert_eq!((verdict.checked, verdict.findings.len(), verdict.undetermined.len()), (1, 0, 0));
    let verdict = diagnose(&[playbook()], &evidence(Subject::System, "workers.live: 1"));
    assert_eq!(verdict.unknown[0].because, ["server.up unknown: missing"]);
    let verdict = diagnose(&[playbook()], &evidence(crate::worlds::run(), "server.up: true"));
    assert_eq!(verdict.checked, 0, "a playbook about the system is not asked about a run");
}
