//! The history checker finds every planted bug and nothing else.

use hale_lab::history::{Export, Observed, Rule, Snapshot, Submission, Violation, check};
use serde_json::{Value, json};

const FIRST: &str = "run_01";
const SECOND: &str = "run_02";

fn history(run: &str, events: Vec<Value>) -> Value {
    let records: Vec<Value> = (1..)
        .zip(events)
        .map(|(seq, event)| json!({"v": 1, "seq": seq, "at": seq, "event": event}))
        .collect();
    json!({"schema": "hale.history/1", "run": run, "records": records})
}

fn accepted(pack: &str) -> Value {
    json!({"type": "accepted", "pack": {"name": pack, "version": "1.0.0"}})
}

fn plain(name: &str) -> Value {
    json!({ "type": name })
}

fn lease(name: &str, worker: &str, epoch: u64) -> Value {
    json!({"type": name, "worker": worker, "epoch": epoch})
}

fn ended(index: u64, attempt: u64) -> Value {
    json!({"type": "step_ended", "step": {"index": index, "attempt": attempt, "result": "hello"}})
}

fn failed(index: u64, attempt: u64, retries_max: u64) -> Value {
    json!({"type": "step_failed", "index": index, "attempt": attempt, "policy": {"retries_max": retries_max}})
}

/// A hello run whose first worker died in the model call.
fn first() -> Vec<Value> {
    vec![
        accepted("hello"),
        lease("leased", "wrk_a", 1),
        plain("initialized"),
        lease("lease_lost", "wrk_a", 1),
        lease("leased", "wrk_b", 2),
        lease("fenced", "wrk_a", 1),
        plain("initialized"),
        ended(0, 1),
        plain("completing"),
        plain("completed"),
    ]
}

/// A run whose step failed once, and that was asked to stop after it had ended.
fn second() -> Vec<Value> {
    vec![
        accepted("echo"),
        lease("leased", "wrk_b", 1),
        plain("initialized"),
        failed(0, 1, 3),
        plain("woken"),
        lease("leased", "wrk_b", 2),
        plain("initialized"),
        ended(0, 2),
        lease("released", "wrk_b", 2),
        lease("leased", "wrk_c", 3),
        plain("initialized"),
        plain("completing"),
        plain("completed"),
    ]
}

fn view(run: &str, state: &str, (epoch, steps): (u64, u64)) -> Value {
    let (pack, input) = match run {
        FIRST => ("hello", json!({"name": "Ada"})),
        _ => ("echo", json!({"n": 2})),
    };
    json!({"id": run, "state": state, "pack": pack, "input": input, "epoch": epoch, "steps": steps})
}

fn call(key: &str) -> Value {
    json!({"model": "small", "idempotency_key": key, "outcome": "answered"})
}

fn clean() -> Observed {
    let receipt = |run: &str| view(run, "PENDING", (0, 0));
    let submission = |key: &str, run: &str| Submission {
        key: Some(key.to_owned()),
        pack: view(run, "", (0, 0))["pack"].as_str().unwrap().to_owned(),
        input: view(run, "", (0, 0))["input"].clone(),
        receipts: vec![receipt(run), receipt(run)],
    };
    let mut observed = Observed {
        submissions: vec![submission("k1", FIRST), submission("k2", SECOND)],
        sightings: vec![view(FIRST, "RUNNING", (2, 0)), view(FIRST, "COMPLETED", (2, 1))],
        calls: vec![call("run_01-0"), call("run_01-0")],
        ..Observed::default()
    };
    let so_far = history(FIRST, first()[..8].to_vec());
    let journals = [(FIRST.to_owned(), so_far)].into();
    observed.snapshots.push(Snapshot { journals, calls: 2 });
    let export = |run, events, at| Export { view: view(run, "COMPLETED", at), history: history(run, events) };
    observed.runs.insert(FIRST.to_owned(), export(FIRST, first(), (2, 1)));
    observed.runs.insert(SECOND.to_owned(), export(SECOND, second(), (3, 1)));
    observed
}

