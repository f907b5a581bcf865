//! A world for proofs: a real server, real workers and a model, each a process of its own that a test can kill.
//!
//! The model outlives the server, so that its log of calls tells what the server asked before and after a crash.
//! Guarantees: every process that was started here is ended by its pid when the world is dropped.

use hale_lab::history::{Export, Observed, Snapshot, Submission};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// The program under test.
pub const HALE: &str = env!("CARGO_BIN_EXE_hale");
/// A start that takes longer has failed; a loaded machine needs a few seconds.
const START_WAIT: Duration = Duration::from_secs(30);
/// An answer that takes longer is no answer.
const ANSWER_WAIT: Duration = Duration::from_secs(40);

/// A pack of several steps, so that a crash finds some done and others not.
const STAGES: &str = "\
---
name: stages
version: 1.0.0
description: Three answers in a row.
input: { name: string }
steps: [first, second, third]
limits: { timeout: 60s, max_turns: 6 }
---
Answer each step with one sentence.
";

/// A child that does not outlive its owner.
pub struct Process {
    child: Child,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: libc::c_int) {
        #[expect(
            unsafe_code,
            reason = "kill(2) takes two numbers; the pid is a child's that was not waited for"
        )]
        // SAFETY: no memory is involved.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "send signal {signal} to {}", self.child.id());
    }

    /// Kills it and returns when it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has: by which signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.signal())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Stopped processes do not hear anything else.
        self.kill();
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// One HTTP/1.1 connection, opened again when it is gone.
pub struct Http {
    pub address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Http {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None }
    }

    /// Asked again on a new connection: one that was idle may have been closed.
    pub fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        self.ask("GET", path, &[], None).or_else(|_| self.ask("GET", path, &[], None))
    }

    pub fn post(&mut self, path: &str, body: &Value) -> std::io::Result<Answer> {
        self.ask("POST", path, &[], Some(body))
    }

    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let answer = self.exchange(method, path, headers, body);
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> std::io::Result<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.address,
            body.len()
        );
        if !body.is_empty() {
            request.push_str("content-type: application/json\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(&body);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_read_timeout(Some(ANSWER_WAIT))?;
                stream.set_nodelay(true)?;
                BufReader::new(stream)
            }
        };
        stream.get_mut().write_all(request.as_bytes())?;
        let answer = read_answer(&mut stream)?;
        if answer.headers.get("connection").is_none_or(|value| value != "close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn line(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_answer(stream: &mut impl BufRead) -> std::io::Result<Answer> {
    let bad = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let first = line(stream)?;
    let status =
        first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad(first.clone()))?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    let length =
        |text: &str, radix| usize::from_str_radix(text, radix).map_err(|error| bad(error.to_string()));
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = length(line(stream)?.split(';').next().unwrap_or_default(), 16)?;
            let at = body.len();
            body.resize(at + size, 0);
            stream.read_exact(&mut body[at..])?;
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(size) = headers.get("content-length") {
        body.resize(length(size, 10)?, 0);
        stream.read_exact(&mut body)?;
    }
    Ok(Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
}

/// A folder with packs and configuration, a model, and room for servers and workers.
pub struct World {
    dir: TempDir,
    pub data: PathBuf,
    pub server: Option<Process>,
    pub address: String,
    pub sim: Http,
    /// Calls that the model had before the present data folder was there.
    calls_before: usize,
    _model: Process,
    folders: u32,
}

