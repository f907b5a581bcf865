//! Queues, their levers and limits, as the doors show them.
//!
//! Read next: `http/queues.rs`, which fills them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/v1/queues`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Queues {
    /// `hale.queues/1`
    pub schema: String,
    pub items: Vec<QueueView>,
    /// Runs that wait for their time, in all queues.
    pub delayed: u64,
    /// When the first of them is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due_at: Option<String>,
}

/// One queue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// `hale.queue/1`
    pub schema: String,
    pub name: String,
    /// Runs that wait for their turn.
    pub depth: u64,
    /// How long the one that has waited longest has waited.
    pub oldest_ms: u64,
    /// Who drained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_by: Option<String>,
    /// Live workers that take from it, and their slots.
    pub workers: u32,
    pub slots: u32,
    /// Runs wait and no live worker takes from it.
    pub unserved: bool,
    pub classes: Vec<ClassView>,
    /// Keys with runs that wait, the deepest first, at most 100.
    pub keys: Vec<KeyDepth>,
    /// Packs whose runs wait here.
    pub packs: Vec<String>,
}

/// One class of a queue; rates are of the last minute.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClassView {
    pub priority: String,
    /// Its turns in a round of all classes.
    pub weight: u32,
    pub depth: u64,
    pub oldest_ms: u64,
    pub arrived_per_minute: u64,
    pub served_per_minute: u64,
    /// Its oldest run is overdue and none of it was served for a minute, while others of the queue were.
    pub starves: bool,
}

/// One key of a queue: a pack, or `tenant/pack`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyDepth {
    pub key: String,
    pub depth: u64,
    pub oldest_ms: u64,
    /// Runs of it that execute now.
    pub running: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Its limit is reached: none of it goes now.
    pub held: bool,
}

/// A lever was moved.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// `hale.operation/1`
    pub schema: String,
    pub target: String,
    pub operation: String,
    /// The command that takes it back.
    pub undo: String,
}

/// `POST /api/v1/queues/{name}/weights`; without any the defaults come back.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetWeights {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<u32>,
    /// Back to 6, 3 and 1.
    #[serde(default)]
    pub reset: bool,
}

/// `POST /api/v1/queues/{name}/purge`, `-` for every queue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeQueue {
    /// Narrows what is cancelled, as in the list of runs.
    #[serde(default)]
    pub filter: String,
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/v1/queues/{name}/move-stuck`, `-` for every queue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveStuck {
    /// A span such as `1h`: runs that have waited longer are moved.
    pub older_than: String,
    #[serde(default)]
    pub filter: String,
    #[serde(default)]
    pub dry_run: bool,
}

/// What taking runs out of a queue did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Cleared {
    /// `hale.cleared/1`
    pub schema: String,
    pub dry_run: bool,
    pub matched: u64,
    pub changed: u64,
    /// Ids with the reason for which they were left alone, at most 100.
    pub left: BTreeMap<String, String>,
    /// How to get them back.
    pub recover: String,
}

/// `GET /api/v1/limits`: what operators set, by pack, `tenant/pack` or `tool:NAME`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LimitsSet {
    /// `hale.limits/1`
    pub schema: String,
    pub limits: BTreeMap<String, String>,
}

/// `POST /api/v1/limits`. Without concurrency and rate the limit that was set is taken away.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLimit {
    /// A pack, `tenant/pack`, or `tool:NAME`.
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `10/s`, `100/m`, `5/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
}
