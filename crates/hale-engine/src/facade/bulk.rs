//! Ordering operations over many runs: preview, begin, look, pause, resume, abort, take back.
//!
//! Guarantees: an order is durable before it is answered, with its line in the audit trail; a preview changes nothing
//! and counts what would be left alone, by reason; an operation is taken back once.
//! Read next: [`crate::bulk`], which carries them out.

use super::operate::Deed;
use super::{Engine, chance};
use crate::bulk::BulkKind;
use crate::facade::runs::blocking;
use crate::input::Caller;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::filter::Filter;
use hale_core::id::{OperationId, RunId};
use hale_core::limits;
use hale_core::operation::Operation;
use hale_store::{BulkCounts, BulkItem, BulkRow, BulkState, Gathered, ItemFilter, Op, Phase};
use std::collections::BTreeMap;

/// Which runs are meant.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// By filter, as it was written and as it was read.
    Filter {
        text: String,
        filter: Box<Filter>,
    },
    Runs(Vec<RunId>),
}

/// An operation that is asked for.
#[derive(Clone, Debug)]
pub struct BulkOrder {
    pub kind: BulkKind,
    pub chosen: Chosen,
    pub reason: Option<String>,
}

/// What an operation would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub matched: u64,
    pub will: u64,
    /// Runs that match, by state; dead letters by cause.
    pub groups: BTreeMap<String, u64>,
    /// Runs that would be left alone, by reason.
    pub excluded: BTreeMap<String, u64>,
    /// There are more than were counted.
    pub capped: bool,
    /// Some of those that are meant.
    pub examples: Vec<RunId>,
}

/// Runs that a preview names.
const EXAMPLES: usize = 5;

/// An operation with how far it has come.
#[derive(Clone, Debug)]
pub struct BulkLook {
    pub row: BulkRow,
    pub counts: BulkCounts,
}

impl Engine {
    /// What the order would do now.
    ///
    /// # Errors
    /// E010 and E011 for ids that name nothing of the kind, E002 for a filter that does not fit.
    pub async fn bulk_preview(&self, order: &BulkOrder) -> Result<Preview, Failure> {
        let mut preview = Preview::default();
        match &order.chosen {
            Chosen::Runs(runs) => {
                self.bulk_takes(order.kind, runs).await?;
                for id in runs {
                    let run = self.run(*id).await?.run;
                    preview.count(order.kind.excludes(&run), (*id, run.state.name().name()));
                }
            }
            Chosen::Filter { filter, .. } => {
                let (at, mut cursor) = (self.now(), None::<String>);
                loop {
                    let page = self.bulk_matched(order.kind, filter, (at, cursor.as_deref())).await?;
                    for (run, group, reason) in page.runs {
                        preview.count(reason, (run, &group));
                    }
                    cursor = page.next;
                    preview.capped = cursor.is_some() && preview.matched >= limits::PREVIEW_RUNS;
                    if cursor.is_none() || preview.capped {
                        break;
                    }
                }
            }
        }
        Ok(preview)
    }

    /// Begins the operation: the answer comes when the order is durable.
    ///
    /// # Errors
    /// As [`Engine::bulk_preview`]; then nothing has changed.
    pub async fn bulk_begin(&self, order: BulkOrder, caller: &Caller) -> Result<BulkLook, Failure> {
        let (text, runs) = match order.chosen {
            Chosen::Filter { text, filter } => {
                if order.kind.is_of_letters() {
                    super::letters::letter_filter(&filter)?;
                }
                (text, None)
            }
            Chosen::Runs(runs) => {
                self.bulk_takes(order.kind, &runs).await?;
                (format!("{} by id", runs.len()), Some(runs))
            }
        };
        self.bulk_put((order.kind, text), (runs, None, order.reason), caller).await
    }

    /// Refuses ids that the operation cannot be about.
    async fn bulk_takes(&self, kind: BulkKind, runs: &[RunId]) -> Result<(), Failure> {
        if runs.is_empty() || runs.len() > limits::BULK_IDS {
            let message =
                format!("act on {} ids: name 1 to {}, or use a filter", runs.len(), limits::BULK_IDS);
            return Err(Failure::new(Code::E002, "bulk.ids", "engine", message));
        }
        for run in runs {
            match kind.is_of_letters() {
                true => drop(self.waiting_letter(*run).await?),
                false => drop(self.run(*run).await?),
            }
        }
        Ok(())
    }

