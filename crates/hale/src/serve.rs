//! The server put together: store, gateway, engine, lab, doors; and taken down again in order.
//!
//! Guarantees: nothing is answered before the store is open and locked by us; at the end the address is gone, work in
//! progress was given its time, and what is left is leased again by the next start.
//! Leaves to others: what is configured ([`crate::config`]), every decision (`hale-engine`).
//! Read next: [`crate::http`], the door; `hale-engine/src/facade.rs`, what it opens.

use crate::access::{Access, Policy, RequireKey};
use crate::config::Config;
use crate::config::check::as_alias;
use crate::config::value::{ChaosAllow, Dialect, GuardDefault, ModelRetry, Setting};
use crate::exit::{Error, Exit};
use crate::http::{About, App, Life, Stage, guard, listen, status};
use crate::keys::{self, ServerKey};
use crate::wire::Status;
use arc_swap::ArcSwap;
use hale_core::fault;
use hale_core::guard::Action;
use hale_core::limits;
use hale_core::meter::Meters;
use hale_core::retry::RetryClass;
use hale_core::time::Millis;
use hale_engine::facade::prune::Retention;
use hale_engine::recorder::Recorder;
use hale_engine::supervisor::Launch;
use hale_engine::worker::jobs::JobsConfig;
use hale_engine::{Clock, Engine, Parts};
use hale_gateway::Gateway;
use hale_gateway::call::{KeySource, ProviderConfig, Timeouts};
use hale_gateway::site::Speaks;
use hale_lab::chaos::{Lab, Remote, SimAt};
use hale_lab::sim;
use hale_sandbox::Launcher;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The seed of the simulated models in a server: the same question gets the same answer every time.
const SIM_SEED: u64 = 7;

/// Between two looks for what is past its retention: pruning is never urgent.
const PRUNE_EVERY: Millis = Millis::seconds(3600);

/// Serves until Ctrl-C, SIGTERM or a shutdown over HTTP. `ready` hears the status once, when requests are answered.
///
/// # Errors
/// What kept the server from starting; nothing was answered then.
pub async fn up(config: Config, ready: impl FnOnce(&Status)) -> Result<(), Error> {
    let listener = listen::bind(&config.settings.listen.to_string())
        .await
        .map_err(|error| Error::failed(&error.failure()).hint(error.fix()))?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::new(Exit::Failed, "read the own address").caused_by(&error))?;
    let built = Built::new(&config, address).await?;
    let app = built.app.clone();
    let shutdown = app.shutdown.clone();
    hale_engine::tasks::spawn("signals", on_signals(shutdown.clone()));
    hale_engine::tasks::spawn("lab-sweep", sweep(app.clone()));
    hale_engine::tasks::spawn("door-life", drain_when_told(app.clone()));
    app.life.enter(Stage::Serving);
    let terms = listen::Terms { meters: app.engine.meters().clone(), ..Default::default() };
    let router = crate::http::router(app.clone());
    let closing = CancellationToken::new();
    let _close = closing.clone().drop_guard();
    let serving = hale_engine::tasks::spawn("http", listen::serve(listener, router, terms, closing.clone()));
    let kept = app.engine.supervise(launch(&config, &built)?);
    kept.map_err(|error| Error::new(Exit::Failed, "keep worker processes").caused_by(&error))?;
    match status::gather(&app, app.engine.now()).await {
        Ok(status) => ready(&status),
        Err(failure) => {
            shutdown.cancel();
            return Err(Error::failed(&failure));
        }
    }
    shutdown.cancelled().await;
    // Worker processes give back what they hold, so the door stays open for them.
    app.engine.close().await;
    app.engine.end_processes().await;
    closing.cancel();
    // The listener ends when its connections have drained.
    let _ = serving.await;
    app.engine.drain().await;
    drop(built);
    Ok(())
}

/// Ctrl-C and SIGTERM drain and end; a second one ends at once.
async fn on_signals(shutdown: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = shutdown.cancelled() => return,
    }
    shutdown.cancel();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    crate::logs::flush();
    std::process::exit(130);
}

/// After a failed sync nothing that the store says can be trusted; the next start reads what is really there.
fn end_at_once(error: &hale_store::Error) {
    // An ERROR line is written before this returns, and with it every line before it.
    tracing::error!(
        event = "sync_failed",
        code = "E015",
        error = error as &(dyn std::error::Error + 'static),
        "the disk did not keep what was written: the server ends"
    );
    std::process::abort();
}

async fn drain_when_told(app: Arc<App>) {
    app.shutdown.cancelled().await;
    app.life.enter(Stage::Draining);
}

async fn sweep(app: Arc<App>) {
    let Some(lab) = app.lab.clone() else { return };
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            () = lab.due() => lab.sweep().await,
        }
    }
}

