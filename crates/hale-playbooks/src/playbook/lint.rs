//! What a well-formed playbook is still refused for.
//!
//! Guarantees: a cause that passes can be told from its siblings, refuted, mended, undone and proved.
//! Read next: [`super::load::Lint`], the list.

use super::load::{Lint, Place, Places, Problem};
use super::verb::Need;
use super::{Action, Cause, Clue, Playbook, Proof, Risk, Side, Undo, Verb, Weight};
use crate::evidence::Subject;
use hale_core::nearest::nearest;
use std::collections::BTreeSet;

pub(super) fn lint(playbook: &Playbook, places: &Places, problems: &mut Vec<Problem>) {
    let mut linter = Linter { playbook, places, problems };
    linter.parts();
    linter.ids();
    linter.actions();
    for (cause, place) in playbook.causes.iter().zip(&places.causes) {
        linter.cause(cause, *place);
    }
    for (at, place) in places.causes.iter().enumerate() {
        linter.siblings(at, *place);
    }
    linter.proofs();
}

struct Linter<'p> {
    playbook: &'p Playbook,
    places: &'p Places,
    problems: &'p mut Vec<Problem>,
}

impl Linter<'_> {
    fn parts(&mut self) {
        let parts = [
            ("symptoms", "Symptoms", self.playbook.symptoms.is_empty()),
            ("causes", "Diagnosis", self.playbook.causes.is_empty()),
            ("actions", "Resolution", self.playbook.actions.is_empty()),
            ("prevent", "Prevention", self.playbook.prevent.is_empty()),
        ];
        for (key, part, empty) in parts {
            if empty {
                self.problem(
                    self.places.playbook,
                    Lint::MissingPart,
                    format!("`{key}` is empty: the part {part}"),
                );
            }
        }
    }

    fn ids(&mut self) {
        let symptoms = self.playbook.symptoms.iter().map(|symptom| &symptom.id).zip(&self.places.symptoms);
        let causes = self.playbook.causes.iter().map(|cause| &cause.id).zip(&self.places.causes);
        let mut seen = BTreeSet::new();
        for (id, place) in symptoms.chain(causes) {
            if !seen.insert(id) {
                self.problem(*place, Lint::DuplicateId, format!("`{id}` is there twice"));
            }
        }
    }

    fn cause(&mut self, cause: &Cause, place: Place) {
        let id = &cause.id;
        if !id.contains('.') {
            self.problem(place, Lint::BadId, format!("cause `{id}` needs an area: `area.{id}`"));
        }
        for subject in [Subject::System, Subject::Run("any".to_owned())] {
            let clues: Vec<&Clue> = cause.clues(&subject).collect();
            if !self.playbook.scope.covers(&subject) || clues.is_empty() {
                continue;
            }
            let kind = if subject == Subject::System { "the system" } else { "a run" };
            if clues.iter().all(|clue| clue.side == Side::For) {
                let message = format!("nothing could speak against `{id}` where {kind} is asked about");
                self.problem(place, Lint::CauseWithoutAgainst, message);
            }
            if !clues.iter().any(|clue| clue.side == Side::For && clue.weight >= Weight::Strong) {
                let message = format!("nothing strong could speak for `{id}` where {kind} is asked about");
                self.problem(place, Lint::UnreachableCause, message);
            }
        }
        if cause.evidence.is_empty() {
            self.problem(place, Lint::UnreachableCause, format!("`{id}` has no evidence"));
        }
        if cause.fix.is_empty() {
            self.problem(
                place,
                Lint::MissingPart,
                format!("`{id}` has no fix; an action with verb advise is one"),
            );
        }
        for fix in &cause.fix {
            match self.playbook.actions.get(fix) {
                None => {
                    let near =
                        nearest(fix, self.playbook.actions.keys().map(String::as_str)).map(str::to_owned);
                    self.dangling(
                        place,
                        format!("`{id}` is fixed by `{fix}`, which is no action here"),
                        near,
                    );
                }
                Some(action) if action.verb != Verb::Advise && cause.verify.is_none() => {
                    let message = format!("`{fix}` mends `{id}`, but no `verify` says when it is mended");
                    self.problem(place, Lint::FixWithoutVerify, message);
                }
                Some(_) => {}
            }
        }
    }

    fn siblings(&mut self, at: usize, place: Place) {
        let cause = &self.playbook.causes[at];
        for (other_at, other) in self.playbook.causes.iter().enumerate() {
            if other_at == at || other.id == cause.id {
                continue;
            }
            let (id, rival) = (&cause.id, &other.id);
            let includes =
                |all: &Cause, part: &Cause, from| contains_all(&all.evidence, &part.evidence, from);
            if includes(other, cause, Weight::Weak) && includes(cause, other, Weight::Weak) {
                let message = format!("`{id}` and `{rival}` have the same evidence");
                self.problem(place, Lint::IdenticalEvidence, message);
            } else if includes(other, cause, Weight::Strong) {
                let message = format!("all strong evidence of `{id}` speaks for `{rival}` as well");
                self.problem(place, Lint::NothingDiscriminates, message);
            }
        }
    }

    fn actions(&mut self) {
        for (id, action) in &self.playbook.actions {
            let place = self.places.actions.get(id).copied().unwrap_or_default();
            if !self.playbook.causes.iter().any(|cause| cause.fix.contains(id)) {
                self.dangling(place, format!("nothing is fixed by `{id}`"), None);
            }
            if action.risk < action.verb.risk_min() {
                let message = format!(
                    "`{id}` claims {}; {} is at least {}",
                    action.risk,
                    action.verb,
                    action.verb.risk_min()
                );
                self.problem(place, Lint::RiskTooLow, message);
            }
            if action.verb != Verb::Advise && action.command.is_none() {
                self.problem(place, Lint::MissingPart, format!("`{id}` has no `command`"));
            }
            if action.risk >= Risk::R2 && matches!(&action.undo, Undo::None { because: None }) {
                let message =
                    format!("`{id}` is {}: it needs an `undo`, or `undo: none` and `because:`", action.risk);
                self.problem(place, Lint::UndoMissing, message);
            }
            if action.risk >= Risk::R2 && action.guard.is_none() {
                let message = format!("`{id}` is {}: it needs a `guard` that must hold first", action.risk);
                self.problem(place, Lint::GuardMissing, message);
            }
            self.params(id, action, place);
        }
    }

    fn params(&mut self, id: &str, action: &Action, place: Place) {
        let declared = action.verb.params();
        for (name, expr) in &action.params {
            match declared.iter().find(|param| param.name == name) {
                None => {
                    let near = nearest(name, declared.iter().map(|param| param.name)).map(str::to_owned);
                    let message = format!("{} has no parameter `{name}`", action.verb);
                    self.problems.push(Problem { place, lint: Lint::BadParam, message, suggestion: near });
                }
                Some(param) if param.ty != expr.ty() => {
                    let message =
                        format!("parameter `{name}` of `{id}`: expected {}, got {}", param.ty, expr.ty());
                    self.problem(place, Lint::BadParam, message);
                }
                Some(_) => {}
            }
        }
        for param in declared.iter().filter(|param| param.need == Need::Required) {
            if !action.params.contains_key(param.name) {
                let message = format!("`{id}` lacks the parameter `{}` of {}", param.name, action.verb);
                self.problem(place, Lint::BadParam, message);
            }
        }
    }

    fn proofs(&mut self) {
        let mut proved = BTreeSet::new();
        let mut shown = BTreeSet::new();
        for (proof, place) in self.playbook.prove.iter().zip(&self.places.prove) {
            let Proof::Inject { cause, shows, .. } = proof else { continue };
            proved.insert(cause);
            shown.extend(shows);
            let symptoms: Vec<&str> =
                self.playbook.symptoms.iter().map(|symptom| symptom.id.as_str()).collect();
            if self.playbook.cause(cause).is_none() {
                let near = nearest(cause, self.playbook.causes.iter().map(|cause| cause.id.as_str()));
                self.dangling(*place, format!("`{cause}` is no cause here"), near.map(str::to_owned));
            }
            for symptom in shows.iter().filter(|symptom| !symptoms.contains(&symptom.as_str())) {
                let near = nearest(symptom, symptoms.iter().copied()).map(str::to_owned);
                self.dangling(*place, format!("`{symptom}` is no symptom here"), near);
            }
        }
        for (symptom, place) in self.playbook.symptoms.iter().zip(&self.places.symptoms) {
            if !shown.contains(&symptom.id) {
                let message = format!("no injected fault shows `{}`", symptom.id);
                self.problem(*place, Lint::SymptomNotInjected, message);
            }
        }
        for (cause, place) in self.playbook.causes.iter().zip(&self.places.causes) {
            if !proved.contains(&cause.id) {
                self.problem(
                    *place,
                    Lint::CauseNotProved,
                    format!("no injected fault makes `{}` happen", cause.id),
                );
            }
        }
        if !self.playbook.prove.iter().any(|proof| matches!(proof, Proof::Twin { .. })) {
            let message = "no near-miss twin shows that the playbook stays silent".to_owned();
            self.problem(self.places.playbook, Lint::NoNearMiss, message);
        }
    }

    fn dangling(&mut self, place: Place, message: String, suggestion: Option<String>) {
        self.problems.push(Problem { place, lint: Lint::Dangling, message, suggestion });
    }

    fn problem(&mut self, place: Place, lint: Lint, message: String) {
        self.problems.push(Problem { place, lint, message, suggestion: None });
    }
}

/// Whether every clue of `these` from this weight up is among `all` as well.
fn contains_all(all: &[Clue], these: &[Clue], from: Weight) -> bool {
    let same =
        |a: &Clue, b: &Clue| a.test == b.test && a.side == b.side && a.weight == b.weight && a.on == b.on;
    these.iter().filter(|clue| clue.weight >= from).all(|clue| all.iter().any(|other| same(clue, other)))
}
