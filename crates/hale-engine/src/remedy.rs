//! Fixes: the finding is made again, the guard asked again, the deed done and audited, then verified. With an undo.
//!
//! Guarantees: without a finding nothing is done; a dry run tells the exact effect and changes nothing; whether it
//! worked is read from fresh evidence, never assumed. Removing an injected fault is never a fix.
//! Read next: `hale-playbooks/catalogue`, where fixes are declared; [`deeds`], where they are done.

pub mod deeds;

use crate::facade::Engine;
use crate::input::{Caller, DryRun};
use deeds::Plan;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, RunId};
use hale_core::time::Millis;
use hale_playbooks::expr::Truth;
use hale_playbooks::finding::{Finding, Fix, Readiness};
use hale_playbooks::playbook::{Verb, Verify};
use hale_store::Phase;
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
        let operation = self.carry_out(&plan, (&order.cause, fix.undo.is_some()), caller).await?;
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
            let holds = verify.holds(&evidence) == Truth::True;
            let readings = verify.until.readings(&evidence).join(", ");
            if holds {
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
    /// E010 for an unknown operation, E011 when it has no way back.
    pub async fn undo(&self, id: OperationId, caller: &Caller) -> Result<Fixed, Failure> {
        let rows = self.operation(id).await?;
        let Some(row) = rows.iter().find(|row| row.phase == Phase::Intent) else {
            let message = format!("find operation {id}");
            return Err(Failure::new(Code::E010, "operation.not_found", "store", message));
        };
        let plan = self.plan_back(row)?;
        let operation = self.carry_out(&plan, ("", false), caller).await?;
        Ok(Fixed {
            cause: String::new(),
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
