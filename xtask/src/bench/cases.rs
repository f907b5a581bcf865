//! The smaller cases: claims from a long queue, time to ready, idle cost, the CLI, stalled sockets.
//!
//! Databases of 1,000,000 runs are made by `hale lab seed-runs` and thrown away afterwards.

use super::hale::{self, Server};
use super::load::{self, Load};
use super::readings::{self, ms, quantile};
use super::report::{Gate, Report};
use super::workshop::Workshop;
use super::{Options, Scale};
use crate::shell;
use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Runs whose claims are timed, after a warm-up of a tenth.
const CLAIMS: usize = 20_000;
const STARTS: usize = 5;
const CALLS: usize = 20;
const STALLED: usize = 1000;
const SETTLE: Duration = Duration::from_secs(3);

/// How fast a queue drains with `seeded()` runs in it, against one with just enough for the measurement.
pub fn claims(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("Claims from a long queue", workshop);
    let wanted = options.scale.of(CLAIMS);
    for pass in 1..=options.passes {
        let short = drain_rate(workshop, &binary, wanted * 3 / 2, wanted)?;
        let long = drain_rate(workshop, &binary, options.scale.seeded(), wanted)?;
        report
            .notes
            .push(format!("pass {pass}: {short:.0} runs/s from a short queue, {long:.0} from a long one"));
        let name = format!("claim rate with {} queued against few", options.scale.seeded());
        report.gate(Gate::at_least(&name, long / short, 0.95, "x"));
    }
    Ok(report)
}

