//! The coded deeds behind the verbs of playbooks, and their ways back.
//!
//! A plan is made first and tells its exact effects; carrying it out is one audited operation.
//! Read next: `hale-core/src/operation.rs`.

use super::FixOrder;
use crate::facade::Engine;
use crate::facade::operate::Deed;
use crate::facade::runs::blocking;
use crate::input::Caller;
use crate::registry::modes::{self, Change, Folder, User, Wrong};
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
use std::path::PathBuf;
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
    /// Files of the watched folder get another owner or mode; `way` tells mending from taking it back.
    Modes {
        folder: PathBuf,
        changes: Vec<Change>,
        way: Way,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Mend,
    Restore,
}

/// Files that one fix changes; the rest is for the next one. Its audit row keeps each with what it was.
const FILES_MAX: usize = 1000;

impl Plan {
    /// Each effect in one line.
    pub fn effects(&self) -> Vec<String> {
        match self {
            Plan::Set { key, before, after, .. } => {
                // A whole document, such as a schedule's, is shown by its own commands.
                let shown = |value: &Option<String>| match value.as_deref() {
                    Some(text) if text.starts_with('{') => "set".to_owned(),
                    Some(text) => text.to_owned(),
                    None => "unset".to_owned(),
                };
                vec![format!("{key}: {} -> {}", shown(before), shown(after))]
            }
            Plan::StartWorker { slots } => vec![format!("a worker with {slots} slots starts in the server")],
            Plan::DrainWorker { worker } => {
                vec![format!("worker {worker} takes no more runs and ends what it has")]
            }
            Plan::Prune { before } => {
                vec![format!("ended runs from before {before} are deleted, with journal and artifacts")]
            }
            Plan::Modes { changes, .. } => changes.iter().map(Change::to_string).collect(),
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Plan::Set { key, after: Some(_), .. } if key.starts_with("model.fallback.") => {
                "model.set_fallback"
            }
            Plan::Set { key, .. } if key.starts_with("model.fallback.") => "model.clear_fallback",
            Plan::Set { key, after, .. } if setting_operation(key, after.is_some()).is_some() => {
                setting_operation(key, after.is_some()).unwrap_or_default()
            }
            Plan::Set { after: Some(_), .. } => "limits.raise",
            Plan::Set { .. } => "limits.restore",
            Plan::StartWorker { .. } => "worker.start",
            Plan::DrainWorker { .. } => "worker.drain",
            Plan::Prune { .. } => "disk.free",
            Plan::Modes { way: Way::Mend, .. } => "packs.set_modes",
            Plan::Modes { way: Way::Restore, .. } => "packs.restore_modes",
        }
    }

    fn target(&self) -> String {
        match self {
            Plan::Set { key, .. } => key.clone(),
            Plan::StartWorker { .. } => "server".to_owned(),
            Plan::DrainWorker { worker } => worker.to_string(),
            Plan::Prune { .. } => "store".to_owned(),
            Plan::Modes { folder, .. } => folder.display().to_string(),
        }
    }
}

/// What an audit row keeps of a deed: the plan, for its way back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub cause: String,
    pub plan: Plan,
    /// The operation that this one took back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<OperationId>,
    /// The worker that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<WorkerId>,
}

impl Kept {
    /// What a row of the audit trail keeps, if it is that of a fix or its undoing.
    pub(super) fn of(row: &AuditRow) -> Option<Self> {
        let detail: serde_json::Value = serde_json::from_str(&row.detail).ok()?;
        serde_json::from_str(detail["detail"].as_str()?).ok()
    }
}