/// The clean history with another journal of the second run.
fn with_second(change: impl FnOnce(&mut Vec<Value>)) -> Observed {
    let (mut observed, mut events) = (clean(), second());
    change(&mut events);
    observed.runs.get_mut(SECOND).unwrap().history = history(SECOND, events);
    observed
}

#[track_caller]
fn finds(observed: &Observed, rule: Rule) {
    let found: Vec<Violation> = check(observed);
    assert!(found.iter().any(|violation| violation.rule == rule), "{rule:?} is not among {found:#?}");
}

#[test]
fn a_history_that_keeps_every_promise_passes() {
    assert_eq!(check(&clean()), []);
}

#[test]
fn every_way_to_end_passes() {
    for (state, tail) in [
        ("FAILED", vec![lease("leased", "w", 1), plain("failed")]),
        ("FAILED", vec![lease("leased", "w", 1), plain("initialized"), failed(0, 1, 0)]),
        ("TIMEOUT", vec![lease("leased", "w", 1), plain("initialized"), plain("timed_out")]),
        ("CANCELLED", vec![lease("leased", "w", 1), plain("cancel_asked"), plain("stopped")]),
        ("CANCELLED", vec![lease("leased", "w", 1), plain("cancel_asked"), lease("lease_lost", "w", 1)]),
    ] {
        let mut observed = clean();
        let events = [vec![accepted("echo")], tail].concat();
        let export = Export { view: view(SECOND, state, (1, 0)), history: history(SECOND, events) };
        observed.runs.insert(SECOND.to_owned(), export);
        assert_eq!(check(&observed), [], "{state}");
    }
}

#[test]
fn an_acknowledged_run_that_is_gone_is_found() {
    let mut observed = clean();
    observed.runs.remove(FIRST);
    finds(&observed, Rule::AcknowledgedRunExists);
}

/// Acknowledged before it was durable: nobody ever saw more of it than the 202.
#[test]
fn an_early_acknowledgement_is_found() {
    let mut observed = clean();
    let input = json!({"n": 3});
    let receipts = vec![json!({"id": "run_03", "state": "PENDING", "pack": "echo"})];
    observed.submissions.push(Submission {
        key: Some("k3".to_owned()),
        pack: "echo".to_owned(),
        input,
        receipts,
    });
    finds(&observed, Rule::AcknowledgedRunExists);
}

/// A journal that was read, and is shorter or other after the crash: written without a sync.
#[test]
fn a_journal_that_forgot_is_found() {
    let mut observed = clean();
    let export = observed.runs.get_mut(FIRST).unwrap();
    export.history["records"].as_array_mut().unwrap().truncate(7);
    finds(&observed, Rule::JournalOnlyGrows);
    let mut observed = clean();
    observed.runs.get_mut(FIRST).unwrap().history["records"][7]["event"]["step"]["result"] = json!("other");
    finds(&observed, Rule::JournalOnlyGrows);
}

#[test]
fn a_second_result_of_a_step_is_found() {
    finds(&with_second(|events| events.insert(8, ended(0, 2))), Rule::OneResult);
}

#[test]
fn a_finished_step_that_begins_again_is_found() {
    let again = json!({"type": "step_dispatched", "index": 0, "attempt": 3});
    finds(&with_second(|events| events.insert(11, again)), Rule::ResultIsFinal);
    finds(&with_second(|events| events.insert(11, failed(0, 3, 3))), Rule::ResultIsFinal);
}

#[test]
fn a_finished_step_that_is_asked_again_is_found() {
    let mut observed = clean();
    observed.calls.push(call("run_01-0"));
    finds(&observed, Rule::DoneIsNotAskedAgain);
    finds(&observed, Rule::OneCallForALease);
}

#[test]
fn a_double_dispatch_is_found() {
    let mut observed = clean();
    observed.snapshots.clear();
    observed.calls.push(call("run_01-0"));
    finds(&observed, Rule::OneCallForALease);
    // Two leases at the same time.
    let observed = with_second(|events| events.insert(2, lease("leased", "wrk_c", 2)));
    finds(&observed, Rule::LegalTransition);
}

