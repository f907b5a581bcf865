//! Cases with a crowd of waiting runs: what it costs another key, and how soon work goes on after a kill.
//!
//! Read next: [`super::cases`].

use super::hale::{self, QUIET, Server};
use super::load::{self, Load};
use super::readings::{self, ms, quantile};
use super::report::{Gate, Report};
use super::workshop::Workshop;
use super::{Options, Scale};
use crate::shell;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Runs of the quiet key in one measurement, and the clients that send them.
const QUIET_RUNS: usize = 5000;
const QUIET_CLIENTS: usize = 16;
/// Runs that wait when the server is killed.
const WAITING: usize = 100_000;
const KILLS: usize = 10;
/// Worker processes that have nothing to do.
const IDLE_WORKERS: usize = 100;

/// The same load of one pack, alone and while another pack's runs wait in the same queue and are worked on; with the
/// slots that a server has by default, and with so many that the noisy runs alone saturate the machine.
pub fn noisy(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("A noisy key", workshop);
    for (slots, gate) in [
        ("5", "p99 of a quiet key beside a noisy one"),
        ("64", "the same with 64 slots, which saturate the machine"),
    ] {
        for pass in 1..=options.passes {
            let alone = quiet_p99(workshop, options, (slots, 0))?;
            let noise = options.scale.seeded();
            let beside = quiet_p99(workshop, options, (slots, noise))?;
            report.notes.push(format!(
                "{slots} slots, pass {pass}: p99 {alone:.2} ms alone, {beside:.2} ms beside {noise} waiting runs"
            ));
            report.gate(Gate::at_most(gate, beside / alone, 2.0, "x"));
        }
    }
    report
        .notes
        .push(format!("{QUIET_CLIENTS} clients of the quiet key, each its next run when its last ended"));
    Ok(report)
}

/// The p99 of the quiet key's runs, in ms, beside so many waiting runs of another key.
fn quiet_p99(workshop: &Workshop, options: &Options, (slots, queued): (&str, usize)) -> anyhow::Result<f64> {
    let binary = hale::binary(workshop, options)?;
    let data = workshop.fresh("noisy")?;
    if queued > 0 {
        hale::seed(&binary, &data, queued, "pending")?;
    }
    let server = Server::with_slots(workshop, (&binary, &data), slots)?;
    let load = |phase: &str| Load {
        address: server.address,
        clients: QUIET_CLIENTS,
        total: options.scale.of(QUIET_RUNS),
        phase: phase.to_owned(),
        pack: QUIET,
    };
    load::run(&load("warm"))?;
    let p99 = load::run(&load("measured"))?.quantile_ms(0.99);
    ensure!(queued == 0 || waiting(&server)? > 0, "the noisy queue was empty before the end");
    server.kill()?;
    fs::remove_dir_all(&data)?;
    Ok(p99)
}

/// What worker processes cost that have nothing to do.
pub fn workers(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let (count, watched) = match options.scale {
        Scale::Full => (IDLE_WORKERS, Duration::from_secs(60)),
        Scale::Quick => (10, Duration::from_secs(10)),
    };
    let data = workshop.fresh("workers")?;
    let server = Server::start(workshop, &binary, &data)?;
    let _crowd = Crowd::start(&binary, &format!("http://{}", server.address), count)?;
    let began = Instant::now();
    while live(&server)? <= count {
        ensure!(began.elapsed() < Duration::from_secs(120), "only {} workers joined", live(&server)?);
        std::thread::sleep(Duration::from_millis(200));
    }
    // Let their joining settle.
    std::thread::sleep(watched / 6);
    let before = (readings::cpu(server.pid())?, commits(&server)?);
    std::thread::sleep(watched);
    let cpu = (readings::cpu(server.pid())? - before.0).as_secs_f64() / watched.as_secs_f64() * 100.0;
    let writes = (commits(&server)? - before.1) as f64 / watched.as_secs_f64();
    ensure!(live(&server)? > count, "workers left meanwhile");
    let mut report = Report::new("Idle workers", workshop);
    report.gate(Gate::at_most("CPU of the server", cpu, 0.5, "%"));
    report.gate(Gate::at_most("commits of the store a second", writes, 1.0, "/s"));
    report.notes.push(format!("{count} worker processes beside the server, watched for {watched:?}"));
    Ok(report)
}

/// Worker processes that end with the measurement.
struct Crowd(Vec<Child>);

impl Crowd {
    fn start(binary: &Path, url: &str, count: usize) -> anyhow::Result<Self> {
        let mut crowd = Self(Vec::new());
        for _ in 0..count {
            let mut worker = shell::command(binary);
            worker
                .args(["worker", "--url", url])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            crowd.0.push(worker.spawn().context("start a worker")?);
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill().and_then(|()| worker.wait());
        }
    }
}

fn live(server: &Server) -> anyhow::Result<usize> {
    let (status, body) = server.get("/api/v1/workers")?;
    let view: Value =
        serde_json::from_str(&body).with_context(|| format!("read the workers ({status}): {body}"))?;
    Ok(view["items"].as_array().map_or(0, Vec::len))
}

fn commits(server: &Server) -> anyhow::Result<u64> {
    let (_, body) = server.get("/metrics")?;
    let line = body.lines().find_map(|line| line.strip_prefix("hale_store_commits_total "));
    line.and_then(|number| number.trim().parse().ok()).context("find hale_store_commits_total in /metrics")
}

/// SIGKILL while a crowd waits: from the start of the next process to the first run that ends in it.
pub fn resume(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("Work goes on after kill -9", workshop);
    let data = workshop.fresh("resume")?;
    let queued = options.scale.of(WAITING);
    hale::seed(&binary, &data, queued, "pending")?;
    let mut server = Server::start(workshop, &binary, &data)?;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(50));
        server.kill()?;
        let began = Instant::now();
        server = Server::start(workshop, &binary, &data)?;
        let left = waiting(&server)?;
        ensure!(left > 0, "the queue was empty before the last kill");
        while waiting(&server)? == left {
            ensure!(began.elapsed() < Duration::from_secs(30), "nothing goes on with {left} runs waiting");
            std::thread::sleep(Duration::from_millis(2));
        }
        times.push(began.elapsed());
    }
    server.kill()?;
    fs::remove_dir_all(&data)?;
    let slowest = ms(quantile(&mut times, 0.99));
    report.notes.push(format!(
        "{KILLS} kills, median {:.0} ms, {queued} runs at first",
        ms(quantile(&mut times, 0.5))
    ));
    report.gate(Gate::at_most("first step resumed after the restart, slowest", slowest, 2000.0, "ms"));
    Ok(report)
}

/// Runs that wait for their turn.
fn waiting(server: &Server) -> anyhow::Result<u64> {
    let (status, body) = server.get("/api/v1/queues/default")?;
    let view: Value =
        serde_json::from_str(&body).with_context(|| format!("read the queue ({status}): {body}"))?;
    view["depth"].as_u64().with_context(|| format!("find depth in {body}"))
}
