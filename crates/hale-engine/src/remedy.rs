//! Fixes: the finding is made again, the guard asked again, the deed done and audited, then verified. With an undo.
//!
//! Guarantees: without a finding nothing is done; a dry run tells the exact effect and changes nothing; whether it
//! worked is read from fresh evidence, never assumed. Removing an injected fault is never a fix.
//! Read next: `hale-playbooks/catalogue`, where fixes are declared; [`deeds`], where they are done.

pub mod deeds;

use crate::facade::Engine;
use crate::facade::bulk::BulkLook;
use crate::input::{Caller, DryRun};
use deeds::{Kept, Plan, Purpose};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, RunId};
use hale_core::time::Millis;
use hale_playbooks::finding::{Finding, Fix, Readiness};
use hale_playbooks::playbook::{Verb, Verify};
use hale_store::{AuditRow, ItemState, Phase};
use std::collections::BTreeMap;
use std::time::Duration;

/// What to mend.
#[derive(Clone, Debug)]
pub struct FixOrder {
    pub cause: String,
    /// The run that showed it, where the cause is one of a run.
    pub run: Option<RunId>,
    pub dry_run: DryRun,
    /// Values in place of the playbook's own.
    pub params: BTreeMap<String, String>,
}

/// What was done, or would be.
#[derive(Clone, Debug)]
pub struct Fixed {
    pub cause: String,
    pub fix: String,
    pub risk: String,
    pub dry_run: DryRun,
    pub effects: Vec<String>,
    pub outcome: &'static str,
    pub verified: &'static str,
    pub verify_detail: String,
    pub operation: Option<OperationId>,
    pub undo: Option<String>,
}

/// Between two looks while a fix is verified.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

impl Engine {
    /// Mends a cause that is found now.
    ///
    /// # Errors
    /// E010 for a cause or run that does not exist, E011 when a guard or a parameter stands against it, and what the
    /// deed itself met.
    pub async fn fix(&self, order: FixOrder, caller: &Caller) -> Result<Fixed, Failure> {
        let Some(explained) = hale_playbooks::explain(&order.cause) else {
            let message = format!("find cause {}: no playbook has it; see hale explain", order.cause);
            return Err(Failure::new(Code::E010, "cause.not_found", "playbooks", message));
        };
        let diagnosed = self.diagnose(order.run).await?;
        let Some(finding) =
            diagnosed.verdict.findings.into_iter().find(|finding| finding.code == order.cause)
        else {
            return Ok(nothing(&order));
        };
        let fix = self.choose(&finding, &order)?;
        if fix.verb == Verb::Advise {
            return Ok(advice(&order, &finding));
        }
        let plan = self.plan(fix, &order)?;
        let mut fixed = Fixed {
            cause: order.cause.clone(),
            fix: fix.id.clone(),
            risk: fix.risk.to_string(),
            dry_run: order.dry_run,
            effects: plan.effects(),
            outcome: "would change",
            verified: "not run",
            verify_detail: finding.verify.as_ref().map(|check| check.expr.clone()).unwrap_or_default(),
            operation: None,
            undo: fix
                .undo
                .is_some()
                .then(|| "hale operations undo OPERATION (its id is told when it is done)".to_owned()),
        };
        if order.dry_run == DryRun::Yes {
            return Ok(fixed);
        }
        let purpose =
            if fix.undo.is_some() { Purpose::Fix(&order.cause) } else { Purpose::FixForGood(&order.cause) };
        let operation = self.carry_out(&plan, purpose, caller).await?;
        fixed.outcome = "changed";
        fixed.operation = Some(operation);
        fixed.undo = fix.undo.is_some().then(|| format!("hale operations undo {operation}"));
        if let Some(verify) = &explained.cause.verify {
            (fixed.verified, fixed.verify_detail) = self.verify(verify, (&plan, order.run)).await?;
        }
        tracing::info!(
            event = "fix", operation = %operation, outcome = fixed.outcome, verified = fixed.verified,
            "fix {} for {}: {}", fixed.fix, fixed.cause, fixed.verify_detail
        );
        Ok(fixed)
    }

