//! `hale backup restore FOLDER`.

use super::data;
use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use hale_store::backup::{self, Existing};
use std::path::PathBuf;

/// Put a backup into the data folder; the server must be down
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backup restore /var/backups/hale/2026-11-22 --data ./new
  hale backup restore /var/backups/hale/2026-11-22 --set-aside      keeps what is there in a folder beside it
  hale backup restore ./copy --data ./new --json

The backup is verified first. A folder that a server holds is refused; nothing changes before all is copied.")]
pub struct Args {
    /// The backup's folder
    folder: PathBuf,
    /// Move what is in the data folder aside, instead of refusing
    #[arg(long)]
    set_aside: bool,
}

pub fn run(args: &Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let data = data(ctx)?;
    let existing = if args.set_aside { Existing::SetAside } else { Existing::Refuse };
    let restored = backup::restore(&ctx.cwd.join(&args.folder), &data, existing).map_err(|error| {
        let again = format!("hale backup restore {} --set-aside", args.folder.display());
        match &error {
            hale_store::Error::NotEmpty { .. } => {
                Error::from(error).hint(format!("keep what is there in a folder beside it: {again}"))
            }
            _ => Error::from(error),
        }
    })?;
    let (shown, runs) = (data.display().to_string(), restored.runs);
    let aside = restored.aside.map(|aside| aside.display().to_string());
    let done =
        serde_json::json!({ "schema": "hale.backup.restore/1", "data": shown, "runs": runs, "aside": aside });
    ctx.screen.one(&done, &shown, |look| {
        let kept = aside.as_ref().map(|aside| format!("; what was there is in {aside}")).unwrap_or_default();
        format!("{}\n", look.good(&format!("restored {runs} runs to {shown}{kept}")))
    });
    ctx.screen.next(&format!("hale up --detach --data {shown}"));
    Ok(Exit::Done)
}
