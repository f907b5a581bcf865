//! The table of operations.
//!
//! Read next: `crates/hale-core/src/operation.rs`.

use hale_core::operation::{DECLARED, Operation, Risk, Undo};
use hale_core::run::StateName;
use std::collections::BTreeSet;

#[test]
fn the_table_is_the_one_that_is_checked_in() {
    let states =
        |accepts: &[StateName]| accepts.iter().map(|state| state.name()).collect::<Vec<_>>().join(" ");
    let undo = |undo: Undo| match undo {
        Undo::By(op) => format!("undo {op}"),
        Undo::Words(words) => format!("undo: {words}"),
        Undo::Never => "no undo".to_owned(),
    };
    let lines = DECLARED.iter().map(|declared| {
        format!(
            "{:<20} {} {} [{}] \"{}\"\n    {}\n",
            declared.name,
            declared.risk,
            undo(declared.undo),
            states(declared.accepts),
            declared.audit_text("TARGET"),
            declared.summary,
        )
    });
    insta::assert_snapshot!(lines.collect::<String>());
}

#[test]
fn every_operation_finds_its_own_line_and_reads_back() {
    let mut names = BTreeSet::new();
    for declared in DECLARED {
        assert_eq!(declared.op.declared().name, declared.name);
        assert_eq!(declared.name.parse(), Ok(declared.op));
        assert!(names.insert(declared.name), "{} stands twice", declared.name);
        let json = serde_json::to_string(&declared.op).unwrap();
        assert_eq!(json, format!("\"{}\"", declared.name));
        assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), declared.op);
        assert_eq!(declared.audit.matches("{target}").count(), 1, "{}", declared.name);
        assert_eq!(declared.name.split('.').count(), 2, "{}", declared.name);
    }
}

#[test]
fn what_destroys_asks_and_what_is_harmless_does_not() {
    assert!(Risk::ALL.is_sorted());
    assert_eq!(Risk::ALL.map(Risk::asks), [false, false, false, true, true]);
    assert!(Operation::SecretsRemove.declared().risk == Risk::R4);
    for declared in DECLARED.iter().filter(|declared| declared.risk <= Risk::R2) {
        assert_ne!(
            declared.undo,
            Undo::Never,
            "{} is done without asking, so it can be undone",
            declared.name
        );
    }
}

#[test]
fn a_run_takes_what_its_state_allows() {
    let takes = |op: Operation, state| op.declared().accepts(state);
    for state in StateName::ALL {
        assert_eq!(takes(Operation::RunsCancel, state), !state.is_terminal(), "{state}");
        let unsuccessful = state.is_terminal() && state != StateName::Completed;
        assert_eq!(takes(Operation::RunsRetry, state), unsuccessful, "{state}");
        assert!(!takes(Operation::PacksDeploy, state));
    }
}

#[test]
fn an_unknown_operation_suggests_the_near_one() {
    for (text, meant) in
        [("runs.cancle", "runs.cancel"), ("cancel", "runs.cancel"), ("worker.strat", "worker.start")]
    {
        assert_eq!(text.parse::<Operation>().expect_err(text).suggestion, Some(meant));
    }
    let error = "zzz".parse::<Operation>().expect_err("no such thing");
    assert_eq!(error.to_string(), "find the operation \"zzz\"");
}
