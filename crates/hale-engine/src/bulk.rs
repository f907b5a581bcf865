//! Operations over many runs, worked off in the background: gather what is meant, then act on it batch by batch.
//!
//! Guarantees: each run's result is stored in the commit of its deed, so a crash in the middle neither loses nor
//! repeats one; what a run's state does not take any more is left alone, with the reason; a server that is full or
//! drains is waited for, not counted as a failure; pause and abort take effect after the batch under way.
//! Leaves to others: ordering, previewing and steering them (`facade/bulk.rs`).
//! Read next: `hale-store/src/bulk.rs`.

use crate::facade::Engine;
use crate::facade::letters::letter_filter;
use crate::facade::runs::blocking;
use crate::input::Caller;
use hale_core::failure::Failure;
use hale_core::filter::{self, Filter};
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::operation::Operation;
use hale_core::run::{Run, Trigger};
use hale_core::time::Millis;
use hale_store::{BulkItem, BulkRow, BulkState, Cursor, DeadFilter, Gathered, ItemFilter, ItemState, Op};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two tries while the server is full.
const AGAIN: Duration = Duration::from_secs(1);

/// What is done to each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkKind {
    Cancel,
    Retry,
    Redrive,
    Discard,
    /// Takes discards back.
    Restore,
    /// Takes redrives back.
    Withdraw,
}

impl BulkKind {
    pub const ALL: [BulkKind; 6] = [
        BulkKind::Cancel,
        BulkKind::Retry,
        BulkKind::Redrive,
        BulkKind::Discard,
        BulkKind::Restore,
        BulkKind::Withdraw,
    ];

    pub const fn operation(self) -> Operation {
        match self {
            BulkKind::Cancel => Operation::RunsCancel,
            BulkKind::Retry => Operation::RunsRetry,
            BulkKind::Redrive => Operation::DlqRedrive,
            BulkKind::Discard => Operation::DlqDiscard,
            BulkKind::Restore => Operation::DlqRestore,
            BulkKind::Withdraw => Operation::DlqWithdraw,
        }
    }

    /// The kind with this operation's name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.operation().name() == name)
    }

    /// Chooses among dead letters, not among all runs.
    pub const fn is_of_letters(self) -> bool {
        matches!(self, BulkKind::Redrive | BulkKind::Discard)
    }

    /// What takes it back.
    pub const fn back(self) -> Option<Self> {
        match self {
            BulkKind::Cancel => Some(BulkKind::Retry),
            BulkKind::Retry => Some(BulkKind::Cancel),
            BulkKind::Redrive => Some(BulkKind::Withdraw),
            BulkKind::Discard => Some(BulkKind::Restore),
            BulkKind::Restore | BulkKind::Withdraw => None,
        }
    }

    /// Why a run is not meant although it matches.
    pub(crate) fn excludes(self, run: &Run) -> Option<String> {
        let state = run.state.name();
        let takes = match self {
            BulkKind::Cancel | BulkKind::Retry => self.operation().declared().accepts(state),
            _ => true,
        };
        (!takes).then(|| format!("it is {state}"))
    }
}

/// Runs that match, a page of them.
pub(crate) struct Matched {
    /// With its state, or the cause of its letter; and why it is not meant, if it is not.
    pub runs: Vec<(RunId, String, Option<String>)>,
    pub next: Option<String>,
}

/// Why an item is not done.
enum Undone {
    Left(String),
    Failed(String),
    /// The server cannot now; the item waits on.
    Later,
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        use hale_core::code::Code;
        match failure.code {
            Code::E014 | Code::E008 => Undone::Later,
            Code::E004 if failure.cause == "queue.full" => Undone::Later,
            Code::E010 | Code::E011 => Undone::Left(without_id(&failure)),
            _ => Undone::Failed(without_id(&failure)),
        }
    }
}

