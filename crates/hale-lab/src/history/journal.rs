//! One run's journal against the rules of a run: order, leases, steps, end, and that the run's page agrees.
//!
//! Read next: [`super::states`], the transitions.

use super::states::{States, Took};
use super::{Bounds, Export, Report, Rule, is_end, records, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a journal has shown so far.
struct Journal<'a> {
    states: States,
    bounds: Bounds,
    /// Who holds the lease, and its epoch.
    lease: Option<(&'a str, u64)>,
    epoch: u64,
    leases_lost: u64,
    /// Steps that have their result.
    done: BTreeSet<u64>,
    /// By step: tries that failed, and the retries that the last failure allowed.
    failed: BTreeMap<u64, (u64, u64)>,
    ends: u64,
}

pub(super) fn check(export: &Export, bounds: Bounds, report: &mut Report) {
    let Some(records) = records(&export.history) else {
        return report.broken(Rule::Readable, "the history has no list of records");
    };
    let first = records.first().map(|record| text(&record["event"], "type"));
    if first != Some("accepted") {
        report.broken(Rule::LegalTransition, format!("the journal begins with {first:?}, not with accepted"));
    }
    let mut journal = Journal {
        states: States::new(),
        bounds,
        lease: None,
        epoch: 0,
        leases_lost: 0,
        done: BTreeSet::new(),
        failed: BTreeMap::new(),
        ends: 0,
    };
    for (place, record) in (1u64..).zip(records) {
        let seq = record["seq"].as_u64();
        if seq != Some(place) {
            report.broken(Rule::DenseJournal, format!("record {place} of the journal has number {seq:?}"));
        }
        if place > 1 || first != Some("accepted") {
            journal.take(&record["event"], place, report);
        }
    }
    journal.agrees(&export.view, report);
}

/// Whether an event is an end whatever the policy says.
fn ends(name: &str) -> bool {
    matches!(name, "completed" | "failed" | "timed_out" | "stopped")
}

impl<'a> Journal<'a> {
    fn take(&mut self, event: &'a Value, seq: u64, report: &mut Report) {
        let name = text(event, "type");
        let before = self.states.names();
        let took = self.states.take(name, event);
        if ends(name) {
            self.ends += 1;
        }
        match took {
            Took::Yes => {}
            Took::AfterEnd if ends(name) => {
                report.broken(Rule::OneEnd, format!("{name} at {seq}, and the run was {before} already"));
            }
            Took::AfterEnd => {
                report.broken(Rule::EndIsFinal, format!("{name} at {seq}, and the run was {before}"));
            }
            Took::Refused => {
                report.broken(Rule::LegalTransition, format!("{name} at {seq} of a run that is {before}"));
            }
        }
        match name {
            "accepted" => report.broken(Rule::LegalTransition, format!("accepted a second time at {seq}")),
            "leased" => self.leased(event, seq, report),
            "lease_lost" | "released" => self.lease_over(event, seq, report),
            "fenced" => self.fenced(event, seq, report),
            "step_dispatched" | "step_ended" | "step_failed" | "parked" => self.step(event, seq, report),
            _ => {}
        }
        // Waiting runs and ended ones hold no lease.
        if self.states.ended() || self.states.names() == "PENDING" {
            self.lease = None;
        }
    }

    fn leased(&mut self, event: &'a Value, seq: u64, report: &mut Report) {
        let epoch = event["epoch"].as_u64().unwrap_or_default();
        if epoch <= self.epoch {
            let was = self.epoch;
            report.broken(
                Rule::EpochsRise,
                format!("leased at {seq} under epoch {epoch}, {was} was given before"),
            );
        }
        self.epoch = self.epoch.max(epoch);
        self.lease = Some((text(event, "worker"), epoch));
    }

    fn lease_over(&mut self, event: &Value, seq: u64, report: &mut Report) {
        let (name, worker) = (text(event, "type"), text(event, "worker"));
        let epoch = event["epoch"].as_u64().unwrap_or_default();
        if self.lease.is_some() && self.lease != Some((worker, epoch)) {
            let held = self.lease;
            let what = format!("{name} at {seq} by {worker} under epoch {epoch}, the lease is {held:?}");
            report.broken(Rule::OldEpochRefused, what);
        }
        self.lease = None;
        if name == "lease_lost" {
            self.leases_lost += 1;
            let (lost, most) = (self.leases_lost, self.bounds.leases_lost_max);
            if lost > most {
                let what = format!("lease lost {lost} times at {seq}, at most {most} are allowed");
                report.broken(Rule::AttemptsBounded, what);
            }
        }
    }

    /// The holder's own writes are never fenced while it holds the lease.
    fn fenced(&mut self, event: &Value, seq: u64, report: &mut Report) {
        let (worker, epoch) = (text(event, "worker"), event["epoch"].as_u64().unwrap_or_default());
        if self.lease == Some((worker, epoch)) && !self.states.ended() {
            let what = format!(
                "a write of {worker} under epoch {epoch} was refused at {seq}, and it holds the lease"
            );
            report.broken(Rule::OldEpochRefused, what);
        }
    }

    fn step(&mut self, event: &Value, seq: u64, report: &mut Report) {
        let name = text(event, "type");
        let step = if name == "step_ended" { &event["step"] } else { event };
        let Some(index) = step["index"].as_u64() else {
            return report.broken(Rule::Readable, format!("{name} at {seq} has no index"));
        };
        if self.done.contains(&index) {
            match name {
                "step_ended" => {
                    report.broken(Rule::OneResult, format!("step {index} has a second result at {seq}"));
                }
                _ => report.broken(
                    Rule::ResultIsFinal,
                    format!("{name} of step {index} at {seq}, after its result"),
                ),
            }
        }
        if name != "parked" {
            self.attempt(step, (index, seq), report);
        }
        match name {
            "step_ended" => drop(self.done.insert(index)),
            "step_failed" => {
                let tries = self.failed.get(&index).map_or(1, |(tries, _)| tries + 1);
                let allowed = step["policy"]["retries_max"].as_u64().unwrap_or(self.bounds.tries_max);
                self.failed.insert(index, (tries, allowed));
                self.lease = None;
            }
            "parked" => self.lease = None,
            _ => {}
        }
    }

    /// The try's number is one more than those that failed; the last failure must have allowed it.
    fn attempt(&self, step: &Value, (index, seq): (u64, u64), report: &mut Report) {
        if self.done.contains(&index) {
            return;
        }
        let attempt = step["attempt"].as_u64().unwrap_or_default();
        let (tries, allowed) = self.failed.get(&index).copied().unwrap_or((0, self.bounds.tries_max));
        if attempt != tries + 1 {
            let what = format!("try {attempt} of step {index} at {seq}, and {} is the next", tries + 1);
            report.broken(Rule::AttemptsBounded, what);
        }
        let most = (allowed + 1).min(self.bounds.tries_max);
        if attempt > most {
            let what = format!("try {attempt} of step {index} at {seq}, at most {most} are allowed");
            report.broken(Rule::AttemptsBounded, what);
        }
    }

    fn agrees(&self, view: &Value, report: &mut Report) {
        let state = text(view, "state");
        if self.ends > 1 {
            report.broken(Rule::OneEnd, format!("the journal holds {} ends", self.ends));
        }
        if !is_end(state) {
            report.broken(Rule::RunEnds, format!("the run is {state} after all trouble is over"));
        }
        if !self.states.may_be(state) {
            let what = format!("the run shows {state}, by its journal it is {}", self.states.names());
            report.broken(Rule::ViewAgrees, what);
        }
        let steps = self.done.len() as u64;
        for (field, journal) in [("epoch", self.epoch), ("steps", steps)] {
            if view[field].as_u64() != Some(journal) {
                let what = format!("the run shows {field} {}, by its journal it is {journal}", view[field]);
                report.broken(Rule::ViewAgrees, what);
            }
        }
    }
}
