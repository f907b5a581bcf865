//! Replay from a step: a new run that keeps the first results of one that ended.
//!
//! Guarantees: the kept steps are in the new run's journal before anybody executes it, so they are read and never
//! executed again; the old run stays as it is; what the kept steps saw (another input, another version) is said.
//! Read next: `worker/replay.rs`.

use super::Engine;
use crate::input::{Caller, Receipt, Submit, With};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::limits;
use hale_core::run::{Event, Record, Step, Trigger};
use serde_json::Value;

/// How to replay.
#[derive(Clone, Debug, Default)]
pub struct ReplayOrder {
    /// So many first steps are kept.
    pub keep: u32,
    pub input: Option<Value>,
    pub version: Option<String>,
}

/// The new run, and what a reader of its answer must know.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub receipt: Receipt,
    pub kept: u32,
    pub of: u32,
    pub notes: Vec<String>,
}

impl Engine {
    /// Starts a new run with the first steps of an old one.
    ///
    /// # Errors
    /// E010, E011 while the old run goes on, E002 when it has not so many steps, and as [`Engine::submit`].
    pub async fn replay(&self, id: RunId, order: ReplayOrder, caller: &Caller) -> Result<Replayed, Failure> {
        let stored = self.run(id).await?;
        if !stored.run.is_terminal() {
            let message = format!("replay run {id}: it is {} still", stored.run.state.name());
            return Err(Failure::new(Code::E011, "run.conflict", "engine", message));
        }
        let all = limits::STEPS_MAX.saturating_mul(8);
        let mut steps = steps_of(self.history(id, 1, all).await?);
        let of = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        if order.keep > of {
            let message =
                format!("keep the first {} steps of run {id}: it has {of} with a result", order.keep);
            return Err(Failure::new(Code::E002, "run.no_such_step", "engine", message));
        }
        steps.truncate(order.keep as usize);
        let old: Value = serde_json::from_str(&stored.input).unwrap_or_default();
        let version = order.version.unwrap_or_else(|| stored.run.pack.version.to_string());
        let mut notes = Vec::new();
        if order.keep > 0 && order.input.as_ref().is_some_and(|input| *input != old) {
            notes.push(format!(
                "the first {} steps saw the old input; only later ones see the new one",
                order.keep
            ));
        }
        if order.keep > 0 && version != *stored.run.pack.version {
            notes.push(format!(
                "the first {} steps were made by version {}",
                order.keep, stored.run.pack.version
            ));
        }
        let submit = Submit {
            pack: stored.run.pack.name.to_string(),
            version: Some(version),
            input: order.input.unwrap_or(old),
            priority: Some(stored.run.priority),
            retry_of: Some(id),
            ..Submit::default()
        };
        let caller = Caller { trigger: Trigger::Replay, ..caller.clone() };
        let fork = (order.keep > 0).then_some((id, steps));
        let with = With { ops: Vec::new(), fork };
        let receipt = self.submit_with(submit, (self.new_run_id(), with), &caller).await?;
        let detail = format!("{} keeps {} of {of} steps", receipt.run.id, order.keep);
        self.note("runs.replay", &id.to_string(), &caller, &detail).await;
        Ok(Replayed { receipt, kept: order.keep, of, notes })
    }
}

/// The results of a journal by place, dense from the first on.
fn steps_of(records: Vec<Record>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for record in records {
        match record.event {
            Event::Forked { steps: kept, .. } => steps.extend(kept),
            Event::StepEnded { step } if step.index as usize == steps.len() => steps.push(*step),
            _ => {}
        }
    }
    steps
}
