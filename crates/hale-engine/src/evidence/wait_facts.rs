//! What a waiting run waits for, in one sentence: since when, until when, who can end it, by which command.
//!
//! Read next: [`super::run_facts`].

use hale_core::run::{Run, Wait};
use hale_core::time::Timestamp;

/// For a run that waits; one that waits for its next try has no [`Run::awaits`].
pub(super) fn says(run: &Run, (since, until): (Timestamp, Timestamp), now: Timestamp) -> String {
    let (id, waited, left) = (run.id, now.since(since), until.since(now));
    let Some(awaits) = &run.awaits else {
        return format!("run {id} waits {left} to retry a failed step");
    };
    let (step, name) = (awaits.index + 1, &awaits.name);
    match &awaits.wait {
        Wait::Timer => format!(
            "run {id} sleeps in step {step} ({name}) since {waited}, {left} more until {until}; the clock wakes it, \
             nobody else can but to end it: hale runs cancel {id}"
        ),
        Wait::Child { run: child } => format!(
            "run {id} waits in step {step} ({name}) since {waited} for the end of its child {child}, at most until \
             {until}; see what holds the child: hale why {child}; to end both: hale runs cancel {id}"
        ),
        Wait::Approval { question, .. } => format!(
            "run {id} waits in step {step} since {waited} for a person's word on: {question}; without one it counts \
             as denied at {until}; hale approvals show {id}; hale approvals approve {id}; hale approvals deny {id}"
        ),
        Wait::Parked => format!(
            "run {id} waits for a decision since {waited}: step {step} ({name}) was in flight at a crash and must \
             not be repeated blindly; without one the run times out at {until}; hale runs resolve {id} --as retry"
        ),
    }
}
