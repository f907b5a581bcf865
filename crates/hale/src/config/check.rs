//! What can be wrong with a configuration, and the checks that look at more than one value.
//!
//! Guarantees: all problems are reported, not only the first; each says where it stands and how to mend it.
//! Read next: [`super::load`].

use super::keys::{self, PROVIDER_FIELDS, Settings};
use super::load::Values;
use super::value::SimMode;
use hale_core::limits;
use hale_core::nearest::nearest;
use std::fmt;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `hale.toml:12:3`, `env HALE_LISTEN`, `flag --listen`.
    pub place: String,
    pub message: String,
    pub hint: String,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("read the configuration"),
            [one] => write!(f, "{one}"),
            [first, rest @ ..] => write!(f, "{first} (and {} more: hale config check)", rest.len()),
        }
    }
}

impl std::error::Error for Problems {}

/// A key that does not exist, with the one that was probably meant.
pub fn unknown_key(place: String, key: &str) -> Problem {
    let below: Vec<&str> = keys::names().filter(|name| is_below(name, key)).collect();
    if !below.is_empty() {
        return Problem {
            place,
            message: format!("`{key}` is a table, not a value"),
            hint: format!("it holds {}", below.join(", ")),
        };
    }
    let fields = PROVIDER_FIELDS.map(|(field, ..)| field);
    let near = match key.strip_prefix("providers.").and_then(|rest| rest.split_once('.')) {
        Some((name, field)) => nearest(field, fields).map(|field| format!("providers.{name}.{field}")),
        None => nearest(key, keys::names()).map(str::to_owned),
    };
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "see every key with: hale config explain".to_owned(),
    };
    Problem { place, message: format!("unknown key `{key}`"), hint }
}

fn is_below(name: &str, key: &str) -> bool {
    name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
}

/// Checks what one value alone cannot show.
pub fn check(settings: &Settings, values: &Values) -> Vec<Problem> {
    let mut found = Vec::new();
    limits_of(settings, values, &mut found);
    models(settings, values, &mut found);
    aliases(settings, values, &mut found);
    for (name, provider) in &settings.providers {
        let key = format!("providers.{name}.base_url");
        let fine = url::Url::parse(&provider.base_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty()
        });
        if !fine {
            let message = format!("{key}: {:?} is not a base URL", provider.base_url);
            found.push(problem(
                values,
                &key,
                message,
                "write for example https://api.openai.com/v1; keys stand elsewhere",
            ));
        }
    }
    if let Some(folder) = &settings.artifacts_secondary {
        let data =
            settings.data.as_deref().map(|data| data.canonicalize().unwrap_or_else(|_| data.to_owned()));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        if !folder.is_absolute() || data.is_some_and(|data| data == folder) {
            let message = format!("artifacts.secondary: {} is no second folder", folder.display());
            let hint = "write an absolute folder apart from the data folder, for example /mnt/backup/hale";
            found.push(problem(values, "artifacts.secondary", message, hint));
        }
    }
    for host in &settings.access_hosts {
        if host.contains('/') || host.contains(char::is_whitespace) {
            let message = format!("access.hosts: {host:?} is not a host name");
            found.push(problem(
                values,
                "access.hosts",
                message,
                "write the name alone, for example hale.example.org",
            ));
        }
    }
    found
}

fn problem(values: &Values, key: &str, message: impl Into<String>, hint: impl Into<String>) -> Problem {
    let place = values.source(key).map_or_else(|| "default".to_owned(), |source| source.to_place());
    Problem { place, message: message.into(), hint: hint.into() }
}

