//! Throwing the kill switch and taking it off.
//!
//! Guarantees: the intent is in the audit trail before the switch takes effect, the outcome after; who is answered can
//! rely on it; taking off wants a healthy server, and what was held comes back a little at a time.
//! Read next: [`crate::killswitch`], where it works.

use super::{Engine, chance};
use crate::facade::operate::Deed;
use crate::health::Status;
use crate::input::{Caller, Input};
use crate::killswitch::{PREFIX, RETURNING};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::killswitch::{Force, RETURN_SPAN, Standing, Switch, Target};
use hale_core::limits;
use hale_core::nearest::nearest;
use hale_core::pack::TOOLS;
use hale_core::time::Timestamp;
use hale_store::{Op, Phase};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// An order to throw a switch.
#[derive(Clone, Debug)]
pub struct Throw {
    pub target: Target,
    pub reason: String,
    pub force: Force,
    /// The target said once more, where that is wanted.
    pub confirm: Option<String>,
}

/// A switch that was taken off, and when what it held goes again.
#[derive(Clone, Debug)]
pub struct Lifted {
    pub switch: Switch,
    pub returning: BTreeMap<Target, Timestamp>,
    pub operation: OperationId,
}

impl Engine {
    /// The switches that are on, and what comes back.
    pub fn switches(&self) -> Standing {
        let mut standing = self.0.settings.standing();
        let now = self.now();
        standing.returning.retain(|_, at| *at > now);
        standing
    }

    /// Throws a switch; it has taken effect when this answers.
    ///
    /// # Errors
    /// E001 for an unknown pack, E002 without a reason, for an unknown tool, or when the word is missing that such a
    /// target wants, E011 when it is on already.
    pub async fn switch_on(&self, throw: Throw, caller: &Caller) -> Result<(Switch, OperationId), Failure> {
        let reason = reason("throw", &throw.target, &throw.reason)?;
        self.known(&throw.target)?;
        if let Some(why) = self.wants_a_word(&throw.target)
            && throw.confirm.as_deref() != Some(throw.target.to_string().as_str())
        {
            let target = &throw.target;
            let message = format!(
                "throw the kill switch {target}: {why}, so say it once more: confirm is \"{target}\""
            );
            return Err(invalid("killswitch.unconfirmed", message));
        }
        let _one = self.0.killswitch.lock().await;
        let standing = self.0.settings.standing();
        let before = standing.on.iter().find(|switch| switch.target == throw.target);
        if let Some(before) = before
            && (before.force == Force::Immediate || throw.force == Force::Graceful)
        {
            let message = format!("throw the kill switch {}: {}", throw.target, before.told());
            return Err(Failure::new(Code::E011, "killswitch.already_on", "engine", message));
        }
        let by = caller.actor.to_string();
        let switch = Switch { target: throw.target, by, reason, at: self.now(), force: throw.force };
        let mut returning = standing.returning;
        returning.remove(&switch.target);
        let value = serde_json::to_string(&switch).unwrap_or_default();
        let settings = vec![
            (format!("{PREFIX}{}", switch.target), Some(value)),
            (RETURNING.to_owned(), self.still(&returning)),
        ];
        let deed = Deed {
            operation: "killswitch.on",
            target: switch.target.to_string(),
            detail: match switch.force {
                Force::Graceful => switch.reason.clone(),
                Force::Immediate => format!("immediate: {}", switch.reason),
            },
            undo: Some(format!("hale killswitch off {} --reason TEXT", switch.target)),
        };
        let operation = self.move_switch(&deed, settings, caller).await?;
        tracing::warn!(event = "killswitch_on", target_of = %switch.target, by = %switch.by, "kill switch {} thrown: {}", switch.target, switch.reason);
        Ok((switch, operation))
    }

