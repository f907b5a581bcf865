//! Every cause: named when it is there, silent on its near miss, and never replaced by another when readings are lost.

use crate::worlds::{HEALTHY, World, evidence, worlds};
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::evidence::{Entry, Evidence, Reason, Subject};
use hale_playbooks::finding::{Certainty, Readiness};
use hale_playbooks::playbook::{Proof, Verb};
use hale_playbooks::value::Value;
use hale_playbooks::verdict::{check_again, diagnose};
use hale_playbooks::{Verdict, catalogue};
use std::collections::BTreeSet;

fn codes(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn world(name: &str) -> World {
    worlds().into_iter().find(|world| world.name == name).unwrap()
}

/// The same evidence with one signal lost.
fn without(evidence: &Evidence, lost: &str, reason: Reason) -> Evidence {
    let mut builder = Evidence::builder(evidence.subject().clone(), evidence.taken_at());
    for (name, entry) in evidence.readings() {
        builder = match entry {
            _ if name == lost => builder.unknown(name, reason, ""),
            Entry::Known(reading) => builder.reading(name, reading.clone()),
            Entry::Unknown(why) => builder.unknown(name, why.reason, &why.detail),
        };
    }
    builder.build().unwrap()
}

#[test]
fn each_world_gets_its_cause_and_no_other() {
    for world in worlds() {
        let verdict = diagnose(catalogue(), &world.evidence());
        let expected: Vec<&str> = world.expect.into_iter().collect();
        assert_eq!(codes(&verdict), expected, "in the world {}: {}", world.name, verdict.to_json());
        for finding in &verdict.findings {
            assert_eq!(finding.certainty, Certainty::Certain, "in the world {}", world.name);
        }
        assert!(verdict.unknown.is_empty(), "in the world {}", world.name);
    }
}

#[test]
fn every_cause_of_the_catalogue_is_in_some_world() {
    let named: BTreeSet<&str> = worlds().iter().filter_map(|world| world.expect).collect();
    let all: BTreeSet<&str> =
        catalogue().iter().flat_map(|playbook| &playbook.causes).map(|cause| cause.id.as_str()).collect();
    assert_eq!(named, all);
}

/// The catalogue's twins, by the names of the worlds that stand for them.
#[test]
fn every_twin_of_the_catalogue_is_in_some_silent_world() {
    let silent: BTreeSet<&str> =
        worlds().iter().filter(|world| world.expect.is_none()).map(|world| world.name).collect();
    for proof in catalogue().iter().flat_map(|playbook| &playbook.prove) {
        if let Proof::Twin { twin } = proof {
            let (area, name) = twin.split_once('.').unwrap();
            assert!(
                silent.contains(name) || silent.contains(format!("{area}_{name}").as_str()),
                "no world for the twin {twin}"
            );
        }
    }
}

#[test]
fn twins_leave_nothing_open_either() {
    for name in
        ["healthy", "rate_limit_recovered", "key_refused_once_then_ok", "worker_busy", "slow_within_limit"]
    {
        let verdict = diagnose(catalogue(), &world(name).evidence());
        assert!(verdict.undetermined.is_empty(), "{name}: {}", verdict.to_json());
    }
    assert!(diagnose(catalogue(), &world("disk_nearly_full").evidence()).undetermined.is_empty());
}

#[test]
fn an_unknown_fault_is_left_open_with_every_cause_ruled_out() {
    for name in
        ["provider_down", "worker_idle_while_runs_wait", "quota_gives_the_same_words", "many_different_calls"]
    {
        let verdict = diagnose(catalogue(), &world(name).evidence());
        assert!(verdict.findings.is_empty(), "{name}");
        let [open] = verdict.undetermined.as_slice() else { panic!("{name}: {}", verdict.to_json()) };
        assert!(!open.ruled_out.is_empty(), "{name}: {}", verdict.to_json());
    }
}

// Removing each reading in turn: the cause stays the same or is no longer claimed, and another never takes its place.
#[test]
fn a_lost_reading_never_makes_another_cause_of_it() {
    let mut silenced = 0;
    for world in worlds() {
        let full = world.evidence();
        let expected: BTreeSet<&str> = world.expect.into_iter().collect();
        for name in full.readings().keys() {
            for reason in [Reason::Missing, Reason::TimedOut] {
                let verdict = diagnose(catalogue(), &without(&full, name, reason));
                let got: BTreeSet<&str> = codes(&verdict).into_iter().collect();
                assert!(got.is_subset(&expected), "{} without {name}: {got:?}", world.name);
                let open = verdict.undetermined.len() + verdict.unknown.len();
                assert!(got == expected || open > 0, "{} without {name} is silent", world.name);
                silenced += usize::from(got != expected);
            }
        }
    }
    assert!(silenced > 20, "losing readings took effect only {silenced} times");
}

#[test]
fn without_the_deciding_reading_the_verdict_is_open_and_names_it() {
    let cases = [
        ("no_live_worker", "workers.live"),
        ("rate_limited", "llm.rate_limited_5m"),
        ("key_refused", "llm.key_refused_5m"),
        ("tool_loop", "run.repeated_call_max"),
    ];
    for (name, lost) in cases {
        let evidence = without(&world(name).evidence(), lost, Reason::TimedOut);
        let verdict = diagnose(catalogue(), &evidence);
        assert_eq!(codes(&verdict), Vec::<&str>::new(), "{name} without {lost}");
        let [open] = verdict.undetermined.as_slice() else { panic!("{name}: {}", verdict.to_json()) };
        let wanted = format!("{lost} unknown: timed out");
        assert!(open.would_decide.iter().any(|test| test.contains(&wanted)), "{name}: {}", verdict.to_json());
    }
}

#[test]
fn without_its_decisive_reading_a_cause_is_likely_at_most() {
    let verdict =
        diagnose(catalogue(), &without(&world("disk_full").evidence(), "disk.free", Reason::TimedOut));
    assert_eq!(codes(&verdict), ["store.disk_full"]);
    assert_eq!(verdict.findings[0].certainty, Certainty::Likely);
}

#[test]
fn a_symptom_that_cannot_be_judged_is_not_passed_over() {
    let evidence = without(&world("disk_full").evidence(), "store.full", Reason::ServerDown);
    let verdict = diagnose(catalogue(), &evidence);
    assert!(verdict.findings.is_empty());
    let [unjudged] = verdict.unknown.as_slice() else { panic!("{}", verdict.to_json()) };
    assert_eq!(unjudged.because, ["store.full unknown: server down"]);
}

#[test]
fn two_faults_of_different_playbooks_are_both_named() {
    let one = world("rate_limited").readings;
    let changes = world("no_live_worker").readings;
    let mut all: std::collections::BTreeMap<String, String> = Default::default();
    for line in one.lines().chain(changes.lines().filter(|l| l.contains("workers.") || l.contains("runs."))) {
        if let Some((name, value)) = line.trim().split_once(": ") {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    let readings: Vec<String> = all.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let verdict = diagnose(catalogue(), &evidence(Subject::System, &readings.join("\n")));
    assert_eq!(codes(&verdict), ["llm.rate_limited", "queue.no_live_worker"]);
}

#[test]
fn equal_evidence_for_both_siblings_is_left_open_between_them() {
    let readings = world("rate_limited")
        .readings
        .replace("llm.key_refused_5m: 0", "llm.key_refused_5m: 5")
        .replace("llm.key_refused_last_age: 3d", "llm.key_refused_last_age: 4s")
        .replace("llm.ok_since_key_refused: 9000", "llm.ok_since_key_refused: 0")
        .replace("llm.errors_5m: 5", "llm.errors_5m: 10");
    let verdict = diagnose(catalogue(), &evidence(Subject::System, &readings));
    assert!(verdict.findings.is_empty());
    let [open] = verdict.undetermined.as_slice() else { panic!("{}", verdict.to_json()) };
    assert_eq!(open.because, "llm.rate_limited leads llm.key_refused by 0 points, 5 are needed");
    assert_eq!(open.between.len(), 2);
}

#[test]
fn stale_readings_do_not_decide() {
    let full = world("no_live_worker").evidence();
    let mut builder = Evidence::builder(Subject::System, full.taken_at());
    for (name, entry) in full.readings() {
        let Entry::Known(reading) = entry else { unreachable!() };
        let mut reading = reading.clone();
        if name == "workers.live" {
            reading.at = Timestamp(full.taken_at().0 - 31_000);
        }
        builder = builder.reading(name, reading);
    }
    let verdict = diagnose(catalogue(), &builder.build().unwrap());
    assert!(verdict.findings.is_empty());
    let asked = &verdict.undetermined[0].would_decide[0];
    assert!(asked.contains("workers.live unknown: stale (read 31s ago, 30s is the most)"), "{asked}");
}

#[test]
fn the_verdict_from_a_bundle_is_the_same_byte_for_byte() {
    for world in worlds() {
        let evidence = world.evidence();
        let bundle = evidence.to_json();
        let back = Evidence::from_json(&bundle).unwrap();
        assert_eq!(back.to_json(), bundle, "{}", world.name);
        let verdict = diagnose(catalogue(), &evidence).to_json();
        assert_eq!(diagnose(catalogue(), &back).to_json(), verdict, "{}", world.name);
        let read: Verdict = serde_json::from_str(&verdict).unwrap();
        assert_eq!(read.to_json(), verdict, "{}", world.name);
    }
}

#[test]
fn every_finding_reads_well() {
    let mut page = String::new();
    for world in worlds().into_iter().filter(|world| world.expect.is_some()) {
        for finding in diagnose(catalogue(), &world.evidence()).findings {
            let (code, score, margin) = (&finding.code, finding.score, finding.margin);
            page += &format!("{}\n  {code} at {}, score {score}, margin {margin}\n", world.name, finding.at);
            page += &format!("  {}\n  {}\n", finding.symptom, finding.cause);
            for fix in &finding.fixes {
                page += &format!("  {} {} {:?} {:?}\n", fix.id, fix.risk, fix.readiness, fix.command);
            }
        }
    }
    insta::assert_snapshot!(page);
}

#[test]
fn a_finding_is_a_proof() {
    let verdict = diagnose(catalogue(), &world("no_live_worker").evidence());
    insta::assert_snapshot!(verdict.to_json());
}

#[test]
fn fixes_carry_typed_parameters_and_are_ready() {
    let verdict = diagnose(catalogue(), &world("rate_limited").evidence());
    let fix = &verdict.findings[0].fixes[0];
    assert_eq!((fix.verb, fix.readiness), (Verb::ModelSetFallback, Readiness::Ready));
    assert_eq!(fix.params["fallback"], Value::from("sim/backup"));
    let verdict = diagnose(catalogue(), &world("model_slow").evidence());
    let fix = &verdict.findings[0].fixes[0];
    assert_eq!((fix.verb, fix.readiness), (Verb::LimitRaise, Readiness::Ready));
    assert_eq!(fix.params["timeout"], Value::Duration(Millis::seconds(120)));
    assert_eq!(
        fix.command.as_deref(),
        Some("hale doctor --fix run.model_slow --run run_01JD4ABCDEFGHJKMNPQRSTVWXY")
    );
}

#[test]
fn a_fix_without_its_precondition_is_blocked_and_without_its_parameter_unknown() {
    let none = world("rate_limited").readings.replace("\"sim/backup\"", "\"\"");
    let verdict = diagnose(catalogue(), &evidence(Subject::System, &none));
    assert_eq!(verdict.findings[0].fixes[0].readiness, Readiness::Blocked);
    let lost = without(&world("rate_limited").evidence(), "llm.fallback_candidate", Reason::Forbidden);
    let verdict = diagnose(catalogue(), &lost);
    assert_eq!(verdict.findings[0].fixes[0].readiness, Readiness::Unknown);
}

#[test]
fn a_name_from_outside_cannot_break_out_of_a_command() {
    let command = |provider: &str| {
        let readings = world("key_refused")
            .readings
            .replace("llm.provider: \"sim\"", &format!("llm.provider: {provider}"));
        let verdict = diagnose(catalogue(), &evidence(Subject::System, &readings));
        let fix = verdict.findings[0].fixes[0].clone();
        (fix.command.unwrap(), fix.readiness)
    };
    assert_eq!(command("openai"), ("hale secrets set openai".to_owned(), Readiness::Ready));
    assert_eq!(command("a; rm -rf /").0, "hale secrets set 'a; rm -rf /'");
    assert_eq!(command("it's").0, "hale secrets set 'it'\\''s'");
    assert_eq!(command("--help"), ("hale secrets set <llm.provider>".to_owned(), Readiness::Unknown));
    assert_eq!(command("a\u{1b}[2J").1, Readiness::Unknown);
}

#[test]
fn control_characters_of_names_do_not_reach_the_terminal() {
    let readings = world("key_refused").readings.replace("\"sim/researcher\"", "\"sim\u{1b}[31m\u{202e}\"");
    let verdict = diagnose(catalogue(), &evidence(Subject::System, &readings));
    let said = format!("{} {}", verdict.findings[0].cause, verdict.findings[0].symptom);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said:?}");
}

#[test]
fn verification_is_asked_again_of_newer_evidence() {
    let verdict = diagnose(catalogue(), &world("no_live_worker").evidence());
    let verify = verdict.findings[0].verify.clone().unwrap();
    let truth =
        |readings: &str| check_again(&verify.expr, &evidence(Subject::System, readings)).unwrap().to_string();
    assert_eq!(verify.value.to_string(), "false");
    assert_eq!(truth(HEALTHY), "true");
    assert_eq!(truth("runs.pending: 0"), "unknown");
}

#[test]
fn a_fix_is_verified_by_what_is_known_only() {
    let causes = catalogue().iter().flat_map(|playbook| &playbook.causes);
    let cause = causes.clone().find(|cause| cause.id == "queue.no_live_worker").unwrap();
    let verify = cause.verify.as_ref().unwrap();
    let met = |readings: &str| verify.met(&evidence(Subject::System, readings));
    assert!(met(HEALTHY));
    assert!(!met(&world("no_live_worker").readings));
    assert!(!met("runs.pending: 0"), "the workers are unknown");
}
