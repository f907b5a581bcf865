//! The peers: how each is started, run and ended.
//!
//! Each is durable to the same degree as hale: acknowledged means synced. A peer's script prints one JSON line with many
//! clients and one with a single client; CPU there counts its servers too. Where a peer has a faster and a slower way, the
//! faster is taken.

use super::report::Row;
use super::workshop::Workshop;
use super::{Scale, hale};
use crate::shell;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Restate needs some seconds for its first start on a slow disk.
const READY_MAX: Duration = Duration::from_secs(60);
/// A script that takes longer hangs; the slowest peer makes some 40 runs a second.
const SCRIPT_MAX: Duration = Duration::from_secs(300);

pub struct Peer {
    pub name: &'static str,
    /// How many times as many runs a second we want with many clients.
    pub gate: f64,
    /// Runs with many clients, and with one.
    sizes: (usize, usize),
    start: fn(&Workshop, &Path) -> anyhow::Result<Started>,
}

pub const PEERS: &[Peer] = &[
    Peer { name: "restate", gate: 10.0, sizes: (4000, 200), start: restate },
    Peer { name: "bullmq", gate: 8.0, sizes: (4000, 200), start: bullmq },
    Peer { name: "dbos", gate: 20.0, sizes: (600, 100), start: dbos },
    Peer { name: "langgraph", gate: 20.0, sizes: (600, 100), start: langgraph },
    Peer { name: "celery", gate: 20.0, sizes: (1500, 200), start: celery },
];

/// A script that is ready to run, and the servers it needs.
struct Started {
    servers: Servers,
    script: Command,
}

pub fn chosen(list: Option<&str>) -> anyhow::Result<Vec<&'static Peer>> {
    let Some(list) = list else { return Ok(PEERS.iter().collect()) };
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none");
    let find = |name: &str| {
        let known: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
        let peer = PEERS.iter().find(|peer| peer.name == name);
        peer.with_context(|| format!("`{name}` is no peer; there are {}", known.join(", ")))
    };
    names.map(find).collect()
}

pub fn measure(workshop: &Workshop, peer: &Peer, scale: Scale) -> anyhow::Result<Vec<Row>> {
    let data = workshop.fresh(peer.name)?;
    let Started { servers, mut script } =
        (peer.start)(workshop, &data).with_context(|| format!("start {}", peer.name))?;
    script.env("BENCH_N", scale.of(peer.sizes.0).to_string());
    script.env("BENCH_LAT_N", scale.of(peer.sizes.1).to_string());
    script.env("BENCH_PIDS", servers.pids());
    let said = output_within(&mut script, SCRIPT_MAX).with_context(|| format!("measure {}", peer.name))?;
    drop(servers);
    let lines = said.lines().filter(|line| line.starts_with('{'));
    let rows = lines.map(|line| serde_json::from_str(line).with_context(|| format!("read `{line}`")));
    let rows: Vec<Row> = rows.collect::<anyhow::Result<_>>()?;
    if rows.len() != 2 {
        bail!("{} printed {} lines of results instead of 2:\n{said}", peer.name, rows.len());
    }
    Ok(rows)
}

/// As [`shell::output`], but ends the script when it takes too long.
fn output_within(script: &mut Command, limit: Duration) -> anyhow::Result<String> {
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pid = Pid::from_child(&child);
    let mut stdout = child.stdout.take().context("take the script's stdout")?;
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(limit).is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let mut said = String::new();
    stdout.read_to_string(&mut said)?;
    drop(done);
    let status = child.wait()?;
    let _ = guard.join();
    if !status.success() {
        bail!("`{}` ended with {status} (limit {limit:?}), having said:\n{said}", shell::line(script));
    }
    Ok(said)
}

/// Processes that are ended, and waited for, when this goes.
#[derive(Default)]
struct Servers(Vec<Child>);

