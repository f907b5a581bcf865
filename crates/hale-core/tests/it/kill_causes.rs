//! A job's end as a failure: its cause, and whose words come first.
//!
//! Read next: `crates/hale-core/src/kill/cause.rs`.

use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::kill::cause::{Told, failure};
use hale_core::kill::{Caps, End, Facts, Stop, classify};
use hale_core::time::Millis;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;

fn facts(end: End) -> Facts {
    Facts {
        end,
        raw_status: None,
        stop: None,
        cgroup_oom_kills: None,
        machine_oom_kills: None,
        peak_rss_bytes: 10 * MIB,
        peak_data_bytes: 12 * MIB,
        peak_tasks: 1,
        cpu: Millis(10),
        wall: Millis(20),
        caps: Caps {
            memory_bytes: 64 * MIB,
            data_bytes: 192 * MIB,
            cpu: Millis(1000),
            wall: Millis(5000),
            file_bytes: MIB,
            tasks: 8,
            disk_bytes: MIB,
        },
        stderr_tail: Vec::new(),
    }
}

fn of(facts: Facts, last_word: &str) -> Option<Failure> {
    let exits = BTreeMap::from([(3, "data_error".to_owned())]);
    let verdict = classify(&facts);
    failure(Told { program: "report", verdict: &verdict, facts: &facts, exits: &exits, last_word })
}

fn exit(code: i32, stderr: &[&str]) -> Option<Failure> {
    let mut facts = facts(End::Exited { code });
    facts.stderr_tail = stderr.iter().map(|line| (*line).to_owned()).collect();
    of(facts, "")
}

fn filed(failure: Option<Failure>) -> Option<(Code, String)> {
    failure.map(|failure| (failure.code, failure.cause))
}

#[test]
fn only_an_end_with_0_is_no_failure() {
    assert_eq!(exit(0, &["ERROR: all is lost", "MemoryError"]), None);
}

// covers: TR-18 TR-19
#[test]
fn each_end_has_its_cause() {
    let named = |code, cause: &str| Some((code, cause.to_owned()));
    let killed = End::Signalled { signal: 9, core: false };
    let stopped = |stop| of(Facts { stop: Some(stop), ..facts(killed) }, "");
    assert_eq!(filed(stopped(Stop::Memory { used_bytes: 65 * MIB })), named(Code::E004, "job.oom"));
    assert_eq!(filed(stopped(Stop::WallTime)), named(Code::E003, "job.timeout"));
    assert_eq!(filed(stopped(Stop::Tasks { count: 9 })), named(Code::E004, "job.limit"));
    assert_eq!(filed(of(facts(killed), "")), named(Code::E016, "job.killed"));
    assert_eq!(
        filed(of(facts(End::Signalled { signal: 11, core: false }), "")),
        named(Code::E016, "job.crashed")
    );
    assert_eq!(filed(exit(3, &[])), named(Code::E016, "job.data_error"));
    assert_eq!(filed(exit(1, &[])), named(Code::E016, "job.exit"));
    // 137 alone proves nothing.
    assert_eq!(filed(exit(137, &[])), named(Code::E016, "job.exit"));
    // What nobody measured is taken from the program's words.
    assert_eq!(
        filed(exit(1, &["java.lang.OutOfMemoryError: Java heap"])),
        named(Code::E004, "job.oom_likely")
    );
    assert_eq!(
        filed(exit(1, &["ValueError: insufficient data for 200 bars"])),
        named(Code::E016, "job.data_error")
    );
    // The pack's own word for a code comes before a phrase.
    assert_eq!(filed(exit(3, &["MemoryError"])), named(Code::E016, "job.data_error"));
}

#[test]
fn the_programs_own_words_come_first_and_the_evidence_stays() {
    let last = r#"{"error":"data_error","message":"p.csv:3: high is below low","fix":"swap them","stage":"data_loading"}"#;
    let failure = of(facts(End::Exited { code: 3 }), last).unwrap();
    assert_eq!(failure.message, "run report: p.csv:3: high is below low");
    assert_eq!(failure.chain[1..3], ["fix: swap them", "it was in the stage data_loading"]);
    assert!(
        failure.chain.iter().any(|line| line.starts_with("peak memory 10.0 MiB of 64.0 MiB")),
        "{failure}"
    );
    for odd in ["{", "{\"error\":1}", "[]", "{\"message\":\"no error key\"}"] {
        assert!(of(facts(End::Exited { code: 3 }), odd).unwrap().message.contains("exit code 3"), "{odd}");
    }
}
