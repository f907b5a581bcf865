//! A person's word on a waiting run: yes or no to a deed that it asks for.
//!
//! Guarantees: a word is for the question that was seen: when the run asks about another step by then, it is refused;
//! a run that does not ask takes none.
//! Read next: `facade/approvals.rs`.

use crate::desk::Desk;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::run::{Answer, Awaits, Event, Run, State, Wait, WaitOn};

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Approve,
    Deny,
}

impl Word {
    pub const fn name(self) -> &'static str {
        match self {
            Word::Approve => "approve",
            Word::Deny => "deny",
        }
    }
}

/// What a person decided.
#[derive(Clone, Debug)]
pub struct Decision {
    pub word: Word,
    pub reason: Option<String>,
    /// The step that the person saw asking; none for whatever is asked now.
    pub step: Option<u32>,
}

/// The event that a decision is for this run.
pub(crate) fn answer(run: &Run, decision: &Decision, by: String) -> Result<Vec<Event>, Failure> {
    let word = decision.word.name();
    let conflict = |why: String| {
        let message = format!("{word} run {}: {why}", run.id);
        Err(Failure::new(Code::E011, "run.no_question", "engine", message))
    };
    match &run.awaits {
        Some(Awaits { wait: Wait::Parked, .. }) => conflict(format!(
            "its step was in flight at a crash, which is another question: hale runs resolve {} --as retry",
            run.id
        )),
        Some(Awaits { index, wait: Wait::Approval { .. }, .. }) => {
            if let Some(step) = decision.step.filter(|step| step != index) {
                return conflict(format!("it asks about step {} now, not {}", index + 1, step + 1));
            }
            let reason = decision.reason.clone();
            let answer = match decision.word {
                Word::Approve => Answer::Approved { by, reason },
                Word::Deny => Answer::Denied { by, reason },
            };
            Ok(vec![Event::Awaited { index: *index, answer }])
        }
        _ => conflict(format!("it is {} and waits for no approval", run.state.name())),
    }
}

impl Desk {
    /// Runs that wait for a person.
    pub(crate) fn asking(&self) -> impl Iterator<Item = &Run> {
        let asks = |run: &&Run| matches!(run.state, State::Waiting { on: WaitOn::Approval, .. });
        self.active.values().map(|active| &active.run).filter(asks)
    }

    /// The same, the longest first.
    pub(crate) fn approvals(&self) -> Vec<Run> {
        let mut asking: Vec<Run> = self.asking().cloned().collect();
        asking.sort_by_key(|run| (run.state.since(), run.id));
        asking
    }
}
