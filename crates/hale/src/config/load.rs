//! From flags, environment and files to one configuration.
//!
//! Order, later wins: `defaults.toml`, `hale.toml` in the data folder, `./hale.toml` (or the one file that `--config`
//! names, in place of both), environment, flags. Every layer goes through the same reader.
//! Guarantees: nothing is opened for writing; all problems are found in one go.
//! Leaves to others: reading the flags (`cli/up.rs`), making the data folder.
//! Read next: [`super::check`].

use super::check::{self, Problem, Problems};
use super::env::{self, Environment, Variable};
use super::keys::{KEYS, Life, Lookup, PROVIDER_FIELDS, Provider, Settings};
use super::source::{self, Entry, Source};
use super::value::{Dialect, Raw, Setting, SimMode};
use crate::wire::ConfigEntry;
use hale_gateway::secret::{self, Secrets};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

static DEFAULTS: &str = include_str!("defaults.toml");
/// Name of the file, in the working folder and in the data folder.
pub const FILE: &str = "hale.toml";
/// The provider that is there as soon as a key for it is.
const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";
const OPENAI_MODEL: &str = "openai/gpt-5-mini";
/// A configuration is a page of text; more is a mistake.
const FILE_BYTES: u64 = 1 << 20;

/// A value given on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    pub key: &'static str,
    pub flag: &'static str,
    pub value: String,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Order {
    pub flags: Vec<Flag>,
    /// `--config`: this file and no other.
    pub file: Option<PathBuf>,
    pub cwd: PathBuf,
    pub env: Environment,
}

/// A configuration with the way it came about.
#[derive(Clone, Debug)]
pub struct Config {
    pub settings: Settings,
    /// The data folder in force, absolute; it need not exist yet.
    pub data: PathBuf,
    /// The folder of packs that is watched, absolute.
    pub packs: PathBuf,
    /// Every key with value and source, secrets as fingerprints.
    pub entries: Vec<ConfigEntry>,
    /// Odd, but no reason to refuse.
    pub warnings: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    env: Environment,
}

/// Values by key after precedence.
#[derive(Clone, Debug, Default)]
pub struct Values {
    found: BTreeMap<String, (Raw, Source)>,
    problems: Vec<Problem>,
}