/// How this server starts its worker processes: they call it as anybody would, with a key that opens nothing else.
fn launch(config: &Config, built: &Built) -> Result<Launch, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::new(Exit::Failed, "find hale's own file").caused_by(&error))?;
    let mut address = built.app.about.address;
    if address.ip().is_unspecified() {
        let here =
            if address.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(here);
    }
    let url = format!("http://{address}");
    let grace = limits::DRAIN;
    let mut args: Vec<OsString> = vec!["worker".into(), "--url".into(), url.into()];
    args.extend(["--data".into(), config.data.clone().into(), "--grace".into(), grace.to_string().into()]);
    let mut env: Vec<(OsString, OsString)> = vec![("HALE_KEY".into(), (&built.workers_key).into())];
    if let [only] = config.files.as_slice() {
        env.push(("HALE_CONFIG".into(), only.clone().into()));
    }
    let settings = &config.settings;
    let (wanted, slots) = (settings.worker_processes, settings.worker_concurrency);
    Ok(Launch { program, args, env, logs: config.data.join("logs"), wanted, slots, grace })
}

/// The parts of a running server that must outlive the door.
struct Built {
    app: Arc<App>,
    /// What worker processes that we start show at the door.
    workers_key: String,
    /// Dropped after the engine: it writes what was handed over, then lets go of the folder.
    _store: Arc<hale_store::Sqlite>,
    /// Runs may speak to it while they drain.
    _sim: Option<sim::Server>,
}

impl Built {
    async fn new(config: &Config, address: SocketAddr) -> Result<Self, Error> {
        let failed = |error: hale_store::Error| {
            let told = Error::failed(&error.failure());
            match error.fix() {
                Some(fix) => told.hint(fix),
                None => told,
            }
        };
        let lock = hale_store::Folder::lock(&config.data).map_err(failed)?;
        let server_key = ServerKey::load(&config.data).map_err(|error| Error::failed(&error.failure()))?;
        let faults = fault::Handle::default();
        let meters = Arc::new(Meters::default());
        let options = hale_store::Options {
            faults: faults.clone(),
            meters: meters.clone(),
            sync_failed: Arc::new(end_at_once),
            secondary: config.settings.artifacts_secondary.clone(),
            ..Default::default()
        };
        let store = Arc::new(hale_store::Sqlite::open(lock, options).map_err(failed)?);
        let sim = simulated(config).await?;
        let clock = Clock::start();
        let gateway = Gateway::new(config.secrets(), Arc::new(move || clock.now()));
        let providers = providers(config, sim.as_ref());
        let urls: HashMap<String, String> =
            providers.iter().map(|provider| (provider.name.clone(), provider.base_url.clone())).collect();
        gateway.arms().allow(config.settings.arms_allow.iter().cloned());
        gateway.configure(providers).map_err(|error| Error::failed(&error.failure()))?;
        let recorder = Recorder::open(&config.data)
            .map_err(|error| Error::file("open the flight recorder in", &config.data, &error))?;
        crate::logs::keep_bad_lines(recorder.clone());
        std::fs::create_dir_all(&config.packs)
            .map_err(|error| Error::file("make the packs folder", &config.packs, &error))?;
        let parts = Parts {
            store: store.clone(),
            blobs: store.blobs(),
            gateway: Arc::new(gateway),
            meters,
            recorder,
        };
        let engine = Engine::start(engine_config(config, clock, faults), parts).await;
        let engine = engine.map_err(|failure| Error::failed(&failure))?;
        if let Some(jobs) = engine.jobs().cloned() {
            // In the background: it starts a program, which a server must not wait for.
            tokio::task::spawn_blocking(move || jobs.probe_walls().len());
        }
        let order = keys::Order { name: "workers", expires_in: None, tenant: None, known: &[] };
        let made = keys::make(&order, &server_key, clock.now());
        let (own, workers_key) = made.map_err(|error| Error::failed(&error.failure()))?;
        let workers_key = workers_key.reveal();
        let access = Access::new(address, policy(config), server_key, &config.data, &engine.keys())
            .map_err(|failure| Error::failed(&failure))?
            .with_workers(own);
        let lab = lab(config, (&engine, address), (sim.as_ref(), &urls));
        let app = App {
            lab,
            access,
            config: ArcSwap::from_pointee(config.entries.clone()),
            about: about(config, address, urls),
            life: Life::default(),
            shutdown: CancellationToken::new(),
            touches: guard::Touches::default(),
            engine,
        };
        Ok(Self { app: Arc::new(app), workers_key, _store: store, _sim: sim })
    }
}

fn policy(config: &Config) -> Policy {
    let require_key =
        if config.settings.access_require_key { RequireKey::Always } else { RequireKey::OnNetwork };
    Policy { require_key, names: config.settings.access_hosts.clone() }
}

/// The simulated provider, where the configuration asks for it and names no other address.
async fn simulated(config: &Config) -> Result<Option<sim::Server>, Error> {
    if !config.needs_sim() || config.settings.providers.contains_key("sim") {
        return Ok(None);
    }
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = sim::Server::start(any, SIM_SEED, sim::Script::default()).await;
    server.map(Some).map_err(|error| Error::new(Exit::Failed, "start the simulated models").caused_by(&error))
}

