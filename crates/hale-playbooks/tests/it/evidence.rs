//! Evidence: what gets in, what comes back, how it reads.

use crate::worlds::NOW;
use hale_core::time::{Millis, Timestamp};
use hale_playbooks::evidence::{Evidence, READINGS_MAX, Reading, Reason, Subject, TEXT_BYTES};
use hale_playbooks::signal::{SIGNALS, find};
use hale_playbooks::value::{Type, Value};
use proptest::prelude::*;

fn one(name: &str, value: impl Into<Value>) -> Evidence {
    Evidence::builder(Subject::System, NOW).known(name, value, "test").build().unwrap()
}

#[test]
fn a_signal_outside_the_catalogue_is_refused() {
    let built = Evidence::builder(Subject::System, NOW).known("workers.alive", 1, "test").build();
    assert_eq!(
        built.unwrap_err().to_string(),
        "gather evidence: the signal catalogue has no [\"workers.alive\"]"
    );
}

#[test]
fn a_reading_of_the_wrong_type_is_unknown_not_converted() {
    let evidence = one("workers.live", "three");
    let why = evidence.look(find("workers.live").unwrap()).unwrap_err();
    assert_eq!(why.to_string(), "of the wrong type (expected whole number, got text)");
}

#[test]
fn a_number_that_is_none_is_unknown() {
    for number in [f64::NAN, f64::INFINITY] {
        let evidence = one("disk.free_ratio", number);
        assert_eq!(evidence.look(find("disk.free_ratio").unwrap()).unwrap_err().reason, Reason::Mistyped);
        assert_eq!(Evidence::from_json(&evidence.to_json()).unwrap(), evidence);
    }
}

#[test]
fn a_reading_ages_to_unknown_at_its_maximum_age() {
    let at = |ago: i64| {
        let reading = Reading {
            value: Value::Int(2),
            raw: "2".into(),
            at: Timestamp(NOW.0 - ago),
            source: "test".into(),
        };
        let evidence =
            Evidence::builder(Subject::System, NOW).reading("workers.live", reading).build().unwrap();
        evidence.look(find("workers.live").unwrap()).is_ok()
    };
    assert!(at(30_000));
    assert!(!at(30_001));
    assert!(at(-5_000), "a clock a little ahead is no reason to distrust a reading");
}

#[test]
fn bad_bundles_are_refused_with_the_reason() {
    let good = one("workers.live", 2).to_json();
    let message = |text: &str| Evidence::from_json(text).unwrap_err().to_string();
    assert_eq!(message("{}"), "read evidence: it is not valid JSON of schema hale.evidence/1");
    assert_eq!(
        message(&good.replace("evidence/1", "evidence/9")),
        "read evidence: its schema is \"hale.evidence/9\", this hale reads \"hale.evidence/1\""
    );
    assert!(message(&" ".repeat(6 << 20)).contains("bytes are more than"));
    assert!(message(&good.replace("\"system\"", "\"run:../x\"")).contains("not valid JSON"));
    assert!(message(&good.replace("\"raw\"", "\"rawest\"")).contains("not valid JSON"));
    let entry = r#"{"unknown":{"reason":"missing","detail":""}}"#;
    let many: Vec<String> = (0..=READINGS_MAX).map(|i| format!("\"x{i}\":{entry}")).collect();
    let many = format!(
        r#"{{"schema":"hale.evidence/1","taken_at":0,"subject":"system","readings":{{{}}}}}"#,
        many.join(",")
    );
    assert_eq!(message(&many), "read evidence: 1025 readings are more than the 1024 allowed");
}

#[test]
fn a_newer_bundle_keeps_what_this_version_does_not_know() {
    let bundle = one("workers.live", 2).to_json().replace("workers.live", "future.signal");
    assert_eq!(Evidence::from_json(&bundle).unwrap().to_json(), bundle);
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let evidence = one("llm.model", "ä".repeat(TEXT_BYTES));
    let reading = evidence.look(find("llm.model").unwrap()).unwrap();
    assert!(matches!(&reading.value, Value::Text(text) if text.len() <= TEXT_BYTES));
}