impl Servers {
    fn spawn(&mut self, mut command: Command, log: &Path) -> anyhow::Result<()> {
        let log = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("start `{}`", shell::line(&command)))?;
        self.0.push(child);
        Ok(())
    }

    fn pids(&self) -> String {
        self.0.iter().map(|child| child.id().to_string()).collect::<Vec<_>>().join(",")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // Last started first, so that a worker does not lose its broker while it says goodbye.
        for child in self.0.iter_mut().rev() {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let began = Instant::now();
            while matches!(child.try_wait(), Ok(None)) {
                if began.elapsed() > Duration::from_secs(10) {
                    let _ = child.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn wait_until(what: &str, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
    let began = Instant::now();
    while !ready() {
        if began.elapsed() > READY_MAX {
            bail!("{what} was not ready after {READY_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn redis(workshop: &Workshop, data: &Path, servers: &mut Servers) -> anyhow::Result<u16> {
    let address = free_address()?;
    let mut redis = workshop.redis()?;
    let port = address.port().to_string();
    redis.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
    ]);
    redis.arg("--dir").arg(data);
    servers.spawn(redis, &workshop.bench.join("redis.log"))?;
    let answers = || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(b"PING\r\n").ok()?;
        let mut pong = [0_u8; 7];
        stream.read_exact(&mut pong).ok()?;
        (&pong == b"+PONG\r\n").then_some(())
    };
    wait_until("redis", || answers().is_some())?;
    Ok(address.port())
}

fn node(folder: &Path, script: &str) -> Command {
    let mut node = shell::command("node");
    node.arg(script).current_dir(folder).stderr(Stdio::inherit());
    node
}

fn restate(workshop: &Workshop, data: &Path) -> anyhow::Result<Started> {
    let folder = workshop.node()?;
    let (ingress, admin, internal, service) =
        (free_address()?, free_address()?, free_address()?, free_address()?);
    let machine = match std::env::consts::ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    };
    let program = format!("node_modules/@restatedev/restate-server-{machine}/bin/restate-server");
    let mut server = shell::command(folder.join(program));
    server.arg("--base-dir").arg(data);
    server.env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string());
    server.env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string());
    server.env("RESTATE_BIND_ADDRESS", internal.to_string());
    server.env("RESTATE_DISABLE_TELEMETRY", "true").env("DO_NOT_TRACK", "1");
    let mut servers = Servers::default();
    servers.spawn(server, &workshop.bench.join("restate.log"))?;
    wait_until("restate", || hale::get(admin, "/health").is_ok_and(|(status, _)| status == 200))?;
    let mut script = node(&folder, "restate.mjs");
    script.env("BENCH_RESTATE_INGRESS", format!("http://{ingress}"));
    script.env("BENCH_RESTATE_ADMIN", format!("http://{admin}"));
    script.env("BENCH_SERVICE_PORT", service.port().to_string());
    Ok(Started { servers, script })
}

fn bullmq(workshop: &Workshop, data: &Path) -> anyhow::Result<Started> {
    let folder = workshop.node()?;
    let mut servers = Servers::default();
    let port = redis(workshop, data, &mut servers)?;
    let mut script = node(&folder, "bullmq.mjs");
    script.env("BENCH_REDIS_PORT", port.to_string());
    Ok(Started { servers, script })
}

fn python(workshop: &Workshop, script: &str, data: &Path) -> anyhow::Result<Command> {
    let (folder, interpreter) = workshop.python()?;
    let mut python = shell::command(interpreter);
    python.arg(script).arg(data).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}

fn dbos(workshop: &Workshop, data: &Path) -> anyhow::Result<Started> {
    Ok(Started { servers: Servers::default(), script: python(workshop, "dbos_peer.py", data)? })
}

fn langgraph(workshop: &Workshop, data: &Path) -> anyhow::Result<Started> {
    Ok(Started { servers: Servers::default(), script: python(workshop, "langgraph_peer.py", data)? })
}

fn celery(workshop: &Workshop, data: &Path) -> anyhow::Result<Started> {
    let mut script = python(workshop, "celery_peer.py", data)?;
    let (folder, _) = workshop.python()?;
    let mut servers = Servers::default();
    let port = redis(workshop, data, &mut servers)?.to_string();
    let mut worker = shell::command(folder.join("venv/bin/celery"));
    let options = "-A celery_app worker -c 2 -P prefork --without-gossip --without-mingle -l ERROR";
    worker.args(options.split(' ')).current_dir(folder);
    worker.env("BENCH_REDIS_PORT", &port).env("PYTHONDONTWRITEBYTECODE", "1");
    servers.spawn(worker, &workshop.bench.join("celery.log"))?;
    script.env("BENCH_REDIS_PORT", port);
    Ok(Started { servers, script })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_chosen_by_name() {
        let names = |list| chosen(list).unwrap().iter().map(|peer| peer.name).collect::<Vec<_>>();
        assert_eq!(names(None).len(), 5);
        assert_eq!(names(Some("celery,restate")), ["celery", "restate"]);
        assert!(names(Some("none")).is_empty());
        assert!(chosen(Some("temporal")).is_err());
    }

    #[test]
    fn a_script_that_hangs_is_ended() {
        let mut script = shell::command("sleep");
        let began = Instant::now();
        assert!(output_within(script.arg("60"), Duration::from_millis(50)).is_err());
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
