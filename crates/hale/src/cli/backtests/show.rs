//! `hale backtests show ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::backtest as shown;
use crate::wire::backtests::BacktestView;

/// Show one back-test: stages, metrics, use of memory, and what went wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests show bt-01jd4m8q2r7wx5b9n3k6t0vyhz
  hale backtests show bt-01jd4m8q2r7wx5b9n3k6t0vyhz -o json | jq .metrics")]
pub struct Args {
    /// The back-test's id, or its run's
    id: String,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let one: BacktestView =
        ctx.client().await?.get(format!("/api/v1/backtests/{}", escape(&args.id))).await?;
    ctx.screen.one(&one, &one.id, |look| shown::page(&one, look));
    match (&one.error, one.metrics.is_some()) {
        (Some(_), _) => ctx.screen.next(&format!("hale why {}", one.run_id)),
        (None, true) => ctx.screen.next(&format!("hale backtests equity {}", one.id)),
        (None, false) => {}
    }
    Ok(Exit::Done)
}
