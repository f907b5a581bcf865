//! `hale audit export`: the whole trail, oldest row first, as it can be checked elsewhere.

use super::Trail;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::wire::audit::AuditLine;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Write the whole audit trail out, oldest row first
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale audit export > trail.jsonl
  hale audit export --format csv --to trail.csv

Each row carries its place, the hash of the row before it and its own. Works with the server down.")]
pub struct Args {
    /// Form of the rows
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Into this file, which must not be there; otherwise to standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// One JSON object a line
    #[default]
    Jsonl,
    /// Comma-separated, with a head line
    Csv,
}

const HEAD: &str = "seq,at,id,actor,operation,target,phase,detail,undo,lab,prev,hash\n";

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let trail = Trail::find(ctx).await?;
    let path = args.to.as_ref().map(|path| ctx.cwd.join(path));
    let mut file = match &path {
        Some(path) => {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Some(made.map_err(|error| Error::file("make the file", path, &error))?)
        }
        None => None,
    };
    let (mut after, mut rows) = (0, 0u64);
    let mut text = if args.format == Form::Csv { HEAD.to_owned() } else { String::new() };
    loop {
        let page = trail.oldest(after).await?;
        for line in &page {
            text.push_str(&shown(line, args.format));
        }
        match (&mut file, &path) {
            (Some(file), Some(path)) => file
                .write_all(text.as_bytes())
                .map_err(|error| Error::file("write the trail to", path, &error))?,
            _ => ctx.screen.print(&text),
        }
        text.clear();
        rows += page.len() as u64;
        match page.last() {
            Some(last) => after = last.seq,
            None => break,
        }
    }
    if let (Some(file), Some(path)) = (&file, &path) {
        file.sync_all().map_err(|error| Error::file("sync", path, &error))?;
        ctx.screen.note(&format!("{rows} rows in {}", path.display()));
    }
    Ok(Exit::Done)
}

fn shown(line: &AuditLine, form: Form) -> String {
    if form == Form::Jsonl {
        return format!("{}\n", serde_json::to_string(line).unwrap_or_default());
    }
    let cells = [
        line.seq.to_string(),
        line.at.clone(),
        line.id.clone(),
        line.actor.clone(),
        line.operation.clone(),
        line.target.clone(),
        line.phase.clone(),
        line.detail.to_string(),
        line.undo.clone().unwrap_or_default(),
        line.lab.to_string(),
        line.prev.clone(),
        line.hash.clone(),
    ];
    format!("{}\n", cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","))
}

/// A cell as RFC 4180 wants it; one that a spreadsheet would take for a formula is told as text.
fn quoted(cell: &str) -> String {
    let text = match cell.starts_with(['=', '+', '-', '@']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
