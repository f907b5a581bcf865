//! Ten times what the slots can do, for minutes: does the work go on, and is all as before when the load is gone?
//!
//! The work is one call of a simulated model that answers after a fixed time, so that the slots are the bottleneck and
//! the machine has something left for ten times as many requests. The queue is bounded by `queue.depth_max`; what does
//! not fit is refused with 429.

use super::hale::{self, ASKS, Server};
use super::load::{self, Load};
use super::report::{Gate, Report};
use super::workshop::Workshop;
use super::{Options, Scale};
use crate::shell;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SLOTS: usize = 20;
/// A call takes this long, so that the slots can do 100 runs a second.
const ANSWER_MS: usize = 200;
const CAPACITY: usize = SLOTS * 1000 / ANSWER_MS;
/// Runs that may wait: 20 s of work.
const DEPTH: usize = 20 * CAPACITY;
/// Requests a second over the capacity.
const TIMES: usize = 10;
const SENDERS: usize = 16;
/// Within the former p99 and this much more, all is as before.
const AS_BEFORE: f64 = 1.2;
const RECOVERY_MAX: Duration = Duration::from_secs(180);

/// What the senders of the overload heard.
#[derive(Default)]
struct Heard {
    accepted: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
}

pub fn run(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let lasts = match options.scale {
        Scale::Full => Duration::from_secs(300),
        Scale::Quick => Duration::from_secs(20),
    };
    let data = workshop.fresh("overload")?;
    let model = Model::start(&binary, &data)?;
    let (slots, depth) = (SLOTS.to_string(), DEPTH.to_string());
    let settings = [("HALE_WORKER_CONCURRENCY", slots.as_str()), ("HALE_QUEUE_DEPTH_MAX", depth.as_str())];
    let server = Server::with(workshop, (&binary, &data), &settings)?;
    let phase = |phase: &str, clients: usize, total: usize| Load {
        address: server.address,
        clients,
        total,
        phase: phase.to_owned(),
        pack: ASKS,
    };
    load::run(&phase("warm", SLOTS, CAPACITY))?;
    let before = load::run(&phase("before", SLOTS / 2, CAPACITY * 10))?.quantile_ms(0.99);
    let peak = load::run(&phase("peak", SLOTS * 2, CAPACITY * 20))?.per_second();
    let (asked, ended) = (model.calls()?, completed(&server)?);
    let heard = Heard::default();
    let goodput = overload(&server, &heard, lasts)?;
    let removed = Instant::now();
    let mut rounds = 0;
    let recovery = loop {
        rounds += 1;
        // While the queue is full, runs are refused.
        let now = load::run(&phase(&format!("after-{rounds}"), SLOTS / 2, CAPACITY));
        if now.is_ok_and(|mut now| now.quantile_ms(0.99) <= before * AS_BEFORE) {
            break removed.elapsed();
        }
        ensure!(removed.elapsed() < RECOVERY_MAX, "after {RECOVERY_MAX:?} it is not as before");
        std::thread::sleep(Duration::from_millis(200));
    };
    let amplification = (model.calls()? - asked) as f64 / (completed(&server)? - ended) as f64;
    let (accepted, refused) = (heard.accepted.into_inner(), heard.refused.into_inner());
    ensure!(refused > accepted, "the overload did not take effect: {accepted} accepted, {refused} refused");
    let mut report = Report::new("Overload", workshop);
    report.gate(Gate::at_least("goodput under ten times the load, of the peak", goodput / peak, 0.9, "x"));
    report.gate(Gate::at_most("until p99 is as before, load removed", recovery.as_secs_f64(), 60.0, "s"));
    report.gate(Gate::at_most("model calls for a run that completed", amplification, 1.1, "x"));
    report.notes.push(format!(
        "{SLOTS} slots, calls of {ANSWER_MS} ms, {DEPTH} runs may wait; {lasts:?} of {} requests a second",
        CAPACITY * TIMES
    ));
    report.notes.push(format!(
        "peak {peak:.0} runs/s, under load {goodput:.0}; {accepted} accepted, {refused} refused with 429; p99 before {before:.0} ms"
    ));
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok(report)
}

