//! A whole server for one test: a real engine on the in-memory store, behind a real socket; and a plain client.

use arc_swap::ArcSwap;
use hale::access::{Access, Policy, RequireKey};
use hale::http::listen::{self, Terms};
use hale::http::{About, App, Life, Stage, guard, router};
use hale::keys::{self, ServerKey};
use hale::wire::Problem;
use hale_core::meter::Meters;
use hale_core::time::{Millis, Timestamp};
use hale_engine::facade::prune::Retention;
use hale_engine::recorder::Recorder;
use hale_engine::{Caller, Clock, Config, Engine, Parts};
use hale_gateway::Gateway;
use hale_gateway::secret::Secrets;
use hale_lab::chaos::{Lab, SimAt};
use hale_store::{Blobs, KeyRow, Memory, Store};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longer than any wait of a test: reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

const ECHO: &str = "---\nname: echo\nversion: 1.0.0\ndescription: Answers with its input.\nkind: echo\n---\n";

pub struct House {
    pub app: Arc<App>,
    pub address: SocketAddr,
    pub served: tokio::task::JoinHandle<()>,
    /// A valid key, where keys are wanted.
    pub key: Option<String>,
    dir: TempDir,
}

/// How a house differs from the usual one.
#[derive(Default)]
pub struct Plan {
    pub require_key: RequireKey,
    /// No embedded worker: runs stay PENDING.
    pub idle: bool,
    pub lab: bool,
    /// Another store than the one in memory, with its artifacts.
    pub kept: Option<(Arc<dyn Store>, Arc<dyn Blobs>)>,
    /// Another time to keep everything than a day.
    pub keep: Option<Retention>,
}

impl House {
    pub async fn open() -> Self {
        Self::of(Plan::default()).await
    }

    pub async fn of(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let slots = if plan.idle { 0 } else { 2 };
        let engine = engine(&dir, slots, (plan.kept, plan.keep)).await;
        engine.deploy("echo.md", ECHO.as_bytes(), hale_engine::DryRun::No, &Caller::engine()).await.unwrap();
        let server_key = ServerKey::load(dir.path()).unwrap();
        let mut key = None;
        if plan.require_key == RequireKey::Always {
            let order = keys::Order { name: "tests", expires_in: None, tenant: None, known: &[] };
            let (row, secret) = keys::make(&order, &server_key, engine.now()).unwrap();
            engine.key_put(row, "keys.create", &Caller::engine()).await.unwrap();
            key = Some(secret.reveal());
        }
        let listener = listen::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let policy = Policy { require_key: plan.require_key, names: Vec::new() };
        let access = Access::new(address, policy, server_key, dir.path(), &engine.keys()).unwrap();
        let meters = engine.meters().clone();
        let app = Arc::new(App {
            lab: plan.lab.then(|| Arc::new(Lab::new(engine.clone(), SimAt::Nowhere))),
            access,
            config: ArcSwap::default(),
            about: About {
                dialects: Default::default(),
                address,
                data: dir.path().to_owned(),
                default_model: "sim/small".to_owned(),
                providers: HashMap::new(),
            },
            life: Life::default(),
            shutdown: CancellationToken::new(),
            touches: guard::Touches::default(),
            engine,
        });
        app.life.enter(Stage::Serving);
        let serving = listen::serve(listener, router(app.clone()), Terms::of(meters), app.shutdown.clone());
        let served = hale_engine::tasks::spawn("server", serving);
        Self { app, address, served, key, dir }
    }

    /// A key with the life that a test wants.
    pub async fn make_key(
        &self,
        name: &str,
        made_at: Timestamp,
        expires_in: Option<Millis>,
    ) -> (KeyRow, String) {
        let order = keys::Order { name, expires_in, tenant: None, known: &self.app.engine.keys() };
        let (row, secret) = keys::make(&order, self.app.access.server_key(), made_at).unwrap();
        self.app.engine.key_put(row.clone(), "keys.create", &Caller::engine()).await.unwrap();
        (row, secret.reveal())
    }