/// A limit may never exceed its parent's (CONF-08): it would promise a time that nobody gets.
fn limits_of(settings: &Settings, values: &Values, found: &mut Vec<Problem>) {
    let run = settings.run_timeout;
    if run > limits::RUN_TIMEOUT_MAX || run.0 == 0 {
        let message =
            format!("run.timeout is {run}; it may be at most {}, and not 0", limits::RUN_TIMEOUT_MAX);
        found.push(problem(values, "run.timeout", message, "longer work belongs into several runs"));
    }
    // The two defaults are those of two guides and do not fit together; the shorter one cuts the longer then.
    let set = ["model.timeout", "run.timeout"]
        .map(|key| values.source(key).is_some_and(|source| source.is_explicit()));
    if settings.model_timeout > run && set[0] {
        let message =
            format!("model.timeout is {}, longer than run.timeout of {run}", settings.model_timeout);
        let hint =
            format!("lower it to {run}, or raise run.timeout (AGENT_TIMEOUT) to {}", settings.model_timeout);
        found.push(problem(values, "model.timeout", message, hint));
    }
    if settings.model_timeout.0 == 0 {
        found.push(problem(
            values,
            "model.timeout",
            "model.timeout is 0: no call could ever answer",
            "write for example 120s",
        ));
    }
    if settings.queue_visibility_timeout < limits::LEASE {
        let message = format!(
            "queue.visibility_timeout is {}, shorter than a lease of {}",
            settings.queue_visibility_timeout,
            limits::LEASE
        );
        let hint = format!("write {} or more; the default is {}", limits::LEASE, limits::VISIBILITY);
        found.push(problem(values, "queue.visibility_timeout", message, hint));
    }
    if settings.queue_depth_max == 0 {
        let hint = format!("write 1 or more; the default is {}", limits::QUEUE_DEPTH);
        found.push(problem(values, "queue.depth_max", "queue.depth_max is 0: no run could ever wait", hint));
    }
    let slots = settings.worker_concurrency;
    if slots == 0 || slots > limits::WORKER_CONCURRENCY_MAX {
        let message =
            format!("worker.concurrency is {slots}; it may be 1 to {}", limits::WORKER_CONCURRENCY_MAX);
        found.push(problem(
            values,
            "worker.concurrency",
            message,
            "to run no worker here, set worker.embedded = false",
        ));
    }
    if settings.worker_processes > limits::WORKER_PROCESSES_MAX {
        let (asked, most) = (settings.worker_processes, limits::WORKER_PROCESSES_MAX);
        let message = format!("worker.processes is {asked}; it may be at most {most}");
        let hint = "give each more runs with worker.concurrency, or start workers on other machines";
        found.push(problem(values, "worker.processes", message, hint));
    }
    if settings.run_retries_max > RETRIES_MAX {
        let message =
            format!("run.retries_max is {}; it may be at most {RETRIES_MAX}", settings.run_retries_max);
        found.push(problem(
            values,
            "run.retries_max",
            message,
            "what fails this often is not mended by another try",
        ));
    }
}

/// Beyond this a retry is a loop.
const RETRIES_MAX: u32 = 20;

fn aliases(settings: &Settings, values: &Values, found: &mut Vec<Problem>) {
    let bad = settings.model_aliases.iter().filter(|alias| as_alias(alias).is_none());
    for alias in bad {
        let message = format!("model.aliases: {alias:?} is no alias");
        found.push(problem(
            values,
            "model.aliases",
            message,
            "write name=provider/model, for example gpt-4o=sim/small",
        ));
    }
}

/// The name and the model of `name=provider/model`.
pub fn as_alias(text: &str) -> Option<(String, String)> {
    let (name, model) = text.split_once('=').map(|(name, model)| (name.trim(), model.trim()))?;
    let (provider, rest) = model.split_once('/')?;
    let is_whole = ![name, provider, rest].iter().any(|part| part.is_empty());
    is_whole.then(|| (name.to_owned(), model.to_owned()))
}

fn models(settings: &Settings, values: &Values, found: &mut Vec<Problem>) {
    let model = &settings.model_default;
    let Some((provider, name)) =
        model.split_once('/').filter(|(provider, name)| !provider.is_empty() && !name.is_empty())
    else {
        let message = format!("model.default: {model:?} names no provider");
        found.push(problem(
            values,
            "model.default",
            message,
            "write provider/model, for example sim/small or openai/gpt-5-mini",
        ));
        return;
    };
    if provider == "sim" {
        if settings.sim_enabled == SimMode::Off && !settings.providers.contains_key("sim") {
            let message = format!("model.default is {model}, and sim.enabled is off");
            found.push(problem(
                values,
                "sim.enabled",
                message,
                "set sim.enabled = \"auto\", or another model.default",
            ));
        }
        return;
    }
    if !settings.providers.contains_key(provider) {
        let message = format!("model.default: no provider {provider:?} is configured for model {name:?}");
        let hint = if provider == "openai" {
            "set OPENAI_API_KEY, run hale secrets set openai, or set HALE_MODEL_BASE_URL".to_owned()
        } else {
            format!("add [providers.{provider}] with its base_url")
        };
        found.push(problem(values, "model.default", message, hint));
    }
}
