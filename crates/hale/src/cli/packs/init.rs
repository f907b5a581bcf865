//! `hale packs init FILE`: writes a pack to begin with.
//!
//! Guarantees: what it writes deploys as it stands; a file that is there is never overwritten.

use crate::cli::ctx::Ctx;
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use hale_core::pack::template::starter;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

/// Write a new pack that reads files and answers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale packs init log-triage.md && hale packs deploy log-triage.md
  hale run log-triage --input path=/var/log/dpkg.log")]
pub struct Args {
    /// The file to write; its name becomes the pack's name
    file: PathBuf,
}

pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let name = name(&args)?;
    let path = ctx.cwd.join(&args.file);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(|error| {
        let failed = Error::file("write the pack", &path, &error);
        if error.kind() == ErrorKind::AlreadyExists {
            let failed =
                Error::coded(Code::E011, format!("write the pack {}: the file is there", path.display()));
            return failed.hint(format!(
                "choose another name, or deploy it: hale packs deploy {}",
                args.file.display()
            ));
        }
        failed
    })?;
    file.write_all(starter(&name).as_bytes())
        .map_err(|error| Error::file("write the pack", &path, &error))?;
    let shown = args.file.display().to_string();
    let done = serde_json::json!({ "schema": "hale.packs.init/1", "file": shown, "name": name });
    ctx.screen.one(&done, &shown, |look| format!("{}\n", look.good(&format!("wrote {shown}"))));
    ctx.screen.next(&format!("hale packs deploy {shown}"));
    Ok(Exit::Done)
}

/// The pack's name: the file's, with what a name may not have turned into dashes.
fn name(args: &Args) -> Result<String, Error> {
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String =
        stem.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let name = name.trim_matches('-').to_owned();
    let markdown = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"));
    if name.is_empty() || !markdown || !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        let error = Error::coded(Code::E002, format!("name a pack after {}", args.file.display()));
        return Err(error.hint("write for example: hale packs init log-triage.md"));
    }
    Ok(name)
}
