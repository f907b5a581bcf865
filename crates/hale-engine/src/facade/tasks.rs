//! Tasks: a goal is routed to an arm, and becomes a durable run of its pack with the decision in its journal.
//!
//! Read next: `hale-core/src/routing.rs`, which decides.

use super::Engine;
use super::arms::ArmInfo;
use super::runs::blocking;
use crate::input::{Caller, Receipt, Submit};
use hale_core::arm::Health;
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::RunId;
use hale_core::pack::Manifest;
use hale_core::routing::{Candidate, Condition, Constraint, Contract, Decision, Refused, Rules, decide};
use hale_core::run::Event;
use hale_core::time::Millis;
use serde_json::{Map, Value, json};

/// The decision stands at the beginning of a journal.
const LOOK_AT: u32 = 4;
/// Letters of a goal that a log line shows.
const GOAL_SHOWN: usize = 200;

/// A task as it is asked for.
#[derive(Clone, Debug, Default)]
pub struct TaskOrder {
    pub contract: Contract,
    /// More fields for the arm, beside goal and constraints.
    pub input: Map<String, Value>,
    pub timeout: Option<Millis>,
    pub idempotency: Option<String>,
}

impl Engine {
    /// Who would take the task, with every part of every score. Starts nothing.
    ///
    /// # Errors
    /// E002 for the contract, E011 when nobody can take it.
    pub async fn route(&self, order: &TaskOrder) -> Result<Decision, Failure> {
        order
            .contract
            .check()
            .map_err(|flaw| Failure::new(Code::E002, "task.invalid", "engine", flaw.to_string()))?;
        self.probe_new_arms().await;
        let all: Vec<&Constraint> = order.contract.constraints.iter().collect();
        let fits = |manifest: &Manifest| match manifest.check_input(&input_for(manifest, order, &all)) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        let candidates = self.candidates(fits);
        decide(&order.contract, &candidates, &Rules::default()).map_err(|refused| no_arm(&refused))
    }

    /// Routes a task and accepts it: the answer comes when the run and the decision are durable.
    ///
    /// # Errors
    /// As [`Engine::route`], and as [`Engine::submit`].
    pub async fn start_task(
        &self,
        order: TaskOrder,
        caller: &Caller,
    ) -> Result<(Receipt, Decision), Failure> {
        let decision = match self.route(&order).await {
            Ok(decision) => decision,
            Err(failure) => {
                if failure.code != Code::E002 {
                    self.meters().routing_failures.add(1);
                    tracing::warn!(
                        event = "routing_failed", correlation_id = %caller.correlation, code = %failure.code,
                        goal = %shown(&order.contract.goal), "routing failed: {failure}"
                    );
                }
                return Err(failure);
            }
        };
        let manifest = self.registry().resolve(&decision.arm, None)?;
        let submit = Submit {
            pack: decision.arm.clone(),
            input: input_for(&manifest, &order, &decision.constraints()),
            priority: order.contract.priority,
            timeout: order.timeout,
            idempotency: order.idempotency.clone(),
            routed: Some(Box::new(decision.clone())),
            ..Submit::default()
        };
        let receipt = self.submit(submit, caller).await?;
        if receipt.duplicate {
            let first = self.decision(receipt.run.id).await?;
            return Ok((receipt, first.unwrap_or(decision)));
        }
        self.count_routed(&receipt, &decision);
        Ok((receipt, decision))
    }

    fn count_routed(&self, receipt: &Receipt, decision: &Decision) {
        let (task, meters) = (receipt.run.id, self.meters());
        meters.tasks_routed.add(1);
        if decision.reason == hale_core::routing::Reason::Default {
            meters.tasks_defaulted.add(1);
        }
        if !decision.relaxed.is_empty() {
            meters.tasks_relaxed.add(1);
            let gone: Vec<String> = decision.relaxed.iter().map(|one| one.constraint.to_string()).collect();
            tracing::warn!(
                event = "routing_relaxed", run_id = %task, task_id = %task,
                goal = %shown(&decision.contract.goal),
                "No good arm match, relaxing constraints: {}", gone.join(", ")
            );
        }
        tracing::info!(
            event = "routing", run_id = %task, task_id = %task, arm = %decision.arm,
            "routing: task {task} goes to {}; scores: {}", decision.arm, decision.scores_line()
        );
    }

    /// The decision that chose the pack of a run; none for a run that was not routed.
    ///
    /// # Errors
    /// E010 when there is no such run.
    pub async fn decision(&self, run: RunId) -> Result<Option<Decision>, Failure> {
        let records = self.history(run, 1, LOOK_AT).await?;
        Ok(records.into_iter().find_map(|record| match record.event {
            Event::Routed { decision } => Some(*decision),
            _ => None,
        }))
    }

    /// Whether a repeated request asks for the task that its key began.
    pub(crate) async fn same_task(&self, first: RunId, asked: &Decision) -> Result<bool, Failure> {
        let store = self.store().clone();
        let records = blocking(move || store.history(first, 1, LOOK_AT)).await?;
        Ok(records.iter().any(|record| {
            matches!(&record.event, Event::Routed { decision } if decision.contract == asked.contract)
        }))
    }

    /// All arms as candidates; `fits` says why a pack could not take the task.
    pub(crate) fn candidates(&self, fits: impl Fn(&Manifest) -> Result<(), String>) -> Vec<Candidate> {
        self.arms().iter().map(|arm| candidate(arm, fits(&arm.manifest))).collect()
    }
}

fn candidate(arm: &ArmInfo, fits: Result<(), String>) -> Candidate {
    let manifest = &arm.manifest;
    let condition = match (arm.enabled, &arm.health, fits) {
        (false, ..) => Condition::Unfit { why: "its pack is disabled".to_owned() },
        (true, Health::Unhealthy { why } | Health::Expired { why }, _) => {
            Condition::Unhealthy { why: why.clone() }
        }
        (true, Health::Healthy, Err(why)) => Condition::Unfit { why },
        (true, Health::Healthy, Ok(())) => Condition::Fit,
    };
    let kind = serde_json::to_value(manifest.kind).ok();
    Candidate {
        arm: manifest.name.clone(),
        kind: kind.and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default(),
        capabilities: manifest.capabilities.clone(),
        domains: manifest.domains.clone(),
        keywords: manifest.keywords.clone(),
        properties: manifest.properties.clone(),
        condition,
    }
}

/// What the arm is told: the goal with the constraints that hold, and the fields of the input. A pack that declares
/// its input gets only what it declares.
fn input_for(manifest: &Manifest, order: &TaskOrder, constraints: &[&Constraint]) -> Value {
    let mut full = order.input.clone();
    full.insert("goal".to_owned(), Value::from(order.contract.goal.as_str()));
    full.insert("constraints".to_owned(), json!(constraints));
    if let Some(priority) = order.contract.priority {
        full.insert("priority".to_owned(), Value::from(priority.name()));
    }
    if let Some(context) = &order.contract.context {
        full.insert("context".to_owned(), context.clone());
    }
    if !manifest.input.open {
        full.retain(|name, _| order.input.contains_key(name) || manifest.input.field(name).is_some());
    }
    Value::Object(full)
}

fn no_arm(refused: &Refused) -> Failure {
    let mut failure = Failure::new(Code::E011, "task.no_arm", "engine", refused.to_string());
    failure.chain.extend(refused.scores.iter().map(ToString::to_string));
    failure
}

fn shown(goal: &str) -> String {
    goal.chars().take(GOAL_SHOWN).collect()
}