impl World {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["work", "packs", "home"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let packs = [
            ("echo.md", include_str!("../../../../packs/echo.md")),
            ("hello.md", include_str!("../../../../packs/hello.md")),
        ];
        for (name, text) in packs.into_iter().chain([("stages.md", STAGES)]) {
            let path = dir.path().join("packs").join(name);
            std::fs::write(&path, text).unwrap();
            // A file that is still being written is left for later; these have been there for a while.
            let before = SystemTime::now() - Duration::from_secs(60);
            File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
        }
        let at = dir.path().join("sim.address");
        let mut model = program(dir.path(), HALE);
        model.args(["lab", "sim", "--listen", "127.0.0.1:0", "--address-file"]).arg(&at);
        let mut model = start(&mut model, &dir.path().join("sim.log"));
        let sim = said(&at, &mut model);
        let config = format!("[providers.sim]\nbase_url = \"http://{sim}/v1\"\n");
        std::fs::write(dir.path().join("work/hale.toml"), config).unwrap();
        let data = dir.path().join("data0");
        let (server, address) = (None, String::new());
        Self { dir, data, server, address, sim: Http::new(&sim), calls_before: 0, _model: model, folders: 0 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// From here on servers use another, empty data folder.
    pub fn begin_anew(&mut self) {
        self.server = None;
        self.address.clear();
        self.folders += 1;
        self.data = self.path(&format!("data{}", self.folders));
        self.calls_before = self.calls().1;
    }

    /// `hale up` for the present folder, behind `before` (such as strace), not started yet.
    pub fn server_command(&self, before: &[&str]) -> Command {
        // Again where it was: workers that outlive it know it by its address.
        let listen = if self.address.is_empty() { "127.0.0.1:0" } else { &self.address };
        let line: Vec<&str> = before.iter().copied().chain([HALE, "up", "--listen", listen]).collect();
        let mut command = program(self.dir.path(), line[0]);
        command.args(&line[1..]).arg("--packs").arg(self.path("packs")).arg("--data").arg(&self.data);
        command
    }

    /// Starts a server and returns when it is ready, or how it ended before.
    pub fn try_start(&mut self, command: &mut Command) -> Result<(), Option<i32>> {
        let at = self.data.join("address");
        // A killed server leaves its address behind.
        let _ = std::fs::remove_file(&at);
        let server = start(command, &self.path("server.log"));
        self.await_server(server, &at)
    }

    /// Starts a server whose data folder is a mount that only it sees.
    pub fn up_inside(&mut self, command: &mut Command) {
        let server = start(command, &self.path("server.log"));
        let inside = self.data.strip_prefix("/").unwrap().join("address");
        let at = Path::new(&format!("/proc/{}/root", server.pid())).join(inside);
        if let Err(signal) = self.await_server(server, &at) {
            panic!("the server ended at its start, by signal {signal:?}\n{}", self.log());
        }
    }

    fn await_server(&mut self, mut server: Process, at: &Path) -> Result<(), Option<i32>> {
        let since = Instant::now();
        let address = loop {
            if let Ok(address) = std::fs::read_to_string(at) {
                break address;
            }
            if let Some(signal) = server.ended() {
                return Err(signal);
            }
            assert!(since.elapsed() < START_WAIT, "the server is not ready\n{}", self.log());
            std::thread::sleep(Duration::from_millis(3));
        };
        self.address = address.trim().trim_start_matches("http://").to_owned();
        self.server = Some(server);
        Ok(())
    }

    pub fn up(&mut self) {
        let mut command = self.server_command(&[]);
        self.up_with(&mut command);
    }

    pub fn up_with(&mut self, command: &mut Command) {
        if let Err(signal) = self.try_start(command) {
            panic!("the server ended at its start, by signal {signal:?}\n{}", self.log());
        }
    }

    pub fn kill_server(&mut self) {
        self.server.take().expect("a server runs").kill();
    }

    pub fn worker(&self) -> Process {
        self.worker_with(&[])
    }

    pub fn worker_with(&self, flags: &[&str]) -> Process {
        let mut command = program(self.dir.path(), HALE);
        command.args(["worker", "--slots", "1"]).args(flags).arg("--data").arg(&self.data);
        start(&mut command, &self.path("worker.log"))
    }

    /// A worker with so many slots.
    pub fn worker_of(&self, slots: usize) -> Process {
        self.worker_clocked(slots, |_| {})
    }

    /// A worker with so many slots, whose command is changed before it starts.
    pub fn worker_clocked(&self, slots: usize, change: impl FnOnce(&mut Command)) -> Process {
        let mut command = program(self.dir.path(), HALE);
        command.args(["worker", "--slots", &slots.to_string()]).arg("--data").arg(&self.data);
        change(&mut command);
        start(&mut command, &self.path("worker.log"))
    }

    /// The program as a person at a shell has it.
    pub fn program(&self) -> Command {
        program(self.dir.path(), HALE)
    }

    pub fn http(&self) -> Http {
        Http::new(&self.address)
    }

    /// What the servers said so far; for a test that fails.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// A run, its history, and what workers and server said last; for a test that fails.
    pub fn told(&self, run: &Value) -> String {
        let history = self.http().get(&format!("/api/v1/runs/{}/history", run["id"].as_str().unwrap()));
        let history = history.map(|answer| answer.text).unwrap_or_default();
        let workers = self.http().get("/api/v1/workers").map(|answer| answer.text).unwrap_or_default();
        let log = std::fs::read_to_string(self.path("worker.log")).unwrap_or_default();
        let log: Vec<&str> = log.lines().rev().take(40).collect();
        format!("{run:#}\n{history}\n{workers}\n{}\n{}", log.join("\n"), self.log())
    }

    /// The server's own log, every line so far.
    pub fn log_file(&self) -> String {
        let entries = std::fs::read_dir(self.data.join("logs")).into_iter().flatten().flatten();
        entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect()
    }

    /// Sets a fault of the model.
    pub fn model_does(&mut self, fault: &Value) {
        let answer = self.sim.post("/sim/faults", fault).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
    }

    /// The calls that the model remembers, and how many came in all.
    pub fn calls(&mut self) -> (Vec<Value>, usize) {
        let log = self.sim.get("/sim/calls").unwrap().json();
        (log["calls"].as_array().unwrap().clone(), log["total"].as_u64().unwrap() as usize)
    }

    /// The journals of these runs, and the calls that came before they were read.
    pub fn snapshot(&mut self, runs: &[String]) -> Snapshot {
        let mut http = self.http();
        let read = |run: &String| {
            let answer = http.get(&format!("/api/v1/runs/{run}/history")).ok()?;
            (answer.status == 200).then(|| (run.clone(), answer.json()))
        };
        let journals = runs.iter().filter_map(read).collect();
        Snapshot { journals, calls: self.calls().1 }
    }

    /// Every run that the server lists.
    pub fn runs(&self) -> Vec<Value> {
        let (mut http, mut runs, mut after) = (self.http(), Vec::new(), String::new());
        loop {
            let page = http.get(&format!("/api/v1/runs?limit=1000{after}")).unwrap().json();
            runs.extend(page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return runs,
            }
        }
    }

    /// Waits until every run has ended, for as long as some go on ending: how many there are is the test's affair.
    #[track_caller]
    pub fn settle(&self, without_an_end: Duration) {
        let (mut since, mut fewest) = (Instant::now(), usize::MAX);
        loop {
            let runs = self.runs();
            let open: Vec<&Value> = runs.iter().filter(|run| run["ended_at"].is_null()).collect();
            if open.is_empty() {
                return;
            }
            if open.len() < fewest {
                (since, fewest) = (Instant::now(), open.len());
            }
            let waited = since.elapsed();
            assert!(waited < without_an_end, "{} runs do not end: {}", open.len(), self.told(open[0]));
            // Reading very many of them is work that the server does not do for them.
            std::thread::sleep(Duration::from_millis(50 + runs.len() as u64 / 20));
        }
    }

    /// Everything that the checker wants to know, now that all is quiet.
    pub fn observe(&mut self, submissions: Vec<Submission>, snapshots: Vec<Snapshot>) -> Observed {
        let (mut http, mut runs) = (self.http(), BTreeMap::new());
        for run in self.runs() {
            let id = run["id"].as_str().unwrap().to_owned();
            let view = http.get(&format!("/api/v1/runs/{id}")).unwrap().json();
            let history = http.get(&format!("/api/v1/runs/{id}/history")).unwrap().json();
            runs.insert(id, Export { view, history });
        }
        let (calls, total) = self.calls();
        // The model forgets the oldest of very many calls.
        let (forgotten, from) = (total - calls.len(), self.calls_before.saturating_sub(total - calls.len()));
        let shifted = |snapshot: Snapshot| {
            let calls = snapshot.calls.saturating_sub(forgotten).saturating_sub(from);
            Snapshot { calls, ..snapshot }
        };
        let snapshots = snapshots.into_iter().map(shifted).collect();
        let calls = calls[from.min(calls.len())..].to_vec();
        Observed { submissions, snapshots, runs, calls, ..Observed::default() }
    }
}

/// A program in this world: nothing of the caller's environment but what programs cannot do without.
fn program(dir: &Path, program: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "a proof about processes starts processes")]
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.join("home"))
        .env("LANG", "C.UTF-8")
        .current_dir(dir.join("work"))
        .stdin(Stdio::null());
    command
}

