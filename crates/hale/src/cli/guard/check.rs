//! `hale guard check [FILE]`.
//!
//! Guarantees: needs no server; says kinds and places, never a value; exit 11 if anything was found.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::Table;
use crate::render::table::Column;
use hale_core::code::Code;
use hale_core::guard::{Action, Filter, Match, Policy, find};
use serde::Serialize;
use std::io::Read;
use std::path::PathBuf;

/// The largest text that is read.
const TEXT_BYTES: u64 = 64 * 1024 * 1024;

/// Find secrets and personal data in a text
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale guard check answer.txt
  hale runs show RUN --json | hale guard check
  hale guard check --redact mail.txt > clean.txt

Exit code 11 when something was found.")]
pub struct Args {
    /// The file to look at; `-`, or nothing, is the standard input
    file: Option<PathBuf>,
    /// Print the text with the kind in the place of each match
    #[arg(long)]
    redact: bool,
}

#[derive(Serialize)]
struct Report {
    schema: &'static str,
    count: usize,
    found: Vec<Shown>,
    /// With `--redact`: what is left of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    line: usize,
    column: usize,
    /// First byte of the text, and the one after the last.
    from: usize,
    to: usize,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let text = read(args)?;
    let found = shown(&text, &find(&text));
    let exit = if found.is_empty() { Exit::Done } else { Exit::Critical };
    let redacted = args.redact.then(|| Filter::new(Policy::all(Action::Redact)).whole(&text).text);
    let report = Report { schema: "hale.guard.check/1", count: found.len(), found, text: redacted };
    ctx.screen.one(&report, if report.count == 0 { "clean" } else { "found" }, |look| match &report.text {
        Some(text) => text.clone(),
        None if report.found.is_empty() => format!("{}\n", look.good("nothing found")),
        None => table(&report.found).render(look),
    });
    Ok(exit)
}

fn read(args: &Args) -> Result<String, Error> {
    let file = args.file.as_deref().filter(|file| file.as_os_str() != "-");
    let mut bytes = Vec::new();
    let read = match file {
        Some(file) => {
            std::fs::File::open(file).and_then(|file| file.take(TEXT_BYTES + 1).read_to_end(&mut bytes))
        }
        None => std::io::stdin().lock().take(TEXT_BYTES + 1).read_to_end(&mut bytes),
    };
    let name = file.map_or("the standard input".to_owned(), |file| file.display().to_string());
    read.map_err(|error| match file {
        Some(file) => Error::file("read the text in", file, &error),
        None => Error::new(Exit::Failed, "read the standard input").caused_by(&error),
    })?;
    if bytes.len() as u64 > TEXT_BYTES {
        return Err(Error::coded(Code::E002, format!("check {name}: it has more than {TEXT_BYTES} bytes"))
            .hint("cut it into parts; a match has 16 KiB at most"));
    }
    // What is no text cannot hold a match, and the rest of the file may.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lines and columns, counted in one walk over the text.
fn shown(text: &str, found: &[Match]) -> Vec<Shown> {
    let (mut at, mut line, mut start) = (0, 1, 0);
    let place = |found: &Match| {
        for (n, byte) in text.as_bytes()[at..found.span.start].iter().enumerate() {
            if *byte == b'\n' {
                (line, start) = (line + 1, at + n + 1);
            }
        }
        at = found.span.start;
        let column = text[start..at].chars().count() + 1;
        Shown { kind: found.kind.name(), line, column, from: at, to: found.span.end }
    };
    found.iter().map(place).collect()
}

fn table(found: &[Shown]) -> Table {
    let mut table = Table::new(&[
        ("kind", Column::Left),
        ("line", Column::Right),
        ("column", Column::Right),
        ("bytes", Column::Right),
    ]);
    for found in found {
        let bytes = found.to - found.from;
        table.row(vec![
            found.kind.into(),
            found.line.to_string().into(),
            found.column.to_string().into(),
            bytes.to_string().into(),
        ]);
    }
    table
}