#[test]
fn values_read_as_people_write_them() {
    let human = |value: Value, ty| value.human(ty);
    assert_eq!(human(Value::Duration(Millis(92_000)), Type::Duration), "1m 32s");
    assert_eq!(human(Value::Bytes(512 << 20), Type::Bytes), "512 MiB");
    assert_eq!(human(Value::Bytes((1 << 30) - 1), Type::Bytes), "1 GiB");
    assert_eq!(human(Value::Bytes(1_600_000_000), Type::Bytes), "1.5 GiB");
    assert_eq!(human(Value::Bytes(1023), Type::Bytes), "1023 B");
    assert_eq!(human(Value::Num(0.12), Type::Ratio), "12 %");
    assert_eq!(human(Value::Num(0.004), Type::Ratio), "0.4 %");
    assert_eq!(human(Value::Num(0.00004), Type::Ratio), "0 %");
    assert_eq!(human(Value::Num(2.0), Type::Num), "2");
    assert_eq!(human(Value::Num(-0.0001), Type::Num), "0");
    assert_eq!(human(Value::Int(1_234_567), Type::Int), "1234567");
}

#[test]
fn subjects_are_system_or_a_run() {
    let subject = |text: &str| Subject::try_from(text.to_owned());
    assert_eq!(subject("system").unwrap(), Subject::System);
    assert_eq!(subject("run:run_01J").unwrap().run_id(), Some("run_01J"));
    for bad in ["", "run:", "run:a b", "run:-x", "run:$(id)", "worker:1"] {
        assert!(subject(bad).is_err(), "{bad}");
    }
}

fn value(ty: Type) -> BoxedStrategy<Value> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int => any::<i64>().prop_map(Value::Int).boxed(),
        Type::Num | Type::Ratio => any::<f64>().prop_map(Value::Num).boxed(),
        Type::Text => any::<String>().prop_map(Value::Text).boxed(),
        Type::Duration => any::<u64>().prop_map(|ms| Value::Duration(Millis(ms))).boxed(),
        Type::Bytes => any::<u64>().prop_map(Value::Bytes).boxed(),
    }
}

pub fn anything(subject: Subject) -> impl Strategy<Value = Evidence> {
    let signals: Vec<_> = SIGNALS
        .iter()
        .map(|signal| {
            let wrong = any::<bool>().prop_map(Value::Bool).boxed();
            let known = prop_oneof![9 => value(signal.ty), 1 => wrong];
            (Just(signal.name), proptest::option::of((known, 0i64..40_000)))
        })
        .collect();
    signals.prop_map(move |readings| {
        let mut builder = Evidence::builder(subject.clone(), NOW);
        for (name, reading) in readings {
            builder = match reading {
                None => builder.unknown(name, Reason::TimedOut, "after 2 s"),
                Some((value, ago)) => {
                    let at = Timestamp(NOW.0 - ago);
                    builder.reading(name, Reading { value, raw: String::new(), at, source: "test".into() })
                }
            };
        }
        builder.build().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_evidence_survives_its_bundle_and_gives_the_same_verdict(evidence in anything(Subject::System)) {
        let bundle = evidence.to_json();
        let back = Evidence::from_json(&bundle).unwrap();
        prop_assert_eq!(&back, &evidence);
        prop_assert_eq!(back.to_json(), bundle);
        let verdict = hale_playbooks::diagnose(hale_playbooks::catalogue(), &evidence);
        let again = hale_playbooks::diagnose(hale_playbooks::catalogue(), &back);
        prop_assert_eq!(again.to_json(), verdict.to_json());
    }

    #[test]
    fn any_evidence_of_a_run_is_judged_without_panic(evidence in anything(crate::worlds::run())) {
        hale_playbooks::diagnose(hale_playbooks::catalogue(), &evidence);
    }
}
