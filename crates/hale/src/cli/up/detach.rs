//! `hale up --detach`: the same command in a session of its own, and the wait until it is ready.
//!
//! Guarantees: returns only when the server answers on `/readyz`, or with the end of its log when it does not.

use super::{Args, command_line};
use crate::cli::ctx::Ctx;
use crate::client::find::{ADDRESS, Place};
use crate::client::{Client, Target};
use crate::config::Config;
use crate::exit::{Error, Exit};
use crate::render::status;
use crate::wire::Status;
use hale_sandbox::process::{self, Detached};
use std::path::Path;
use std::time::{Duration, Instant};

/// A start takes 0.3 s; a recovery of many runs on a slow disk takes longer, and more than this is a hang.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What the server says at its start, its WARN and ERROR lines, and what a crash leaves behind. Every line that it
/// logs is in `hale.jsonl` beside it.
const OUTPUT: &str = "up.log";
const TAIL_LINES: usize = 12;

pub async fn run(args: &Args, ctx: &mut Ctx, config: &Config) -> Result<Exit, Error> {
    let started = Instant::now();
    let logs = config.data.join("logs");
    std::fs::create_dir_all(&logs).map_err(|error| Error::file("make the folder", &logs, &error))?;
    let output = logs.join(OUTPUT);
    // A file left by a server that was killed would be taken for the new one's.
    super::folder::remove_address(&config.data);
    let said_before = std::fs::metadata(&output).map_or(0, |meta| meta.len());
    let exe = std::env::current_exe()
        .map_err(|error| Error::new(Exit::Failed, "find hale's own file").caused_by(&error))?;
    let mut line = command_line(args, config);
    line.push("--detached".into());
    let mut child = process::spawn_detached(&exe, &line, &[], &output)
        .map_err(|error| Error::new(Exit::Failed, "start the server").caused_by(&error))?;
    let status = match wait_ready(&mut child, ctx, config).await {
        Ok(status) => status,
        Err(error) => {
            let tail = tail(&output, said_before);
            return Err(if tail.is_empty() { error } else { error.during(format!("it said:\n{tail}")) });
        }
    };
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    ctx.screen.one(&status, &status.address, |look| status::ready(&status, took, look));
    ctx.screen.next("hale run hello --input name=Ada; to end the server: hale down");
    Ok(Exit::Done)
}

async fn wait_ready(child: &mut Detached, ctx: &Ctx, config: &Config) -> Result<Status, Error> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let target = Target {
        place: Place { data: Some(config.data.clone()), ..Place::default() },
        key_file: ctx.target.key_file.clone(),
    };
    let env = ctx.env.without("HALE_URL");
    let log = config.data.join("logs").join(OUTPUT);
    loop {
        if let Ok(Some(exit)) = child.ended() {
            let error = Error::new(Exit::Failed, format!("start the server: it ended at once ({exit})"));
            return Err(error.hint(format!("the whole log: {}", log.display())));
        }
        if config.data.join(ADDRESS).exists() {
            let client = Client::find(&target, &env, &ctx.cwd).await?;
            match client.get::<Status>("/api/v1/status").await {
                Ok(status) if status.pid == child.pid() => return Ok(status),
                // It is ready and asks for a key that this command does not have: that is for the commands after it.
                Err(error) if error.exit == Exit::NotAuthorised => return Err(keyed(&error, &client)),
                _ => {}
            }
        }
        if tokio::time::Instant::now() > until {
            let error =
                Error::new(Exit::Unreachable, format!("wait for the server: not ready within {PATIENCE:?}"));
            return Err(error.hint(format!("it may still come up; look at {}", log.display())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn keyed(error: &Error, client: &Client) -> Error {
    let mut error = error.clone();
    error.during = Some(format!("the server is ready at {}, and it needs an API key", client.address()));
    error.hint = Some("give the key with --key-file or HALE_KEY".to_owned());
    error
}

/// The last lines that this start left.
fn tail(output: &Path, from: u64) -> String {
    let bytes = std::fs::read(output).unwrap_or_default();
    let fresh = bytes.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
    let text = String::from_utf8_lossy(fresh);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
