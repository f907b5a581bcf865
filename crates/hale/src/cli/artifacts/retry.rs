//! `hale artifacts retry [--failed-since SPAN]`.

use crate::cli::ctx::Ctx;
use crate::client::Ask;
use crate::exit::{Error, Exit};
use crate::wire::artifacts::{RetriedView, RetryArtifacts};
use std::time::Duration;

/// Store at once what the artifact store did not take
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale artifacts retry
  hale artifacts retry --failed-since \"1 hour ago\"
  hale artifacts retry --failed-since 1h -o json

Nothing is lost without it: what waits is tried again with growing pauses.
Exit code 0 when nothing waits any more, 8 when some were stored, 1 when none was.")]
pub struct Args {
    /// Only what failed within this span
    #[arg(long, value_name = "SPAN")]
    failed_since: Option<String>,
}

const PATIENCE: Duration = Duration::from_secs(300);

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let order = RetryArtifacts { failed_since: args.failed_since };
    let ask = Ask::post("/api/v1/artifacts/retry", &order).patient(PATIENCE);
    let done: RetriedView = ctx.client().await?.ask(ask).await?;
    ctx.screen.one(&done, "artifacts", |look| {
        let runs = if done.runs > 0 { format!("; {} runs try again", done.runs) } else { String::new() };
        let told = format!("{} stored, {} left{runs}", done.stored, done.left);
        let told = if done.left == 0 { look.good(&told) } else { look.bad(&told) };
        let why = done.error.as_ref().map(|error| format!("  {error}\n")).unwrap_or_default();
        format!("{told}\n{why}")
    });
    Ok(match (done.stored, done.left) {
        (_, 0) => Exit::Done,
        (0, _) => {
            ctx.screen.next("hale artifacts stores");
            Exit::Failed
        }
        _ => Exit::PartlyDone,
    })
}
