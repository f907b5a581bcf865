//! What people are asked, and what they answer; and the family of a run.
//!
//! A decision is an operation: its intent is in the audit trail before the run moves, its outcome after.
//! Read next: [`crate::consent`].

use super::Engine;
use super::operate::Deed;
use super::runs::blocking;
use crate::consent::{Decision, Word};
use crate::input::{Caller, Change, Input};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::Run;
use tokio::sync::oneshot;

impl Engine {
    /// Runs that wait for a person's word, the longest first: deeds to approve, and parked steps.
    ///
    /// # Errors
    /// E014 when the loop does not answer.
    pub async fn approvals(&self) -> Result<Vec<Run>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Input::Approvals { reply }).await?;
        answer.await.map_err(|_| {
            Failure::new(Code::E014, "engine.ended", "engine", "ask the loop who waits for a person")
        })
    }

    /// Approves or denies the deed that a run asks for.
    ///
    /// # Errors
    /// E002 for a reason that is too long, E010, E011 when the run asks for nothing, or for another deed.
    pub async fn decide(&self, id: RunId, decision: Decision, caller: &Caller) -> Result<Run, Failure> {
        let length = decision.reason.as_ref().map_or(0, |reason| reason.chars().count());
        if length > limits::REASON_CHARS {
            let message =
                format!("take a reason of {length} letters: at most {} are allowed", limits::REASON_CHARS);
            return Err(Failure::new(Code::E002, "run.invalid_reason", "engine", message));
        }
        let operation = match decision.word {
            Word::Approve => "approvals.approve",
            Word::Deny => "approvals.deny",
        };
        let asked =
            self.run(id).await?.run.awaits.map(|awaits| format!("step {} {}", awaits.index + 1, awaits.name));
        let reason = decision.reason.as_deref().unwrap_or("no reason given");
        let mut deed = Deed {
            operation,
            target: id.to_string(),
            detail: format!("{}: {reason}", asked.unwrap_or_default()),
            undo: None,
        };
        let intent = self.intend(&deed, caller).await?;
        let (change, by) = (Change::Decide(decision), caller.actor.clone());
        let decided =
            self.ask(|reply| Input::Change { run: id, change, by, with: Vec::new(), tries: 0, reply }).await;
        if let Err(failure) = &decided {
            deed.detail = format!("refused: {failure}");
        }
        // The run's journal has the word already: a line that is missing here must not look like a refusal.
        if let Err(failure) = self.outcome(intent, &deed, caller).await {
            tracing::error!(event = "audit_failed", error = %failure, "outcome of {operation} not written");
        }
        decided
    }

    /// The children of a run, oldest first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn children(&self, id: RunId) -> Result<Vec<Run>, Failure> {
        let store = self.0.store.clone();
        blocking(move || store.children(id)).await
    }
}
