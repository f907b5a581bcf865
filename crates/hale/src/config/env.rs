//! Every environment variable that hale reads, in one list.
//!
//! The environment is read once, at the door, into a value; nothing else asks the process for it. An empty variable
//! counts as not set. Names of the operators' guides are aliases of ours, and ours win.
//! Leaves to others: what a value means ([`super::load`]), secrets ([`hale_gateway::secret`]).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A variable that sets a key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    pub key: &'static str,
    /// Where the name comes from the guides: our own name for it.
    pub guide: Option<&'static str>,
}

const fn own(name: &'static str, key: &'static str) -> Variable {
    Variable { name, key, guide: None }
}

const fn guide(name: &'static str, key: &'static str, own: &'static str) -> Variable {
    Variable { name, key, guide: Some(own) }
}

/// Variables that set keys; of two that set the same key the first wins.
pub static SETTING: [Variable; 37] = [
    own("HALE_LISTEN", "listen"),
    own("HALE_DATA", "data"),
    own("HALE_PACKS", "packs"),
    own("HALE_FILES_ALLOW", "files.allow"),
    own("HALE_WEB_ALLOW", "web.allow"),
    own("HALE_JOBS_ALLOW", "jobs.allow"),
    own("HALE_ARMS_ALLOW", "arms.allow"),
    own("HALE_RUN_TIMEOUT", "run.timeout"),
    guide("AGENT_TIMEOUT", "run.timeout", "HALE_RUN_TIMEOUT"),
    own("HALE_RUN_RETRIES_MAX", "run.retries_max"),
    guide("MAX_RETRIES", "run.retries_max", "HALE_RUN_RETRIES_MAX"),
    own("HALE_WORKER_CONCURRENCY", "worker.concurrency"),
    guide("WORKER_CONCURRENCY", "worker.concurrency", "HALE_WORKER_CONCURRENCY"),
    own("HALE_WORKER_EMBEDDED", "worker.embedded"),
    own("HALE_WORKER_PROCESSES", "worker.processes"),
    own("HALE_QUEUE_VISIBILITY_TIMEOUT", "queue.visibility_timeout"),
    guide("QUEUE_VISIBILITY_TIMEOUT", "queue.visibility_timeout", "HALE_QUEUE_VISIBILITY_TIMEOUT"),
    own("HALE_QUEUE_DEPTH_MAX", "queue.depth_max"),
    own("HALE_LOG_LEVEL", "log.level"),
    guide("LOG_LEVEL", "log.level", "HALE_LOG_LEVEL"),
    own("HALE_LOG_FORMAT", "log.format"),
    own("HALE_MODEL", "model.default"),
    own("HALE_MODEL_TIMEOUT", "model.timeout"),
    guide("AXONFLOW_LLM_TIMEOUT", "model.timeout", "HALE_MODEL_TIMEOUT"),
    own("HALE_MODEL_ALIASES", "model.aliases"),
    own("HALE_MODEL_RETRY", "model.retry"),
    own("HALE_MODEL_BASE_URL", "providers.openai.base_url"),
    own("HALE_GUARD_DEFAULT", "guard.default"),
    own("HALE_SIM_ENABLED", "sim.enabled"),
    own("HALE_ACCESS_REQUIRE_KEY", "access.require_key"),
    own("HALE_ACCESS_HOSTS", "access.hosts"),
    own("HALE_CHAOS_ALLOW", "chaos.allow"),
    own("HALE_RETENTION_RUNS", "retention.runs"),
    own("HALE_RETENTION_MAX", "retention.max"),
    own("HALE_RETENTION_ARTIFACTS", "retention.artifacts"),
    own("HALE_RETENTION_LOGS", "retention.logs"),
    own("HALE_ARTIFACTS_SECONDARY", "artifacts.secondary"),
];

/// Variables that are read for something other than a key, with what for.
pub static OTHER: [(&str, &str); 11] = [
    ("HALE_CONFIG", "configuration file to read instead of ./hale.toml and hale.toml in the data folder"),
    ("HALE_URL", "address of the server that commands talk to"),
    ("HALE_CONTEXT", "name of the server that commands talk to, as in hale contexts list"),
    ("HALE_KEY", "API key that commands send"),
    ("HALE_KEY_FILE", "file with the API key that commands send"),
    ("XDG_STATE_HOME", "parent of the user's state folder; without it ~/.local/state"),
    ("XDG_CONFIG_HOME", "parent of the folder with the user's contexts; without it ~/.config"),
    ("HOME", "home folder, for ~/.local/state and ~/.config"),
    ("OPENAI_API_KEY", "key of the provider openai; any provider NAME has NAME_API_KEY, also with _FILE"),
    (
        "HALE_SECRET_OPENAI",
        "the same under our own prefix; any provider NAME has HALE_SECRET_NAME, also with _FILE",
    ),
    (
        "HALE_PROVIDERS_OPENAI_BASE_URL",
        "sets providers.openai.base_url; so for any provider, and for KEY_ENV and DIALECT",
    ),
];

/// The environment as a value.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: Arc<BTreeMap<String, String>>,
}

impl Environment {
    /// Reads the environment of this process. Variables that are not UTF-8 are none of ours.
    pub fn of_process() -> Self {
        let pairs = std::env::vars_os();
        pairs
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The same environment without one variable.
    pub fn without(&self, name: &str) -> Self {
        let left = self.values.iter().filter(|(other, _)| *other != name);
        left.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The user's state folder for hale; none without a home.
    pub fn state_dir(&self) -> Option<PathBuf> {
        let state = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || self.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        state.or_else(home).map(|state| state.join("hale"))
    }

    /// The user's configuration folder for hale; none without a home.
    pub fn config_dir(&self) -> Option<PathBuf> {
        let config = self.get("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || self.get("HOME").map(|home| PathBuf::from(home).join(".config"));
        config.or_else(home).map(|config| config.join("hale"))
    }

    /// Variables that look like ours and are not: a slip that would otherwise pass in silence.
    pub fn strangers(&self) -> Vec<String> {
        let known = |name: &str| {
            SETTING.iter().any(|variable| variable.name == name)
                || OTHER.iter().any(|(other, _)| *other == name)
                || name.starts_with("HALE_SECRET_")
                || provider_key(name).is_some()
        };
        self.names().filter(|name| name.starts_with("HALE_") && !known(name)).map(str::to_owned).collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self { values: Arc::new(pairs.into_iter().collect()) }
    }
}

/// `HALE_PROVIDERS_LOCAL_BASE_URL` sets `providers.local.base_url`.
pub fn provider_key(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("HALE_PROVIDERS_")?;
    ["base_url", "key_env", "dialect"].into_iter().find_map(|field| {
        let name = rest.strip_suffix(&field.to_ascii_uppercase())?.strip_suffix('_')?;
        (!name.is_empty())
            .then(|| format!("providers.{}.{field}", name.to_ascii_lowercase().replace('_', "-")))
    })
}
