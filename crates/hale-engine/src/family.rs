//! Parents and children: a child's end wakes its parent, a parent's end stops its child.
//!
//! Both follow a durable move and may come twice: a parent that does not wait for this child any more refuses the
//! second word by its table, a child that has ended refuses to be cancelled. What a crash swallowed is said again at
//! the next start ([`Desk::tell_lost_ends`]).
//! Read next: [`crate::act`], which calls here.

use crate::desk::{Act, Desk};
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
        let (id, state, step) = (parent.id, parent.state.name(), parent.steps + 1);
        self.stop_child(child, format!("its parent {id} ended {state} while it waited in step {step}"));
    }

    /// A child whose parent's end was not heard of: the server died between the two.
    pub(crate) fn abandon(&mut self, child: RunId, parent: RunId) {
        self.stop_child(child, format!("its parent {parent} does not wait for it any more"));
    }

    /// As [`Desk::abandon`], for a child that no worker was told of yet.
    pub(crate) fn end_left_behind(&mut self, run: &Run, parent: RunId) {
        let reason = Some(format!("its parent {parent} does not wait for it any more"));
        let events = vec![Event::CancelAsked { by: "engine".to_owned(), reason }, Event::Stopped];
        let now = self.now();
        match self.advance(run, events, now) {
            Ok((op, moved)) => self.push(op, Act::Moved(moved)),
            Err(refused) => tracing::error!(run_id = %run.id, error = %refused, "child not ended"),
        }
    }

    fn stop_child(&mut self, child: RunId, reason: String) {
        // Nobody waits for the answer; a child that has ended already refuses, which is what we want.
        let (reply, _) = oneshot::channel();
        let change = Change::Cancel { reason: Some(reason) };
        let now = self.now();
        let (by, with) = (Arc::from("engine"), Vec::new());
        self.decide(Input::Change { run: child, change, by, with, tries: 0, reply }, now);
    }

    /// Children that ended while nobody could hear it: their parents hear of it now.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn tell_lost_ends(&mut self) -> Result<(), hale_store::Error> {
        let ids: Vec<RunId> = self.active.keys().copied().collect();
        ids.into_iter().try_for_each(|id| self.hear_child(id))
    }

    /// The end of the child that this run waits for, if it has ended.
    ///
    /// # Errors
    /// What the store could not read.
    pub(crate) fn hear_child(&mut self, id: RunId) -> Result<(), hale_store::Error> {
        let awaits = self.active.get(&id).and_then(|active| active.run.awaits.as_ref());
        let Some((index, Wait::Child { run: child })) = awaits.map(|awaits| (awaits.index, &awaits.wait))
        else {
            return Ok(());
        };
        if let Some(stored) = self.store.run(*child)?
            && stored.run.is_terminal()
        {
            self.tell_parent((id, index), &stored.run, stored.output);
        }
        Ok(())
    }

    /// Active children that nobody waits for: the end of their parents was not heard. Those that are queued are met
    /// when they are claimed.
    pub(crate) fn stop_left_behind(&mut self) {
        let left: Vec<(RunId, RunId)> = self
            .active
            .values()
            .filter_map(|active| Some((active.run.id, self.left_by(&active.run)?)))
            .collect();
        for (child, parent) in left {
            self.abandon(child, parent);
        }
    }
}

fn answer(child: &Run, output: Option<&str>) -> Option<Answer> {
    let State::Ended { outcome, .. } = &child.state else { return None };
    let failure = match outcome {
        Outcome::Failed { failure } | Outcome::Timeout { failure } => Some(Box::new(failure.clone())),
        Outcome::Completed | Outcome::Cancelled { .. } => None,
    };
    let output = output.and_then(|text| serde_json::from_str(text).ok());
    let usage = (child.usage.total() > 0).then_some(child.usage);
    Some(Answer::Child { run: child.id, outcome: outcome.name(), output, failure, usage })
}
