//! `hale artifacts put FILE`.

use crate::cli::ctx::Ctx;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::http::artifacts::PUT_BYTES;
use crate::wire::artifacts::PutView;
use hale_core::code::Code;
use std::path::PathBuf;
use std::time::Duration;

/// Keep a file in the server, for inputs of runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts put notes.txt
  hale artifacts put prices.csv --media-type text/csv -o json
  hale run hello --input '{\"name\": {\"artifact\": \"HASH\"}}'      the text of the file goes into the input

At most 64 MiB; the text of an input has at most 1 MiB in all. It is kept for retention.artifacts.")]
pub struct Args {
    /// The file
    file: PathBuf,
    /// Another name than the file's
    #[arg(long)]
    name: Option<String>,
    /// What it is, such as text/csv
    #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
    media_type: String,
}

const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = ctx.cwd.join(&args.file);
    let failed = |error: std::io::Error| Error::file("read", &path, &error);
    let size = std::fs::metadata(&path).map_err(failed)?.len();
    if size > PUT_BYTES as u64 {
        let message =
            format!("put {}: it has {size} bytes, at most {PUT_BYTES} are taken", args.file.display());
        return Err(
            Error::coded(Code::E004, message).hint("let a job read it from a granted folder: files.allow")
        );
    }
    let content = std::fs::read(&path).map_err(failed)?;
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.or(own).unwrap_or_default();
    let path = format!("/api/v1/artifacts?name={}&media_type={}", escape(&name), escape(&args.media_type));
    let put: PutView = ctx.client().await?.ask(Ask::put(path, content).patient(PATIENCE)).await?;
    ctx.screen.one(&put, &put.artifact.hash, |_| format!("{}\n", put.artifact.hash));
    ctx.screen.next(&format!("hale artifacts get {}", put.artifact.hash));
    Ok(Exit::Done)
}
