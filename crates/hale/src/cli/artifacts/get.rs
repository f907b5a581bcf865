//! `hale artifacts get HASH`, `hale artifacts get RUN NAME`.
//!
//! Guarantees: the bytes have the hash that was asked for, or that the server names; a file appears whole, under its
//! name, or not at all.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use hale_core::code::Code;
use hale_store::Hash;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Fetch an artifact, verified on the way
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts get run_01JD4M8Q2R7WX5B9N3K6T0VYHZ report.md > report.md
  hale artifacts get run_01JD4M8Q2R7WX5B9N3K6T0VYHZ report.md --to report.md
  hale artifacts get 7c41e0…64 letters… --to data.csv")]
pub struct Args {
    /// A run, or the hash of a content
    #[arg(value_name = "RUN|HASH")]
    what: String,
    /// Name of the run's artifact
    name: Option<String>,
    /// Write into this file instead of standard output; one that exists is replaced when all is there
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A large content on a slow line.
const PATIENCE: Duration = Duration::from_secs(570);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = match &args.name {
        Some(name) => format!("/api/v1/runs/{}/artifacts/{}", escape(&args.what), escape(name)),
        None if args.what.starts_with("run_") => {
            let error =
                Error::coded(Code::E002, format!("get an artifact of {}: it is not named", args.what));
            return Err(error.hint(format!("hale runs artifacts {}", args.what)));
        }
        None => format!("/api/v1/artifacts/{}", escape(&args.what)),
    };
    let client = ctx.client().await?;
    let answer = client.open(Ask::get(path).patient(PATIENCE)).await?;
    let named =
        answer.headers.get("etag").and_then(|etag| etag.to_str().ok()).map(|etag| etag.trim_matches('"'));
    let wanted = if args.name.is_some() { named.unwrap_or_default().to_owned() } else { args.what.clone() };
    let content = answer.whole(PATIENCE).await.map_err(|error| {
        Error::new(Exit::Unreachable, format!("read the artifact {}", args.what)).caused_by(&error)
    })?;
    let hash = Hash::of(&content).to_string();
    if hash != wanted {
        let message =
            format!("trust the artifact {}: it should have the hash {wanted}, and has {hash}", args.what);
        return Err(Error::coded(Code::E007, message).hint("look at the store: hale artifacts verify"));
    }
    let Some(to) = &args.to else {
        ctx.screen.print_bytes(&content);
        return Ok(Exit::Done);
    };
    write_whole(&ctx.cwd.join(to), &content)?;
    let done = serde_json::json!({
        "schema": "hale.artifact_file/1", "file": to.display().to_string(), "hash": hash, "bytes": content.len(),
    });
    ctx.screen.one(&done, &to.display().to_string(), |look| {
        format!("{}\n", look.good(&format!("{} bytes in {}, hash verified", content.len(), to.display())))
    });
    Ok(Exit::Done)
}

/// Beside its place, then renamed into it.
fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |error: &std::io::Error| Error::file("write the artifact to", path, error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let temp = path.with_file_name(name);
    let mut file = File::create_new(&temp).map_err(|error| failed(&error))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&temp, path)).map_err(|error| {
        // What could not be finished must not look like an artifact.
        let _ = std::fs::remove_file(&temp);
        failed(&error)
    })
}