impl Values {
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.found.get(key).map(|(_, source)| source)
    }

    fn is_explicit(&self, key: &str) -> bool {
        self.source(key).is_some_and(Source::is_explicit)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.raw(key) {
            Some(Raw::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn put(&mut self, key: &str, raw: Raw, source: Source) {
        self.found.insert(key.to_owned(), (raw, source));
    }

    /// Lays a file's values over what is there; unknown keys become problems.
    fn lay(&mut self, entries: Vec<Entry>) {
        for Entry { key, raw, source } in entries {
            if is_key(&key) {
                self.found.insert(key, (raw, source));
            } else {
                self.problems.push(check::unknown_key(source.to_place(), &key));
            }
        }
    }
}

impl Lookup for Values {
    fn raw(&self, key: &str) -> Option<&Raw> {
        self.found.get(key).map(|(raw, _)| raw)
    }

    fn misfit(&mut self, key: &'static str, why: String) {
        let place = self.source(key).map_or_else(|| "default".to_owned(), Source::to_place);
        let expects = super::keys::find(key).map_or("", |key| key.expects);
        let hint = format!("write {expects}");
        self.problems.push(Problem { place, message: format!("{key}: {why}"), hint });
    }
}

fn is_key(key: &str) -> bool {
    super::keys::find(key).is_some() || provider_field(key).is_some()
}

/// `providers.NAME.FIELD` as its two parts.
fn provider_field(key: &str) -> Option<(&str, &str)> {
    let (name, field) = key.strip_prefix("providers.")?.split_once('.')?;
    PROVIDER_FIELDS.iter().any(|(known, ..)| *known == field).then_some((name, field))
}

/// Reads everything and checks it.
///
/// # Errors
/// Every problem found.
pub fn load(order: Order) -> Result<Config, Problems> {
    let mut values = Values::default();
    values.lay(source::read("defaults.toml", DEFAULTS).map_err(|problem| Problems(vec![problem]))?);
    for (_, source) in values.found.values_mut() {
        *source = Source::Default;
    }
    let mut files = Vec::new();
    let above = outer_layers(&order, &mut files, &mut values.problems);
    let (data, how) = data_folder(&above, &order);
    if order.file.is_none() && order.env.get("HALE_CONFIG").is_none() && data != order.cwd {
        let entries = read_file(&data.join(FILE), Must::MayBeAbsent, &mut values.problems);
        let (own, entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key == "data");
        values.problems.extend(own.into_iter().map(|entry| data_in_data(entry.source.to_place())));
        if !entries.is_empty() {
            files.push(data.join(FILE));
        }
        values.lay(entries);
    }
    values.found.extend(above.found);
    values.problems.extend(above.problems);
    values.put("data", Raw::Text(data.display().to_string()), how);
    let packs = order.cwd.join(values.text("packs").map_or_else(|| data.join("packs"), PathBuf::from));
    if values.text("packs").is_none() {
        values.put("packs", Raw::Text(packs.display().to_string()), Source::Found("in the data folder"));
    }
    default_provider(&mut values, &order.env, &data);
    let providers = providers(&mut values);
    let settings = Settings::assemble(&mut values, providers);
    finish(Draft { values, settings, data, packs, files, env: order.env })
}

struct Draft {
    values: Values,
    settings: Option<Settings>,
    data: PathBuf,
    packs: PathBuf,
    files: Vec<PathBuf>,
    env: Environment,
}

fn finish(draft: Draft) -> Result<Config, Problems> {
    let Draft { values, settings, data, packs, files, env } = draft;
    let mut problems = values.problems.clone();
    if let Some(settings) = &settings {
        problems.extend(check::check(settings, &values));
    }
    let settings = match settings {
        Some(settings) if problems.is_empty() => settings,
        _ => return Err(Problems(problems)),
    };
    let mut config = Config { settings, data, packs, entries: Vec::new(), warnings: Vec::new(), files, env };
    config.entries = entries(&config, &values);
    config.warnings = config.env.strangers().into_iter().map(|name| stranger(&name)).collect();
    Ok(config)
}

/// The layers above the data folder's own file, since they may say where that folder is.
fn outer_layers(order: &Order, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) -> Values {
    let mut values = Values::default();
    let named = order.file.clone().or_else(|| order.env.get("HALE_CONFIG").map(PathBuf::from));
    let must = if named.is_some() { Must::Exist } else { Must::MayBeAbsent };
    let path = named.map_or_else(|| order.cwd.join(FILE), |path| order.cwd.join(path));
    let entries = read_file(&path, must, problems);
    if !entries.is_empty() {
        files.push(path);
    }
    values.lay(entries);
    // Backwards, so that of two variables for one key the first of the list wins.
    for Variable { name, key, guide } in env::SETTING.iter().rev() {
        if let Some(value) = order.env.get(name) {
            let value = if *key == "model.default" { with_provider(value) } else { value.to_owned() };
            values.put(key, Raw::Text(value), Source::Env { name: (*name).to_owned(), guide: *guide });
        }
    }
    for name in order.env.names() {
        if let (Some(key), Some(value)) = (env::provider_key(name), order.env.get(name)) {
            let source = Source::Env { name: name.to_owned(), guide: None };
            values.put(&key, Raw::Text(value.to_owned()), source);
        }
    }
    for Flag { key, flag, value } in &order.flags {
        values.put(key, Raw::Text(value.clone()), Source::Flag(flag));
    }
    values
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Exist,
    MayBeAbsent,
}

fn read_file(path: &Path, must: Must, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let read = std::fs::metadata(path).and_then(|meta| {
        if meta.len() > FILE_BYTES {
            return Err(std::io::Error::other(format!(
                "it has {} bytes; {FILE_BYTES} is the most",
                meta.len()
            )));
        }
        std::fs::read_to_string(path)
    });
    let file = path.display().to_string();
    match read {
        Ok(text) => source::read(&file, &text).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && must == Must::MayBeAbsent => Vec::new(),
        Err(error) => {
            let hint = "name a readable file with --config, or leave it out".to_owned();
            problems.push(Problem { place: file, message: format!("read the configuration: {error}"), hint });
            Vec::new()
        }
    }
}

/// The data folder: as set, else `./.hale` if it exists, else the user's state folder.
fn data_folder(above: &Values, order: &Order) -> (PathBuf, Source) {
    let local = order.cwd.join(".hale");
    match (above.text("data"), above.source("data")) {
        (Some(path), Some(source)) => (order.cwd.join(path), source.clone()),
        _ if local.is_dir() => (local, Source::Found("./.hale exists")),
        _ => match order.env.state_dir() {
            Some(state) => (state, Source::Found("the user's state folder")),
            None => (local, Source::Found("./.hale, since there is no home folder")),
        },
    }
}

fn data_in_data(place: String) -> Problem {
    let message = "data: the file in the data folder cannot say where the data folder is".to_owned();
    Problem { place, message, hint: "set it in ./hale.toml, in HALE_DATA or with --data".to_owned() }
}

fn stranger(name: &str) -> Problem {
    let ours =
        env::SETTING.iter().map(|variable| variable.name).chain(env::OTHER.iter().map(|(name, _)| *name));
    let hint = match hale_core::nearest::nearest(name, ours) {
        Some(near) => format!("did you mean {near}?"),
        None => "unset it; the variables are in docs/config.md".to_owned(),
    };
    Problem { place: format!("env {name}"), message: "hale reads no variable of this name".to_owned(), hint }
}

/// `HALE_MODEL=gpt-5-mini` means the provider that `HALE_MODEL_BASE_URL` and `OPENAI_API_KEY` are about.
fn with_provider(model: &str) -> String {
    if model.contains('/') { model.to_owned() } else { format!("{OPENAI}/{model}") }
}

/// With a key or a base URL for it, the provider `openai` is there and serves packs that name no model.
fn default_provider(values: &mut Values, env: &Environment, data: &Path) {
    let url_key = "providers.openai.base_url";
    let has_key = ["OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "HALE_SECRET_OPENAI", "HALE_SECRET_OPENAI_FILE"]
        .iter()
        .any(|name| env.get(name).is_some());
    let why = if values.is_explicit(url_key) {
        "a base URL for openai is set"
    } else if has_key {
        "a key for openai is set"
    } else if data.join("secrets").join(OPENAI).is_file() {
        "a key for openai is stored"
    } else {
        return;
    };
    if values.raw(url_key).is_none() {
        values.put(url_key, Raw::Text(OPENAI_URL.to_owned()), Source::Because(why));
    }
    if !values.is_explicit("model.default") {
        values.put("model.default", Raw::Text(OPENAI_MODEL.to_owned()), Source::Because(why));
    }
}

fn providers(values: &mut Values) -> BTreeMap<String, Provider> {
    let keys: Vec<String> =
        values.found.keys().filter(|key| key.starts_with("providers.")).cloned().collect();
    let names = keys.iter().filter_map(|key| provider_field(key)).map(|(name, _)| name);
    let names: std::collections::BTreeSet<&str> = names.collect();
    names.into_iter().filter_map(|name| Some((name.to_owned(), provider(name, values)?))).collect()
}

fn provider(name: &str, values: &mut Values) -> Option<Provider> {
    let field = |field: &str| format!("providers.{name}.{field}");
    let place =
        PROVIDER_FIELDS.iter().find_map(|(known, ..)| values.source(&field(known))).map(Source::to_place);
    let mut refuse = |message: String, hint: &str| {
        let place = place.clone().unwrap_or_default();
        values.problems.push(Problem { place, message, hint: hint.to_owned() });
    };
    if secret::store::check_name(name).is_err() {
        refuse(
            format!("providers.{name}: the name of a provider may have a-z, 0-9, - and _"),
            "choose another name",
        );
        return None;
    }
    let Some(base_url) = values.text(&field("base_url")).map(str::to_owned) else {
        let problem = Problem {
            place: place.unwrap_or_default(),
            message: format!("providers.{name} has no base_url"),
            hint: format!("add base_url = \"https://…/v1\" to [providers.{name}]"),
        };
        values.problems.push(problem);
        return None;
    };
    let dialect = match values.text(&field("dialect")).map(|text| (Dialect::read(text), text.to_owned())) {
        None => Dialect::OpenAi,
        Some((Some(dialect), _)) => dialect,
        Some((None, text)) => {
            let place = values.source(&field("dialect")).map(Source::to_place).unwrap_or_default();
            let message = format!("providers.{name}.dialect: {text:?} is not {}", Dialect::EXPECTS);
            values.problems.push(Problem { place, message, hint: "write openai".to_owned() });
            return None;
        }
    };
    Some(Provider { base_url, key_env: values.text(&field("key_env")).map(str::to_owned), dialect })
}

fn entries(config: &Config, values: &Values) -> Vec<ConfigEntry> {
    let source = |key: &str| values.source(key).map_or_else(|| "default".to_owned(), Source::to_string);
    let shown = config.settings.shown();
    let fixed = KEYS.iter().map(|key| ConfigEntry {
        key: key.name.to_owned(),
        value: shown.get(key.name).cloned().unwrap_or_default(),
        source: source(key.name),
        doc: key.doc(),
        hot: key.life == Life::Hot,
    });
    let mut all: Vec<ConfigEntry> = fixed.collect();
    let secrets = config.secrets();
    for (name, provider) in &config.settings.providers {
        for (field, doc, _) in PROVIDER_FIELDS {
            let value = match field {
                "base_url" => provider.base_url.clone(),
                "key_env" => provider.key_env.clone().unwrap_or_default(),
                _ => provider.dialect.show(),
            };
            let key = format!("providers.{name}.{field}");
            all.push(ConfigEntry { source: source(&key), key, value, doc: doc.to_owned(), hot: false });
        }
        let (value, source) = match secrets.resolve(name) {
            Ok(Some((key, place))) => (format!("fingerprint {}", key.fingerprint()), place.to_string()),
            Ok(None) => ("not set".to_owned(), "nowhere".to_owned()),
            Err(error) => (format!("unusable: {error}"), "see the value".to_owned()),
        };
        let doc = format!("Key of the provider; to set it: hale secrets set {name}");
        all.push(ConfigEntry { key: format!("providers.{name}.key"), value, source, doc, hot: true });
    }
    all
}

impl Config {
    /// The environment that this configuration was read from.
    pub fn env(&self) -> &Environment {
        &self.env
    }

    /// Whether the simulated provider is to be started.
    pub fn needs_sim(&self) -> bool {
        match self.settings.sim_enabled {
            SimMode::On => true,
            SimMode::Off => false,
            SimMode::Auto => self.settings.model_default.starts_with("sim/"),
        }
    }

    /// Where keys of providers are found: the environment (with `key_env` of a provider in front), then the secrets
    /// folder of the data folder.
    pub fn secrets(&self) -> Secrets {
        let env = self.env.clone();
        let named = self.settings.providers.iter().filter_map(|(name, provider)| {
            let [variable, _] = secret::variables(name);
            Some((variable, provider.key_env.clone()?))
        });
        let named: BTreeMap<String, String> = named.collect();
        let look_up = move |name: &str| {
            let own = named.get(name).and_then(|variable| env.get(variable));
            own.or_else(|| env.get(name)).map(str::to_owned)
        };
        Secrets::new(Arc::new(look_up), self.data.join("secrets"))
    }
}
