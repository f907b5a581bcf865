//! The audit trail as a chain: read, checked, and cut when its rows are older than a year.
//!
//! Read next: `hale-store/src/audit.rs`, what the chain is.

use super::{Engine, chance};
use crate::facade::operate::Deed;
use crate::facade::runs::blocking;
use crate::input::{Caller, DryRun};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::limits;
use hale_core::time::Timestamp;
use hale_store::audit::{self, Checked, Sealed};
use hale_store::{AuditFilter, Op, Phase};

/// What a cut of the trail took, or would take.
#[derive(Clone, Debug)]
pub struct Cut {
    pub before: Timestamp,
    pub rows: u64,
    pub operation: Option<OperationId>,
}

impl Engine {
    /// Rows that a filter takes, newest first, below a place.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn audit_newest(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Sealed>, Failure> {
        let store = self.store().clone();
        blocking(move || store.audit_newest(&filter, before, limit)).await
    }

    /// All rows behind a place, oldest first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn audit_oldest(&self, after: u64, limit: u32) -> Result<Vec<Sealed>, Failure> {
        let store = self.store().clone();
        blocking(move || store.audit_oldest(after, limit)).await
    }

    /// Walks along the whole chain.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn audit_check(&self) -> Result<Checked, Failure> {
        let store = self.store().clone();
        blocking(move || audit::check(store.as_ref())).await
    }

    /// Cuts what is older than a year; a row that stays vouches for what went. A trail whose chain does not hold is
    /// left alone: the cut would hide it.
    ///
    /// # Errors
    /// E011 when the chain is broken or there is nothing to cut.
    pub async fn audit_prune(&self, dry_run: DryRun, caller: &Caller) -> Result<Cut, Failure> {
        let (store, before) = (self.store().clone(), self.now() - limits::AUDIT_KEPT);
        let rows = blocking(move || store.audit_cuttable(before)).await?;
        if dry_run == DryRun::Yes || rows == 0 {
            return Ok(Cut { before, rows, operation: None });
        }
        if let Some(broken) = self.audit_check().await?.broken {
            let message = format!("cut the audit trail: row {}: {}", broken.seq, broken.why);
            return Err(Failure::new(Code::E011, "audit.broken", "store", message));
        }
        let detail = format!("{rows} rows from before {before}");
        let deed = Deed { operation: "audit.prune", target: before.to_string(), detail, undo: None };
        let id = OperationId::mint(self.now(), chance());
        let row = |phase| Box::new(self.audit_row(id, &deed, (caller, phase)));
        self.write(vec![Op::Audit(row(Phase::Intent))]).await?;
        self.write(vec![Op::AuditCut { before, row: row(Phase::Outcome) }]).await?;
        tracing::warn!(event = "audit_cut", rows, by = %caller.actor, "{rows} rows of the audit trail cut");
        Ok(Cut { before, rows, operation: Some(id) })
    }
}
