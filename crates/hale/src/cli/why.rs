//! `hale why RUN`: why a run ended as it did, or what it waits for; and `hale why CALL`.

use super::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::diagnosis;
use crate::wire::Diagnosis;
use hale_core::id::CallId;

/// Say why a run or a call ended as it did, or what it waits for now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale why run_01JD4M8Q2R7WX5B9N3K6T0VYHZ
  hale why $(hale runs list status:failed -n 1 -o name)
  hale why $(hale llm calls -n 1 -o name)

Exit code 13 when the evidence does not decide.")]
pub struct Args {
    /// The id of a run, or of a call to a model
    run: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    if args.run.starts_with(CallId::PREFIX) {
        return super::llm::explained(&args.run, ctx).await;
    }
    let client = ctx.client().await?;
    let diagnosis: Diagnosis = client.get(format!("/api/v1/runs/{}/why", escape(&args.run))).await?;
    ctx.screen.one(&diagnosis, &args.run, |look| diagnosis::text(&diagnosis, look));
    let open = diagnosis.verdict.findings.is_empty() && !diagnosis.verdict.undetermined.is_empty();
    Ok(if open { Exit::Undetermined } else { Exit::Done })
}
