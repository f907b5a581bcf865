//! Proofs that run in `cargo xtask test` with small numbers and here with large ones.
//!
//! A proof is a test; this sets its size through the environment and runs it in the release profile. A filter that matches
//! no test is a failure: a proof that did not run proves nothing.

use crate::args::Args;
use crate::shell;
use crate::test::output::{self, Tally};
use anyhow::bail;
use std::process::ExitCode;

struct Proof {
    name: &'static str,
    about: &'static str,
    krate: &'static str,
    /// Part of the names of its tests.
    filter: &'static str,
    size: Size,
}

/// What makes a proof longer.
struct Size {
    option: &'static str,
    variable: &'static str,
    default: u64,
}

const PROOFS: &[Proof] = &[
    Proof {
        name: "power-cut",
        about: "the store after a power cut, with any subset of unsynced sectors",
        krate: "hale-store",
        filter: "power_cut",
        size: Size { option: "--images", variable: "HALE_PROVE_IMAGES", default: 1_000_000 },
    },
    Proof {
        name: "kill",
        about: "the server killed at durable system calls and at random under load",
        krate: "hale",
        filter: "proof_kill::",
        size: Size { option: "--rounds", variable: "HALE_PROVE_ROUNDS", default: 200 },
    },
    Proof {
        name: "simulation",
        about: "whole histories of engine, queue and leases on a paused clock, each from one seed",
        krate: "hale-engine",
        filter: "simulation::",
        size: Size { option: "--seeds", variable: "HALE_PROVE_SEEDS", default: 50_000 },
    },
    Proof {
        name: "worker-kills",
        about: "worker processes killed together while they hold many leases",
        krate: "hale",
        filter: "proof_workers::workers_killed_together",
        size: Size { option: "--leases", variable: "HALE_PROVE_LEASES", default: 10_000 },
    },
    Proof {
        name: "trouble",
        about: "kills, stops, drains, scaling and clock jumps at random under load, judged by the history checker",
        krate: "hale",
        filter: "proof_trouble::",
        size: Size { option: "--operations", variable: "HALE_PROVE_OPERATIONS", default: 1_000_000 },
    },
    Proof {
        name: "guard-splits",
        about: "secrets and personal data in prose, JSON and events, cut at every place: nothing passes the guard",
        krate: "hale-core",
        filter: "guard_splits::",
        size: Size { option: "--cases", variable: "HALE_PROVE_SPLITS", default: 1_000_000 },
    },
    Proof {
        name: "job-kills",
        about: "jobs, their supervisors and their owners killed at any moment: no process is left",
        krate: "hale-sandbox",
        filter: "proof_job_kills",
        size: Size { option: "--kills", variable: "HALE_PROVE_KILLS", default: 1_000 },
    },
];

pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    let Some(name) = args.word() else {
        args.finish()?;
        print!("{}", list());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(proof) = PROOFS.iter().find(|proof| proof.name == name) else {
        bail!("`{name}` is no proof. There are:\n{}", list());
    };
    let size = args.number(proof.size.option)?.unwrap_or(proof.size.default);
    args.finish()?;
    let mut cargo = shell::cargo();
    cargo.args(["test", "--release", "-p", proof.krate, "--test", "it"]);
    cargo.args([proof.filter, "--", "--nocapture"]);
    cargo.env(proof.size.variable, size.to_string()).env("RUST_BACKTRACE", "1").env("INSTA_UPDATE", "no");
    println!("prove {name}: {} ({}={size})", proof.about, proof.size.variable);
    let mut tally = Tally::default();
    let status = output::stream(&mut cargo, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    if tally.passed() + tally.failed() == 0 {
        bail!("no test of {} is called `{}`: nothing was proven", proof.krate, proof.filter);
    }
    println!("prove {name}: {} passed, {} failed", tally.passed(), tally.failed());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() -> String {
    let line = |proof: &Proof| {
        let usage = format!("{} [{} {}]", proof.name, proof.size.option, proof.size.default);
        format!("  {usage:32} {}\n", proof.about)
    };
    PROOFS.iter().map(line).collect()
}