fn drain_rate(workshop: &Workshop, binary: &Path, queued: usize, wanted: usize) -> anyhow::Result<f64> {
    let data = workshop.fresh("claims")?;
    hale::seed(binary, &data, queued, "pending")?;
    let server = Server::start(workshop, binary, &data)?;
    let url = format!("http://{}", server.address);
    let ended = || -> anyhow::Result<(u64, Instant)> {
        let said = shell::output(shell::command(binary).args(["--url", &url, "status", "--json"]))?;
        let status: Value = serde_json::from_str(&said).context("read `hale status --json`")?;
        let count =
            completed(&status).with_context(|| format!("find the number of completed runs in {status}"))?;
        Ok((count, Instant::now()))
    };
    let reach = |goal: u64| -> anyhow::Result<(u64, Instant)> {
        let began = Instant::now();
        loop {
            let seen = ended()?;
            if seen.0 >= goal {
                return Ok(seen);
            }
            if began.elapsed() > Duration::from_secs(120) {
                bail!("the queue stands still at {} completed runs", seen.0);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let from = reach(wanted as u64 / 10)?;
    let to = reach(from.0 + wanted as u64)?;
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok((to.0 - from.0) as f64 / (to.1 - from.1).as_secs_f64())
}

/// `runs.COMPLETED`; a state that no run is in may be left out.
fn completed(status: &Value) -> Option<u64> {
    let runs = status.get("runs")?.as_object()?;
    runs.get("COMPLETED").map_or(Some(0), Value::as_u64)
}

/// From the start of the process to 200 on `/readyz`.
pub fn start(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("Time to ready", workshop);
    for (name, seeded) in [("empty database", 0), ("large database", options.scale.seeded())] {
        let data = workshop.fresh("start")?;
        if seeded > 0 {
            hale::seed(&binary, &data, seeded, "completed")?;
        }
        let starts = (0..STARTS).map(|_| Ok(Server::start(workshop, &binary, &data)?.ready_after));
        let mut times = starts.collect::<anyhow::Result<Vec<_>>>()?;
        report.gate(Gate::at_most(
            &format!("ready, {name}, median of {STARTS}"),
            ms(quantile(&mut times, 0.5)),
            300.0,
            "ms",
        ));
        report
            .notes
            .push(format!("{name}: {seeded} runs, slowest start {:.0} ms", ms(quantile(&mut times, 1.0))));
        fs::remove_dir_all(&data)?;
    }
    Ok(report)
}

/// A server with nothing to do, everything on.
pub fn idle(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let data = workshop.fresh("idle")?;
    let server = Server::start(workshop, &binary, &data)?;
    let load = Load {
        address: server.address,
        clients: 16,
        total: options.scale.of(2000),
        phase: "warm".to_owned(),
        pack: load::ECHO,
    };
    load::run(&load)?;
    let watched = match options.scale {
        Scale::Full => Duration::from_secs(60),
        Scale::Quick => Duration::from_secs(5),
    };
    // Let what the warm-up left behind (checkpoint, caches) settle.
    std::thread::sleep(watched / 6);
    let before = readings::cpu(server.pid())?;
    std::thread::sleep(watched);
    let share = (readings::cpu(server.pid())? - before).as_secs_f64() / watched.as_secs_f64() * 100.0;
    let mut report = Report::new("Idle", workshop);
    report.gate(Gate::at_most("memory", readings::memory(server.pid())? as f64 / 1e6, 40.0, "MB"));
    report.gate(Gate::at_most("CPU", share, 0.1, "%"));
    report.notes.push(format!("after {} runs, watched for {watched:?}", load.total));
    Ok(report)
}

/// Commands that people and scripts call all the time.
pub fn cli(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    let mut report = Report::new("Command line", workshop);
    let mut version = calls(&binary, &["--version"])?;
    report.gate(Gate::at_most("`hale --version`, p50", ms(quantile(&mut version, 0.5)), 20.0, "ms"));
    let data = workshop.fresh("cli")?;
    hale::seed(&binary, &data, options.scale.seeded(), "completed")?;
    let server = Server::start(workshop, &binary, &data)?;
    let url = format!("http://{}", server.address);
    let mut list = calls(&binary, &["--url", &url, "runs", "list"])?;
    report.gate(Gate::at_most("`hale runs list`, p50", ms(quantile(&mut list, 0.5)), 50.0, "ms"));
    report.notes.push(format!("{} runs stored, {CALLS} calls each", options.scale.seeded()));
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok(report)
}

fn calls(binary: &Path, args: &[&str]) -> anyhow::Result<Vec<Duration>> {
    let call = |_| {
        let began = Instant::now();
        shell::output(shell::command(binary).args(args))?;
        Ok(began.elapsed())
    };
    (0..CALLS).map(call).collect()
}

/// What others notice of sockets that stall.
pub fn stalled(workshop: &Workshop, options: &Options) -> anyhow::Result<Report> {
    let binary = hale::binary(workshop, options)?;
    raise_file_limit()?;
    let data = workshop.fresh("stalled")?;
    let server = Server::start(workshop, &binary, &data)?;
    let total = options.scale.of(10_000);
    let load = |phase: &str| Load {
        address: server.address,
        clients: 16,
        total,
        phase: phase.to_owned(),
        pack: load::ECHO,
    };
    load::run(&load("warm"))?;
    let mut report = Report::new("Stalled sockets", workshop);
    for pass in 1..=options.passes {
        let without = load::run(&load(&format!("without-{pass}")))?.quantile_ms(0.99);
        let sockets = (0..STALLED).map(|number| stall(server.address, number));
        let sockets = sockets.collect::<anyhow::Result<Vec<_>>>()?;
        let with = load::run(&load(&format!("with-{pass}")))?.quantile_ms(0.99);
        drop(sockets);
        // Closing so many at once costs the server a moment, which must not count as the next pass's calm.
        std::thread::sleep(SETTLE);
        report.notes.push(format!(
            "pass {pass}: p99 {without:.2} ms without, {with:.2} ms with {STALLED} stalled sockets"
        ));
        report.gate(Gate::at_most("p99 with stalled sockets against without", with / without, 2.0, "x"));
    }
    let (status, _) = server.get("/readyz")?;
    report.notes.push(format!("/readyz afterwards: {status}"));
    Ok(report)
}

/// Every other one stalls in the header, the rest in the body.
fn stall(address: SocketAddr, number: usize) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("open a socket to stall")?;
    let load = Load { address, clients: 1, total: 1, phase: "stall".to_owned(), pack: load::ECHO };
    let request = load::request(&load, number);
    let kept_back = if number.is_multiple_of(2) { request.len() - 30 } else { 5 };
    stream.write_all(&request.as_bytes()[..request.len() - kept_back])?;
    Ok(stream)
}

fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("raise the limit on open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_completed_runs_is_read_from_the_status() {
        let status = serde_json::json!({"pid": 1, "runs": {"PENDING": 3, "COMPLETED": 41}});
        assert_eq!(completed(&status), Some(41));
        assert_eq!(completed(&serde_json::json!({"runs": {"PENDING": 3}})), Some(0));
        assert_eq!(completed(&serde_json::json!({"pid": 1})), None);
    }
}
