//! What the engine is told at its start, and the settings that an operator changes while it runs.
//!
//! Settings live in the store, so that a fix survives a restart; each has an undo through the operation that set it.
//! Read next: [`crate::remedy`], which sets them.

use crate::clock::Clock;
use crate::facade::prune::Retention;
use crate::worker::jobs::JobsConfig;
use arc_swap::ArcSwap;
use hale_core::fault;
use hale_core::guard::Action;
use hale_core::id::WorkerId;
use hale_core::limits;
use hale_core::queue::{WEIGHTS, Weights};
use hale_core::retry;
use hale_core::time::Millis;
use hale_core::web::Site;
use hale_sandbox::Grant;
use hale_store::WorkerKind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The engine's configuration; parsed at the rim, handed down as plain values.
#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    /// Folder of packs that is watched; none means packs come by `deploy` only.
    pub packs: Option<PathBuf>,
    /// Time limit of a pack that names none.
    pub run_timeout: Millis,
    /// Retries of tools and connectors, where a pack says nothing.
    pub retries_max: u32,
    /// The bound on time without progress.
    pub visibility: Millis,
    /// Runs that may wait; the next one is refused.
    pub queue_depth_max: u64,
    /// Slots of the embedded worker; 0 means that only worker processes execute.
    pub embedded_slots: u32,
    /// Folders that packs may be granted.
    pub files_allow: Vec<Grant>,
    /// Where on the web packs may be granted to call.
    pub web_allow: Vec<Site>,
    /// `provider/model` for packs that name none.
    pub default_model: String,
    /// Models that may stand in for another one, best first.
    pub spare_models: Vec<String>,
    /// The longest model call.
    pub model_timeout: Millis,
    /// What clients call models by: name and `provider/model`.
    pub model_aliases: BTreeMap<String, String>,
    /// Waits between the tries of a client's call.
    pub model_retry: retry::Policy,
    /// What the content guard does where a pack says nothing.
    pub guard_default: Action,
    /// Ended runs are kept this long.
    pub retention: Millis,
    /// How long and how much of everything is kept.
    pub keep: Retention,
    /// What jobs may run.
    pub jobs: JobsConfig,
    pub clock: Clock,
    pub faults: fault::Handle,
}

impl Config {
    /// An engine on `data` that keeps to the bounds of [`limits`], knows the simulated models only, and has neither
    /// packs nor granted folders: what a lab starts from.
    pub fn small(data: PathBuf, clock: Clock) -> Self {
        Self {
            data,
            packs: None,
            run_timeout: limits::RUN_TIMEOUT,
            retries_max: limits::RETRIES_MAX,
            visibility: limits::VISIBILITY,
            queue_depth_max: limits::QUEUE_DEPTH,
            embedded_slots: limits::WORKER_CONCURRENCY,
            files_allow: Vec::new(),
            web_allow: Vec::new(),
            default_model: "sim/small".to_owned(),
            spare_models: vec!["sim/backup".to_owned()],
            model_timeout: Millis::seconds(120),
            model_aliases: BTreeMap::new(),
            model_retry: retry::RetryClass::Tool.policy(),
            guard_default: Action::Shadow,
            retention: Millis::seconds(86_400),
            keep: Retention::a_day(),
            jobs: JobsConfig::default(),
            clock,
            faults: fault::Handle::default(),
        }
    }
}

/// Keys of limits that operators set: what follows is a pack, or `tenant/pack`.
pub const QUEUE_LIMIT: &str = "queue.limit.";
/// Keys of weights: what follows is a queue.
pub const QUEUE_WEIGHTS: &str = "queue.weights.";
/// Keys of drained queues: what follows is a queue, the value says by whom.
pub const QUEUE_PAUSED: &str = "queue.paused.";
/// Keys of tools' limits: what follows is a tool, the value is a number of calls.
pub const TOOL_LIMIT: &str = "tools.limit.";
/// Keys of schedules: what follows is a name.
pub const SCHEDULE: &str = "schedule.";
/// Keys of what operators set of workers.
pub const WORKER: &str = "worker.";
/// How many worker processes the server keeps.
pub const WORKER_PROCESSES: &str = "worker.processes";
/// Keys of workers' slots: what follows is `embedded`, `seat.N` or a worker's id.
pub const WORKER_SLOTS: &str = "worker.slots.";
/// Keys of what schedules have done.
pub const SCHEDULE_DONE: &str = "schedule_done.";

