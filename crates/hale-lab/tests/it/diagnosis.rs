//! Every cause of the first playbooks, made to happen in a real engine over a real socket; and its near-miss twin,
//! which must stay silent. A fault that did not take effect fails its test.

use hale_core::id::RunId;
use hale_core::meter::Meters;
use hale_core::run::{StateName, Trigger};
use hale_core::time::Millis;
use hale_engine::evidence::Diagnosed;
use hale_engine::recorder::Recorder;
use hale_engine::remedy::{FixOrder, Fixed};
use hale_engine::{Caller, Clock, Config, DryRun, Engine, Parts, Submit};
use hale_gateway::Gateway;
use hale_gateway::call::{KeySource, ProviderConfig, Timeouts};
use hale_gateway::secret::Secrets;
use hale_lab::chaos::{Lab, SimAt};
use hale_lab::sim::control::{Fault, FaultSpec};
use hale_lab::sim::{Script, Server};
use hale_store::{Folder, Options, Sqlite};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct World {
    pub engine: Engine,
    pub lab: Lab,
    pub sim: Server,
    dir: TempDir,
}

const WAIT: Duration = Duration::from_secs(30);

pub fn caller() -> Caller {
    let actor = Arc::from("test");
    Caller { actor, correlation: Arc::from("c"), traceparent: None, trigger: Trigger::Api, tenant: None }
}

impl World {
    pub async fn new(slots: u32) -> Self {
        Self::watching(slots, None).await
    }

    pub async fn watching(slots: u32, packs: Option<PathBuf>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(Folder::lock(dir.path()).unwrap(), Options::default()).unwrap());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let sim = Server::start(any, 7, Script::default()).await.unwrap();
        let clock = Clock::start();
        let secrets = Secrets::new(Arc::new(|_: &str| None), dir.path().join("secrets"));
        let gateway = Gateway::new(secrets, Arc::new(move || clock.now()));
        let provider = ProviderConfig {
            name: "sim".to_owned(),
            base_url: sim.base_url(),
            key: KeySource::NotNeeded,
            speaks: hale_gateway::site::Speaks::OpenAi,
            timeouts: Timeouts::default(),
        };
        gateway.configure(vec![provider]).unwrap();
        let config = Config {
            packs,
            embedded_slots: slots,
            files_allow: vec![format!("{}:ro", std::env::temp_dir().display()).parse().unwrap()],
            ..Config::small(dir.path().to_owned(), clock)
        };
        let parts = Parts {
            blobs: store.blobs(),
            store,
            gateway: Arc::new(gateway),
            meters: Arc::new(Meters::default()),
            recorder: Recorder::open(dir.path()).unwrap(),
        };
        let engine = Engine::start(config, parts).await.unwrap();
        let lab = Lab::new(engine.clone(), SimAt::Here(sim.control.clone()));
        let world = Self { engine, lab, sim, dir };
        world.deploy("asker", "limits: { timeout: 60s }").await;
        world
    }

    async fn deploy(&self, name: &str, keys: &str) {
        let source =
            format!("---\nname: {name}\nversion: 1.0.0\ndescription: For a test.\n{keys}\n---\nAnswer.\n");
        self.engine.deploy(&format!("{name}.md"), source.as_bytes(), DryRun::No, &caller()).await.unwrap();
    }

    pub async fn inject(&self, fault: &str, params: &[(&str, &str)]) {
        let params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.lab.inject(fault, Some(Millis::seconds(120)), params).await.unwrap();
    }

    pub async fn run(&self, pack: &str) -> (RunId, StateName) {
        let input = json!({ "name": "Ada", "path": self.dir.path().join("files/log.txt") });
        let submit = Submit { pack: pack.to_owned(), input, ..Submit::default() };
        let (receipt, ended) = self.engine.submit_and_wait(submit, &caller(), WAIT).await.unwrap();
        (receipt.run.id, ended.unwrap().run.state.name())
    }

    pub async fn diagnose(&self, run: Option<RunId>) -> Diagnosed {
        self.engine.diagnose(run).await.unwrap()
    }

    pub async fn fix(&self, cause: &str, run: Option<RunId>) -> Fixed {
        let order = FixOrder { cause: cause.to_owned(), run, dry_run: DryRun::No, params: BTreeMap::new() };
        self.engine.fix(order, &caller()).await.unwrap()
    }

    /// The injected fault took effect, or the test proves nothing.
    pub fn armed(&self) {
        assert!(
            self.lab.list().iter().any(|fault| fault.hits > 0),
            "the fault took no effect: {:?}",
            self.lab.list()
        );
    }
}

