//! Parents and children: a child's end wakes its parent, a parent's end stops its child.
//!
//! Both follow a durable move and may come twice: a parent that does not wait for this child any more refuses the
//! second word by its table, a child that has ended refuses to be cancelled. What a crash swallowed is said again at
//! the next start ([`Desk::tell_lost_ends`]).
//! Read next: [`crate::act`], which calls here.

use crate::desk::Desk;
use crate::input::{Change, Input};
use hale_core::id::RunId;
use hale_core::run::{Answer, Event, Outcome, Run, State, Wait};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Desk {
    /// The parent hears how its child ended, and waits for its turn again.
    pub(crate) fn tell_parent(
        &mut self,
        (parent, index): (RunId, u32),
        child: &Run,
        output: Option<Arc<str>>,
    ) {
        let Some(active) = self.active.get(&parent) else { return };
        let run = active.run.clone();
        let waits = run.awaits.as_ref().is_some_and(|awaits| {
            awaits.index == index && matches!(awaits.wait, Wait::Child { run } if run == child.id)
        });
        if waits && let Some(answer) = answer(child, output.as_deref()) {
            let now = self.now();
            self.move_by(&run, Event::Awaited { index, answer }, now);
        }
    }

    /// Nobody waits for the child any more: it is cancelled, and so are its own children by its end.
    pub(crate) fn cancel_child(&mut self, child: RunId, parent: &Run) {
        let reason = Some(format!("its parent {} ended {}", parent.id, parent.state.name()));
        // Nobody waits for the answer; a child that has ended already refuses, which is what we want.
        let (reply, _) = oneshot::channel();
        let change = Change::Cancel { reason };
        let now = self.now();
        let (by, with) = (Arc::from("engine"), Vec::new());
        self.decide(Input::Change { run: child, change, by, with, tries: 0, reply }, now);
    }

    /// Children that ended while nobody could hear it: their parents hear of it now.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn tell_lost_ends(&mut self) -> Result<(), hale_store::Error> {
        let waiting: Vec<(RunId, u32, RunId)> = self
            .active
            .values()
            .filter_map(|active| match active.run.awaits.as_ref() {
                Some(awaits) => match awaits.wait {
                    Wait::Child { run } => Some((active.run.id, awaits.index, run)),
                    _ => None,
                },
                None => None,
            })
            .collect();
        for (parent, index, child) in waiting {
            if let Some(stored) = self.store.run(child)?
                && stored.run.is_terminal()
            {
                self.tell_parent((parent, index), &stored.run, stored.output);
            }
        }
        Ok(())
    }
}

fn answer(child: &Run, output: Option<&str>) -> Option<Answer> {
    let State::Ended { outcome, .. } = &child.state else { return None };
    let failure = match outcome {
        Outcome::Failed { failure } | Outcome::Timeout { failure } => Some(Box::new(failure.clone())),
        Outcome::Completed | Outcome::Cancelled { .. } => None,
    };
    let output = output.and_then(|text| serde_json::from_str(text).ok());
    Some(Answer::Child { run: child.id, outcome: outcome.name(), output, failure })
}
