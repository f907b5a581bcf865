//! What clients were told, against what there is: acknowledged runs, keys, ends, and journals that only grow.
//!
//! Read next: [`super::journal`].

use super::{Observed, Report, Rule, Submission, is_end, records, text};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn check(observed: &Observed, report: &mut Report) {
    acknowledged(observed, report);
    keys(observed, report);
    asked_for(observed, report);
    ends_are_final(observed, report);
    journals_grow(observed, report);
}

fn acknowledged(observed: &Observed, report: &mut Report) {
    for submission in &observed.submissions {
        for receipt in &submission.receipts {
            let id = text(receipt, "id");
            report.about(id);
            match observed.runs.get(id) {
                None => {
                    let what =
                        format!("acknowledged as {}, and there is no such run", text(receipt, "state"));
                    report.broken(Rule::AcknowledgedRunExists, what);
                }
                Some(export) if text(&export.view, "pack") != submission.pack => {
                    let what = format!("ordered {}, runs {}", submission.pack, text(&export.view, "pack"));
                    report.broken(Rule::AskedFor, what);
                }
                Some(export) if export.view["input"] != submission.input => {
                    let what =
                        format!("ordered with {}, runs with {}", submission.input, export.view["input"]);
                    report.broken(Rule::AskedFor, what);
                }
                Some(_) => {}
            }
        }
    }
    report.run = None;
}

/// One key, one run: in every answer to it, and among the runs that no client ever heard of.
fn keys(observed: &Observed, report: &mut Report) {
    let mut by_key: BTreeMap<&str, &str> = BTreeMap::new();
    for submission in &observed.submissions {
        let Some(key) = submission.key.as_deref() else { continue };
        for receipt in &submission.receipts {
            let id = text(receipt, "id");
            let first = by_key.entry(key).or_insert(id);
            if *first != id {
                let what = format!("key {key} was answered with {first} and with {id}");
                report.about(id).broken(Rule::OneRunForAKey, what);
            }
        }
    }
}

/// Pack and input as one text: what a submission and its run have in common.
fn order(pack: &str, input: &Value) -> String {
    format!("{pack} {input}")
}

fn asked_for(observed: &Observed, report: &mut Report) {
    let of = |submission: &Submission| order(&submission.pack, &submission.input);
    let mut left: BTreeMap<String, i64> = BTreeMap::new();
    for submission in &observed.submissions {
        // Without a key every answer is a run of its own, and one may have been lost on the way with each failure.
        let runs = if submission.key.is_some() { 1 } else { i64::MAX / 2 };
        let entry = left.entry(of(submission)).or_default();
        *entry = entry.saturating_add(runs);
    }
    for (id, export) in &observed.runs {
        let order = order(text(&export.view, "pack"), &export.view["input"]);
        match left.get_mut(&order) {
            None => report.about(id).broken(Rule::AskedFor, format!("nobody ordered {order}")),
            Some(left) if *left <= 0 => {
                report
                    .about(id)
                    .broken(Rule::OneRunForAKey, format!("one more run for the same order: {order}"));
            }
            Some(left) => *left -= 1,
        }
    }
    report.run = None;
}

/// Once a client has seen an end, the run has that end for ever.
fn ends_are_final(observed: &Observed, report: &mut Report) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let receipts = observed.submissions.iter().flat_map(|submission| &submission.receipts);
    let last = observed.runs.values().map(|export| &export.view);
    // Receipts have no order among the sightings; an end in one of them must be the only end there is.
    for view in receipts.filter(|view| is_end(text(view, "state"))) {
        seen.insert(text(view, "id"), text(view, "state"));
    }
    for view in observed.sightings.iter().chain(last) {
        let (id, state) = (text(view, "id"), text(view, "state"));
        let was = seen.get(id).copied();
        match was {
            // A sighting may be older than the receipt that waited for the end.
            Some(was) if was != state && (is_end(state) || was_sighted(observed, (id, was), view)) => {
                let what = format!("seen as {was}, and later as {state}");
                report.about(id).broken(Rule::EndIsFinal, what);
            }
            None if is_end(state) => drop(seen.insert(id, state)),
            _ => {}
        }
    }
    report.run = None;
}

/// Whether `view` was read after a sighting of the run in this end, or at the very end of all.
fn was_sighted(observed: &Observed, (id, was): (&str, &str), view: &Value) -> bool {
    for sighting in &observed.sightings {
        if std::ptr::eq(sighting, view) {
            return false;
        }
        if text(sighting, "id") == id && text(sighting, "state") == was {
            return true;
        }
    }
    true
}

/// What stood in a journal when it was read stands there in every later reading.
fn journals_grow(observed: &Observed, report: &mut Report) {
    for snapshot in &observed.snapshots {
        for (id, then) in &snapshot.journals {
            report.about(id);
            let Some(export) = observed.runs.get(id) else {
                report.broken(Rule::AcknowledgedRunExists, "its journal was read, and there is no such run");
                continue;
            };
            let (Some(then), Some(now)) = (records(then), records(&export.history)) else {
                report.broken(Rule::Readable, "a history has no list of records");
                continue;
            };
            let differs = then.iter().zip(now).position(|(then, now)| then != now);
            if now.len() < then.len() {
                let what = format!("{} records were read, and {} are left", then.len(), now.len());
                report.broken(Rule::JournalOnlyGrows, what);
            } else if let Some(place) = differs {
                let what = format!("record {} was {}, and now is {}", place + 1, then[place], now[place]);
                report.broken(Rule::JournalOnlyGrows, what);
            }
        }
    }
    report.run = None;
}
