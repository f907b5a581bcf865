//! `hale backup create DEST`.

use super::data;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use crate::render::when;
use hale_store::Sqlite;
use hale_store::backup::Progress;
use std::io::Write;
use std::path::PathBuf;

/// Write a consistent copy of the data folder while the server works on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backup create /var/backups/hale/$(date +%F)
  hale backup create ./copy --data ./data
  hale backup create ./copy --json

Works with the server up or down. What lies in the second artifact store or in the spool is in the backup as well.")]
pub struct Args {
    /// A new or empty folder
    dest: PathBuf,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let dest = ctx.cwd.join(&args.dest);
    let draws = ctx.screen.terminals().err && ctx.screen.format().is_human() && !ctx.screen.is_quiet();
    let line = |text: &str| {
        let mut err = std::io::stderr();
        let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
    };
    let watch = |told: Progress| {
        if draws {
            line(&format!("{} of {} {}", told.done, told.of, told.what));
        }
    };
    let manifest =
        Sqlite::open_readonly_copy(&data(ctx)?).and_then(|store| store.backup_watched(&dest, &watch));
    if draws {
        line("");
    }
    let manifest = manifest?;
    let shown = args.dest.display().to_string();
    let bytes = manifest.db_bytes + manifest.blobs.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let (runs, artifacts) = (manifest.runs, manifest.blobs.len());
    let done = serde_json::json!({
        "schema": "hale.backup/1", "folder": shown, "runs": runs, "artifacts": artifacts, "bytes": bytes,
    });
    ctx.screen.one(&done, &shown, |look| {
        let size = when::bytes(bytes);
        format!(
            "{}\n",
            look.good(&format!("backed up {runs} runs and {artifacts} artifacts ({size}) to {shown}"))
        )
    });
    ctx.screen.next(&format!("hale backup verify {shown}"));
    Ok(Exit::Done)
}
