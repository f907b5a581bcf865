//! Cases with a crowd of waiting runs: what it costs another key, and how soon work goes on after a kill.
//!
//! Read next: [`super::cases`].

use super::Options;
use super::hale::{self, QUIET, Server};
use super::load::{self, Load};
use super::readings::{ms, quantile};
use super::report::{Gate, Report};
use super::workshop::Workshop;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// Runs of the quiet key in one measurement, and the clients that send them.
const QUIET_RUNS: usize = 5000;
const QUIET_CLIENTS: usize = 16;
/// Runs that wait when the server is killed.
const WAITING: usize = 100_000;
const KILLS: usize = 10;

/// The same load of one pack, alone and while another pack's runs wait in the same queue and are worked on.
pub fn noisy(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("A noisy key", workshop);
    let total = options.scale.of(QUIET_RUNS);
    for pass in 1..=options.passes {
        let mut p99 = [0.0; 2];
        for (place, queued) in [0, options.scale.seeded()].into_iter().enumerate() {
            let data = workshop.fresh("noisy")?;
            if queued > 0 {
                hale::seed(&binary, &data, queued, "pending")?;
            }
            let server = Server::start(workshop, &binary, &data)?;
            let load = |phase: &str| Load {
                address: server.address,
                clients: QUIET_CLIENTS,
                total,
                phase: phase.to_owned(),
                pack: QUIET,
            };
            load::run(&load("warm"))?;
            p99[place] = load::run(&load("measured"))?.quantile_ms(0.99);
            ensure!(queued == 0 || waiting(&server)? > 0, "the noisy queue was empty before the end");
            server.kill()?;
            fs::remove_dir_all(&data)?;
        }
        let [alone, beside] = p99;
        let noise = options.scale.seeded();
        report.notes.push(format!(
            "pass {pass}: p99 {alone:.2} ms alone, {beside:.2} ms beside {noise} waiting runs"
        ));
        report.gate(Gate::at_most("p99 of a quiet key beside a noisy one", beside / alone, 2.0, "x"));
    }
    report
        .notes
        .push(format!("{QUIET_CLIENTS} clients of the quiet key, each its next run when its last ended"));
    Ok(report)
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