/// Causes found, then what is left open.
pub fn named(diagnosed: &Diagnosed) -> Vec<String> {
    let found = diagnosed.verdict.findings.iter().map(|finding| finding.code.clone());
    found.chain(diagnosed.verdict.undetermined.iter().map(|open| format!("open:{}", open.playbook))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limit_is_named_worked_around_verified_and_undone() {
    let world = World::new(5).await;
    world.inject("llm.rate_limit", &[]).await;
    let (run, state) = world.run("asker").await;
    world.armed();
    assert_eq!(state, StateName::Failed);
    assert_eq!(named(&world.diagnose(Some(run)).await), ["llm.rate_limited"]);
    assert_eq!(named(&world.diagnose(None).await), ["llm.rate_limited"]);
    let fixed = world.fix("llm.rate_limited", None).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    assert_eq!(world.run("asker").await.1, StateName::Completed);
    assert!(!world.lab.list().is_empty(), "removing the fault is no fix");
    world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap();
    assert!(world.engine.settings().fallback("sim/small").is_empty());
    assert_eq!(world.run("asker").await.1, StateName::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_429_that_passed_is_no_finding() {
    let world = World::new(5).await;
    let fault =
        world.sim.control.set(FaultSpec::from(Fault::RateLimit { retry_after: Some(0) }).times(1)).unwrap();
    let (run, state) = world.run("asker").await;
    assert_eq!(world.sim.control.hits(fault), 1);
    assert_eq!(state, StateName::Completed);
    assert!(named(&world.diagnose(Some(run)).await).is_empty());
    assert!(named(&world.diagnose(None).await).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_is_named_with_the_command_that_mends_it() {
    let world = World::new(5).await;
    world.inject("llm.key_refuse", &[]).await;
    let (run, state) = world.run("asker").await;
    world.armed();
    assert_eq!(state, StateName::Failed);
    assert_eq!(named(&world.diagnose(Some(run)).await), ["llm.key_refused"]);
    assert_eq!(named(&world.diagnose(None).await), ["llm.key_refused"]);
    let fixed = world.fix("llm.key_refused", None).await;
    assert_eq!(fixed.outcome, "advice");
    assert!(
        fixed.effects.iter().any(|effect| effect.contains("hale secrets set sim")),
        "{:?}",
        fixed.effects
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_refused_once_and_taken_since_is_no_finding() {
    let world = World::new(5).await;
    let fault = world.sim.control.set(FaultSpec::from(Fault::KeyRefused).times(1)).unwrap();
    assert_eq!(world.run("asker").await.1, StateName::Failed);
    assert_eq!(world.sim.control.hits(fault), 1);
    assert_eq!(world.run("asker").await.1, StateName::Completed);
    assert!(named(&world.diagnose(None).await).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_runs_without_a_worker_are_named_and_a_worker_is_started() {
    let world = World::new(2).await;
    world.inject("worker.kill_all", &[]).await;
    assert!(world.engine.embedded().is_none());
    let submit = Submit { pack: "asker".to_owned(), input: json!({ "name": "Ada" }), ..Submit::default() };
    let run = world.engine.submit(submit, &caller()).await.unwrap().run.id;
    let begun = Instant::now();
    // The symptom needs five seconds of waiting, which are real here: the model behind is a real socket.
    while named(&world.diagnose(None).await).is_empty() && begun.elapsed() < WAIT {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(named(&world.diagnose(None).await), ["queue.no_live_worker"]);
    assert_eq!(named(&world.diagnose(Some(run)).await), ["queue.no_live_worker"]);
    let fixed = world.fix("queue.no_live_worker", None).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    let ended = world.engine.wait(run, WAIT).await.unwrap();
    assert_eq!(ended.run.state.name(), StateName::Completed);
    world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap();
    assert!(world.engine.workers().await.unwrap().iter().all(|worker| worker.draining));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_a_busy_worker_is_no_finding() {
    let world = World::new(1).await;
    let slow = Fault::Slow { first_token_ms: 8_000, per_chunk_ms: 0 };
    let fault = world.sim.control.set(FaultSpec::from(slow).times(1)).unwrap();
    let submit = || Submit { pack: "asker".to_owned(), input: json!({ "name": "Ada" }), ..Submit::default() };
    let first = world.engine.submit(submit(), &caller()).await.unwrap().run.id;
    let second = world.engine.submit(submit(), &caller()).await.unwrap().run.id;
    tokio::time::sleep(Duration::from_millis(6_000)).await;
    assert_eq!(
        world.engine.run(second).await.unwrap().run.state.name(),
        StateName::Pending,
        "the twin took no effect"
    );
    assert!(named(&world.diagnose(Some(second)).await).is_empty());
    assert!(named(&world.diagnose(None).await).is_empty());
    world.engine.wait(first, WAIT).await.unwrap();
    assert_eq!(world.sim.control.hits(fault), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_model_is_told_from_a_looping_tool_and_the_limit_is_raised() {
    let world = World::new(5).await;
    world.deploy("slow", "limits: { timeout: 2s }").await;
    world.inject("llm.slow", &[("wait", "20s")]).await;
    let (run, state) = world.run("slow").await;
    assert_eq!(state, StateName::Timeout);
    assert_eq!(named(&world.diagnose(Some(run)).await), ["run.model_slow"]);
    let fixed = world.fix("run.model_slow", Some(run)).await;
    assert_eq!((fixed.outcome, fixed.verified), ("changed", "verified"), "{fixed:?}");
    assert!(world.engine.settings().limit("slow").unwrap() > Millis::seconds(2));
    world.engine.undo(fixed.operation.unwrap(), &caller()).await.unwrap();
    assert!(world.engine.settings().limit("slow").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_model_within_the_limit_is_no_finding() {
    let world = World::new(5).await;
    let slow = Fault::Slow { first_token_ms: 1_000, per_chunk_ms: 0 };
    let fault = world.sim.control.set(FaultSpec::from(slow).times(1)).unwrap();
    let (run, state) = world.run("asker").await;
    assert_eq!((state, world.sim.control.hits(fault)), (StateName::Completed, 1));
    assert!(named(&world.diagnose(Some(run)).await).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_loop_is_named_with_advice() {
    let world = World::new(5).await;
    // Not below the data folder, which no tool may see.
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("log.txt"), "one line\n").unwrap();
    let keys = format!(
        "tools: [files.read, files.list, files.search]\ngrants: {{ files: [\"{}:ro\"] }}\nlimits: {{ timeout: 60s, max_turns: 8 }}",
        files.path().display()
    );
    world.deploy("looper", &keys).await;
    world.inject("tool.loop", &[]).await;
    let (run, state) = world.run("looper").await;
    world.armed();
    assert_eq!(state, StateName::Failed);
    assert_eq!(named(&world.diagnose(Some(run)).await), ["run.tool_loop"]);
    let fixed = world.fix("run.tool_loop", Some(run)).await;
    assert_eq!(fixed.outcome, "advice");
    assert!(fixed.effects.iter().any(|effect| effect.contains("hale runs history")), "{:?}", fixed.effects);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_system_has_no_finding_and_the_injector_leaves_no_track() {
    let world = World::new(5).await;
    let (run, state) = world.run("asker").await;
    assert_eq!(state, StateName::Completed);
    assert!(named(&world.diagnose(Some(run)).await).is_empty());
    assert!(named(&world.diagnose(None).await).is_empty());
    world.inject("llm.slow", &[]).await;
    let evidence = world.engine.evidence(None).await.unwrap().to_json();
    for track in ["chaos", "llm.slow\"", "inject", "flt_"] {
        assert!(!evidence.contains(track), "{track} stands in the evidence");
    }
}
