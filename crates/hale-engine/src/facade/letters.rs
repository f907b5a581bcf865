//! Dead letters: list, group, look, redrive, and the new run that follows an old one.
//!
//! Guarantees: a redrive makes its run and takes the letter out in one commit, so that no crash and no second order
//! runs it twice; what is no dead letter is refused by name.
//! Leaves to others: many at a time (`bulk.rs`).
//! Read next: `hale-store/src/op.rs`.

use super::Engine;
use crate::decide::no_run;
use crate::facade::runs::blocking;
use crate::input::{Caller, Receipt, Submit, With};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::Filter;
use hale_core::id::RunId;
use hale_core::limits;
use hale_store::{DeadFilter, DeadGroup, DeadRow, Op, StoredRun};
use serde_json::Value;
use std::collections::BTreeMap;

/// Pages of letters that groups of a filtered list are made of.
const GROUP_PAGES: u32 = 100;

/// What a filter says about dead letters.
///
/// # Errors
/// E002 for words that say nothing about them.
pub fn letter_filter(filter: &Filter) -> Result<DeadFilter, Failure> {
    let known = Filter {
        cause: filter.cause.clone(),
        pack: filter.pack.clone(),
        since: filter.since,
        until: filter.until,
        ..Filter::default()
    };
    if known != *filter {
        let message = "choose dead letters: they are chosen by cause:, pack:, since: and until: alone";
        return Err(Failure::new(Code::E002, "dlq.filter", "engine", message));
    }
    let (cause, pack) = (filter.cause.clone(), filter.pack.clone());
    Ok(DeadFilter { cause, pack, since: filter.since, ..DeadFilter::default() })
}

/// Waiting letters by cause, and whether there were more than were counted.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    pub groups: Vec<DeadGroup>,
    pub capped: bool,
}

impl Engine {
    /// Dead letters in the order in which their runs were accepted, and where the next page begins.
    ///
    /// # Errors
    /// E002 for a filter that does not fit, and what the store could not read.
    pub async fn letters(
        &self,
        filter: &Filter,
        (after, resolved): (Option<RunId>, crate::input::Resolved),
        limit: u32,
    ) -> Result<(Vec<DeadRow>, Option<RunId>), Failure> {
        let limit = limit.min(limits::PAGE_MAX);
        let resolved = resolved == crate::input::Resolved::Too;
        let wanted = DeadFilter { after, resolved, ..letter_filter(filter)? };
        let store = self.0.store.clone();
        let rows = blocking(move || store.dead(&wanted, limit)).await?;
        let next = rows.last().filter(|_| rows.len() == limit as usize).map(|row| row.run);
        let before = |row: &DeadRow| filter.until.is_none_or(|until| row.at < until);
        Ok((rows.into_iter().filter(before).collect(), next))
    }

    /// Waiting letters by cause, the most frequent first.
    ///
    /// # Errors
    /// As [`Engine::letters`].
    pub async fn letter_groups(&self, filter: &Filter) -> Result<Groups, Failure> {
        if filter.is_empty() {
            let store = self.0.store.clone();
            let groups = blocking(move || store.dead_groups()).await?;
            return Ok(Groups { groups, capped: false });
        }
        let (mut groups, mut after) = (BTreeMap::<String, DeadGroup>::new(), None);
        let mut capped = true;
        for _ in 0..GROUP_PAGES {
            let waiting = crate::input::Resolved::Not;
            let (rows, next) = self.letters(filter, (after, waiting), limits::PAGE_MAX).await?;
            rows.iter().for_each(|row| count(&mut groups, row));
            after = next;
            if after.is_none() {
                capped = false;
                break;
            }
        }
        let mut groups: Vec<DeadGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(Groups { groups, capped })
    }

    /// One dead letter, waiting or not.
    ///
    /// # Errors
    /// E010 when there is no such run, E011 when it is none.
    pub async fn letter(&self, run: RunId) -> Result<DeadRow, Failure> {
        let store = self.0.store.clone();
        let (letter, stored) = blocking(move || Ok((store.dead_letter(run)?, store.run(run)?))).await?;
        let Some(stored) = stored else { return Err(no_run(run)) };
        letter.ok_or_else(|| {
            let message =
                format!("take run {run} as a dead letter: it is {} and none", stored.run.state.name());
            Failure::new(Code::E011, "dlq.not_dead", "engine", message)
        })
    }

    /// One that nobody has decided about.
    ///
    /// # Errors
    /// As [`Engine::letter`], and E011 when somebody has.
    pub async fn waiting_letter(&self, run: RunId) -> Result<DeadRow, Failure> {
        let letter = self.letter(run).await?;
        match &letter.resolution {
            None => Ok(letter),
            Some(resolution) => {
                let by = letter.resolved_by.as_deref().unwrap_or("nobody");
                let message = format!("take run {run} as a dead letter: it was {resolution}, by {by}");
                Err(Failure::new(Code::E011, "dlq.resolved", "engine", message))
            }
        }
    }

    /// A new run of the letter's pack version with its input; the letter is out in the same commit as `beside`.
    ///
    /// # Errors
    /// As [`Engine::waiting_letter`] and [`Engine::submit`].
    pub(crate) async fn redrive(
        &self,
        run: RunId,
        beside: impl FnOnce(RunId) -> Vec<Op> + Send,
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        self.waiting_letter(run).await?;
        let stored = self.run(run).await?;
        self.follow_up((&stored, None), |new| (format!("redriven as {new}"), beside(new)), caller).await
    }

    /// A new run after an old one, as a retry: a waiting letter of the old one is out in the same commit.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub(crate) async fn run_again(
        &self,
        old: (&StoredRun, Option<Value>),
        beside: impl FnOnce(RunId) -> Vec<Op> + Send,
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        self.follow_up(old, |new| (format!("retried as {new}"), beside(new)), caller).await
    }

    async fn follow_up(
        &self,
        (stored, input): (&StoredRun, Option<Value>),
        told: impl FnOnce(RunId) -> (String, Vec<Op>) + Send,
        caller: &Caller,
    ) -> Result<Receipt, Failure> {
        let run = &stored.run;
        let submit = Submit {
            pack: run.pack.name.to_string(),
            version: Some(run.pack.version.to_string()),
            input: input.unwrap_or_else(|| serde_json::from_str(&stored.input).unwrap_or_default()),
            priority: Some(run.priority),
            retry_of: Some(run.id),
            ..Submit::default()
        };
        let (store, id) = (self.0.store.clone(), run.id);
        let letter = blocking(move || store.dead_letter(id)).await?;
        let waits = letter.is_some_and(|letter| letter.resolution.is_none());
        let new = self.new_run_id();
        let (resolution, mut ops) = told(new);
        if waits {
            ops.insert(0, self.resolution(run.id, Some(resolution), &caller.actor));
        }
        self.submit_with(submit, (new, With { ops, fork: None }), caller).await
    }

    /// The op that decides about a letter, or puts it back.
    pub(crate) fn resolution(&self, run: RunId, resolution: Option<String>, by: &str) -> Op {
        Op::DeadResolve { run, resolution, by: by.to_owned(), at: self.now() }
    }
}

fn count(groups: &mut BTreeMap<String, DeadGroup>, row: &DeadRow) {
    let fresh = || DeadGroup { cause: row.cause.clone(), count: 0, first: row.at, last: row.at };
    let group = groups.entry(row.cause.clone()).or_insert_with(fresh);
    group.count += 1;
    group.first = group.first.min(row.at);
    group.last = group.last.max(row.at);
}
