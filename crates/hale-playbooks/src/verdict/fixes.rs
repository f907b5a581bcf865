//! What would mend a cause, filled in from the evidence.
//!
//! Guarantees: a fix says by itself whether it can be done as it stands; a gap is shown, never guessed.
//! Leaves to others: permission, dry-run, doing, verifying, undoing (`hale-engine`).
//! Read next: [`crate::playbook::Verb`].

use crate::evidence::{Evidence, Subject};
use crate::expr::{self, Expr, Reach, Truth};
use crate::finding::{Check, Fix, Readiness};
use crate::playbook::{Action, Cause, Playbook, Undo};
use crate::template::{Completeness, Template};
use hale_core::time::Millis;
use std::collections::BTreeMap;

pub(super) fn fixes(playbook: &Playbook, cause: &Cause, evidence: &Evidence) -> Vec<Fix> {
    let actions = cause.fix.iter().filter_map(|id| playbook.actions.get_key_value(id));
    actions.map(|(id, action)| fix(id, action, evidence)).collect()
}

/// Asks a guard or a verification of a finding again, of newer evidence.
pub fn check_again(condition: &str, evidence: &Evidence) -> Result<Truth, expr::Error> {
    let reach = match evidence.subject() {
        Subject::System => Reach::System,
        Subject::Run(_) => Reach::Run,
    };
    Ok(Expr::condition(condition, reach)?.truth(evidence))
}

fn fix(id: &str, action: &Action, evidence: &Evidence) -> Fix {
    let mut params = BTreeMap::new();
    for (name, expr) in &action.params {
        params.extend(expr.value(evidence).map(|value| (name.clone(), value)));
    }
    let command = action.command.as_ref().map(|template| template.command(evidence));
    let complete = params.len() == action.params.len()
        && command.as_ref().is_none_or(|command| command.completeness == Completeness::Complete);
    let guard = action.guard.as_ref().map(|guard| Check {
        expr: guard.source().to_owned(),
        readings: guard.readings(evidence),
        value: guard.truth(evidence),
        within: Millis(0),
    });
    let readiness = match guard.as_ref().map(|guard| guard.value) {
        Some(Truth::False) => Readiness::Blocked,
        Some(Truth::Unknown) => Readiness::Unknown,
        Some(Truth::True) | None if complete => Readiness::Ready,
        Some(Truth::True) | None => Readiness::Unknown,
    };
    let filled = |template: &Template| template.command(evidence).line;
    let (undo, undo_none) = match &action.undo {
        Undo::By(template) => (Some(filled(template)), None),
        Undo::None { because } => (None, because.clone()),
    };
    Fix {
        id: id.to_owned(),
        verb: action.verb,
        risk: action.risk,
        title: action.title.clone(),
        command: command.map(|command| command.line),
        undo,
        undo_none,
        params,
        blast: action.blast.clone(),
        guard,
        readiness,
    }
}