    async fn bulk_put(
        &self,
        (kind, filter): (BulkKind, String),
        (runs, undoes, reason): (Option<Vec<RunId>>, Option<OperationId>, Option<String>),
        caller: &Caller,
    ) -> Result<BulkLook, Failure> {
        let row = BulkRow {
            id: OperationId::mint(self.now(), chance()),
            at: self.now(),
            kind: kind.operation().name().to_owned(),
            filter,
            actor: caller.actor.to_string(),
            correlation: caller.correlation.to_string(),
            reason,
            state: BulkState::Running,
            gathered: false,
            cursor: None,
            excluded: BTreeMap::new(),
            undoes,
            ended_at: None,
        };
        let mut deed = bulk_deed(&row, &row.filter);
        deed.undo = kind.back().map(|_| format!("hale operations undo {}", row.id));
        let intent = Op::Audit(Box::new(self.audit_row(row.id, &deed, (caller, Phase::Intent))));
        let mut ops = vec![intent, Op::BulkPut(Box::new(row.clone()))];
        if let Some(runs) = runs {
            let all =
                Gathered { bulk: row.id, runs, excluded: BTreeMap::new(), cursor: None, gathered: true };
            ops.push(Op::BulkGather(Box::new(all)));
        }
        self.write(vec![Op::Together(ops)]).await?;
        tracing::info!(event = "bulk_begun", operation = %row.id, kind = row.kind, by = row.actor, "bulk operation begun: {}", row.filter);
        self.0.bulk_wake.notify_one();
        self.bulk(row.id).await
    }

