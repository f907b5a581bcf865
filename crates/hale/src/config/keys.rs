//! All settings: the struct is the list, its doc comments are the documentation.
//!
//! Guarantees: a setting that is not here does not exist; each has a default in `defaults.toml`, or is optional.
//! Leaves to others: the names of environment variables ([`super::env`]), checks across settings ([`super::check`]).
//! Read next: [`super::load`].

use super::value::{
    ChaosAllow, Dialect, GuardDefault, LogFormat, LogLevel, ModelRetry, Raw, Setting, SimMode, Size,
};
use hale_core::time::Millis;
use hale_core::web::Site;
use hale_sandbox::Grant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is known of a setting without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    doc: &'static str,
    /// What to write.
    pub expects: &'static str,
    pub life: Life,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// At the next start.
    Start,
    /// While the server runs.
    Hot,
}

impl Key {
    /// The documentation in one paragraph.
    pub fn doc(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The values found, by key, after precedence.
pub trait Lookup {
    fn raw(&self, key: &str) -> Option<&Raw>;
    /// Says that a value does not fit.
    fn misfit(&mut self, key: &'static str, why: String);
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident : $kind:ty = $name:literal, $life:ident;)+) => {
        /// Every setting with its value.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $kind,)+
            /// Model providers by the prefix of their models.
            pub providers: BTreeMap<String, Provider>,
        }

        /// Every setting of a fixed name, in the order of the documentation.
        pub static KEYS: &[Key] = &[$(Key {
            name: $name,
            doc: concat!($($doc, "\n"),+),
            expects: <$kind as Setting>::EXPECTS,
            life: Life::$life,
        }),+];

        impl Settings {
            /// Reads every setting, and reports each value that does not fit; None if there was one.
            pub fn assemble(values: &mut dyn Lookup, providers: BTreeMap<String, Provider>) -> Option<Self> {
                $(let $field = take::<$kind>(values, $name);)+
                Some(Self { $($field: $field?,)+ providers })
            }

            /// Every value as text, by key.
            pub fn shown(&self) -> BTreeMap<&'static str, String> {
                BTreeMap::from([$(($name, self.$field.show())),+])
            }
        }
    };
}

