//! The kitchen of the repository: everything one does to hale that is not hale itself.
//!
//! `cargo xtask tidy` holds the house rules, `test` proves the whole, `prove` runs one proof for long, `bench` measures
//! against peers, `docs` joins the acceptance table with the tests. Knows no crate of ours: it sees them from outside, as
//! cargo and the operating system do.
//! Read next: [`tidy`], [`test`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to a terminal")]

mod acceptance;
mod args;
mod bench;
mod prove;
mod shell;
mod test;
mod tidy;
mod tree;

use anyhow::bail;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  tidy [--bless]                 check the house rules; --bless lowers the ratchet
  test                           install what is missing, check, build and test everything; minutes of each part
  ci                             what CI runs: the same as test
  prove NAME [--images N ..]     run one proof for long, in the release profile; without NAME: list them
  bench [CASE] [options]         measure; `cargo xtask bench --help` lists cases and options
  docs [--check]                 write docs/acceptance.md from docs/acceptance.tsv and the tests' `covers:` marks";

fn main() -> ExitCode {
    match dispatch(args::Args::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(mut args: args::Args) -> anyhow::Result<ExitCode> {
    match args.word().as_deref() {
        Some("tidy") => tidy::run(args),
        Some("test" | "ci") => test::run(args),
        Some("prove") => prove::run(args),
        Some("bench") => bench::run(args),
        Some("docs") => acceptance::run(args),
        Some("help") | None => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => bail!("`{other}` is not a command\n\n{USAGE}"),
    }
}
