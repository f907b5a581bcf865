//! Acting on many runs: preview, consent, then an operation of the server that is watched from here.
//!
//! Guarantees: nothing is done before the preview was shown and a person, or `--yes`, agreed; the work goes on in the
//! server when this command ends, and exit 8 says that some runs were left or failed.
//! Read next: [`crate::http::bulk`].

use super::ctx::Ctx;
use crate::client::{Ask, Client, escape};
use crate::exit::{Error, Exit};
use crate::render::bulk as shown;
use crate::wire::bulk::{BulkRequest, BulkView, OperationShow};
use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

/// How the operation is begun.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Consent {
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Do not wait: print the operation and return
    #[arg(short, long)]
    pub detach: bool,
}

/// What is wanted of the server.
#[derive(Clone, Debug)]
pub struct Many {
    pub path: &'static str,
    /// `cancel`, `redrive`.
    pub verb: &'static str,
    pub request: BulkRequest,
    /// The same command without consent, for the hint.
    pub again: String,
}

/// One look waits at most this long for the end.
const LOOK: Duration = Duration::from_secs(1);

pub async fn run(ctx: &mut Ctx, client: &Client, (many, consent): (Many, Consent)) -> Result<Exit, Error> {
    let preview: BulkView =
        client.post(many.path, &BulkRequest { dry_run: true, ..many.request.clone() }).await?;
    let ask = std::io::stdin().is_terminal() && ctx.screen.terminals().err;
    if consent.dry_run || preview.meant == 0 || (!consent.yes && !ask) {
        ctx.screen.one(&preview, "", |look| shown::preview(&preview, many.verb, look));
        if preview.meant > 0 {
            ctx.screen.note("nothing was changed");
            ctx.screen.next(&format!("{} --yes", many.again));
        }
        return Ok(Exit::Done);
    }
    if !consent.yes {
        let look = ctx.screen.look();
        ctx.screen.say(shown::preview(&preview, many.verb, &look).trim_end());
        if !agreed(&format!("{} {} runs?", many.verb, preview.meant)) {
            ctx.screen.say("nothing was changed");
            return Ok(Exit::Done);
        }
    }
    let begun: BulkView = client.post(many.path, &many.request).await?;
    let id = begun.id.clone().unwrap_or_default();
    if consent.detach {
        ctx.screen.one(&begun, &id, |_| format!("{id}\n"));
        ctx.screen.next(&format!("hale operations watch {id}"));
        return Ok(Exit::Done);
    }
    follow(ctx, client, &id).await
}

/// Whether a person said yes.
pub fn agreed(question: &str) -> bool {
    let mut err = std::io::stderr();
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Watches the operation to its end.
///
/// # Errors
/// When it is not known, or the server stays away.
pub async fn follow(ctx: &mut Ctx, client: &Client, id: &str) -> Result<Exit, Error> {
    let path = format!("/api/v1/operations/{}?wait={}s", escape(id), LOOK.as_secs());
    let draws = ctx.screen.terminals().err && ctx.screen.format().is_human() && !ctx.screen.is_quiet();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let over = loop {
        let ask = client.ask::<OperationShow>(Ask::get(path.clone()).patient(LOOK));
        let seen = tokio::select! {
            seen = ask => seen?,
            _ = &mut interrupted => {
                ctx.screen.say(&format!("\ndetached; {id} goes on in the server"));
                ctx.screen.say(&format!("  watch it: hale operations watch {id}"));
                ctx.screen.say(&format!("  stop it:  hale operations pause {id}"));
                return Ok(Exit::Detached);
            }
        };
        let Some(bulk) = seen.bulk else {
            let error = Error::new(
                Exit::InvalidInput,
                format!("watch {id}: it is over when it is told, not over many runs"),
            );
            return Err(error.hint(format!("hale operations show {id}")));
        };
        if draws {
            eprint_line(&shown::progress(&bulk));
        }
        if bulk.state != "running" {
            break bulk;
        }
    };
    if draws {
        eprint_line("");
    }
    ctx.screen.one(&over, id, |look| shown::told(&over, look));
    if over.state == "paused" {
        ctx.screen.next(&format!("hale operations resume {id}"));
        return Ok(Exit::StillRunning);
    }
    if let Some(undo) = over.undo.as_deref().filter(|_| over.done > 0) {
        ctx.screen.note(&format!("undo: {undo}"));
    }
    Ok(exit(&over))
}

fn exit(bulk: &BulkView) -> Exit {
    match (bulk.done, bulk.left + bulk.failed + bulk.waiting) {
        (_, 0) => Exit::Done,
        (0, _) if bulk.failed > 0 && bulk.left == 0 => Exit::Failed,
        _ => Exit::PartlyDone,
    }
}

/// Writes over the line before.
fn eprint_line(text: &str) {
    let mut err = std::io::stderr();
    let _ = write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush());
}
