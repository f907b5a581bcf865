//! The main case: a no-op run from HTTP submit to seen result, durable, hale and peers in turn.
//!
//! Each pass measures every subject once, so that a change of the machine's mood meets them all. A ratio is taken within a
//! pass, and the lowest of all passes must keep the gate.

use super::hale::{self, Server};
use super::load::{self, Load};
use super::report::{Gate, Report, Row};
use super::workshop::Workshop;
use super::{Options, peers, readings};
use std::path::Path;

const CLIENTS: usize = 64;
const RUNS: usize = 40_000;
const RUNS_ALONE: usize = 500;
const WARM_UP: usize = 500;
const SYNC_SAMPLES: usize = 400;

pub fn run(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("No-op runs, HTTP submit to seen result, durable", workshop);
    for pass in 1..=options.passes {
        println!("pass {pass} of {}: hale", options.passes);
        let (ours, sync_ms) = ours(workshop, options, &binary)?;
        let (alone_p50, cpu) = (ours[1].p50_ms.unwrap_or(f64::MAX), ours[0].cpu_ms_per_op);
        let rate = ours[0].per_s;
        report.rows.extend(ours.into_iter().map(|row| row.in_pass(pass)));
        report.notes.push(format!("pass {pass}: 4 KiB append + fdatasync p50 {sync_ms:.3} ms"));
        report.gate(Gate::at_most("CPU per run, server and client", cpu, 0.25, "ms"));
        report.gate(Gate::at_most("p50 alone less 2 syncs", alone_p50 - 2.0 * sync_ms, 1.0, "ms"));
        measure_peers(workshop, options, pass, &mut report)?;
        for peer in &options.peers {
            let theirs = report.rows.iter().find(|row| row.is(peer.name, CLIENTS, pass)).map(|row| row.per_s);
            if let Some(theirs) = theirs {
                report.gate(Gate::at_least(
                    &format!("rate against {}", peer.name),
                    rate / theirs,
                    peer.gate,
                    "x",
                ));
            }
        }
    }
    Ok(report)
}

pub fn peers_only(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("Peers alone", workshop);
    for pass in 1..=options.passes {
        measure_peers(workshop, options, pass, &mut report)?;
    }
    Ok(report)
}

fn measure_peers(
    workshop: &Workshop,
    options: &Options,
    pass: u32,
    report: &mut Report,
) -> anyhow::Result<()> {
    for peer in &options.peers {
        println!("pass {pass} of {}: {}", options.passes, peer.name);
        let rows = peers::measure(workshop, peer, options.scale)?;
        report.rows.extend(rows.into_iter().map(|row| row.in_pass(pass)));
    }
    Ok(())
}

fn ours(workshop: &Workshop, options: &Options, binary: &Path) -> anyhow::Result<([Row; 2], f64)> {
    let data = workshop.fresh("hale")?;
    let mut syncs = readings::syncs(&data, SYNC_SAMPLES)?;
    let server = Server::start(workshop, binary, &data)?;
    let load = |phase: &str, clients, total| Load {
        address: server.address,
        clients,
        total,
        phase: phase.to_owned(),
        pack: load::ECHO,
    };
    load::run(&load("warm", 16, WARM_UP))?;
    let many = row(&server, &load("many", CLIENTS, options.scale.of(RUNS)))?;
    let one = row(&server, &load("one", 1, options.scale.of(RUNS_ALONE)))?;
    // Before and after: a disk that changes its mood in between must not favour either side.
    syncs.extend(readings::syncs(&data, SYNC_SAMPLES)?);
    Ok(([many, one], readings::ms(readings::quantile(&mut syncs, 0.5))))
}

fn row(server: &Server, load: &Load) -> anyhow::Result<Row> {
    let before = server.cpu_with_client()?;
    let mut outcome = load::run(load)?;
    let spent = server.cpu_with_client()? - before;
    Ok(Row {
        peer: "hale".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        durability: "SQLite WAL, synchronous=FULL".to_owned(),
        conc: load.clients,
        n: load.total,
        pass: 0,
        per_s: outcome.per_second(),
        cpu_ms_per_op: readings::ms(spent) / load.total as f64,
        p50_ms: Some(outcome.quantile_ms(0.5)),
        p99_ms: Some(outcome.quantile_ms(0.99)),
        note: None,
    })
}
