//! A release server of hale on a folder of its own, started as a user would and ended by its process id.

use super::workshop::Workshop;
use super::{Options, readings};
use crate::shell;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The pack whose turns are measured beside those of `echo`: a key of its own.
pub const QUIET: &str = "quiet";
/// The pack that asks a model once.
pub const ASKS: &str = "asks";
/// Slots of the built-in worker: as many as the benchmark has clients.
const CONCURRENCY: &str = "64";
/// A server that is not ready by then is broken; the budget is 0.3 s.
const READY_MAX: Duration = Duration::from_secs(60);
/// Draining an echo pack takes no time; longer means that it hangs, and SIGKILL follows.
const STOP_MAX: Duration = Duration::from_secs(20);

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub ready_after: Duration,
}

/// The release binary, built unless one was named.
pub fn binary(workshop: &Workshop, options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(file) = &options.hale {
        return file.canonicalize().with_context(|| format!("find {}", file.display()));
    }
    shell::run(shell::cargo().args(["build", "--release", "-p", "hale"]).current_dir(&workshop.root))?;
    Ok(workshop.target.join("release/hale"))
}

/// Writes `count` runs of the pack `echo` into a data folder that no server holds.
pub fn seed(binary: &Path, data: &Path, count: usize, state: &str) -> anyhow::Result<()> {
    println!("seeding {count} {state} runs");
    let mut hale = shell::command(binary);
    hale.args(["lab", "seed-runs", "--count", &count.to_string(), "--state", state, "--data"]).arg(data);
    shell::output(&mut hale).map(|_| ())
}

impl Server {
    /// Starts with many slots and waits until `/readyz` says 200.
    pub fn start(workshop: &Workshop, binary: &Path, data: &Path) -> anyhow::Result<Server> {
        Self::with_slots(workshop, (binary, data), CONCURRENCY)
    }

    /// The same with so many slots.
    pub fn with_slots(workshop: &Workshop, folders: (&Path, &Path), slots: &str) -> anyhow::Result<Server> {
        Self::with(workshop, folders, &[("HALE_WORKER_CONCURRENCY", slots)])
    }

    /// With settings of the environment, in a working folder that may hold a `hale.toml`: that of the data.
    pub fn with(
        workshop: &Workshop,
        (binary, data): (&Path, &Path),
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Server> {
        let packs = packs(workshop)?;
        let log = fs::File::create(workshop.bench.join("hale.log"))?;
        // What a former server wrote there would be taken for the new one's.
        let written = data.join("address");
        if written.exists() {
            fs::remove_file(&written)?;
        }
        let mut hale = shell::command(binary);
        hale.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data).arg("--packs").arg(packs);
        hale.current_dir(data).envs(settings.iter().copied()).env_remove("HALE_URL");
        hale.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let began = Instant::now();
        let mut child = hale.spawn().with_context(|| format!("start {}", binary.display()))?;
        match wait_ready(&mut child, data, began) {
            Ok(address) => Ok(Server { child, address, ready_after: began.elapsed() }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                let log = fs::read_to_string(workshop.bench.join("hale.log")).unwrap_or_default();
                Err(error.context(format!("the server said:\n{log}")))
            }
        }
    }

    /// SIGKILL, as a machine that runs out of memory would.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU of the server and of ourselves, who are the client.
    pub fn cpu_with_client(&self) -> anyhow::Result<Duration> {
        Ok(readings::cpu(self.pid())? + readings::cpu(std::process::id())?)
    }

    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        get(self.address, path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let began = Instant::now();
        while began.elapsed() < STOP_MAX {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("the server did not stop within {STOP_MAX:?}, killed");
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A folder with the packs that are measured.
fn packs(workshop: &Workshop) -> anyhow::Result<PathBuf> {
    let folder = workshop.bench.join("packs");
    fs::create_dir_all(&folder)?;
    let echo = workshop.root.join("packs/echo.md");
    fs::copy(&echo, folder.join("echo.md")).with_context(|| format!("copy {}", echo.display()))?;
    fs::write(folder.join("quiet.md"), format!("---\nname: {QUIET}\nkind: echo\n---\n"))?;
    let asks = "---\nname: asks\nversion: 1.0.0\ndescription: One answer of a model.\n---\nAnswer in one sentence.\n";
    fs::write(folder.join("asks.md"), asks)?;
    Ok(folder)
}

fn wait_ready(child: &mut Child, data: &Path, began: Instant) -> anyhow::Result<SocketAddr> {
    while began.elapsed() < READY_MAX {
        if let Some(status) = child.try_wait()? {
            bail!("the server ended with {status} instead of getting ready");
        }
        let written = fs::read_to_string(data.join("address")).unwrap_or_default();
        let address = written.trim().trim_start_matches("http://").trim_end_matches('/').parse();
        if let Ok(address) = address
            && get(address, "/readyz").is_ok_and(|(status, _)| status == 200)
        {
            return Ok(address);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("the server was not ready after {READY_MAX:?}");
}

/// One request on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.with_context(|| format!("read the status of {path}"))?, body.to_owned()))
}
