//! `hale backup verify [FOLDER]`.

use super::data;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use std::path::PathBuf;

/// Check a backup, or the data folder: pages, journals, counters, artifacts
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backup verify /var/backups/hale/2026-11-22
  hale backup verify                            the data folder itself, with its server up or down
  hale backup verify ./copy -o json | jq .problems

Exit code 0 when all is well, 1 when anything is not.")]
pub struct Args {
    /// The folder [default: the data folder]
    folder: Option<PathBuf>,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let folder = match &args.folder {
        Some(folder) => ctx.cwd.join(folder),
        None => data(ctx)?,
    };
    let verified = hale_store::verify::verify(&folder)?;
    let shown = folder.display().to_string();
    let done = serde_json::json!({
        "schema": "hale.backup.verify/1", "folder": shown, "well": verified.is_well(), "runs": verified.runs,
        "records": verified.records, "artifacts": verified.blobs, "problems": verified.problems,
    });
    ctx.screen.one(&done, &shown, |look| {
        let counts = format!(
            "{} runs, {} journal lines, {} artifacts",
            verified.runs, verified.records, verified.blobs
        );
        let mut text = match verified.is_well() {
            true => format!("{}\n", look.good(&format!("all well: {counts}"))),
            false => format!("{}\n", look.bad(&format!("{} problems in {counts}", verified.problems.len()))),
        };
        verified.problems.iter().for_each(|problem| text.push_str(&format!("  {problem}\n")));
        text
    });
    if verified.is_well() {
        return Ok(Exit::Done);
    }
    let error =
        Error::coded(Code::E008, format!("trust {shown}: {} problems were found", verified.problems.len()));
    Err(error.hint("bring back the last good backup: hale backup restore FOLDER --data DIR"))
}
