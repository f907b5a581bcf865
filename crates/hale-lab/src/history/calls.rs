//! What the simulated model was asked, against the journals: finished steps are not asked again.
//!
//! A call names its step by the idempotency key `RUN-INDEX`.
//! Read next: [`super::promises`].

use super::{Observed, Report, Rule, records, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(observed: &Observed, report: &mut Report) {
    if observed.calls.is_empty() {
        return;
    }
    not_asked_again(observed, report);
    one_call_for_a_lease(observed, report);
    report.run = None;
}

/// Results that a journal held when it was read: calls for them must all be older.
fn not_asked_again(observed: &Observed, report: &mut Report) {
    let mut told = BTreeSet::new();
    for snapshot in &observed.snapshots {
        let done: BTreeSet<String> =
            snapshot.journals.iter().flat_map(|(id, history)| done(id, history)).collect();
        for (at, call) in observed.calls.iter().enumerate().skip(snapshot.calls) {
            let key = text(call, "idempotency_key");
            if done.contains(key) && told.insert(at) {
                report.run = run_of(key).map(str::to_owned);
                let what = format!("call {} asks for {key}, whose result was in the journal before", at + 1);
                report.broken(Rule::DoneIsNotAskedAgain, what);
            }
        }
    }
}

/// The idempotency keys of the steps that have their result in this journal.
fn done(id: &str, history: &Value) -> Vec<String> {
    let records = records(history).map(Vec::as_slice).unwrap_or_default();
    let ended = records.iter().filter(|record| text(&record["event"], "type") == "step_ended");
    ended.filter_map(|record| Some(format!("{id}-{}", record["event"]["step"]["index"].as_u64()?))).collect()
}

/// A lease executes a step at most once, so that there are at most as many calls to one model as there were leases
/// until the step's result.
fn one_call_for_a_lease(observed: &Observed, report: &mut Report) {
    let mut asked: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for call in &observed.calls {
        *asked.entry((text(call, "idempotency_key"), text(call, "model"))).or_default() += 1;
    }
    for ((key, model), calls) in asked {
        let Some(id) = run_of(key) else { continue };
        let Some(export) = observed.runs.get(id) else {
            report
                .about(id)
                .broken(Rule::AskedFor, format!("{model} was asked for {key}, and there is no such run"));
            continue;
        };
        let leases = leases_until(&export.history, &key[id.len() + 1..]);
        if calls > leases {
            let what = format!("{model} was asked {calls} times for {key}, under {leases} leases");
            report.about(id).broken(Rule::OneCallForALease, what);
        }
    }
}

fn leases_until(history: &Value, index: &str) -> u64 {
    let index: Option<u64> = index.parse().ok();
    let records = records(history).map(Vec::as_slice).unwrap_or_default();
    let is_result =
        |event: &Value| text(event, "type") == "step_ended" && event["step"]["index"].as_u64() == index;
    let events = records.iter().map(|record| &record["event"]);
    events.take_while(|event| !is_result(event)).filter(|event| text(event, "type") == "leased").count()
        as u64
}

fn run_of(key: &str) -> Option<&str> {
    key.rsplit_once('-').map(|(run, _)| run).filter(|run| run.starts_with("run_"))
}