fn start(command: &mut Command, log: &Path) -> Process {
    let log = File::options().create(true).append(true).open(log).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap_or_else(|error| panic!("start {:?}: {error}", command.get_program()));
    Process { child }
}

/// What a process writes into a file when it is ready.
fn said(file: &Path, process: &mut Process) -> String {
    let since = Instant::now();
    while !file.exists() {
        assert_eq!(process.ended(), None, "it ended before it was ready");
        assert!(since.elapsed() < START_WAIT, "{} is not there", file.display());
        std::thread::sleep(Duration::from_millis(3));
    }
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

/// An order that is told from all others by its input.
pub fn order(pack: &str, key: &str) -> Submission {
    let input = match pack {
        "hello" | "stages" => json!({ "name": key }),
        _ => json!({ "n": key }),
    };
    Submission { key: Some(key.to_owned()), pack: pack.to_owned(), input, receipts: Vec::new() }
}

/// Sends an order; the receipt is kept in it.
pub fn submit(http: &mut Http, order: &mut Submission) -> std::io::Result<Answer> {
    let key = order.key.clone().unwrap_or_default();
    let body = json!({"pack": order.pack, "input": order.input});
    let answer = http.ask("POST", "/api/v1/runs", &[("idempotency-key", &key)], Some(&body))?;
    if matches!(answer.status, 200 | 202) {
        order.receipts.push(answer.json());
    }
    Ok(answer)
}

/// Waits until something is so.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Milliseconds since 1970, as journals have them.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

/// How much a proof does: 1 in the test run, more in its long form.
pub fn prove_rounds() -> Option<usize> {
    std::env::var("HALE_PROVE_ROUNDS").ok().and_then(|text| text.parse().ok())
}