fn about(config: &Config, address: SocketAddr, providers: HashMap<String, String>) -> About {
    About {
        address,
        data: config.data.clone(),
        default_model: config.settings.model_default.clone(),
        providers,
        dialects: dialects(config),
    }
}

/// How providers are spoken to, but for OpenAI's dialect.
fn dialects(config: &Config) -> HashMap<String, String> {
    let all = config.settings.providers.iter();
    let others = all.filter(|(_, provider)| provider.dialect != Dialect::OpenAi);
    others.map(|(name, provider)| (name.clone(), provider.dialect.show())).collect()
}

fn providers(config: &Config, sim: Option<&sim::Server>) -> Vec<ProviderConfig> {
    let timeouts = Timeouts { first_chunk: config.settings.model_timeout.duration(), ..Timeouts::default() };
    let mut all: Vec<ProviderConfig> = config
        .settings
        .providers
        .iter()
        .map(|(name, provider)| ProviderConfig {
            name: name.clone(),
            base_url: provider.base_url.clone(),
            key: if name == "openai" {
                KeySource::Required(name.clone())
            } else {
                KeySource::Optional(name.clone())
            },
            speaks: Speaks::of(&provider.dialect.show()).unwrap_or_default(),
            timeouts,
        })
        .collect();
    all.extend(sim.map(|sim| ProviderConfig {
        name: "sim".to_owned(),
        base_url: sim.base_url(),
        key: KeySource::NotNeeded,
        speaks: Speaks::OpenAi,
        timeouts,
    }));
    all
}

/// The provider's own address always asks for a key; a server of one's own may or may not.
pub fn key_source(name: &str, base_url: &str) -> KeySource {
    if name == "sim" {
        KeySource::NotNeeded
    } else if base_url.starts_with("https://api.openai.com/") {
        KeySource::Required(name.to_owned())
    } else {
        KeySource::Optional(name.to_owned())
    }
}

fn engine_config(config: &Config, clock: Clock, faults: fault::Handle) -> hale_engine::Config {
    let settings = &config.settings;
    let embedded_slots = if settings.worker_embedded { settings.worker_concurrency } else { 0 };
    let spare_models = if config.needs_sim() { vec!["sim/backup".to_owned()] } else { Vec::new() };
    hale_engine::Config {
        data: config.data.clone(),
        packs: Some(config.packs.clone()),
        run_timeout: settings.run_timeout,
        retries_max: settings.run_retries_max,
        visibility: settings.queue_visibility_timeout,
        queue_depth_max: u64::from(settings.queue_depth_max),
        embedded_slots: embedded_slots.min(limits::WORKER_CONCURRENCY_MAX),
        files_allow: settings.files_allow.clone(),
        web_allow: settings.web_allow.clone(),
        jobs: jobs(config),
        default_model: settings.model_default.clone(),
        spare_models,
        model_timeout: settings.model_timeout,
        model_aliases: settings.model_aliases.iter().filter_map(|alias| as_alias(alias)).collect(),
        model_retry: match settings.model_retry {
            ModelRetry::AgentOs => RetryClass::Tool.policy(),
            ModelRetry::OctoLlm => RetryClass::Model.policy(),
            ModelRetry::Off => RetryClass::Never.policy(),
        },
        guard_default: guard_default(config),
        retention: settings.retention_runs,
        keep: Retention {
            runs: settings.retention_runs,
            artifacts: settings.retention_artifacts,
            logs: settings.retention_logs,
            most: settings.retention_max.0,
            every: Some(PRUNE_EVERY),
        },
        clock,
        faults,
    }
}

/// What the content guard does where a pack says nothing.
pub fn guard_default(config: &Config) -> Action {
    match config.settings.guard_default {
        GuardDefault::Allow => Action::Allow,
        GuardDefault::Shadow => Action::Shadow,
        GuardDefault::Redact => Action::Redact,
        GuardDefault::Block => Action::Block,
    }
}

/// What jobs may run, and how this program calls itself for them.
pub fn jobs(config: &Config) -> JobsConfig {
    let allow = config.settings.jobs_allow.clone();
    JobsConfig { allow, launcher: Launcher::current(&[crate::LAUNCHER]) }
}

/// The lab, where faults may be injected: on loopback, unless the operator says otherwise.
fn lab(
    config: &Config,
    (engine, address): (&Engine, SocketAddr),
    (sim, urls): (Option<&sim::Server>, &HashMap<String, String>),
) -> Option<Arc<Lab>> {
    let allowed = match config.settings.chaos_allow {
        ChaosAllow::Always => true,
        ChaosAllow::Loopback => address.ip().to_canonical().is_loopback(),
        ChaosAllow::Never => false,
    };
    let elsewhere = || {
        let authority = urls.get("sim")?.strip_prefix("http://")?.split('/').next()?.parse().ok()?;
        config.needs_sim().then(|| SimAt::There(Remote::new(authority)))
    };
    let at = match sim {
        Some(sim) => SimAt::Here(sim.control.clone()),
        None => elsewhere().unwrap_or(SimAt::Nowhere),
    };
    allowed.then(|| Arc::new(Lab::new(engine.clone(), at)))
}
