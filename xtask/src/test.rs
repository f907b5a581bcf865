//! The README's second command: everything that must hold, from a clean clone, with the minutes of each part.
//!
//! Installs what is missing, builds once with one profile, and stops at the first part that fails; the table is printed in
//! any case. Budgets are printed and exceeding one is a warning, since a slow machine is not a broken product.
//! Read next: [`needs`], [`output`].

mod needs;
pub mod output;

use crate::args::Args;
use crate::{shell, tidy};
use anyhow::bail;
use output::{Binaries, Tally};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// From a clean clone on two cores.
const BUILD_BUDGET: Duration = Duration::from_secs(12 * 60);
/// What a person waits for before each hand-over.
const TESTS_BUDGET: Duration = Duration::from_secs(5 * 60);

#[derive(Default)]
struct Report {
    parts: Vec<(&'static str, Duration, Option<Duration>)>,
    tally: Tally,
    binaries: Binaries,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.finish()?;
    let mut report = Report::default();
    let outcome = parts(&mut report);
    report.print();
    if let Err(error) = &outcome {
        println!("\nfailed: {error:#}");
    }
    println!("\n{} passed, {} failed", report.tally.passed(), report.tally.failed());
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parts(report: &mut Report) -> anyhow::Result<()> {
    report.part("install", None, |_| needs::install())?;
    report.part("fmt", None, |_| shell::run(&mut cargo(&["fmt", "--all", "--", "--check"])))?;
    report.part("tidy", None, |_| match tidy::check_and_print()? {
        true => Ok(()),
        false => bail!("tidy found problems, listed above"),
    })?;
    report.part("build", Some(BUILD_BUDGET), build)?;
    let lints: &[&str] = &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    report.part("clippy", None, |_| shell::run(&mut cargo(lints)))?;
    report.part("tests", Some(TESTS_BUDGET), tests)
}

fn cargo(args: &[&str]) -> Command {
    let mut command = shell::cargo();
    command.args(args).env("INSTA_UPDATE", "no").env("RUST_BACKTRACE", "1");
    command
}

fn build(report: &mut Report) -> anyhow::Result<()> {
    let mut command =
        cargo(&["build", "--workspace", "--all-targets", "--message-format=json-render-diagnostics"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    if let Some(stdout) = child.stdout.take() {
        report.binaries = Binaries::read(std::io::BufReader::new(stdout))?;
    }
    if !child.wait()?.success() {
        bail!("the build failed, see above");
    }
    Ok(())
}

fn tests(report: &mut Report) -> anyhow::Result<()> {
    let tally = &mut report.tally;
    let status = output::stream(&mut cargo(&["test", "--workspace", "--no-fail-fast"]), |line| {
        println!("{line}");
        tally.read(line);
    })?;
    if !status.success() {
        bail!("tests failed: {}", report.tally.failures().join(", "));
    }
    Ok(())
}

impl Report {
    fn part(
        &mut self,
        name: &'static str,
        budget: Option<Duration>,
        work: impl FnOnce(&mut Report) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        println!("\n== {name}");
        let began = Instant::now();
        let outcome = work(self);
        self.parts.push((name, began.elapsed(), budget));
        outcome
    }

    fn print(&self) {
        println!("\n{:28} {:>8}   budget", "part", "minutes");
        for (name, spent, budget) in &self.parts {
            let verdict = match budget {
                Some(budget) if spent > budget => format!("{} min, EXCEEDED", minutes(*budget)),
                Some(budget) => format!("{} min, kept", minutes(*budget)),
                None => String::new(),
            };
            println!("{name:28} {:>8}   {verdict}", minutes(*spent));
        }
        for (krate, spent, passed) in self.tally.by_crate(&self.binaries) {
            println!("  {:26} {:>8}   {passed} passed", krate, minutes(spent));
        }
    }
}

fn minutes(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() / 60.0)
}