settings! {
    /// Address that the server listens on. Port 0 takes a free port. Any host other than loopback needs an API key:
    /// `hale keys create`.
    listen: SocketAddr = "listen", Start;
    /// Data folder: database, artifacts, packs, logs. One server at a time holds it. Without it: `./.hale` if it
    /// exists, else the user's state folder.
    data: Option<PathBuf> = "data", Start;
    /// Folder of packs that is watched; a changed file is deployed at once, a broken one leaves the last good version
    /// running. Without it: `packs` in the data folder.
    packs: Option<PathBuf> = "packs", Start;
    /// Folders that packs may be granted, each with `:ro` or `:rw`. A pack that asks for more is refused at deploy.
    files_allow: Vec<Grant> = "files.allow", Start;
    /// Where on the web packs may be granted to call: `example.com`, `*.rust-lang.org`, or `*` for every public host, on
    /// ports 80 and 443; another port, or an address that is not public, is named as it is: `10.0.0.7:8080`. Empty means
    /// nowhere. A pack that asks for more is refused at deploy.
    web_allow: Vec<Site> = "web.allow", Start;
    /// Programs, and folders of programs, that packs of kind `job` may run. Your list takes the place of the default.
    jobs_allow: Vec<PathBuf> = "jobs.allow", Start;
    /// Hosts beside this machine on which arms may be: names or addresses. Arms say themselves where they are, so
    /// without this list the server calls nobody on their word but services on its own machine.
    arms_allow: Vec<String> = "arms.allow", Start;
    /// Time limit of a run whose pack names none.
    run_timeout: Millis = "run.timeout", Start;
    /// Retries of a failed tool or connector after its first try, where the pack names none.
    run_retries_max: u32 = "run.retries_max", Start;
    /// Runs that a worker executes at the same time, where nothing else is said.
    worker_concurrency: u32 = "worker.concurrency", Start;
    /// Whether the server executes runs itself. With `false` only `hale worker` processes do.
    worker_embedded: bool = "worker.embedded", Start;
    /// Worker processes that the server starts and keeps: one that ends is started again. What `hale workers scale`
    /// sets stands above this.
    worker_processes: u32 = "worker.processes", Start;
    /// Longest time without progress before a run is taken from its worker. Leases are apart from this: the runs
    /// of a dead worker are taken from it within 15 s.
    queue_visibility_timeout: Millis = "queue.visibility_timeout", Start;
    /// Runs that may wait in all queues together; the next one is refused with 429 and comes again later. A bound that
    /// the workers clear within a minute keeps waits short when more comes than they can do.
    queue_depth_max: u32 = "queue.depth_max", Start;
    /// Least severe level that is logged.
    log_level: LogLevel = "log.level", Start;
    /// Form of log lines on stderr: `json`, or `text` as `LEVEL [run_id=…] message`. The file in the data folder is
    /// always JSON.
    log_format: LogFormat = "log.format", Start;
    /// Model of packs that name none, as `provider/model`.
    model_default: String = "model.default", Start;
    /// Longest model call; never longer than what is left of the run's own limit.
    model_timeout: Millis = "model.timeout", Start;
    /// What clients of `/v1` call a model by beside its own name, each as `name=provider/model`. The name `*` stands for
    /// every name that no provider has.
    model_aliases: Vec<String> = "model.aliases", Start;
    /// Waits before the models of a client's call are tried again: `agentos` (1, 2, 4 s), `octollm` (4 to 60 s, four
    /// times), or `off`. `Retry-After` always wins, and no wait ends after the call's deadline.
    model_retry: ModelRetry = "model.retry", Start;
    /// What is done with secrets and personal data in inputs, outputs and results of tools, where the pack says
    /// nothing: `shadow` counts and logs, `redact` puts the kind in their place, `block` fails the run.
    guard_default: GuardDefault = "guard.default", Start;
    /// Whether the simulated provider is started: `auto` when the default model is `sim/…`.
    sim_enabled: SimMode = "sim.enabled", Start;
    /// Whether an API key is needed on loopback too. Elsewhere it always is.
    access_require_key: bool = "access.require_key", Start;
    /// Host names under which clients may call the server, beside loopback and the address that it listens on.
    access_hosts: Vec<String> = "access.hosts", Start;
    /// Where faults may be injected: `loopback` listeners only, `always`, or `never`.
    chaos_allow: ChaosAllow = "chaos.allow", Start;
    /// Absolute folder of a second artifact store, to fail over to; one server's alone. Another disk than the data
    /// folder's is the point of it.
    artifacts_secondary: Option<PathBuf> = "artifacts.secondary", Start;
    /// Ended runs are kept this long.
    retention_runs: Millis = "retention.runs", Start;
    /// Largest size of ended runs with their journal and artifacts; the oldest go first.
    retention_max: Size = "retention.max", Start;
    /// Contents of the artifacts of ended runs, and files that were put, are kept this long.
    retention_artifacts: Millis = "retention.artifacts", Start;
    /// Log files that are turned over are kept this long.
    retention_logs: Millis = "retention.logs", Start;
}

fn take<T: Setting>(values: &mut dyn Lookup, key: &'static str) -> Option<T> {
    match values.raw(key).map(T::from_raw) {
        Some(Ok(value)) => Some(value),
        Some(Err(why)) => {
            values.misfit(key, why);
            None
        }
        // Optional settings read nothing as none; for the others defaults.toml has a value (a test holds it to that).
        None => T::absent().or_else(|| {
            values.misfit(key, "it has no value".to_owned());
            None
        }),
    }
}

/// A model provider, `[providers.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Up to and with the version: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Environment variable of its key, beside `NAME_API_KEY` and `HALE_SECRET_NAME`.
    pub key_env: Option<String>,
    pub dialect: Dialect,
}

/// The settings of a provider: name, documentation, what to write.
pub static PROVIDER_FIELDS: [(&str, &str, &str); 3] = [
    (
        "base_url",
        "Base URL of the provider, up to and with the version.",
        "a URL such as https://api.openai.com/v1",
    ),
    (
        "key_env",
        "Environment variable that holds its key, looked at before NAME_API_KEY, HALE_SECRET_NAME and `hale secrets set NAME`.",
        "the name of an environment variable",
    ),
    ("dialect", "How the provider is spoken to.", Dialect::EXPECTS),
];

/// Every fixed key and the forms of the provider keys, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