/// What operators set for one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuned {
    pub weights: Weights,
    /// Who drained it.
    pub paused: Option<String>,
}

impl Default for Tuned {
    fn default() -> Self {
        Self { weights: WEIGHTS, paused: None }
    }
}

/// Runtime settings by key; the latest set is swapped in whole.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: Arc<ArcSwap<BTreeMap<String, String>>>,
}

/// Key of the fallback that an operator set for a model.
pub fn fallback_key(model: &str) -> String {
    format!("model.fallback.{model}")
}

/// Key of the time limit that an operator set for a pack, in milliseconds.
pub fn limit_key(pack: &str) -> String {
    format!("limits.timeout_ms.{pack}")
}

/// The key of a worker's slots: a place outlives those who take it, so that it is meant rather than its worker.
pub fn slots_key(id: WorkerId, kind: WorkerKind, seat: Option<u32>) -> String {
    match (kind, seat) {
        (WorkerKind::Embedded, _) => format!("{WORKER_SLOTS}embedded"),
        (WorkerKind::Process, Some(seat)) => format!("{WORKER_SLOTS}seat.{seat}"),
        (WorkerKind::Process, None) => format!("{WORKER_SLOTS}{id}"),
    }
}

impl Settings {
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let settings = Self::default();
        settings.values.store(Arc::new(values.into_iter().collect()));
        settings
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.values.load().get(key).cloned()
    }

    /// All settings with keys below `prefix`.
    pub fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let values = self.values.load();
        let below = values.iter().filter(|(key, _)| key.starts_with(prefix));
        below.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Takes over what is durable already.
    pub(crate) fn set(&self, key: &str, value: Option<&str>) {
        self.values.rcu(|values| {
            let mut next = BTreeMap::clone(values);
            match value {
                Some(value) => next.insert(key.to_owned(), value.to_owned()),
                None => next.remove(key),
            };
            next
        });
    }

    /// Weights and pauses by queue, where anything is set.
    pub fn queues(&self) -> BTreeMap<String, Tuned> {
        let mut all: BTreeMap<String, Tuned> = BTreeMap::new();
        for (key, value) in self.below(QUEUE_WEIGHTS) {
            if let (Some(name), Ok(weights)) = (key.strip_prefix(QUEUE_WEIGHTS), serde_json::from_str(&value))
            {
                all.entry(name.to_owned()).or_default().weights = weights;
            }
        }
        for (key, value) in self.below(QUEUE_PAUSED) {
            if let Some(name) = key.strip_prefix(QUEUE_PAUSED) {
                all.entry(name.to_owned()).or_default().paused = Some(value);
            }
        }
        all
    }

    /// Calls of each tool that a worker may make at a time, where anything is set.
    pub fn tool_limits(&self) -> BTreeMap<String, u32> {
        let set = self.below(TOOL_LIMIT).into_iter();
        set.filter_map(|(key, value)| Some((key.strip_prefix(TOOL_LIMIT)?.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// How many worker processes an operator wants.
    pub fn processes(&self) -> Option<u32> {
        self.get(WORKER_PROCESSES)?.parse().ok()
    }

    /// The slots of a worker that asks for `asked`: what an operator set for its place, else for itself.
    pub fn slots(&self, (id, kind, seat): (WorkerId, WorkerKind, Option<u32>), asked: u32) -> u32 {
        let set = |key: String| self.get(&key)?.parse().ok();
        let slots = set(slots_key(id, kind, seat)).unwrap_or(asked);
        slots.min(limits::WORKER_CONCURRENCY_MAX)
    }

    /// The limit that an operator raised for `pack`.
    pub fn limit(&self, pack: &str) -> Option<Millis> {
        self.get(&limit_key(pack))?.parse().ok().map(Millis)
    }

    /// The models to try after `model`, as an operator set them.
    pub fn fallback(&self, model: &str) -> Vec<String> {
        let set = self.get(&fallback_key(model));
        set.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default()
    }
}
