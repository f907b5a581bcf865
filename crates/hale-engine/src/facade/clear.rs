//! Taking runs out of a queue: purge cancels them, clean-up moves what is stuck to the dead letters.
//!
//! Both are one audited operation over runs that are chosen by the list's own filter; a dry run tells the same counts
//! and changes nothing. Nothing is lost: a cancelled or given-up run keeps its input and can be started again.
//! Read next: [`super::queues`].

use super::Engine;
use super::operate::Deed;
use crate::facade::runs::list_filter;
use crate::input::{Bulk, Caller, Change, DryRun, Input};
use hale_core::failure::Failure;
use hale_core::filter::Filter;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::{Run, State, StateName};
use hale_core::time::Millis;
use tokio::sync::oneshot;

/// Changes that are asked for before the first answer is waited for: one batch of the loop.
const TOGETHER: usize = 256;

/// Which waiting runs are meant.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// A queue; none means all of them.
    pub queue: Option<String>,
    pub filter: Filter,
}

impl Chosen {
    fn told(&self) -> String {
        let pack = self.filter.pack.as_ref().map(|pack| format!(" pack {pack}")).unwrap_or_default();
        let queue = self.queue.as_ref().map_or("all queues".to_owned(), |queue| format!("queue {queue}"));
        format!("{queue}{pack}")
    }
}

impl Engine {
    /// Cancels what waits in a queue.
    ///
    /// # Errors
    /// E010 for an unknown queue; what the store could not read.
    pub async fn purge(&self, chosen: &Chosen, dry_run: DryRun, caller: &Caller) -> Result<Bulk, Failure> {
        let ids = self.waiting(chosen, |_| true).await?;
        let reason = format!("purged from {}", chosen.told());
        let change = Change::Withdraw { reason };
        self.clear(("queues.purge", chosen), (ids, change, dry_run), caller).await
    }

    /// Moves runs that have waited longer than `older_than` for their turn to the dead letters.
    ///
    /// # Errors
    /// As [`Engine::purge`].
    pub async fn move_stuck(
        &self,
        chosen: &Chosen,
        (older_than, dry_run): (Millis, DryRun),
        caller: &Caller,
    ) -> Result<Bulk, Failure> {
        let now = self.now();
        let stuck = |run: &Run| !run.is_delayed(now) && now.since(run.waits_since()) > older_than;
        let ids = self.waiting(chosen, stuck).await?;
        let change = Change::GiveUp { reason: format!("stuck for more than {older_than}") };
        self.clear(("queues.move_stuck", chosen), (ids, change, dry_run), caller).await
    }

    async fn waiting(&self, chosen: &Chosen, fits: impl Fn(&Run) -> bool) -> Result<Vec<RunId>, Failure> {
        if let Some(queue) = &chosen.queue {
            self.queue(queue).await?;
        }
        let mut filter = list_filter(&chosen.filter);
        filter.states = vec![StateName::Pending];
        if chosen.queue.is_some() {
            filter.queue.clone_from(&chosen.queue);
        }
        let (mut ids, mut after) = (Vec::new(), None);
        while ids.len() < limits::CLEAR_MAX {
            let (store, filter) = (self.0.store.clone(), filter.clone());
            let page = super::runs::blocking(move || store.list(&filter, after, limits::PAGE_MAX)).await?;
            let pending = page.runs.iter().filter(|run| matches!(run.state, State::Pending { .. }));
            ids.extend(pending.filter(|run| fits(run)).map(|run| run.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        ids.truncate(limits::CLEAR_MAX);
        Ok(ids)
    }

    async fn clear(
        &self,
        (operation, chosen): (&'static str, &Chosen),
        (ids, change, dry_run): (Vec<RunId>, Change, DryRun),
        caller: &Caller,
    ) -> Result<Bulk, Failure> {
        let mut bulk = Bulk { matched: ids.len() as u64, ..Bulk::default() };
        if dry_run == DryRun::Yes || ids.is_empty() {
            return Ok(bulk);
        }
        let mut deed =
            Deed { operation, target: chosen.told(), detail: format!("{} runs", ids.len()), undo: None };
        let id = self.intend(&deed, caller).await?;
        for part in ids.chunks(TOGETHER) {
            let mut answers = Vec::with_capacity(part.len());
            for run in part {
                let (reply, answer) = oneshot::channel();
                let (change, by) = (change.clone(), caller.actor.clone());
                self.send(Input::Change { run: *run, change, by, with: Vec::new(), tries: 0, reply }).await?;
                answers.push((*run, answer));
            }
            for (run, answer) in answers {
                match answer.await.map_err(|_| super::gone())? {
                    // A worker was faster: a purge takes what waits, not what executes.
                    Ok(_) => bulk.changed += 1,
                    Err(failure) if bulk.left.len() < 100 => drop(bulk.left.insert(run, failure.to_string())),
                    Err(_) => {}
                }
            }
        }
        deed.detail = format!("{} of {} runs", bulk.changed, bulk.matched);
        self.outcome(id, &deed, caller).await?;
        Ok(bulk)
    }
}