    /// The first fix that can be done as it stands; advice if there is only that.
    fn choose<'f>(&self, finding: &'f Finding, order: &FixOrder) -> Result<&'f Fix, Failure> {
        let deeds = || finding.fixes.iter().filter(|fix| fix.verb != Verb::Advise);
        let given = |fix: &&Fix| fix.readiness == Readiness::Unknown && !order.params.is_empty();
        if let Some(ready) = deeds().find(|fix| fix.readiness == Readiness::Ready || given(fix)) {
            return Ok(ready);
        }
        if let Some(advice) = finding.fixes.iter().find(|fix| fix.verb == Verb::Advise) {
            return Ok(advice);
        }
        let guard = deeds().next().and_then(|fix| fix.guard.as_ref()).map(|guard| guard.readings.join(", "));
        let message =
            format!("fix {}: its guard stands against it now ({})", finding.code, guard.unwrap_or_default());
        Err(Failure::new(Code::E011, "fix.blocked", "playbooks", message))
    }

    async fn verify(
        &self,
        verify: &Verify,
        (plan, run): (&Plan, Option<RunId>),
    ) -> Result<(&'static str, String), Failure> {
        let give_up = tokio::time::Instant::now() + verify.within.duration();
        let mut said = self.canary(plan).await;
        loop {
            let evidence = self.evidence(run).await?;
            let readings = verify.until.readings(&evidence).join(", ");
            if verify.met(&evidence) {
                let told = said.take().map(|said| format!("; {said}")).unwrap_or_default();
                return Ok(("verified", format!("{}: {readings}{told}", verify.until.source())));
            }
            if tokio::time::Instant::now() >= give_up {
                let told = said.map(|said| format!("; {said}")).unwrap_or_default();
                let within = Millis(verify.within.0);
                let detail =
                    format!("{} did not hold within {within}: {readings}{told}", verify.until.source());
                return Ok(("not verified", detail));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Takes an operation back.
    ///
    /// # Errors
    /// E010 for an unknown operation, E011 when it has no way back or was taken back already.
    pub async fn undo(&self, id: OperationId, caller: &Caller) -> Result<Fixed, Failure> {
        if let Ok(look) = self.bulk(id).await {
            return self.undo_many(&look, caller).await;
        }
        let rows = self.operation(id).await?;
        let Some(row) = rows.iter().find(|row| row.phase == Phase::Intent) else {
            let message = format!("find operation {id}");
            return Err(Failure::new(Code::E010, "operation.not_found", "store", message));
        };
        // The outcome knows more, such as the worker that was started.
        let row = rows.iter().find(|row| row.phase == Phase::Outcome).unwrap_or(row);
        if let Some(by) = undone(&self.operations(LOOK_BACK).await?).get(&id) {
            let message = format!("undo {} {id}: it was undone already, by {by}", row.operation);
            return Err(Failure::new(Code::E011, "operation.undone", "store", message));
        }
        let (cause, plan) = self.plan_back(row)?;
        let operation = self.carry_out(&plan, Purpose::Undo(&cause, id), caller).await?;
        Ok(Fixed {
            cause,
            fix: format!("undo {}", row.operation),
            risk: "R1".to_owned(),
            dry_run: DryRun::No,
            effects: plan.effects(),
            outcome: "changed",
            verified: "not run",
            verify_detail: String::new(),
            operation: Some(operation),
            undo: None,
        })
    }

    /// Takes the newest fix of a cause back that was not taken back yet.
    ///
    /// # Errors
    /// E010 when no fix was done for the cause, E011 when all of them were taken back, and as [`Engine::undo`].
    pub async fn undo_cause(&self, cause: &str, caller: &Caller) -> Result<Fixed, Failure> {
        let rows = self.operations(LOOK_BACK).await?;
        let done = |row: &&AuditRow| row.phase == Phase::Outcome && row.undo.is_some();
        let of_cause = |row: &&AuditRow| Kept::of(row).is_some_and(|kept| kept.cause == cause);
        let fixes: Vec<OperationId> = rows.iter().filter(done).filter(of_cause).map(|row| row.id).collect();
        let undone = undone(&rows);
        match fixes.iter().find(|id| !undone.contains_key(id)) {
            Some(id) => self.undo(*id, caller).await,
            None if fixes.is_empty() => {
                let message = format!(
                    "undo the last fix of {cause}: none of the last {LOOK_BACK} operations is one that can be undone"
                );
                Err(Failure::new(Code::E010, "operation.not_found", "store", message))
            }
            None => {
                let message = format!("undo the last fix of {cause}: all {} are undone already", fixes.len());
                Err(Failure::new(Code::E011, "operation.undone", "store", message))
            }
        }
    }
}

/// Rows of the audit trail among which a fix and its undoing are looked for.
const LOOK_BACK: u32 = 1000;

/// Operations that were taken back, each with the one that did it. An undoing that was itself taken back does not count.
fn undone(newest_first: &[AuditRow]) -> BTreeMap<OperationId, OperationId> {
    let mut undone = BTreeMap::new();
    for row in newest_first.iter().filter(|row| row.phase == Phase::Outcome) {
        if let Some(id) = Kept::of(row).and_then(|kept| kept.undoes)
            && !undone.contains_key(&row.id)
        {
            undone.insert(id, row.id);
        }
    }
    undone
}

impl Engine {
    /// An operation over many runs is taken back by another one, which works in the background.
    async fn undo_many(&self, look: &BulkLook, caller: &Caller) -> Result<Fixed, Failure> {
        let done = look.counts.by_state.get(&ItemState::Done).copied().unwrap_or(0);
        let back = self.bulk_undo(look, caller).await?;
        Ok(Fixed {
            cause: String::new(),
            fix: format!("undo {}", look.row.kind),
            risk: "R2".to_owned(),
            dry_run: DryRun::No,
            effects: vec![format!(
                "{} of {done} runs; watch it: hale operations watch {}",
                back.row.kind, back.row.id
            )],
            outcome: "changed",
            verified: "not run",
            verify_detail: String::new(),
            operation: Some(back.row.id),
            undo: None,
        })
    }
}

fn nothing(order: &FixOrder) -> Fixed {
    Fixed {
        cause: order.cause.clone(),
        fix: String::new(),
        risk: String::new(),
        dry_run: order.dry_run,
        effects: Vec::new(),
        outcome: "nothing to do",
        verified: "not run",
        verify_detail: format!("{} is not found now", order.cause),
        operation: None,
        undo: None,
    }
}

/// What a person should do, with the exact commands.
fn advice(order: &FixOrder, finding: &Finding) -> Fixed {
    let advice = finding.fixes.iter().filter(|fix| fix.verb == Verb::Advise);
    let effects = advice.clone().map(|fix| match &fix.command {
        Some(command) => format!("{}: {command}", fix.title),
        None => fix.title.clone(),
    });
    Fixed {
        fix: advice.clone().map(|fix| fix.id.clone()).next().unwrap_or_default(),
        risk: "R0".to_owned(),
        effects: effects.collect(),
        outcome: "advice",
        verify_detail: finding.verify.as_ref().map(|check| check.expr.clone()).unwrap_or_default(),
        ..nothing(order)
    }
}
