//! The coded deeds behind the verbs of playbooks, and their ways back.
//!
//! A plan is made first and tells its exact effects; carrying it out is one audited operation.
//! Read next: `hale-core/src/operation.rs`.

use super::FixOrder;
use crate::facade::Engine;
use crate::facade::operate::Deed;
use crate::facade::runs::blocking;
use crate::input::Caller;
use crate::settings::{fallback_key, limit_key};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::{OperationId, WorkerId};
use hale_core::time::{Millis, Timestamp};
use hale_gateway::{ChatRequest, Message, Route};
use hale_playbooks::finding::Fix;
use hale_playbooks::playbook::Verb;
use hale_playbooks::value::Value;
use hale_store::AuditRow;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Ended runs that one call of `disk.free` may delete.
const PRUNE_MAX: u64 = 100_000;
/// A canary's longest wait.
const CANARY: Duration = Duration::from_secs(20);

/// A deed with its values, before it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Plan {
    /// A runtime setting goes from one value to another.
    Set {
        key: String,
        before: Option<String>,
        after: Option<String>,
    },
    StartWorker {
        slots: u32,
    },
    DrainWorker {
        worker: WorkerId,
    },
    Prune {
        before: Timestamp,
    },
}

impl Plan {
    /// Each effect in one line.
    pub fn effects(&self) -> Vec<String> {
        match self {
            Plan::Set { key, before, after, .. } => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
                vec![format!("{key}: {} -> {}", shown(before), shown(after))]
            }
            Plan::StartWorker { slots } => vec![format!("a worker with {slots} slots starts in the server")],
            Plan::DrainWorker { worker } => {
                vec![format!("worker {worker} takes no more runs and ends what it has")]
            }
            Plan::Prune { before } => {
                vec![format!("ended runs from before {before} are deleted, with journal and artifacts")]
            }
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Plan::Set { key, after: Some(_), .. } if key.starts_with("model.fallback.") => {
                "model.set_fallback"
            }
            Plan::Set { key, .. } if key.starts_with("model.fallback.") => "model.clear_fallback",
            Plan::Set { after: Some(_), .. } => "limits.raise",
            Plan::Set { .. } => "limits.restore",
            Plan::StartWorker { .. } => "worker.start",
            Plan::DrainWorker { .. } => "worker.drain",
            Plan::Prune { .. } => "disk.free",
        }
    }

    fn target(&self) -> String {
        match self {
            Plan::Set { key, .. } => key.clone(),
            Plan::StartWorker { .. } => "server".to_owned(),
            Plan::DrainWorker { worker } => worker.to_string(),
            Plan::Prune { .. } => "store".to_owned(),
        }
    }
}

/// What an audit row keeps of a deed: the plan, for its way back.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    cause: String,
    plan: Plan,
    /// The worker that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<WorkerId>,
}

impl Engine {
    /// The deed of a fix with its values.
    pub(super) fn plan(&self, fix: &Fix, order: &FixOrder) -> Result<Plan, Failure> {
        let param = |name: &str| -> Result<String, Failure> {
            let given = order.params.get(name).cloned();
            let found = given.or_else(|| fix.params.get(name).map(plain));
            found.filter(|value| !value.is_empty()).ok_or_else(|| {
                let message = format!("fix {}: it needs {name}; name it: --set {name}=VALUE", order.cause);
                Failure::new(Code::E002, "fix.missing_value", "playbooks", message)
            })
        };
        Ok(match fix.verb {
            Verb::ModelSetFallback => {
                let (model, fallback) = (param("model")?, param("fallback")?);
                self.known_model(&fallback)?;
                self.set_plan(&fallback_key(&model), Some(fallback))
            }
            Verb::LimitRaise => {
                let (pack, timeout) = (param("pack")?, param("timeout")?);
                let timeout: Millis = timeout.parse().map_err(|error| {
                    Failure::new(Code::E002, "fix.bad_value", "playbooks", "read timeout").caused_by(&error)
                })?;
                self.set_plan(&limit_key(&pack), Some(timeout.0.to_string()))
            }
            Verb::WorkerStart => {
                let slots = param("slots")?.parse().map_err(|error| {
                    Failure::new(Code::E002, "fix.bad_value", "playbooks", "read slots").caused_by(&error)
                })?;
                Plan::StartWorker { slots }
            }
            Verb::DiskFree => Plan::Prune { before: self.now() - self.config().retention },
            Verb::Advise => {
                let message = format!("fix {}: it is advice for a person", order.cause);
                return Err(Failure::new(Code::E011, "fix.advice", "playbooks", message));
            }
        })
    }

