//! `hale config check [FILE]`.
//!
//! Guarantees: needs no server, changes nothing, reports every problem; exit 6 if there is one.

use crate::cli::ctx::Ctx;
use crate::config::{Order, Problem, load};
use crate::exit::{Error, Exit};
use crate::render::Tone;
use serde::Serialize;
use std::path::PathBuf;

/// Check the configuration, or a file, and say every problem
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale config check
  hale config check /etc/hale.toml && systemctl restart hale

Exit code 6 when there is a problem.")]
pub struct Args {
    /// The file to check, instead of those that hale up would read
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    valid: bool,
    files: Vec<String>,
    problems: Vec<Shown>,
    warnings: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    place: String,
    message: String,
    hint: String,
}

impl From<&Problem> for Shown {
    fn from(problem: &Problem) -> Self {
        let Problem { place, message, hint } = problem.clone();
        Self { place, message, hint }
    }
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order =
        Order { flags: Vec::new(), file: args.file.clone(), cwd: ctx.cwd.clone(), env: ctx.env.clone() };
    let mut report = Report {
        schema: "hale.config.check/1",
        valid: true,
        files: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    match load(order) {
        Ok(config) => {
            report.files = config.files.iter().map(|file| file.display().to_string()).collect();
            report.warnings = config.warnings.iter().map(Shown::from).collect();
        }
        Err(problems) => {
            report.valid = false;
            report.problems = problems.0.iter().map(Shown::from).collect();
        }
    }
    // Problems are what was asked for, so for people too they go to stdout.
    ctx.screen.one(&report, if report.valid { "valid" } else { "invalid" }, |look| {
        let line = |shown: &Shown, label: String| {
            format!("{label}: {}: {}\n  hint: {}\n", shown.place, shown.message, shown.hint)
        };
        let problems = report.problems.iter().map(|shown| line(shown, Tone::Bad.paint("error[E002]")));
        let warnings = report.warnings.iter().map(|shown| line(shown, Tone::Warn.paint("warning")));
        let mut text: String = problems.chain(warnings).collect();
        let files = if report.files.is_empty() {
            "no file, defaults and environment only".to_owned()
        } else {
            report.files.join(", ")
        };
        if report.valid {
            text.push_str(&format!("{}\n", look.good(&format!("valid  ({files})"))));
        } else {
            text.push_str(&format!("{}\n", look.bad(&format!("{} problems", report.problems.len()))));
        }
        text
    });
    Ok(if report.valid { Exit::Done } else { Exit::InvalidInput })
}