/// What a plan is carried out for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose<'a> {
    /// To mend this cause; it can be taken back.
    Fix(&'a str),
    /// To mend this cause for good.
    FixForGood(&'a str),
    /// To take an operation back that was done for this cause.
    Undo(&'a str, OperationId),
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
            Verb::PacksSetModes => self.modes_plan(&param("wrong")?)?,
            Verb::Advise => {
                let message = format!("fix {}: it is advice for a person", order.cause);
                return Err(Failure::new(Code::E011, "fix.advice", "playbooks", message));
            }
        })
    }

    /// Looked at anew: only files that are wrong now, only those that this process may mend.
    fn modes_plan(&self, wrong: &str) -> Result<Plan, Failure> {
        let Some(wrong) = Wrong::of_name(wrong) else {
            let message = format!("read wrong: {wrong:?} is neither unreadable nor open");
            return Err(Failure::new(Code::E002, "fix.bad_value", "playbooks", message));
        };
        let Some(dir) = self.config().packs.clone() else {
            let message = "set modes of pack files: no folder is watched";
            return Err(Failure::new(Code::E011, "fix.blocked", "engine", message));
        };
        let (folder, user) = (Folder::look(&dir).map_err(|error| refused(&error))?, User::present());
        let wrong = folder.wrong(wrong, &user);
        let changes = wrong.filter_map(|file| folder.mended(file, &user)).take(FILES_MAX).collect();
        Ok(Plan::Modes { folder: dir, changes, way: Way::Mend })
    }

    fn set_plan(&self, key: &str, after: Option<String>) -> Plan {
        Plan::Set { key: key.to_owned(), before: self.settings().get(key), after }
    }

    /// Sets or removes a setting as an operation that can be undone.
    ///
    /// # Errors
    /// What the store refused.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        setting: (&str, Option<String>),
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        self.change_because(operation, "", setting, caller).await
    }

    /// As [`Engine::change`], with a reason for the audit trail.
    ///
    /// # Errors
    /// What the store refused, or what does not admit the value.
    pub(crate) async fn change_because(
        &self,
        operation: &'static str,
        reason: &str,
        (key, after): (&str, Option<String>),
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let plan = self.set_plan(key, after.clone());
        let kept = Kept { cause: reason.to_owned(), plan, worker: None, undoes: None };
        let deed = Deed {
            operation,
            target: key.to_owned(),
            detail: serde_json::to_string(&kept).unwrap_or_default(),
            undo: Some("hale operations undo".to_owned()),
        };
        self.set(deed, (key, after.as_deref()), caller).await
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
        purpose: Purpose<'_>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let (cause, has_undo, undoes) = match purpose {
            Purpose::Fix(cause) => (cause, true, None),
            Purpose::FixForGood(cause) => (cause, false, None),
            Purpose::Undo(cause, id) => (cause, false, Some(id)),
        };
        let mut kept = Kept { cause: cause.to_owned(), plan: plan.clone(), undoes, worker: None };
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
            Plan::Modes { folder, changes, .. } => {
                let id = self.intend(&deed(&kept), caller).await?;
                let (folder, changes) = (folder.clone(), changes.clone());
                let set = tokio::task::spawn_blocking(move || modes::set(&folder, &changes)).await;
                set.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
                self.outcome(id, &deed(&kept), caller).await?;
                Ok(id)
            }
        }
    }

    /// The plan that takes an operation back, and the cause that the operation was done for.
    pub(super) fn plan_back(&self, row: &AuditRow) -> Result<(String, Plan), Failure> {
        let refuse = |why: &str| {
            let message = format!("undo {} {}: {why}", row.operation, row.id);
            Failure::new(Code::E011, "operation.no_undo", "engine", message)
        };
        let Some(kept) = Kept::of(row) else {
            return Err(refuse(&match &row.undo {
                Some(undo) => format!("its way back is a command of its own: {undo}"),
                None => "it has no way back".to_owned(),
            }));
        };
        let back = match kept.plan {
            Plan::Set { key, before, after } => {
                if self.settings().get(&key) != after {
                    return Err(refuse("the setting was changed since"));
                }
                Plan::Set { key, before: after, after: before }
            }
            Plan::StartWorker { .. } => {
                let worker =
                    kept.worker.or_else(|| self.embedded()).ok_or_else(|| refuse("its worker is gone"))?;
                Plan::DrainWorker { worker }
            }
            Plan::Modes { folder, changes, way: Way::Mend } => {
                let moved = modes::moved_since(&folder, &changes).map_err(|error| refused(&error))?;
                if !moved.is_empty() {
                    return Err(refuse(&format!("owner or mode changed since: {}", moved.join(", "))));
                }
                let changes = changes.iter().rev().map(modes::back).collect();
                Plan::Modes { folder, changes, way: Way::Restore }
            }
            Plan::DrainWorker { .. } | Plan::Prune { .. } | Plan::Modes { way: Way::Restore, .. } => {
                return Err(refuse("it has no way back"));
            }
        };
        Ok((kept.cause, back))
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

fn refused(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(Code::E011, "fix.failed", "engine", "set owner and mode of pack files").caused_by(error)
}

/// The operation that sets or clears a setting of the queues, tools and schedules.
fn setting_operation(key: &str, set: bool) -> Option<&'static str> {
    use crate::settings::{QUEUE_LIMIT, QUEUE_PAUSED, QUEUE_WEIGHTS, SCHEDULE, TOOL_LIMIT};
    use crate::settings::{WORKER_PROCESSES, WORKER_SLOTS};
    let named = [
        (QUEUE_LIMIT, "queues.limit", "queues.limit"),
        (QUEUE_WEIGHTS, "queues.weights", "queues.weights"),
        (QUEUE_PAUSED, "queues.drain", "queues.resume"),
        (TOOL_LIMIT, "tools.limit", "tools.limit"),
        (SCHEDULE, "schedules.create", "schedules.delete"),
        (crate::stores::ACTIVE, "artifacts.failover", "artifacts.failover"),
        (WORKER_PROCESSES, "worker.scale", "worker.scale"),
        (WORKER_SLOTS, "worker.limits", "worker.limits"),
    ];
    let (_, when_set, when_cleared) = named.into_iter().find(|(prefix, ..)| key.starts_with(prefix))?;
    Some(if set { when_set } else { when_cleared })
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
