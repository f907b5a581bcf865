//! Measures hale, and its peers beside it, on the machine at hand.
//!
//! Rates from different hours or machines do not compare, so everything that is compared runs interleaved in one go, and
//! what counts are ratios. Each case writes `target/bench/<case>.json`; `docs/benchmarks.md` is rendered from whatever is
//! there. Nothing is left running: servers are ended by their process ids.
//! Read next: [`cases`], [`peers`], [`load`].

mod cases;
mod crowd;
mod hale;
mod load;
mod peers;
mod readings;
mod overload;
mod report;
mod runs;
mod workshop;

use crate::args::Args;
use anyhow::bail;
use std::path::PathBuf;
use std::process::ExitCode;
use workshop::Workshop;

const USAGE: &str = "\
usage: cargo xtask bench [CASE] [options]

cases:
  runs      no-op runs, 1 and 64 clients, hale and peers interleaved
  peers     the same with peers alone: do they install and run?
  claims    claim rate with 1,000,000 runs queued against few
  noisy     p99 of one pack's runs while 1,000,000 of another wait, against alone
  overload  ten times what the slots can do, for 5 minutes: goodput, recovery, retries
  resume    kill -9 with 100,000 runs waiting: how long until work goes on
  start     time to ready with an empty database and one of 1,000,000 runs
  idle      memory and CPU of a server that has nothing to do
  workers   what 100 worker processes cost a server while nothing is to do
  cli       `hale --version`, and `hale runs list` with 1,000,000 runs
  stalled   p99 of others while 1,000 sockets stall in header or body
  all       all of these (default)
  page      none: write docs/benchmarks.md anew from the last results

options:
  --passes N       interleaved passes of `runs` (default 2)
  --peers A,B      restate, bullmq, dbos, langgraph, celery, or `none` (default: all)
  --quick          small numbers, to see that it works; docs/benchmarks.md is left alone
  --hale FILE      a release binary that exists; default: build one";

/// In the order of the page.
const ALL: &[&str] =
    &["runs", "claims", "noisy", "overload", "resume", "start", "idle", "workers", "cli", "stalled"];

/// What the command line asks for.
pub struct Options {
    passes: u32,
    peers: Vec<&'static peers::Peer>,
    scale: Scale,
    hale: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Full,
    Quick,
}

impl Scale {
    /// A tenth in quick mode, but enough to have a p99.
    fn of(self, full: usize) -> usize {
        match self {
            Scale::Full => full,
            Scale::Quick => (full / 10).max(20),
        }
    }

    /// Quick results have files of their own, so that they never reach the page.
    fn file(self, case: &str) -> String {
        match self {
            Scale::Full => format!("{case}.json"),
            Scale::Quick => format!("{case}.quick.json"),
        }
    }

    /// Runs that a "large" database holds.
    fn seeded(self) -> usize {
        match self {
            Scale::Full => 1_000_000,
            Scale::Quick => 20_000,
        }
    }
}

pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let case = args.word().unwrap_or_else(|| "all".to_owned());
    if args.flag("--help") || case == "help" {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options {
        passes: args.number("--passes")?.unwrap_or(2).max(1),
        peers: peers::chosen(args.value("--peers")?.as_deref())?,
        scale: if args.flag("--quick") { Scale::Quick } else { Scale::Full },
        hale: args.value("--hale")?.map(PathBuf::from),
    };
    args.finish()?;
    let workshop = Workshop::open()?;
    for case in chosen_cases(&case)? {
        println!("\n== bench {case}");
        let report = match *case {
            "runs" => runs::run(&workshop, &options)?,
            "peers" => runs::peers_only(&workshop, &options)?,
            "claims" => cases::claims(&workshop, &options)?,
            "noisy" => crowd::noisy(&workshop, &options)?,
            "overload" => overload::run(&workshop, &options)?,
            "resume" => crowd::resume(&workshop, &options)?,
            "start" => cases::start(&workshop, &options)?,
            "idle" => cases::idle(&workshop, &options)?,
            "workers" => crowd::workers(&workshop, &options)?,
            "cli" => cases::cli(&workshop, &options)?,
            _ => cases::stalled(&workshop, &options)?,
        };
        report.print();
        report.write(&workshop, &options.scale.file(case))?;
    }
    if options.scale == Scale::Full && case != "peers" {
        report::write_page(&workshop)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen_cases(case: &str) -> anyhow::Result<&'static [&'static str]> {
    if case == "all" {
        return Ok(ALL);
    }
    if case == "peers" {
        return Ok(&["peers"]);
    }
    if case == "page" {
        return Ok(&[]);
    }
    match ALL.iter().position(|name| *name == case) {
        Some(at) => Ok(&ALL[at..=at]),
        None => bail!("`{case}` is no case\n\n{USAGE}"),
    }
}
