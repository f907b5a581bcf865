//! `hale artifacts verify [FILTER…]`: every content is read and hashed again.
//!
//! Guarantees: exit 0 when all are sound, 1 when one is damaged or missing, and each of those is named.

use crate::cli::ctx::Ctx;
use crate::cli::runs::list::filter;
use crate::client::{Ask, escape};
use crate::exit::{Error, Exit};
use crate::wire::Page;
use crate::wire::artifacts::ArtifactView;
use hale_core::code::Code;
use std::io::Write;
use std::time::Duration;

/// Hash artifacts again, and name each that is damaged or missing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts verify
  hale artifacts verify pack:research since:7d
  hale artifacts verify run:run_01JD4M8Q2R7WX5B9N3K6T0VYHZ -o json

Exit code 0 when all are sound, 1 when one is not.")]
pub struct Args {
    /// Which, as in `hale artifacts list`; all without it
    filter: Vec<String>,
}

/// Contents of one request: progress is seen, and each answer comes in time.
const TOGETHER: u32 = 20;
/// Twenty contents of the largest size from a slow disk.
const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let client = ctx.client().await?;
    let filter = escape(&filter(&args.filter));
    let draws = ctx.screen.terminals().err && ctx.screen.format().is_human() && !ctx.screen.is_quiet();
    let (mut checked, mut bytes, mut expired, mut problems) = (0u64, 0u64, 0u64, Vec::new());
    for kind in ["run", "input"] {
        let mut after = String::new();
        loop {
            let path =
                format!("/api/v1/artifacts?verify=true&kind={kind}&limit={TOGETHER}&filter={filter}{after}");
            let page: Page<ArtifactView> = client.ask(Ask::get(path).patient(PATIENCE)).await?;
            for item in page.items {
                checked += u64::from(!item.expired);
                expired += u64::from(item.expired);
                bytes += if item.expired { 0 } else { item.bytes };
                problems.extend(item.problem.is_some().then_some(item));
            }
            if draws {
                let mut err = std::io::stderr();
                let _ = write!(err, "\r\x1b[2K{checked} verified, {} problems", problems.len())
                    .and_then(|()| err.flush());
            }
            match page.next {
                Some(next) => after = format!("&after={}", escape(&next)),
                None => break,
            }
        }
    }
    if draws {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
    let done = serde_json::json!({
        "schema": "hale.artifacts_verify/1", "well": problems.is_empty(), "checked": checked, "bytes": bytes,
        "expired": expired, "problems": problems,
    });
    ctx.screen.one(&done, "artifacts", |look| {
        let counts = format!("{checked} artifacts, {}", crate::render::when::bytes(bytes));
        if problems.is_empty() {
            return format!("{}\n", look.good(&format!("all sound: {counts}")));
        }
        let mut text = format!("{}\n", look.bad(&format!("{} of {counts} are not sound", problems.len())));
        for item in &problems {
            let whose = item.run.as_deref().unwrap_or("input");
            let why = item.problem.as_deref().unwrap_or_default();
            text.push_str(&format!("  {whose} {}: {why}\n", item.name));
        }
        text
    });
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    let error = Error::coded(
        Code::E007,
        format!("trust the artifact store: {} artifacts are not sound", problems.len()),
    );
    Err(error.hint("bring back the last good backup: hale backup restore FOLDER --data DIR"))
}
