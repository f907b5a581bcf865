//! Operations: intent and deed in one commit, the outcome after it, keys and settings among them.
//!
//! Read next: `hale-core/src/operation.rs`, which declares them.

use super::{Engine, chance};
use crate::facade::runs::blocking;
use crate::input::{Caller, Input};
use hale_core::failure::Failure;
use hale_core::id::{KeyId, OperationId, RunId};
use hale_store::{AuditFilter, AuditRow, KeyRow, Op, Phase};
use std::collections::BTreeMap;

/// One deed of an operator, as the audit trail tells it.
#[derive(Clone, Debug)]
pub struct Deed {
    /// A name of `hale_core::operation`.
    pub operation: &'static str,
    pub target: String,
    pub detail: String,
    /// The command that takes it back.
    pub undo: Option<String>,
}

impl Engine {
    /// Commits the intent with `ops`, then the outcome.
    ///
    /// # Errors
    /// What the store refused; then nothing has changed.
    pub async fn operate(&self, deed: Deed, ops: Vec<Op>, caller: &Caller) -> Result<OperationId, Failure> {
        let id = OperationId::mint(self.now(), chance());
        let mut all = vec![Op::Audit(Box::new(self.audit_row(id, &deed, (caller, Phase::Intent))))];
        all.extend(ops);
        self.write(all).await?;
        self.outcome(id, &deed, caller).await?;
        Ok(id)
    }

    /// The outcome of a deed whose intent was committed before.
    ///
    /// # Errors
    /// What the store refused.
    pub async fn outcome(&self, id: OperationId, deed: &Deed, caller: &Caller) -> Result<(), Failure> {
        self.write(vec![Op::Audit(Box::new(self.audit_row(id, deed, (caller, Phase::Outcome))))]).await
    }

    /// The intent alone: for deeds that act outside the store.
    ///
    /// # Errors
    /// What the store refused: then the deed must not be done.
    pub async fn intend(&self, deed: &Deed, caller: &Caller) -> Result<OperationId, Failure> {
        let id = OperationId::mint(self.now(), chance());
        self.write(vec![Op::Audit(Box::new(self.audit_row(id, deed, (caller, Phase::Intent))))]).await?;
        Ok(id)
    }

    pub(crate) fn audit_row(
        &self,
        id: OperationId,
        deed: &Deed,
        (caller, phase): (&Caller, Phase),
    ) -> AuditRow {
        AuditRow {
            id,
            at: self.now(),
            actor: caller.actor.to_string(),
            operation: deed.operation.to_owned(),
            target: deed.target.clone(),
            phase,
            detail: serde_json::json!({ "detail": deed.detail, "correlation_id": caller.correlation })
                .to_string(),
            undo: deed.undo.clone(),
            lab: deed.operation.starts_with("chaos."),
        }
    }

    /// An audit line for what the journal of a run holds already; a full disk must not undo the deed.
    pub(crate) async fn note(&self, operation: &'static str, target: &str, caller: &Caller, detail: &str) {
        let deed = Deed { operation, target: target.to_owned(), detail: detail.to_owned(), undo: None };
        let id = OperationId::mint(self.now(), chance());
        let row = self.audit_row(id, &deed, (caller, Phase::Outcome));
        if let Err(failure) = self.write(vec![Op::Audit(Box::new(row))]).await {
            tracing::error!(event = "audit_failed", error = %failure, "audit line of {operation} not written");
        }
    }

    /// Writes that touch no run.
    ///
    /// # Errors
    /// What the store refused.
    pub async fn write(&self, ops: Vec<Op>) -> Result<(), Failure> {
        self.ask(|reply| Input::Write { ops, reply }).await
    }

    /// Sets or removes a runtime setting, as part of `deed`.
    ///
    /// # Errors
    /// What the store refused.
    pub async fn set(
        &self,
        deed: Deed,
        (key, value): (&str, Option<&str>),
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        self.admits_setting(key, value).await?;
        let op = Op::Setting { key: key.to_owned(), value: value.map(str::to_owned) };
        let id = self.operate(deed, vec![op], caller).await?;
        self.0.settings.set(key, value);
        self.retuned(key).await?;
        Ok(id)
    }

    /// The audit trail, newest first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn operations(&self, limit: u32) -> Result<Vec<AuditRow>, Failure> {
        let store = self.0.store.clone();
        blocking(move || store.audit(&AuditFilter::default(), limit)).await
    }

    /// What was done to one run, alone or as one of many, newest first.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn operations_of(&self, run: RunId, limit: u32) -> Result<Vec<AuditRow>, Failure> {
        let store = self.0.store.clone();
        blocking(move || {
            let target = AuditFilter { target: Some(run.to_string()), ..AuditFilter::default() };
            let mut rows = store.audit(&target, limit)?;
            for bulk in store.bulks_of(run)? {
                rows.extend(store.audit(&AuditFilter { id: Some(bulk.id), ..AuditFilter::default() }, 2)?);
            }
            rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.id, row.phase)));
            Ok(rows)
        })
        .await
    }

    /// Both halves of one operation.
    ///
    /// # Errors
    /// What the store could not read.
    pub async fn operation(&self, id: OperationId) -> Result<Vec<AuditRow>, Failure> {
        let store = self.0.store.clone();
        let filter = AuditFilter { id: Some(id), ..AuditFilter::default() };
        blocking(move || store.audit(&filter, 10)).await
    }

    /// API keys, from memory.
    pub fn keys(&self) -> Vec<KeyRow> {
        self.0.keys.load().values().cloned().collect()
    }

    pub fn key(&self, id: KeyId) -> Option<KeyRow> {
        self.0.keys.load().get(&id).cloned()
    }

    /// Stores a key as it now is. `operation` is empty for a mere note of its last use.
    ///
    /// # Errors
    /// What the store refused.
    pub async fn key_put(
        &self,
        row: KeyRow,
        operation: &'static str,
        caller: &Caller,
    ) -> Result<(), Failure> {
        let op = Op::KeyPut(Box::new(row.clone()));
        if operation.is_empty() {
            self.write(vec![op]).await?;
        } else {
            let undo = (operation == "keys.create").then(|| format!("hale keys revoke {}", row.id));
            let deed = Deed { operation, target: row.id.to_string(), detail: row.name.clone(), undo };
            self.operate(deed, vec![op], caller).await?;
        }
        self.0.keys.rcu(|keys| {
            let mut next = BTreeMap::clone(keys);
            next.insert(row.id, row.clone());
            next
        });
        Ok(())
    }
}