    fn set_plan(&self, key: &str, after: Option<String>) -> Plan {
        Plan::Set { key: key.to_owned(), before: self.settings().get(key), after }
    }

    fn known_model(&self, model: &str) -> Result<(), Failure> {
        let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
        if model.contains('/') && self.gateway().names().iter().any(|name| name == provider) {
            return Ok(());
        }
        let known = self.gateway().names().join(", ");
        let message = format!("use model {model}: write provider/model with one of the providers {known}");
        Err(Failure::new(Code::E002, "fix.bad_value", "gateway", message))
    }

    /// Does what the plan says, as one operation.
    pub(super) async fn carry_out(
        &self,
        plan: &Plan,
        (cause, has_undo): (&str, bool),
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let mut kept = Kept { cause: cause.to_owned(), plan: plan.clone(), worker: None };
        let deed = |kept: &Kept| Deed {
            operation: plan.operation(),
            target: plan.target(),
            detail: serde_json::to_string(kept).unwrap_or_default(),
            undo: has_undo.then(|| "hale operations undo".to_owned()),
        };
        match plan {
            Plan::Set { key, after, .. } => self.set(deed(&kept), (key, after.as_deref()), caller).await,
            Plan::StartWorker { slots } => {
                let id = self.intend(&deed(&kept), caller).await?;
                kept.worker = self.start_embedded(*slots).await?;
                self.outcome(id, &deed(&kept), caller).await?;
                Ok(id)
            }
            Plan::DrainWorker { worker } => {
                let id = self.intend(&deed(&kept), caller).await?;
                self.worker_drain(*worker, caller).await?;
                self.outcome(id, &deed(&kept), caller).await?;
                Ok(id)
            }
            Plan::Prune { before } => {
                // On a full disk the intent itself must fit into the room that the reserve file gave.
                let id = self.intend(&deed(&kept), caller).await?;
                let (store, before) = (self.store().clone(), *before);
                let pruned = blocking(move || store.prune(before, PRUNE_MAX)).await?;
                tracing::info!(
                    event = "disk_freed",
                    runs = pruned.runs,
                    bytes = pruned.bytes,
                    "ended runs deleted"
                );
                self.outcome(id, &deed(&kept), caller).await?;
                Ok(id)
            }
        }
    }

    /// The plan that takes an operation back.
    pub(super) fn plan_back(&self, row: &AuditRow) -> Result<Plan, Failure> {
        let refuse = |why: &str| {
            let message = format!("undo {} {}: {why}", row.operation, row.id);
            Failure::new(Code::E011, "operation.no_undo", "engine", message)
        };
        let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
        let kept = detail["detail"].as_str().and_then(|text| serde_json::from_str::<Kept>(text).ok());
        let Some(kept) = kept else {
            return Err(refuse(&match &row.undo {
                Some(undo) => format!("its way back is a command of its own: {undo}"),
                None => "it has no way back".to_owned(),
            }));
        };
        match kept.plan {
            Plan::Set { key, before, after } => {
                if self.settings().get(&key) != after {
                    return Err(refuse("the setting was changed since"));
                }
                Ok(Plan::Set { key, before: after, after: before })
            }
            Plan::StartWorker { .. } => {
                let worker =
                    kept.worker.or_else(|| self.embedded()).ok_or_else(|| refuse("its worker is gone"))?;
                Ok(Plan::DrainWorker { worker })
            }
            Plan::DrainWorker { .. } | Plan::Prune { .. } => Err(refuse("it has no way back")),
        }
    }

    /// One small call over the mended route, so that there is something to verify. Done only because a person asked
    /// for the fix.
    pub(super) async fn canary(&self, plan: &Plan) -> Option<String> {
        let Plan::Set { key, after: Some(fallback), .. } = plan else { return None };
        let model = key.strip_prefix("model.fallback.")?;
        let route =
            Route { primary: model.to_owned(), fallback: fallback.split(',').map(str::to_owned).collect() };
        let request = ChatRequest {
            model: String::new(),
            messages: vec![Message::user("Answer with one word: ready?")],
            tools: Vec::new(),
            max_tokens: Some(16),
            temperature: None,
            seed: None,
            deadline: tokio::time::Instant::now() + CANARY,
            correlation_id: "canary".to_owned(),
            traceparent: None,
            idempotency_key: format!("canary-{}", self.now().0),
        };
        Some(match self.gateway().chat(&route, request, &hale_gateway::provider::unheard).await {
            Ok(served) => format!("a canary call was answered by {}", served.served_by),
            Err(failed) => format!("a canary call failed: {}", failed.failure),
        })
    }
}

/// A value as a parameter: spans with their unit, texts as they are.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Duration(span) => format!("{}ms", span.0),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Num(n) => n.to_string(),
    }
}