/// The failure in words that many runs share, so that they can be counted.
fn without_id(failure: &Failure) -> String {
    let words = failure.message.split(' ').map(|word| {
        let bare = word.trim_end_matches([':', ',', ';']);
        if bare.parse::<RunId>().is_ok() { word.replace(bare, "it") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Works until the engine stops; woken by every order.
pub(crate) async fn work(engine: Engine) {
    let stop = engine.0.stop.clone();
    loop {
        let rest = match engine.bulk_turn().await {
            Ok(true) => continue,
            Ok(false) => None,
            Err(failure) => {
                tracing::warn!(event = "bulk_waits", error = %failure, "bulk operations wait");
                Some(AGAIN)
            }
        };
        let pause = async {
            match rest {
                Some(rest) => tokio::time::sleep(rest).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.0.bulk_wake.notified() => {}
            () = pause => {}
        }
    }
}

impl Engine {
    /// One batch of every operation that runs; tells whether there is more to do.
    async fn bulk_turn(&self) -> Result<bool, Failure> {
        let store = self.0.store.clone();
        let open = blocking(move || store.bulks_open()).await?;
        let mut more = false;
        for row in open.into_iter().filter(|row| row.state == BulkState::Running) {
            more = true;
            if self.0.stop.is_cancelled() {
                return Ok(false);
            }
            match row.gathered {
                false => self.bulk_gather(&row).await?,
                true => self.bulk_batch(&row).await?,
            }
        }
        Ok(more)
    }

    /// One page more of what is meant.
    async fn bulk_gather(&self, row: &BulkRow) -> Result<(), Failure> {
        let Some(kind) = BulkKind::named(&row.kind) else { return self.bulk_end(row).await };
        let matched = match row.undoes {
            Some(undone) => self.bulk_undone(undone, row.cursor.as_deref(), kind).await?,
            None => {
                let filter = filter::parse(&row.filter, row.at).unwrap_or_default();
                self.bulk_matched(kind, &filter, (row.at, row.cursor.as_deref())).await?
            }
        };
        let known = self.bulk_counts(row.id).await?.by_state.values().sum::<u64>();
        let room = usize::try_from(limits::BULK_ITEMS.saturating_sub(known)).unwrap_or(usize::MAX);
        let (mut excluded, mut runs) = (row.excluded.clone(), Vec::new());
        for (run, _, reason) in matched.runs {
            match reason {
                Some(reason) => *excluded.entry(reason).or_default() += 1,
                None => runs.push(run),
            }
        }
        let full = runs.len() > room;
        runs.truncate(room);
        let cursor = match full {
            true => runs.last().map(ToString::to_string).or_else(|| row.cursor.clone()),
            false => matched.next,
        };
        let gathered = full || cursor.is_none();
        let more = Gathered { bulk: row.id, runs, excluded, cursor, gathered };
        match self.write(vec![Op::BulkGather(Box::new(more))]).await {
            // Paused or aborted in between.
            Err(failure) if failure.cause == "store.conflict" => Ok(()),
            other => other,
        }
    }

    /// A page of the runs that a filter meant at a moment.
    pub(crate) async fn bulk_matched(
        &self,
        kind: BulkKind,
        filter: &Filter,
        (at, cursor): (hale_core::time::Timestamp, Option<&str>),
    ) -> Result<Matched, Failure> {
        let after = cursor.and_then(|text| text.parse::<RunId>().ok());
        // What comes later, and what the operation itself makes, is not meant.
        let until = at + Millis(1);
        if kind.is_of_letters() {
            let wanted = DeadFilter { after, ..letter_filter(filter)? };
            let until = filter.until.map_or(until, |given| given.min(until));
            let (store, limit) = (self.0.store.clone(), limits::PAGE_MAX);
            let rows = blocking(move || store.dead(&wanted, limit)).await?;
            let full = rows.len() == limit as usize;
            let next = rows.last().filter(|_| full).map(|row| row.run.to_string());
            let meant = rows.into_iter().filter(|row| row.at < until);
            return Ok(Matched { runs: meant.map(|row| (row.run, row.cause, None)).collect(), next });
        }
        let until = filter.until.map_or(until, |given| given.min(until));
        let bounded = Filter { until: Some(until), ..filter.clone() };
        let page = self.runs(&bounded, after.map(Cursor), limits::PAGE_MAX).await?;
        let named = |run: &Run| (run.id, run.state.name().to_string(), kind.excludes(run));
        Ok(Matched {
            runs: page.runs.iter().map(named).collect(),
            next: page.next.map(|next| next.0.to_string()),
        })
    }

    /// A page of what an operation did, to be taken back.
    async fn bulk_undone(
        &self,
        undone: hale_core::id::OperationId,
        cursor: Option<&str>,
        kind: BulkKind,
    ) -> Result<Matched, Failure> {
        let after = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
        let done = ItemFilter { state: Some(ItemState::Done), after };
        let store = self.0.store.clone();
        let items = blocking(move || store.bulk_items(undone, done, limits::PAGE_MAX)).await?;
        let full = items.len() == limits::PAGE_MAX as usize;
        let next = items.last().filter(|_| full).map(|item| item.n.to_string());
        let run = |item: &BulkItem| match kind {
            // What is cancelled then is the run that was made.
            BulkKind::Cancel | BulkKind::Withdraw => item.detail.parse().ok(),
            _ => Some(item.run),
        };
        let runs = items.iter().filter_map(run).map(|run| (run, String::new(), None)).collect();
        Ok(Matched { runs, next })
    }

    async fn bulk_batch(&self, row: &BulkRow) -> Result<(), Failure> {
        let (store, id) = (self.0.store.clone(), row.id);
        let waiting = ItemFilter { state: Some(ItemState::Waiting), after: 0 };
        let items = blocking(move || store.bulk_items(id, waiting, limits::BULK_BATCH)).await?;
        if items.is_empty() {
            return self.bulk_end(row).await;
        }
        let deeds = items.iter().map(|item| self.bulk_deed(row, item));
        let undone = futures_util::future::join_all(deeds).await;
        let (mut notes, mut later) = (Vec::new(), false);
        for (item, undone) in items.iter().zip(undone) {
            let (state, detail) = match undone {
                Ok(()) => continue,
                Err(Undone::Left(why)) => (ItemState::Left, why),
                Err(Undone::Failed(why)) => (ItemState::Failed, why),
                Err(Undone::Later) => {
                    later = true;
                    continue;
                }
            };
            notes.push(Op::BulkItem { bulk: row.id, run: item.run, state, detail });
        }
        self.write(notes).await?;
        if later {
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Does it to one run, and stores that it is done in the same commit.
    async fn bulk_deed(&self, row: &BulkRow, item: &BulkItem) -> Result<(), Undone> {
        let caller = |trigger| Caller {
            actor: row.actor.as_str().into(),
            correlation: row.correlation.as_str().into(),
            traceparent: None,
            // The new run is its old one's tenant's.
            tenant: None,
            trigger,
        };
        let done = |detail: String| {
            vec![Op::BulkItem { bulk: row.id, run: item.run, state: ItemState::Done, detail }]
        };
        let Some(kind) = BulkKind::named(&row.kind) else {
            return Err(Undone::Failed(format!("{} is no operation over runs", row.kind)));
        };
        match kind {
            BulkKind::Cancel | BulkKind::Withdraw => {
                let stored = self.run(item.run).await?;
                if stored.run.is_terminal() {
                    return Err(Undone::Left(format!("it is {}", stored.run.state.name())));
                }
                let mut with = done(String::new());
                if let (BulkKind::Withdraw, Some(letter)) = (kind, stored.run.retry_of) {
                    with.insert(0, self.resolution(letter, None, &row.actor));
                }
                let reason = row.reason.clone().or_else(|| Some(format!("{} {}", row.kind, row.id)));
                self.cancel_with((item.run, reason), with, &caller(Trigger::Api)).await?;
            }
            BulkKind::Retry => {
                let stored = self.run(item.run).await?;
                if let Some(reason) = kind.excludes(&stored.run) {
                    return Err(Undone::Left(reason));
                }
                self.run_again((&stored, None), |new| done(new.to_string()), &caller(Trigger::Retry)).await?;
            }
            BulkKind::Redrive => {
                self.redrive(item.run, |new| done(new.to_string()), &caller(Trigger::Redrive)).await?;
            }
            BulkKind::Discard | BulkKind::Restore => {
                let word =
                    row.reason.as_ref().map_or("discarded".to_owned(), |why| format!("discarded: {why}"));
                let resolution = (kind == BulkKind::Discard).then_some(word);
                let mut ops = vec![self.resolution(item.run, resolution, &row.actor)];
                ops.extend(done(String::new()));
                self.write(vec![Op::Together(ops)]).await.map_err(|failure| {
                    match failure.cause.as_str() {
                        "store.conflict" => Undone::Left("its dead letter has moved on".to_owned()),
                        _ => Undone::from(failure),
                    }
                })?;
            }
        }
        Ok(())
    }

    /// All items have a result: the operation ends, and the audit trail says with what.
    async fn bulk_end(&self, row: &BulkRow) -> Result<(), Failure> {
        let counts = self.bulk_counts(row.id).await?;
        let told: BTreeMap<&str, u64> =
            [("done", ItemState::Done), ("left", ItemState::Left), ("failed", ItemState::Failed)]
                .into_iter()
                .map(|(name, state)| (name, counts.by_state.get(&state).copied().unwrap_or(0)))
                .collect();
        let detail = told.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ");
        let (from, to) = (vec![BulkState::Running], BulkState::Done);
        let ended = Op::BulkMove { bulk: row.id, from, to, at: self.now() };
        let outcome = self.bulk_outcome(row, &detail);
        match self.write(vec![Op::Together(vec![ended, outcome])]).await {
            Err(failure) if failure.cause == "store.conflict" => Ok(()),
            Err(failure) => Err(failure),
            Ok(()) => {
                tracing::info!(event = "bulk_done", operation = %row.id, kind = row.kind, "bulk operation ended: {detail}");
                self.0.bulk_ended.notify_waiters();
                Ok(())
            }
        }
    }
}
