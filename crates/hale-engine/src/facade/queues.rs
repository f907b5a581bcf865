//! Queues as operators see them: depth, age, rates, who serves them; and the levers on them.
//!
//! Depth and age come from the store's counters, rates and what executes now from the loop. Levers are settings: they
//! survive a restart, and each can be undone.
//! Read next: [`super::clear`], which takes runs out of queues.

use super::Engine;
use crate::claims::serves;
use crate::desk::Desk;
use crate::facade::runs::blocking;
use crate::input::{Caller, Input};
use crate::lines::age;
use crate::settings::{QUEUE_LIMIT, QUEUE_PAUSED, QUEUE_WEIGHTS, TOOL_LIMIT};
use hale_core::code::Code;
use hale_core::failure::Failure;
use hale_core::id::OperationId;
use hale_core::limiter::{CONCURRENCY_MAX, Limit};
use hale_core::limits;
use hale_core::nearest::nearest;
use hale_core::pack::{TOOLS, is_name};
use hale_core::queue::{Line, Weights};
use hale_core::run::{DEFAULT_QUEUE, Priority, Run};
use hale_core::time::{Millis, Timestamp};
use hale_store::{Delayed, QueueRow};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Keys that one queue tells of, the deepest first.
const KEYS_SHOWN: usize = 100;

/// How the queues stand in the loop's memory.
#[derive(Clone, Debug, Default)]
pub struct QueuesLook {
    pub queues: BTreeMap<String, QueueLook>,
    /// Runs that execute, by key.
    pub going: BTreeMap<String, u32>,
    /// Keys that may not go now, by queue.
    pub held: BTreeSet<(String, String)>,
}

#[derive(Clone, Debug, Default)]
pub struct QueueLook {
    pub weights: Weights,
    pub paused: bool,
    /// Arrived and served in the last minute, by class.
    pub flows: [(u64, u64); 3],
    /// Live workers that take from it, and their slots.
    pub workers: u32,
    pub slots: u32,
}

/// One class of a queue.
#[derive(Clone, Debug)]
pub struct ClassInfo {
    pub priority: Priority,
    pub weight: u32,
    pub depth: u64,
    pub oldest: Millis,
    pub arrived: u64,
    pub served: u64,
    /// Its oldest run is overdue and nothing of it was served for a minute, while others of the queue were.
    pub starves: bool,
}

/// One key of a queue.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    pub key: String,
    pub depth: u64,
    pub oldest: Millis,
    pub going: u32,
    pub limit: Limit,
    /// It may not go now: its limit is reached.
    pub held: bool,
}

#[derive(Clone, Debug)]
pub struct QueueInfo {
    pub name: String,
    pub depth: u64,
    pub oldest: Millis,
    /// Who drained it.
    pub paused: Option<String>,
    pub workers: u32,
    pub slots: u32,
    /// Runs wait and no live worker takes from it.
    pub unserved: bool,
    pub classes: Vec<ClassInfo>,
    pub keys: Vec<KeyInfo>,
    /// Packs whose runs wait here.
    pub packs: Vec<String>,
}

impl Desk {
    pub(crate) fn look_queues(&self, now: Timestamp) -> QueuesLook {
        let mut names: BTreeSet<String> = self.queue.names().map(|(name, _)| name.to_string()).collect();
        names.insert(DEFAULT_QUEUE.to_owned());
        names.extend(self.registry.list().iter().filter_map(|pack| pack.manifest.queue.clone()));
        names.extend(self.settings.queues().into_keys());
        names.extend(
            self.workers.values().flat_map(|worker| worker.queues.iter().map(|name| name.to_string())),
        );
        let one = |name: &String| {
            let live = self
                .workers
                .values()
                .filter(|worker| !worker.draining && worker.until > now && serves(&worker.queues, name));
            let (workers, slots) = live.fold((0, 0), |(n, slots), worker| (n + 1, slots + worker.slots));
            QueueLook {
                weights: self.queue.weights(name),
                paused: self.queue.is_paused(name),
                flows: Priority::ALL.map(|priority| self.flows.last_minute(name, priority, now)),
                workers,
                slots,
            }
        };
        let going = self.active.values().filter(|active| active.run.lease().is_some());
        QueuesLook {
            queues: names.iter().map(|name| (name.clone(), one(name))).collect(),
            going: going.fold(BTreeMap::new(), |mut all, active| {
                *all.entry(active.run.key.to_string()).or_default() += 1;
                all
            }),
            held: self.queue.held().map(|(queue, key)| (queue.to_string(), key.to_string())).collect(),
        }
    }
}