#[test]
fn an_ignored_epoch_is_found() {
    // The same epoch given twice.
    finds(&with_second(|events| events[5] = lease("leased", "wrk_c", 1)), Rule::EpochsRise);
    // A worker ends a lease that is no longer its own.
    finds(&with_second(|events| events[8] = lease("released", "wrk_b", 1)), Rule::OldEpochRefused);
    // The former holder's result is accepted while nobody holds the run.
    finds(&with_second(|events| events.insert(9, ended(1, 1))), Rule::LegalTransition);
    // The holder itself is refused.
    finds(&with_second(|events| events.insert(7, lease("fenced", "wrk_b", 2))), Rule::OldEpochRefused);
}

#[test]
fn a_gap_in_the_journal_is_found() {
    let mut observed = clean();
    observed.runs.get_mut(SECOND).unwrap().history["records"].as_array_mut().unwrap().remove(4);
    finds(&observed, Rule::DenseJournal);
}

#[test]
fn two_ends_are_found() {
    finds(&with_second(|events| events.push(plain("failed"))), Rule::OneEnd);
}

#[test]
fn an_event_after_the_end_is_found() {
    finds(&with_second(|events| events.push(lease("leased", "wrk_d", 4))), Rule::EndIsFinal);
    let mut observed = clean();
    observed.sightings.insert(0, view(SECOND, "FAILED", (1, 0)));
    finds(&observed, Rule::EndIsFinal);
    let mut observed = clean();
    observed.sightings.push(view(FIRST, "RUNNING", (2, 1)));
    finds(&observed, Rule::EndIsFinal);
}

#[test]
fn an_illegal_transition_is_found() {
    finds(&with_second(|events| drop(events.remove(11))), Rule::LegalTransition);
    finds(&with_second(|events| drop(events.remove(0))), Rule::LegalTransition);
}

#[test]
fn a_second_run_for_a_key_is_found() {
    let mut observed = clean();
    let mut twin = observed.runs[SECOND].clone();
    twin.view["id"] = json!("run_03");
    observed.runs.insert("run_03".to_owned(), twin);
    // The client never heard of the twin: its first try was not answered.
    finds(&observed, Rule::OneRunForAKey);
    observed.submissions[1].receipts.push(view("run_03", "PENDING", (0, 0)));
    finds(&observed, Rule::OneRunForAKey);
}

#[test]
fn a_run_that_nobody_ordered_is_found() {
    let mut observed = clean();
    observed.submissions.pop();
    finds(&observed, Rule::AskedFor);
}

#[test]
fn a_run_that_never_ends_is_found() {
    let mut observed = with_second(|events| events.truncate(7));
    observed.runs.get_mut(SECOND).unwrap().view = view(SECOND, "RUNNING", (2, 0));
    finds(&observed, Rule::RunEnds);
}

#[test]
fn too_many_tries_are_found() {
    finds(&with_second(|events| events[3] = failed(0, 1, 0)), Rule::AttemptsBounded);
    finds(&with_second(|events| events[7] = ended(0, 3)), Rule::AttemptsBounded);
    let lost = |epoch| vec![lease("leased", "w", epoch), lease("lease_lost", "w", epoch)];
    let tail: Vec<Value> = (1..=6).flat_map(lost).collect();
    finds(&with_second(|events| *events = [vec![accepted("echo")], tail].concat()), Rule::AttemptsBounded);
}

#[test]
fn a_page_that_contradicts_the_journal_is_found() {
    for (field, value) in [("state", json!("FAILED")), ("epoch", json!(2)), ("steps", json!(2))] {
        let mut observed = clean();
        observed.runs.get_mut(SECOND).unwrap().view[field] = value;
        finds(&observed, Rule::ViewAgrees);
    }
}

#[test]
fn what_cannot_be_read_is_found() {
    let mut observed = clean();
    observed.runs.get_mut(SECOND).unwrap().history = json!({"error": "no such run"});
    finds(&observed, Rule::Readable);
}
