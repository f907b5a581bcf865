//! `hale backtests cancel ID`.

use crate::cli::ctx::Ctx;
use crate::client::escape;
use crate::exit::{Error, Exit};
use crate::render::backtest as shown;
use crate::wire::CancelRun;
use crate::wire::backtests::BacktestView;

/// End a back-test with all its processes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hale backtests cancel bt-01jd4m8q2r7wx5b9n3k6t0vyhz
  hale backtests cancel bt-01jd4m8q2r7wx5b9n3k6t0vyhz --reason \"wrong prices\"")]
pub struct Args {
    /// The back-test's id, or its run's
    id: String,
    /// Why, for the history
    #[arg(long)]
    reason: Option<String>,
}

pub async fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Error> {
    let path = format!("/api/v1/backtests/{}/cancel", escape(&args.id));
    let order = CancelRun { reason: args.reason };
    let one: BacktestView = ctx.client().await?.post(path, &order).await?;
    ctx.screen.one(&one, &one.id, |look| shown::line(&one, look));
    if one.ended_at.is_none() {
        ctx.screen.note("it is told to end; what it has started is ended with it");
        ctx.screen.next(&format!("hale backtests show {}", one.id));
    }
    Ok(Exit::Done)
}