    /// Takes a switch off. Runs that waited go again: a tenant, a pack or a tool at once, if no two others came back
    /// within the last minute; after `all`, pack by pack.
    ///
    /// # Errors
    /// E002 without a reason, E011 when it is not on or the server is not healthy.
    pub async fn switch_off(
        &self,
        target: Target,
        reason_given: &str,
        caller: &Caller,
    ) -> Result<Lifted, Failure> {
        let reason = reason("take off", &target, reason_given)?;
        let health = self.health_fresh().await;
        if health.status == Status::Unhealthy {
            let ill = health.components.iter().find(|part| part.hard && part.status == Status::Unhealthy);
            let ill = ill.map(|part| format!("{}: {}", part.name, part.detail)).unwrap_or_default();
            let message = format!("take off the kill switch {target}: the server is not healthy, {ill}");
            return Err(Failure::new(Code::E011, "killswitch.unhealthy", "engine", message));
        }
        let _one = self.0.killswitch.lock().await;
        let standing = self.0.settings.standing();
        let Some(switch) = standing.on.iter().find(|switch| switch.target == target).cloned() else {
            let message = format!("take off the kill switch {target}: it is not on");
            return Err(Failure::new(Code::E011, "killswitch.not_on", "engine", message));
        };
        let now = self.now();
        let back = self.back(&target);
        let moments = standing.moments(back.len(), now);
        let returning: BTreeMap<Target, Timestamp> = back.into_iter().zip(moments).collect();
        let mut all = standing.returning;
        all.extend(returning.clone());
        let settings = vec![(format!("{PREFIX}{target}"), None), (RETURNING.to_owned(), self.still(&all))];
        let again = if switch.force == Force::Immediate { " --immediate" } else { "" };
        let deed = Deed {
            operation: "killswitch.off",
            target: target.to_string(),
            detail: reason,
            undo: Some(format!("hale killswitch on {target} --reason TEXT{again}")),
        };
        let operation = self.move_switch(&deed, settings, caller).await?;
        tracing::warn!(event = "killswitch_off", target_of = %target, by = %caller.actor, "kill switch {target} taken off: {}", deed.detail);
        Ok(Lifted { switch, returning, operation })
    }

    /// Intent and settings in one commit, then the effect, then the outcome.
    async fn move_switch(
        &self,
        deed: &Deed,
        settings: Vec<(String, Option<String>)>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let id = OperationId::mint(self.now(), chance());
        let mut ops = vec![Op::Audit(Box::new(self.audit_row(id, deed, (caller, Phase::Intent))))];
        ops.extend(
            settings.iter().map(|(key, value)| Op::Setting { key: key.clone(), value: value.clone() }),
        );
        self.write(vec![Op::Together(ops)]).await?;
        for (key, value) in &settings {
            self.0.settings.set(key, value.as_deref());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Input::Retune { reply }).await?;
        answer.await.map_err(|_| super::gone())?;
        // It has taken effect: a line that cannot be written must not look like a switch that was not thrown.
        if let Err(failure) = self.outcome(id, deed, caller).await {
            tracing::error!(event = "audit_failed", error = %failure, "audit line of {} not written", deed.operation);
        }
        Ok(id)
    }

    fn known(&self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Pack(name) => self.0.registry.info(name, None).map(|_| ()),
            Target::Tool(name) if !TOOLS.contains(&name.as_ref()) => {
                let meant = nearest(name, TOOLS);
                let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
                let message = format!("find tool {name:?}{meant}: the tools are {}", TOOLS.join(", "));
                Err(invalid("tool.not_found", message))
            }
            Target::All | Target::Tenant(_) | Target::Tool(_) => Ok(()),
        }
    }

    /// Why a target wants to be said twice, if it does.
    pub fn wants_a_word(&self, target: &Target) -> Option<&'static str> {
        match target {
            Target::All => Some("it stops every run"),
            Target::Pack(name) => {
                let manifest = self.0.registry.info(name, None).ok()?.manifest;
                manifest.critical.then_some("the pack says that it is critical")
            }
            Target::Tenant(_) | Target::Tool(_) => None,
        }
    }

    /// What comes back when a switch is taken off, in order.
    fn back(&self, target: &Target) -> Vec<Target> {
        match target {
            Target::All => {
                let packs = self.packs();
                packs.iter().map(|pack| Target::Pack(pack.manifest.name.as_str().into())).collect()
            }
            Target::Tool(_) => Vec::new(),
            one => vec![one.clone()],
        }
    }

    /// What is still to be remembered of what comes back: the last minute counts.
    fn still(&self, returning: &BTreeMap<Target, Timestamp>) -> Option<String> {
        let since = self.now() - RETURN_SPAN;
        let kept: BTreeMap<&Target, &Timestamp> = returning.iter().filter(|(_, at)| **at > since).collect();
        if kept.is_empty() { None } else { serde_json::to_string(&kept).ok() }
    }
}

fn reason(deed: &str, target: &Target, given: &str) -> Result<String, Failure> {
    let given = given.trim();
    match given.chars().count() {
        0 => Err(invalid(
            "killswitch.no_reason",
            format!("{deed} the kill switch {target}: say why, for the audit trail"),
        )),
        n if n > limits::REASON_CHARS => Err(invalid(
            "killswitch.long_reason",
            format!("{deed} the kill switch {target}: a reason has at most {} letters", limits::REASON_CHARS),
        )),
        _ => Ok(given.to_owned()),
    }
}

fn invalid(cause: &str, message: String) -> Failure {
    Failure::new(Code::E002, cause, "engine", message)
}