/// Sends at ten times the capacity; tells completed runs a second once the queue is full.
fn overload(server: &Server, heard: &Heard, lasts: Duration) -> anyhow::Result<f64> {
    std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..SENDERS).map(|n| scope.spawn(move || send(server.address, n, heard))).collect();
        let measured = (|| {
            // The first seconds fill the queue.
            std::thread::sleep(lasts / 10);
            let (since, ended) = (Instant::now(), completed(server)?);
            std::thread::sleep(lasts - lasts / 10);
            Ok::<_, anyhow::Error>((completed(server)? - ended) as f64 / since.elapsed().as_secs_f64())
        })();
        heard.over.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        }
        measured
    })
}

/// One sender: its share of the rate, whatever the answers are.
fn send(address: SocketAddr, sender: usize, heard: &Heard) -> anyhow::Result<()> {
    let pause = Duration::from_secs_f64(SENDERS as f64 / (CAPACITY * TIMES) as f64);
    let mut stream = BufReader::new(TcpStream::connect(address)?);
    stream.get_ref().set_nodelay(true)?;
    let began = Instant::now();
    for n in 0u32.. {
        if heard.over.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep((pause * n).saturating_sub(began.elapsed()));
        let body = format!("{{\"pack\":\"{ASKS}\",\"input\":{{\"i\":\"{sender}-{n}\"}}}}");
        let length = body.len();
        let head =
            format!("POST /api/v1/runs HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
        write!(stream.get_mut(), "{head}Content-Length: {length}\r\n\r\n{body}")?;
        match answer(&mut stream)? {
            (202, _) => heard.accepted.fetch_add(1, Ordering::Relaxed),
            (429, _) => heard.refused.fetch_add(1, Ordering::Relaxed),
            (status, body) => bail!("a run was answered with {status}: {body}"),
        };
    }
    Ok(())
}

fn answer(stream: &mut BufReader<TcpStream>) -> anyhow::Result<(u16, String)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).context("read a status")?;
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn completed(server: &Server) -> anyhow::Result<u64> {
    let (_, body) = server.get("/metrics")?;
    let line = body.lines().find_map(|line| line.strip_prefix("hale_runs_completed_total "));
    line.and_then(|number| number.trim().parse().ok()).context("find hale_runs_completed_total in /metrics")
}

/// A simulated model beside the server, which counts what it is asked.
struct Model {
    child: Child,
    address: SocketAddr,
}

impl Model {
    /// Starts it, makes it take its time, and names it in the `hale.toml` of the folder.
    fn start(binary: &Path, data: &Path) -> anyhow::Result<Model> {
        let at = data.join("model.address");
        let mut lab = shell::command(binary);
        lab.args(["lab", "sim", "--listen", "127.0.0.1:0", "--address-file"]).arg(&at);
        let child = lab.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("start the model")?;
        let mut model = Model { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let began = Instant::now();
        while let Err(error) = fs::read_to_string(&at).map(|text| text.trim().parse()).map(|read| {
            if let Ok(address) = read {
                model.address = address;
            }
        }) {
            ensure!(began.elapsed() < Duration::from_secs(30), "the model is not ready: {error}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let fault =
            format!("{{\"fault\":{{\"kind\":\"slow\",\"first_token_ms\":{ANSWER_MS},\"per_chunk_ms\":0}}}}");
        let (status, said) = model.ask("POST", "/sim/faults", &fault)?;
        ensure!(status == 201, "the model does not take its time: {status} {said}");
        let config = format!("[providers.sim]\nbase_url = \"http://{}/v1\"\n", model.address);
        fs::write(data.join("hale.toml"), config)?;
        Ok(model)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = BufReader::new(TcpStream::connect(self.address)?);
        let (address, length) = (self.address, body.len());
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
        write!(stream.get_mut(), "{head}Content-Length: {length}\r\n\r\n{body}")?;
        answer(&mut stream)
    }

    fn calls(&self) -> anyhow::Result<u64> {
        let (_, body) = self.ask("GET", "/sim/calls", "")?;
        let log: Value = serde_json::from_str(&body).context("read the calls of the model")?;
        log["total"].as_u64().context("find how many calls the model had")
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
