//! `hale run PACK`: starts a run and waits for its answer.

use super::ctx::Ctx;
use super::following::{Manner, follow};
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::render::live::Words;
use crate::wire::{RunView, StartRun};
use hale_core::code::Code;
use hale_core::time::Millis;
use serde_json::{Map, Value};
use std::path::Path;

/// Run a pack and wait for its answer
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale run hello --input name=Ada
  hale run log-triage --input path=/var/log/dpkg.log --watch
  hale run research --input @question.json --detach --json
  hale run report --input '{\"days\": 7}' --wait 30s; echo $?      # 23 if it still runs
  hale run report --in 10m --detach                               # begins in ten minutes
  hale run report --at 2026-11-23T08:00:00Z --detach

Ctrl-C detaches: the run goes on, and `hale runs watch` takes it up again.")]
pub struct Args {
    /// Name of the pack
    pack: String,
    /// Input: KEY=VALUE (may be repeated), @FILE with JSON, or JSON
    #[arg(short, long, value_name = "INPUT")]
    input: Vec<String>,
    /// Version of the pack, instead of the current one
    #[arg(long)]
    version: Option<String>,
    /// Whose turn comes first: high, normal or low
    #[arg(long)]
    priority: Option<String>,
    /// Not before this moment, with its zone: 2026-11-23T08:00:00Z
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
    /// Not before this span has passed
    #[arg(long = "in", value_name = "SPAN", conflicts_with = "at")]
    delay: Option<Millis>,
    /// Time limit of this run, below the pack's own
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Millis>,
    /// Do not wait: print the run and return
    #[arg(short, long, conflicts_with_all = ["watch", "wait"])]
    detach: bool,
    /// Show the model's words as they come
    #[arg(short, long)]
    watch: bool,
    /// Wait at most this long; the run goes on after it
    #[arg(long, value_name = "SPAN")]
    wait: Option<Millis>,
    /// A second start with the same key is the same run
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = StartRun {
        pack: args.pack,
        version: args.version,
        input: input(&args.input, &ctx.cwd)?,
        priority: args.priority,
        timeout: args.timeout.map(|span| format!("{}ms", span.0)),
        due: args.at,
        delay: args.delay.map(|span| format!("{}ms", span.0)),
    };
    let client = ctx.client().await?;
    let mut ask = Ask::post("/api/v1/runs", &order);
    if let Some(key) = args.idempotency_key {
        ask = ask.header("idempotency-key", key);
    }
    let run: RunView = client.ask(ask).await?;
    if args.detach {
        ctx.screen.one(&run, &run.id, |_| format!("{}\n", run.id));
        ctx.screen.next(&format!("hale runs watch {}", run.id));
        return Ok(Exit::Done);
    }
    let words = if args.watch { Words::Shown } else { Words::Hidden };
    follow(ctx, &client, &run, Manner { words, wait: args.wait.map(Millis::duration) }).await
}

/// The input of a run from what stands on the command line.
///
/// # Errors
/// When a part is neither `key=value`, nor `@file`, nor a JSON document.
pub fn input(parts: &[String], cwd: &Path) -> Result<Value, Error> {
    if let [only] = parts
        && let Some(whole) = document(only, cwd)?
    {
        return Ok(whole);
    }
    let mut object = Map::new();
    for part in parts {
        match part.split_once('=') {
            Some((key, value)) if !key.is_empty() && !part.starts_with('{') => {
                object.insert(key.to_owned(), guess(value, cwd)?);
            }
            _ => {
                let error = Error::coded(Code::E002, format!("read the input {part:?}"));
                return Err(error.hint("write KEY=VALUE, @FILE with JSON, or one JSON document"));
            }
        }
    }
    Ok(Value::Object(object))
}

/// A whole document: `@file.json`, or JSON itself.
fn document(part: &str, cwd: &Path) -> Result<Option<Value>, Error> {
    if let Some(file) = part.strip_prefix('@') {
        return parse(&file_text(file, cwd)?, &format!("the file {file}")).map(Some);
    }
    if part.starts_with(['{', '[', '"']) {
        return parse(part, "the input").map(Some);
    }
    Ok(None)
}

fn parse(text: &str, whence: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::coded(Code::E002, format!("read {whence} as JSON"))
            .caused_by(&error)
            .hint("check its quotes and commas")
    })
}

fn file_text(file: &str, cwd: &Path) -> Result<String, Error> {
    let path = cwd.join(file);
    std::fs::read_to_string(&path).map_err(|error| Error::file("read the input in", &path, &error))
}

/// Whole numbers, fractions and true/false are what they look like; `@file` is the file's text; the rest is text.
/// A text that looks like a number goes in as JSON: `--input '{"zip": "01234"}'`.
fn guess(value: &str, cwd: &Path) -> Result<Value, Error> {
    if let Some(file) = value.strip_prefix('@') {
        return file_text(file, cwd).map(Value::String);
    }
    let read = serde_json::from_str::<Value>(value).ok();
    Ok(match read {
        Some(Value::String(_)) | None => Value::String(value.to_owned()),
        Some(other) => other,
    })
}