    /// One operation over many runs.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn bulk(&self, id: OperationId) -> Result<BulkLook, Failure> {
        let store = self.0.store.clone();
        let found = blocking(move || Ok((store.bulk(id)?, store.bulk_counts(id)?))).await?;
        match found {
            (Some(row), counts) => Ok(BulkLook { row, counts }),
            (None, _) => {
                let message = format!("find {id} among the operations over many runs");
                Err(Failure::new(Code::E010, "operation.not_found", "store", message))
            }
        }
    }

    /// The operation when it has ended, or as it is when the time is up.
    ///
    /// # Errors
    /// E010 when there is none.
    pub async fn bulk_wait(
        &self,
        id: OperationId,
        at_most: std::time::Duration,
    ) -> Result<BulkLook, Failure> {
        let give_up = tokio::time::Instant::now() + at_most;
        loop {
            // Registered before the look, so that an end between the two is heard.
            let mut ended = std::pin::pin!(self.0.bulk_ended.notified());
            ended.as_mut().enable();
            let look = self.bulk(id).await?;
            if look.row.state.is_over() || tokio::time::timeout_at(give_up, ended).await.is_err() {
                return Ok(look);
            }
        }
    }

    /// The newest operations over many runs.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn bulks(&self, limit: u32) -> Result<Vec<BulkLook>, Failure> {
        let store = self.0.store.clone();
        blocking(move || {
            let rows = store.bulks(limit)?.into_iter();
            rows.map(|row| Ok(BulkLook { counts: store.bulk_counts(row.id)?, row })).collect()
        })
        .await
    }

    /// What came of each run, in the order of the items.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn bulk_items(
        &self,
        id: OperationId,
        filter: ItemFilter,
        limit: u32,
    ) -> Result<Vec<BulkItem>, Failure> {
        let store = self.0.store.clone();
        blocking(move || store.bulk_items(id, filter, limit)).await
    }

    pub(crate) async fn bulk_counts(&self, id: OperationId) -> Result<BulkCounts, Failure> {
        let store = self.0.store.clone();
        blocking(move || store.bulk_counts(id)).await
    }

    /// Lets the operation rest after the batch under way.
    ///
    /// # Errors
    /// E010, or E011 when it does not run.
    pub async fn bulk_pause(&self, id: OperationId, caller: &Caller) -> Result<BulkLook, Failure> {
        self.bulk_steer(id, (Operation::OperationsPause, BulkState::Paused), caller).await
    }

    /// Lets a paused operation go on.
    ///
    /// # Errors
    /// E010, or E011 when it is not paused.
    pub async fn bulk_resume(&self, id: OperationId, caller: &Caller) -> Result<BulkLook, Failure> {
        self.bulk_steer(id, (Operation::OperationsResume, BulkState::Running), caller).await
    }

    /// Ends the operation after the batch under way; what was done stays done.
    ///
    /// # Errors
    /// E010, or E011 when it has ended.
    pub async fn bulk_abort(&self, id: OperationId, caller: &Caller) -> Result<BulkLook, Failure> {
        self.bulk_steer(id, (Operation::OperationsAbort, BulkState::Aborted), caller).await
    }

    async fn bulk_steer(
        &self,
        id: OperationId,
        (operation, to): (Operation, BulkState),
        caller: &Caller,
    ) -> Result<BulkLook, Failure> {
        let from = match to {
            BulkState::Paused => vec![BulkState::Running],
            BulkState::Running => vec![BulkState::Paused],
            BulkState::Aborted | BulkState::Done => vec![BulkState::Running, BulkState::Paused],
        };
        let before = self.bulk(id).await?;
        let undo = (to == BulkState::Paused).then(|| format!("hale operations resume {id}"));
        let target = id.to_string();
        let deed = Deed { operation: operation.name(), target, detail: before.row.kind.clone(), undo };
        let own = OperationId::mint(self.now(), chance());
        let row = |phase| Op::Audit(Box::new(self.audit_row(own, &deed, (caller, phase))));
        let moved = Op::BulkMove { bulk: id, from, to, at: self.now() };
        let ops = vec![row(Phase::Intent), moved, row(Phase::Outcome)];
        self.write(vec![Op::Together(ops)]).await.map_err(|failure| {
            if failure.cause != "store.conflict" {
                return failure;
            }
            let message = format!("{} {id}: it is {}", operation.name(), before.row.state.name());
            Failure::new(Code::E011, "operation.conflict", "engine", message)
        })?;
        self.0.bulk_wake.notify_one();
        self.0.bulk_ended.notify_waiters();
        self.bulk(id).await
    }

    /// Begins the operation that takes another one back.
    ///
    /// # Errors
    /// E011 while it runs, when it has no way back, and when it was taken back already.
    pub(crate) async fn bulk_undo(&self, look: &BulkLook, caller: &Caller) -> Result<BulkLook, Failure> {
        let row = &look.row;
        let refuse = |why: &str| {
            let message = format!("undo {} {}: {why}", row.kind, row.id);
            Failure::new(Code::E011, "operation.no_undo", "engine", message)
        };
        if !row.state.is_over() {
            return Err(refuse("it has not ended; abort it first, or let it end"));
        }
        let back = BulkKind::named(&row.kind).and_then(BulkKind::back);
        let back = back.ok_or_else(|| refuse("it took another one back itself"))?;
        let text = format!("what {} did", row.id);
        self.bulk_put((back, text), (None, Some(row.id), None), caller).await.map_err(|failure| {
            if failure.cause == "store.conflict" { refuse("it was taken back already") } else { failure }
        })
    }

    /// The line of the audit trail that says what came of it.
    pub(crate) fn bulk_outcome(&self, row: &BulkRow, detail: &str) -> Op {
        let caller = Caller {
            actor: row.actor.as_str().into(),
            correlation: row.correlation.as_str().into(),
            ..Caller::engine()
        };
        Op::Audit(Box::new(self.audit_row(row.id, &bulk_deed(row, detail), (&caller, Phase::Outcome))))
    }
}

fn bulk_deed(row: &BulkRow, detail: &str) -> Deed {
    let operation = BulkKind::named(&row.kind).map_or("bulk.unknown", |kind| kind.operation().name());
    Deed { operation, target: row.filter.clone(), detail: detail.to_owned(), undo: None }
}

impl Preview {
    fn count(&mut self, reason: Option<String>, (run, group): (RunId, &str)) {
        self.matched += 1;
        *self.groups.entry(group.to_owned()).or_default() += 1;
        match reason {
            Some(reason) => *self.excluded.entry(reason).or_default() += 1,
            None => {
                self.will += 1;
                if self.examples.len() < EXAMPLES {
                    self.examples.push(run);
                }
            }
        }
    }
}