    pub fn ask(&self, verb: &str, path: &str) -> Ask {
        let mut ask = Ask { address: self.address, head: format!("{verb} {path} HTTP/1.1\r\n"), body: None };
        ask = ask.header("connection", "close");
        match &self.key {
            Some(key) => ask.header("x-api-key", key),
            None => ask,
        }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str, body: Value) -> Ask {
        self.ask("POST", path).json(body)
    }

    pub fn data(&self) -> &std::path::Path {
        self.dir.path()
    }
}

type Kept = Option<(Arc<dyn Store>, Arc<dyn Blobs>)>;

async fn engine(dir: &TempDir, slots: u32, (kept, keep): (Kept, Option<Retention>)) -> Engine {
    let clock = Clock::start();
    let memory = Memory::default();
    let blobs = memory.blobs();
    let (store, blobs) = kept.unwrap_or_else(|| (Arc::new(memory), blobs));
    let secrets = Secrets::new(Arc::new(|_| None), dir.path().join("secrets"));
    let parts = Parts {
        blobs,
        store,
        gateway: Arc::new(Gateway::new(secrets, Arc::new(move || clock.now()))),
        meters: Arc::new(Meters::default()),
        recorder: Recorder::open(dir.path()).unwrap(),
    };
    let config = Config {
        embedded_slots: slots,
        spare_models: Vec::new(),
        keep: keep.unwrap_or_else(Retention::a_day),
        ..Config::small(dir.path().to_owned(), clock)
    };
    Engine::start(config, parts).await.unwrap()
}

/// One request on a connection of its own.
pub struct Ask {
    address: SocketAddr,
    head: String,
    body: Option<String>,
}

impl Ask {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.text("application/json", body.to_string())
    }

    pub fn text(mut self, kind: &str, body: String) -> Self {
        self = self.header("content-type", kind);
        Self { body: Some(body), ..self }
    }

    /// Sends and reads until `sign` has come; the rest is still to come.
    pub async fn open(self, sign: &str) -> Opened {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{}host: {}\r\n\r\n", self.head, self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let begun = async {
            while !String::from_utf8_lossy(&bytes).contains(sign) {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed before {sign}");
            }
        };
        timeout(PATIENCE, begun).await.unwrap_or_else(|_| panic!("{sign} does not come"));
        Opened { stream, bytes }
    }

    /// Sends and reads to the end.
    pub async fn send(self) -> Answer {
        let host = if self.head.contains("\r\nhost:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.address)
        };
        let body = self.body.unwrap_or_default();
        let request = format!("{}{host}content-length: {}\r\n\r\n{body}", self.head, body.len());
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            bytes
        };
        let bytes = timeout(PATIENCE, exchange)
            .await
            .unwrap_or_else(|_| panic!("no end of the answer to {}", self.head));
        Answer::read(&bytes)
    }

    /// Sends and expects this status.
    pub async fn gives(self, status: u16) -> Answer {
        let line = self.head.lines().next().unwrap_or_default().to_owned();
        let answer = self.send().await;
        assert_eq!(answer.status(), status, "{line}: {}\n{}", answer.head, answer.body);
        answer
    }
}

/// An answer that is still coming.
pub struct Opened {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Opened {
    /// Reads to the end, which must come within `limit`.
    pub async fn rest(mut self, limit: Duration) -> Answer {
        let end = timeout(limit, self.stream.read_to_end(&mut self.bytes)).await;
        end.expect("the answer does not end").unwrap();
        Answer::read(&self.bytes)
    }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 || after.len() < size {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    body
}

#[derive(Debug)]
pub struct Answer {
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { unchunked(body) } else { body.to_owned() };
        Self { head: head.to_owned(), body }
    }

    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line =
            self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }

    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn problem(&self) -> Problem {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}\n{}",
            self.head,
            self.body
        );
        let problem: Problem = self.json();
        assert_eq!(problem.status, self.status());
        assert_eq!(self.header("x-correlation-id"), Some(problem.correlation_id.as_str()));
        assert!(problem.fix.is_some(), "every error names the next command: {problem:?}");
        problem
    }
}