impl Engine {
    /// Every queue that is known: by its runs, packs, workers or settings; and what waits for its time.
    ///
    /// # Errors
    /// E014 when the loop does not answer, or what the store could not read.
    pub async fn queues(&self) -> Result<(Vec<QueueInfo>, Delayed), Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Input::LookQueues { reply }).await?;
        let look = answer.await.map_err(|_| super::gone())?;
        let store = self.0.store.clone();
        let (rows, delayed) = blocking(move || Ok((store.queue()?, store.delayed()?))).await?;
        let mut names: BTreeSet<String> = look.queues.keys().cloned().collect();
        names.extend(rows.iter().map(|row| row.line.queue.to_string()));
        Ok((names.into_iter().map(|name| self.queue_info(name, &rows, &look)).collect(), delayed))
    }

    /// One queue.
    ///
    /// # Errors
    /// E010 when nobody knows it, and as [`Engine::queues`].
    pub async fn queue(&self, name: &str) -> Result<QueueInfo, Failure> {
        let (queues, _) = self.queues().await?;
        let known: Vec<String> = queues.iter().map(|queue| queue.name.clone()).collect();
        queues.into_iter().find(|queue| queue.name == name).ok_or_else(|| no_queue(name, &known))
    }

    fn queue_info(&self, name: String, rows: &[QueueRow], look: &QueuesLook) -> QueueInfo {
        let now = self.now();
        let stands = look.queues.get(&name).cloned().unwrap_or_default();
        let rows: Vec<&QueueRow> = rows.iter().filter(|row| row.line.queue.as_ref() == name).collect();
        let depth = rows.iter().map(|row| row.count).sum();
        let classes = Priority::ALL.map(|priority| class_info(priority, (&rows, &stands), now));
        let packs = self
            .registry()
            .list()
            .into_iter()
            .filter(|pack| pack.manifest.queue.as_deref().unwrap_or(DEFAULT_QUEUE) == name);
        QueueInfo {
            depth,
            oldest: age(rows.iter().filter_map(|row| row.oldest).min(), now),
            paused: self.settings().get(&format!("{QUEUE_PAUSED}{name}")),
            workers: stands.workers,
            slots: stands.slots,
            unserved: depth > 0 && stands.workers == 0,
            classes: classes.into(),
            keys: self.key_infos(&name, &rows, look),
            packs: packs.map(|pack| pack.manifest.name.clone()).collect(),
            name,
        }
    }

    fn key_infos(&self, queue: &str, rows: &[&QueueRow], look: &QueuesLook) -> Vec<KeyInfo> {
        let now = self.now();
        let mut keys: BTreeMap<&str, (u64, Option<Timestamp>)> = BTreeMap::new();
        for row in rows {
            let (depth, oldest) = keys.entry(row.line.key.as_ref()).or_default();
            *depth += row.count;
            *oldest = [*oldest, row.oldest].into_iter().flatten().min();
        }
        let info = |(key, (depth, oldest)): (&str, (u64, Option<Timestamp>))| KeyInfo {
            key: key.to_owned(),
            depth,
            oldest: age(oldest, now),
            going: look.going.get(key).copied().unwrap_or(0),
            limit: self.limit_of(key),
            held: look.held.contains(&(queue.to_owned(), key.to_owned())),
        };
        let mut infos: Vec<KeyInfo> = keys.into_iter().map(info).collect();
        infos.sort_by(|a, b| b.depth.cmp(&a.depth).then_with(|| a.key.cmp(&b.key)));
        infos.truncate(KEYS_SHOWN);
        infos
    }

    /// The limit that holds for a key: what an operator set for it, else for its pack, else what the pack's file says.
    pub fn limit_of(&self, key: &str) -> Limit {
        let set = |name: &str| {
            let text = self.settings().get(&format!("{QUEUE_LIMIT}{name}"))?;
            serde_json::from_str(&text).ok()
        };
        let pack = crate::gates::pack_of(key);
        set(key).or_else(|| set(pack)).unwrap_or_else(|| self.registry().flow(pack))
    }

    /// The runs that stand first in a queue, without taking them: by class, the oldest of each first.
    ///
    /// # Errors
    /// As [`Engine::queue`].
    pub async fn peek(&self, name: &str, limit: u32) -> Result<Vec<Run>, Failure> {
        self.queue(name).await?;
        let (store, name) = (self.0.store.clone(), name.to_owned());
        let limit = limit.min(limits::PAGE_MAX);
        blocking(move || {
            let mut rows = store.queue()?;
            rows.retain(|row| row.line.queue.as_ref() == name && row.count > 0);
            rows.sort_by_key(|row| (row.line.priority, row.oldest));
            let mut runs: Vec<Run> = Vec::new();
            for priority in Priority::ALL {
                let left = limit.saturating_sub(runs.len() as u32);
                // The oldest n runs of a class stand in the n lines whose heads are the oldest.
                let lines: Vec<&Line> = rows
                    .iter()
                    .map(|row| &row.line)
                    .filter(|line| line.priority == priority)
                    .take(left as usize)
                    .collect();
                let mut class: Vec<Run> = Vec::new();
                for line in lines {
                    class.extend(store.peek(line, left)?);
                }
                class.sort_by_key(|run| (run.waits_since(), run.id));
                class.truncate(left as usize);
                runs.extend(class);
            }
            Ok(runs)
        })
        .await
    }

    /// Gives no run of a queue to workers until it is resumed; it goes on taking runs.
    ///
    /// # Errors
    /// As [`Engine::queue`], E011 when it is drained already.
    pub async fn queue_drain(&self, name: &str, caller: &Caller) -> Result<OperationId, Failure> {
        let queue = self.queue(name).await?;
        if let Some(by) = queue.paused {
            return Err(conflict(format!("drain queue {name}: {by} has drained it already")));
        }
        let by = Some(caller.actor.to_string());
        self.change("queues.drain", (&format!("{QUEUE_PAUSED}{name}"), by), caller).await
    }

    /// # Errors
    /// As [`Engine::queue`], E011 when it is not drained.
    pub async fn queue_resume(&self, name: &str, caller: &Caller) -> Result<OperationId, Failure> {
        if self.queue(name).await?.paused.is_none() {
            return Err(conflict(format!("resume queue {name}: it is not drained")));
        }
        self.change("queues.resume", (&format!("{QUEUE_PAUSED}{name}"), None), caller).await
    }

    /// Sets how many turns each class of a queue has; none goes back to 6, 3 and 1.
    ///
    /// # Errors
    /// As [`Engine::queue`]; E002 for a weight of 0 or above [`limits::WEIGHT_MAX`].
    pub async fn queue_weights(
        &self,
        name: &str,
        weights: Option<Weights>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        self.queue(name).await?;
        if let Some(bad) = weights.iter().flatten().find(|weight| !(1..=limits::WEIGHT_MAX).contains(*weight))
        {
            let most = limits::WEIGHT_MAX;
            let message = format!(
                "give a class of queue {name} the weight {bad}: 1 to {most} are allowed, 0 would starve it"
            );
            return Err(invalid("queue.invalid_weight", message));
        }
        let value = weights.map(|weights| serde_json::json!(weights).to_string());
        self.change("queues.weights", (&format!("{QUEUE_WEIGHTS}{name}"), value), caller).await
    }

    /// Limits a pack or a key (`tenant/pack`); none goes back to what the pack's file says.
    ///
    /// # Errors
    /// E002 for what is no key or no limit.
    pub async fn key_limit(
        &self,
        key: &str,
        limit: Option<Limit>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        let (tenant, pack) = key.split_once('/').unwrap_or(("default", key));
        if !is_name(pack) || tenant.is_empty() || tenant.len() > limits::NAME_CHARS {
            let message = format!("limit {key:?}: write the name of a pack, or TENANT/PACK");
            return Err(invalid("queue.invalid_key", message));
        }
        if !key.contains('/') {
            self.registry().info(pack, None)?;
        }
        let most = limit.and_then(|limit| limit.concurrency);
        if most.is_some_and(|most| most == 0 || most > CONCURRENCY_MAX) {
            let message = format!(
                "limit {key} to {} at a time: 1 to {CONCURRENCY_MAX} are allowed; to let none go: hale packs disable {pack}",
                most.unwrap_or(0)
            );
            return Err(invalid("queue.invalid_limit", message));
        }
        let value = limit.and_then(|limit| serde_json::to_string(&limit).ok());
        self.change("queues.limit", (&format!("{QUEUE_LIMIT}{key}"), value), caller).await
    }

    /// Limits the calls of a tool that each worker makes at a time; none takes the limit away.
    ///
    /// # Errors
    /// E002 for an unknown tool or a number that is not allowed.
    pub async fn tool_limit(
        &self,
        tool: &str,
        calls: Option<u32>,
        caller: &Caller,
    ) -> Result<OperationId, Failure> {
        if !TOOLS.contains(&tool) {
            let meant =
                nearest(tool, TOOLS).map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
            let message = format!("limit tool {tool:?}{meant}: the tools are {}", TOOLS.join(", "));
            return Err(invalid("tool.unknown", message));
        }
        if calls.is_some_and(|calls| calls == 0 || calls > limits::TOOL_CONCURRENCY_MAX) {
            let most = limits::TOOL_CONCURRENCY_MAX;
            let message = format!(
                "limit tool {tool} to {} calls at a time: 1 to {most} are allowed",
                calls.unwrap_or(0)
            );
            return Err(invalid("tool.invalid_limit", message));
        }
        let value = calls.map(|calls| calls.to_string());
        self.change("tools.limit", (&format!("{TOOL_LIMIT}{tool}"), value), caller).await
    }

    /// Limits that operators set, by key; those of tools as `tool:NAME`.
    pub fn limits_set(&self) -> BTreeMap<String, Limit> {
        let keys = self.settings().below(QUEUE_LIMIT).into_iter().filter_map(|(key, value)| {
            Some((key.strip_prefix(QUEUE_LIMIT)?.to_owned(), serde_json::from_str(&value).ok()?))
        });
        let tools =
            self.settings().tool_limits().into_iter().map(|(tool, calls)| {
                (format!("tool:{tool}"), Limit { concurrency: Some(calls), rate: None })
            });
        keys.chain(tools).collect()
    }

    /// The loop and the schedules hear of a setting that is theirs.
    pub(crate) async fn retuned(&self, key: &str) -> Result<(), Failure> {
        if key == crate::settings::WORKER_PROCESSES {
            self.processes_changed();
        } else if key.starts_with("queue.") || key.starts_with(crate::settings::WORKER) {
            let (reply, answer) = oneshot::channel();
            self.send(Input::Retune { reply }).await?;
            answer.await.map_err(|_| super::gone())?;
        } else if key.starts_with(crate::settings::SCHEDULE) {
            self.0.schedules_changed.notify_one();
        } else if key == crate::stores::ACTIVE {
            self.turn_stores();
        }
        Ok(())
    }
}

fn class_info(priority: Priority, (rows, stands): (&[&QueueRow], &QueueLook), now: Timestamp) -> ClassInfo {
    let mine = || rows.iter().filter(|row| row.line.priority == priority);
    let oldest = age(mine().filter_map(|row| row.oldest).min(), now);
    let depth = mine().map(|row| row.count).sum();
    let (arrived, served) = stands.flows[priority as usize];
    let others: u64 = stands.flows.iter().map(|(_, served)| served).sum::<u64>() - served;
    ClassInfo {
        priority,
        weight: stands.weights[priority as usize],
        depth,
        oldest,
        arrived,
        served,
        starves: depth > 0 && oldest > limits::PENDING_ALERT && served == 0 && others > 0,
    }
}

fn no_queue(name: &str, known: &[String]) -> Failure {
    let meant = nearest(name, known.iter().map(String::as_str));
    let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
    let message = format!("find queue {name:?}{meant}: the queues are {}", known.join(", "));
    Failure::new(Code::E010, "queue.not_found", "engine", message)
}

fn conflict(message: String) -> Failure {
    Failure::new(Code::E011, "queue.conflict", "engine", message)
}

fn invalid(cause: &str, message: String) -> Failure {
    Failure::new(Code::E002, cause, "engine", message)
}
